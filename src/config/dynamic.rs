//! Broker settings that change while the broker runs (KIP-226): Kafka's `DynamicBrokerConfig`.
//!
//! What is set for this broker counts before what is set for all brokers, and both before file, environment and flags.
//! A key that nobody knows is kept and described, as in Kafka, where a plug-in might want it.

use std::collections::BTreeMap;

use super::def::{Def, Scope, Update};
use super::error::ConfigError;
use super::topic::parse;
use super::value::Value;
use super::{Config, TopicConfig, keys};

/// What is set on one resource: texts by key, as clients sent them.
pub type Overrides = BTreeMap<String, String>;

/// Whom a change of broker settings is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// All brokers: the resource with an empty name.
    Cluster,
    /// This broker.
    Broker,
}

/// Why settings cannot be changed at run time. Kafka answers INVALID_REQUEST for each, in these words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DynamicError {
    #[error("Cannot update these configs dynamically: [{}]", .0.join(", "))]
    ReadOnly(Vec<String>),
    #[error(
        "These security configs can be dynamically updated only per-listener using the listener prefix: [{}]",
        .0.join(", ")
    )]
    PerListener(Vec<String>),
    #[error("Cannot update these configs at default cluster level, broker id must be specified: [{}]", .0.join(", "))]
    PerBroker(Vec<String>),
    #[error(transparent)]
    Value(#[from] ConfigError),
    /// Values that are each allowed, but not beside others or after those that were.
    #[error("{0}")]
    Unfit(String),
}

/// One level's settings.
#[derive(Clone, Default)]
pub(super) struct Layer {
    texts: Overrides,
    /// Those of known keys.
    values: BTreeMap<&'static str, Value>,
}

/// Texts may be secrets.
impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.values.fmt(f)
    }
}

impl Layer {
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    pub(super) fn texts(&self) -> &Overrides {
        &self.texts
    }

    fn read(stored: &Overrides, level: Level, ignored: &mut Vec<String>) -> Self {
        let mut layer = Layer::default();
        for (name, text) in stored {
            let one = Overrides::from([(name.clone(), text.clone())]);
            if check_keys(&one, level).is_err() {
                ignored.push(name.clone());
                continue;
            }
            layer.texts.insert(name.clone(), text.clone());
            if let Ok((def, value)) = parse(Scope::Broker, name, text) {
                layer.values.insert(def.name, value);
            }
        }
        layer
    }
}

/// Threads of Kafka's pools, of which a change may at most halve or double the number.
const THREADS: &[&str] = &[
    "background.threads",
    "log.cleaner.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.manager.follower.thread.pool.size",
    "remote.log.reader.threads",
];

/// Keys whose least value at run time is above the one that a file may have.
const POSITIVE: &[&str] = &["max.connection.creation.rate", "max.connections"];

/// Keys of a listener that may be set for all brokers (`CLUSTER_LEVEL_LISTENER_CONFIGS`).
const LISTENER_KEYS_OF_CLUSTER: &[&str] = &[
    "max.connection.creation.rate",
    "max.connections",
    "num.network.threads",
];

impl Config {
    /// These settings with those that were set at run time for all brokers and for this one; also the keys of those
    /// that do not count, because this version would refuse them.
    pub fn with_dynamic(
        &self,
        of_cluster: &Overrides,
        of_broker: &Overrides,
    ) -> (Config, Vec<String>) {
        let mut ignored = Vec::new();
        let config = Config {
            set: self.set.clone(),
            of_cluster: Layer::read(of_cluster, Level::Cluster, &mut ignored),
            of_broker: Layer::read(of_broker, Level::Broker, &mut ignored),
        };
        (config, ignored)
    }

    /// What counts of that which was set at run time.
    pub fn dynamic(&self, level: Level) -> &Overrides {
        match level {
            Level::Cluster => self.of_cluster.texts(),
            Level::Broker => self.of_broker.texts(),
        }
    }

