//! Every broker, topic and group key declared once, in one table, and where their values come from.
//!
//! [`keys`] is the table. [`Config`] holds what an operator set and answers for every other key with its default;
//! `config.get(keys::NUM_PARTITIONS)` is an `i32` because the table says so. [`TopicConfig`] is what a topic's own
//! settings, the broker's and the defaults come to.
//!
//! A lookup by key searches a small map: owners read what they need once, when they start, and never per request.

mod arguments;
mod check;
mod def;
mod document;
mod dynamic;
mod environment;
mod error;
mod flags;
mod group;
pub mod keys;
mod listeners;
mod listing;
mod load;
mod properties;
mod suggest;
mod topic;
mod value;

#[cfg(test)]
mod load_tests;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod value_tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use arguments::{Arguments, Command, DumpFilter, StorageCommand, UnreadableFile};
pub use def::{Check, Def, Effect, Key, Literal, Scope, Synonym, Update, ValueType};
pub use document::markdown;
pub use dynamic::{DynamicError, Level, Overrides};
pub use error::ConfigError;
pub use flags::{FlagError, Flags};
pub use group::{check_client_metrics, check_group};
pub use listeners::{Listener, Listeners, ListenersError};
pub use listing::{Listed, ListedSynonym, Source};
pub use load::{Inputs, LoadError, Loaded, Notice, Origin, load};
pub use properties::BadEscape;
pub use topic::{CleanupPolicy, CompressionType, TimestampType, TopicConfig};
pub use value::{FromValue, Secret, Value};

/// The broker's settings: immutable, shared behind an `Arc`. Settings that change while the broker runs make a new
/// one ([`Config::with_dynamic`]).
#[derive(Clone, Debug, Default)]
pub struct Config {
    set: BTreeMap<&'static str, Value>,
    /// What was set at run time for this broker: it counts first.
    of_broker: dynamic::Layer,
    /// What was set at run time for all brokers.
    of_cluster: dynamic::Layer,
}

impl Config {
    /// A configuration in which these broker keys are set.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        for (name, text) in pairs {
            let (def, value) = topic::parse(Scope::Broker, name, text)?;
            config.set.insert(def.name, value);
        }
        Ok(config)
    }

    /// The value of a broker key: what was set, else its default.
    pub fn get<T: FromValue>(&self, key: Key<T>) -> T {
        debug_assert_eq!(key.def().scope, Scope::Broker, "{key:?}");
        match self.explicit(key.name()) {
            Some(value) => key.read(value),
            None => key.read(&key.def().default_value()),
        }
    }

    /// The folder of everything that is kept: `log.dirs`, else `log.dir`.
    pub fn data_folder(&self) -> PathBuf {
        let folders = self
            .get(keys::LOG_DIRS)
            .unwrap_or_else(|| self.get(keys::LOG_DIR));
        folders.first().map(PathBuf::from).unwrap_or_default()
    }

    /// Bytes of requests that may be in memory over all connections.
    pub fn request_memory_bytes(&self) -> i64 {
        match self.get(keys::QUEUED_MAX_REQUEST_BYTES) {
            bytes if bytes > 0 => bytes,
            _ => self.get(keys::OTTLA_REQUEST_MEMORY_BYTES),
        }
    }

    /// The value of a broker key that somebody set, at run time or before.
    fn explicit(&self, name: &str) -> Option<&Value> {
        let dynamic = self
            .of_broker
            .value(name)
            .or_else(|| self.of_cluster.value(name));
        dynamic.or_else(|| self.set.get(name))
    }
}
