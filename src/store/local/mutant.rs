//! Parts of the engine that can be left out, to show that the crash suite (tests/sim) notices. Only a build with the
//! cargo feature `mutants` can leave anything out; every other build has none of this.

use std::sync::atomic::{AtomicU8, Ordering};

static LEFT_OUT: AtomicU8 = AtomicU8::new(0);

/// What can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutant {
    /// The check of a row's version before a frame changes it once more, on replay over a sled that may be ahead.
    VersionCheck = 1,
    /// The check of CRCs of frames.
    CrcCheck = 2,
    /// The wait for a snapshot beyond a dead segment before it is used again.
    RecyclingWait = 3,
}

impl Mutant {
    /// Leaves this out of every engine in the process, and only this; `None` for nothing.
    #[cfg(feature = "mutants")]
    pub fn leave_out(mutant: Option<Mutant>) {
        LEFT_OUT.store(mutant.map_or(0, |mutant| mutant as u8), Ordering::SeqCst);
    }

    /// Whether this is left out: a constant in a build without the feature.
    pub(super) fn is_left_out(self) -> bool {
        cfg!(feature = "mutants") && LEFT_OUT.load(Ordering::Relaxed) == self as u8
    }
}
