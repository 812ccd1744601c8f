//! Shells around the cores: committer, reader, catalog, fetch sessions, jobs.

use std::sync::Arc;

use crate::base::Clock;
use crate::store::Store;

/// One broker: what every request handler is given.
#[derive(Debug)]
pub struct Broker {
    pub clock: Arc<dyn Clock>,
    pub store: Arc<dyn Store>,
}