    /// Whether all settings of a level may become `new`.
    pub fn check_dynamic(&self, level: Level, new: &Overrides) -> Result<(), DynamicError> {
        check_keys(new, level)?;
        let (after, _) = match level {
            Level::Cluster => self.with_dynamic(new, self.of_broker.texts()),
            Level::Broker => self.with_dynamic(self.of_cluster.texts(), new),
        };
        check_numbers(self, &after)?;
        check_logs(&after)
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        match self.explicit(name) {
            Some(value) => value.integer(),
            None => keys::find(Scope::Broker, name)?.default_value().integer(),
        }
    }
}

/// `listener.name.NAME.KEY` without the listener.
pub(super) fn without_listener(name: &str) -> Option<&str> {
    let (_, key) = name.strip_prefix("listener.name.")?.split_once('.')?;
    Some(key)
}

/// The declaration of a key, or of the key behind a listener's.
pub(super) fn find(name: &str) -> Option<&'static Def> {
    keys::find(Scope::Broker, name).or_else(|| keys::find(Scope::Broker, without_listener(name)?))
}

/// What can be said of each key by itself, in Kafka's order.
fn check_keys(settings: &Overrides, level: Level) -> Result<(), DynamicError> {
    let update = |name: &str| keys::find(Scope::Broker, name).map(|def| def.update);
    let those = |refused: &dyn Fn(&str) -> bool| {
        let names = settings.keys().filter(|name| refused(name));
        names.cloned().collect::<Vec<_>>()
    };
    let read_only = those(&|name| update(name) == Some(Update::ReadOnly));
    if !read_only.is_empty() {
        return Err(DynamicError::ReadOnly(read_only));
    }
    let bare = those(&|name| update(name) == Some(Update::PerListener));
    if !bare.is_empty() {
        return Err(DynamicError::PerListener(bare));
    }
    for (name, text) in settings {
        if let Some(def) = find(name).filter(|def| def.update != Update::ReadOnly) {
            parse(Scope::Broker, def.name, text)?;
        }
    }
    let of_broker = those(&|name| match (update(name), without_listener(name)) {
        (Some(update), _) => update == Update::PerBroker,
        (None, Some(key)) => !LISTENER_KEYS_OF_CLUSTER.contains(&key),
        (None, None) => false,
    });
    match (level, of_broker.is_empty()) {
        (Level::Cluster, false) => Err(DynamicError::PerBroker(of_broker)),
        (Level::Cluster, true) | (Level::Broker, _) => Ok(()),
    }
}

/// A refusal by whoever would have to follow the change; Kafka wraps the reason in exceptions.
fn unfit(why: &str) -> Result<(), DynamicError> {
    Err(DynamicError::Unfit(format!(
        "Invalid dynamic configuration: {why}"
    )))
}

/// What Kafka requires of a broker's settings together (`KafkaConfig.validateValues`).
fn require(holds: bool, what: &str) -> Result<(), DynamicError> {
    match holds {
        true => Ok(()),
        false => Err(DynamicError::Unfit(format!("requirement failed: {what}"))),
    }
}

fn check_numbers(before: &Config, after: &Config) -> Result<(), DynamicError> {
    let buffer_size = after.get(keys::LOG_CLEANER_DEDUPE_BUFFER_SIZE);
    let threads = i64::from(after.get(keys::LOG_CLEANER_THREADS).max(1));
    require(
        buffer_size / threads > 1024 * 1024,
        "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
    )?;
    require(
        after.get(keys::MAX_CONNECTIONS_PER_IP) > 0
            || !after.get(keys::MAX_CONNECTIONS_PER_IP_OVERRIDES).is_empty(),
        "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.",
    )?;
    for group in ["consumer", "share", "streams"] {
        let key = |which: &str| format!("group.{group}.{which}assignment.interval.ms");
        let [min, interval, max] = ["min.", "", "max."].map(|which| after.number(&key(which)));
        let outside = match interval {
            _ if interval < min => format!("greater than or equal to {}", key("min.")),
            _ if interval > max => format!("less than or equal to {}", key("max.")),
            _ => continue,
        };
        return Err(DynamicError::Unfit(format!(
            "{} must be {outside}",
            key("")
        )));
    }
    for name in THREADS {
        let (Some(old), Some(new)) = (before.number(name), after.number(name)) else {
            continue;
        };
        if new != old && (new < 1.max(old / 2) || new > old.saturating_mul(2)) {
            return unfit(&format!(
                "{name} may be halved or doubled at most, it is {old}"
            ));
        }
    }
    for name in POSITIVE {
        let new = after.number(name);
        if new != before.number(name) && new.is_some_and(|new| new < 1) {
            return unfit(&format!("{name} must be at least 1"));
        }
    }
    Ok(())
}

