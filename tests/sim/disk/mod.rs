//! A simulated disk with a seed: [`Disk`] as a machine that loses power would have it.
//!
//! It keeps what programs see apart from what is on the medium, for file contents (by sector), lengths and names
//! alike. On a power cut each un-synced sector is dropped, kept, or torn, un-synced lengths and names are kept or
//! dropped, in an order that a journaling file system would allow or in none. Every change is counted, so that a test
//! can cut or fail after each. A failed sync loses some of the data for good, although later syncs succeed.

mod inode;
mod state;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use ottla::store::local::disk::{Access, Create, Disk, DiskFile, DiskSpace, OpenHow};

pub(crate) use inode::{Fate, index};
use state::{State, Step, broken, exists, full, invalid, not_found};

/// What the simulated file system thinks of direct access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectAccess {
    Accepted,
    RefusedAtOpen,
    RefusedAtWrite,
}

/// What a power cut does to names that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameFate {
    AllDropped,
    AllKept,
    /// The first few are kept, as a journaling file system has it.
    InOrder,
    /// Any of them.
    AnyOrder,
}

/// What a power cut does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) files: Fate,
    pub(crate) names: NameFate,
}

/// One folder on a simulated disk, until the power goes; see [`SimDisk::next_boot`].
#[derive(Clone, Debug)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(State::new(seed))
    }

    fn with(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no operation panics")
    }

    /// The bytes that are written as one, or torn: 512 or 4096.
    pub(crate) fn set_sector(&self, sector: u64) {
        self.state().sector = sector;
    }

    pub(crate) fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    pub(crate) fn set_direct_access(&self, direct: DirectAccess) {
        self.state().direct = direct;
    }

    /// Whether data that a failed sync has lost may be gone from memory too, at once.
    pub(crate) fn set_forgetful(&self, forgetful: bool) {
        self.state().forgetful = forgetful;
    }

    /// The power goes, or the process dies, with the `number`th change.
    pub(crate) fn cut_at(&self, number: u64) {
        self.state().cut_at = Some(number);
    }

    /// It is over now.
    pub(crate) fn stop(&self) {
        self.state().off = true;
    }

    pub(crate) fn is_off(&self) -> bool {
        self.state().off
    }

    /// These changes fail with an I/O error.
    pub(crate) fn fail_changes(&self, numbers: std::ops::Range<u64>) {
        self.state().fail_changes = numbers;
    }

    /// These reads fail with an I/O error.
    pub(crate) fn fail_reads(&self, numbers: std::ops::Range<u64>) {
        self.state().fail_reads = numbers;
    }

    /// How many changes there were.
    pub(crate) fn changes(&self) -> u64 {
        self.state().changes
    }

    /// How many reads there were.
    pub(crate) fn reads(&self) -> u64 {
        self.state().reads
    }

    pub(crate) fn used(&self) -> u64 {
        self.state().used()
    }

    /// A direct access that a real disk would have refused.
    pub(crate) fn misaligned(&self) -> Option<String> {
        self.state().misaligned.clone()
    }

    /// A counter that the test moves on; see [`SimDisk::synced`].
    pub(crate) fn acknowledged(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.state().acknowledged)
    }

    /// What the counter was when last everything had been synced, so that a cut may not take it back.
    pub(crate) fn synced(&self) -> u64 {
        self.state().synced
    }

    /// The last operations.
    pub(crate) fn trace(&self) -> String {
        self.state().trace()
    }

    /// The folder as the next process finds it when this one has died. This one's files are dead from now on.
    pub(crate) fn next_process(&self) -> Self {
        let mut state = self.state();
        state.off = true;
        Self::with(state.next_process())
    }

    /// The folder as it is when the power is back. This one's files are dead from now on.
    pub(crate) fn next_boot(&self) -> Self {
        let mut state = self.state();
        state.off = true;
        let cut = state.draw_cut();
        Self::with(state.next_boot(cut))
    }

    /// The same with a chosen fate.
    pub(crate) fn next_boot_with(&self, cut: Cut) -> Self {
        let mut state = self.state();
        state.off = true;
        Self::with(state.next_boot(cut))
    }

    /// What a file holds.
    pub(crate) fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.names.get(name)?;
        Some(state.inodes.get(inode)?.seen.clone())
    }

    /// Changes a file on the medium, as decay or a careless hand does.
    pub(crate) fn damage(&self, name: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut state = self.state();
        let inode = state.names.get(name).copied();
        let inode = inode.and_then(|inode| state.inodes.get_mut(&inode));
        inode
            .expect("only existing files are damaged")
            .damage(change);
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str, how: OpenHow) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        if state.off {
            return Err(broken());
        }
        if how.access == Access::Direct && state.direct == DirectAccess::RefusedAtOpen {
            return Err(invalid());
        }
        let inode = match (how.create, state.names.get(name).copied()) {
            (Create::Existing, Some(inode)) => inode,
            (Create::Existing, None) => return Err(not_found()),
            (Create::CreateNew, Some(_)) => return Err(exists()),
            (Create::CreateNew, None) => match state.begin(|| format!("create {name}"))? {
                Step::Do => state.link(name),
                Step::DoAndStop => {
                    state.link(name);
                    return Err(broken());
                }
                Step::Fail | Step::Stop => return Err(broken()),
            },
        };
        if let Some(inode) = state.inodes.get_mut(&inode) {
            inode.handles += 1;
        }
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            name: name.into(),
            inode,
            access: how.access,
        }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.state();
        if state.off {
            return Err(broken());
        }
        Ok(state.names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let step = state.begin(|| format!("rename {from} to {to}"))?;
        act(step, || state.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let step = state.begin(|| format!("remove {name}"))?;
        act(step, || state.unlink(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.state();
        let step = state.begin(|| "sync folder".into())?;
        act(step, || {
            state.sync_names();
            Ok(())
        })
    }

    fn space(&self) -> io::Result<DiskSpace> {
        let state = self.state();
        Ok(DiskSpace {
            total: state.capacity,
            available: state.capacity.saturating_sub(state.used()),
        })
    }

    fn boot_id(&self) -> io::Result<String> {
        Ok(format!("boot-{}", self.state().boot))
    }

    fn alignment(&self) -> usize {
        4096
    }
}

/// Carries a step out, if it is to be, and answers as it must.
fn act(step: Step, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match step {
        Step::Do => work(),
        Step::DoAndStop => work().and(Err(broken())),
        Step::Fail | Step::Stop => Err(broken()),
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    /// The name that it was opened by, for reports.
    name: String,
    inode: u64,
    access: Access,
}

impl SimFile {
    /// Direct access asks for aligned memory, positions and lengths.
    fn check_alignment(&self, state: &mut State, bytes: &[u8], position: u64) -> io::Result<()> {
        let align = self.disk.alignment();
        let fits = bytes.as_ptr().align_offset(align) == 0
            && bytes.len().is_multiple_of(align)
            && index(position).is_multiple_of(align);
        if self.access == Access::Buffered || fits {
            return Ok(());
        }
        let len = bytes.len();
        state.misaligned = Some(format!("{} at {position}, {len} bytes", self.name));
        Err(invalid())
    }
}

impl DiskFile for SimFile {
    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut guard = self.disk.state();
        let state = &mut *guard;
        self.check_alignment(state, bytes, position)?;
        if self.access == Access::Direct && state.direct == DirectAccess::RefusedAtWrite {
            return Err(invalid());
        }
        let (name, len) = (&self.name, bytes.len());
        let step = state.begin(|| format!("write {name} at {position}, {len} bytes"))?;
        let inode = state.inodes.get(&self.inode).ok_or_else(broken)?;
        if !state.fits(inode.needs(position, position + bytes.len() as u64)) {
            return Err(full());
        }
        let (rng, sector) = (&mut state.rng, state.sector);
        let inode = state.inodes.get_mut(&self.inode).ok_or_else(broken)?;
        match step {
            Step::Do | Step::DoAndStop => inode.write(bytes, position, sector, || true),
            Step::Fail | Step::Stop => inode.write(bytes, position, sector, || rng.one_in(2)),
        }
        act(step, || Ok(()))
    }

    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let mut guard = self.disk.state();
        let state = &mut *guard;
        if state.off {
            return Err(broken());
        }
        self.check_alignment(state, buffer, position)?;
        state.reads += 1;
        if state.fail_reads.contains(&state.reads) {
            return Err(broken());
        }
        let inode = state.inodes.get(&self.inode).ok_or_else(broken)?;
        let from = index(position);
        let bytes = inode.seen.get(from..from + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        if state.off {
            return Err(broken());
        }
        let inode = state.inodes.get(&self.inode).ok_or_else(broken)?;
        Ok(inode.seen.len() as u64)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut guard = self.disk.state();
        let state = &mut *guard;
        let step = state.begin(|| format!("allocate {} to {len}", self.name))?;
        let inode = state.inodes.get(&self.inode).ok_or_else(broken)?;
        if !state.fits(inode.needs(0, len)) {
            return Err(full());
        }
        let sector = state.sector;
        let inode = state.inodes.get_mut(&self.inode).ok_or_else(broken)?;
        act(step, || {
            inode.allocate(0, len);
            if (inode.seen.len() as u64) < len {
                inode.set_len(len, sector);
            }
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let step = state.begin(|| format!("set length of {} to {len}", self.name))?;
        let sector = state.sector;
        let inode = state.inodes.get_mut(&self.inode).ok_or_else(broken)?;
        act(step, || {
            inode.set_len(len, sector);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut guard = self.disk.state();
        let state = &mut *guard;
        let step = state.begin(|| format!("sync {}", self.name))?;
        let (rng, sector) = (&mut state.rng, state.sector);
        let inode = state.inodes.get_mut(&self.inode).ok_or_else(broken)?;
        match step {
            Step::Do | Step::DoAndStop => {
                inode.sync(sector);
                state.note_synced();
            }
            Step::Fail => {
                inode.fail_sync(sector, state.forgetful, rng);
                state.lost = true;
            }
            Step::Stop => {}
        }
        act(step, || Ok(()))
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if let Some(inode) = state.inodes.get_mut(&self.inode) {
            inode.handles -= 1;
        }
        state.collect();
    }
}
