//! Shells around the cores: committer, reader, catalog, fetch sessions, jobs.

pub mod catalog;
mod free;
mod notices;
pub mod producer_ids;
pub mod trim;

use std::sync::Arc;

use crate::base::Clock;
use crate::config::Config;
use crate::store::Store;

use catalog::Catalog;
use producer_ids::ProducerIds;

/// One broker: what every request handler is given.
#[derive(Debug)]
pub struct Broker {
    pub config: Arc<Config>,
    pub clock: Arc<dyn Clock>,
    pub store: Arc<dyn Store>,
    pub catalog: Catalog,
    pub producer_ids: ProducerIds,
}