fn check_logs(after: &Config) -> Result<(), DynamicError> {
    let (topic, _) = TopicConfig::of_stored(after, &Overrides::new())?;
    require(
        after.get(keys::LOG_ROLL_MS).is_none_or(|ms| ms >= 1),
        "log.roll.ms must be greater than or equal to 1",
    )?;
    require(
        after.get(keys::LOG_ROLL_JITTER_MS).is_none_or(|ms| ms >= 0),
        "log.roll.jitter.ms must be greater than or equal to 0",
    )?;
    require(
        topic.retention_ms != 0,
        "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
    )?;
    let folder = after.data_folder();
    let mut cordoned = after.get(keys::CORDONED_LOG_DIRS);
    cordoned.retain(|dir| folder.as_os_str() != dir.as_str());
    require(
        cordoned.is_empty(),
        &format!(
            "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : {}",
            cordoned.join(", ")
        ),
    )?;
    let local_ms = after.get(keys::LOG_LOCAL_RETENTION_MS);
    let local_bytes = after.get(keys::LOG_LOCAL_RETENTION_BYTES);
    for (key, limit, local) in [
        ("log.local.retention.ms", topic.retention_ms, local_ms),
        (
            "log.local.retention.bytes",
            topic.retention_bytes,
            local_bytes,
        ),
    ] {
        if limit >= 0 && local != -2 && (local == -1 || local > limit) {
            return unfit(&format!("{key} ({local}) may not be above {limit}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> Overrides {
        let pairs = pairs.iter();
        pairs
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
            .collect()
    }

    /// A newer broker may have stored what this one would refuse.
    #[test]
    fn what_is_stored_counts_where_it_may_be_set() {
        let file = Config::from_pairs([("num.partitions", "3"), ("message.max.bytes", "9")]);
        let (config, ignored) = file.expect("valid").with_dynamic(
            &set(&[
                ("message.max.bytes", "8"),
                ("num.partitions", "7"),
                ("log.cleaner.threads", "many"),
                ("principal.builder.class", "a.B"),
                ("of.a.plugin", "x"),
            ]),
            &set(&[
                ("principal.builder.class", "a.C"),
                ("ssl.keystore.type", "PEM"),
            ]),
        );
        assert_eq!(
            ignored,
            [
                "log.cleaner.threads",
                "num.partitions",
                "principal.builder.class",
                "ssl.keystore.type"
            ]
        );
        assert_eq!(config.get(keys::MESSAGE_MAX_BYTES), 8);
        assert_eq!(config.get(keys::NUM_PARTITIONS), 3);
        let of_cluster = set(&[("message.max.bytes", "8"), ("of.a.plugin", "x")]);
        assert_eq!(*config.dynamic(Level::Cluster), of_cluster);
        assert_eq!(config.dynamic(Level::Broker).len(), 1);
    }

    #[test]
    fn numbers_of_threads_change_from_what_they_are_now() {
        let file = Config::default();
        let threads = |count: &str| set(&[("num.io.threads", count)]);
        assert_eq!(file.check_dynamic(Level::Broker, &threads("16")), Ok(()));
        assert!(file.check_dynamic(Level::Broker, &threads("17")).is_err());
        let (now, _) = file.with_dynamic(&threads("16"), &Overrides::new());
        assert_eq!(now.check_dynamic(Level::Broker, &threads("32")), Ok(()));
        assert!(now.check_dynamic(Level::Broker, &threads("7")).is_err());
    }
}
