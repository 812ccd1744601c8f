//! How far the broker is, for probes, and what it serves, for the metrics page. It outlives the server: it is there
//! before the store is open and while the server stops.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::Shared;

/// The stages of a broker's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The store is opened, the state is loaded.
    Starting,
    /// Requests are answered.
    Ready,
    /// No longer.
    Stopping,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Health {
    stage: AtomicU8,
    started: SystemTime,
    shared: OnceLock<Arc<Shared>>,
}

impl Health {
    /// The process has begun.
    pub(super) fn starting() -> Arc<Self> {
        Arc::new(Self {
            stage: AtomicU8::new(Stage::Starting as u8),
            started: SystemTime::now(),
            shared: OnceLock::new(),
        })
    }

    /// Requests are answered from now on.
    pub(super) fn ready(&self, shared: &Arc<Shared>) {
        // A process has one server.
        let _ = self.shared.set(Arc::clone(shared));
        self.stage.store(Stage::Ready as u8, Ordering::Release);
    }

    /// They are not any more.
    pub(super) fn stopping(&self) {
        self.stage.store(Stage::Stopping as u8, Ordering::Release);
    }

    /// How far the broker is.
    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            stage if stage == Stage::Starting as u8 => Stage::Starting,
            stage if stage == Stage::Ready as u8 => Stage::Ready,
            _ => Stage::Stopping,
        }
    }

    /// What is served, once something was.
    pub(super) fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.get()
    }

    /// When the process began, seconds since 1970-01-01 UTC.
    pub(super) fn started_seconds(&self) -> f64 {
        let since_epoch = self.started.duration_since(SystemTime::UNIX_EPOCH);
        since_epoch.unwrap_or_default().as_secs_f64()
    }
}
