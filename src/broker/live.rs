//! The broker's settings as they are now.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::{Config, FromValue, Key};

/// The newest settings: a snapshot at a time, replaced when a setting is changed at run time. Cheap to clone.
///
/// Reading takes a short lock: whatever is asked for each record batch is resolved beforehand
/// ([`crate::cluster::Topic::config`]).
#[derive(Clone, Debug)]
pub struct LiveConfig(Arc<watch::Sender<Arc<Config>>>);

impl LiveConfig {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self(Arc::new(watch::Sender::new(config)))
    }

    /// The settings as they are now.
    pub fn now(&self) -> Arc<Config> {
        self.0.borrow().clone()
    }

    /// The value of a broker key as it is now.
    pub fn get<T: FromValue>(&self, key: Key<T>) -> T {
        self.0.borrow().get(key)
    }

    /// Sees every change.
    pub fn watch(&self) -> watch::Receiver<Arc<Config>> {
        self.0.subscribe()
    }

    pub(super) fn replace(&self, config: Arc<Config>) {
        self.0.send_replace(config);
    }
}
