//! AlterConfigs and IncrementalAlterConfigs as a decision: what Kafka's `ConfigAdminManager` checks for brokers and its
//! `ConfigurationControlManager` for everything.

use std::sync::Arc;

use super::configs::{Configs, Resource, configs_key, encode_configs};
use super::name::{self, NameError};
use super::rows::{TopicRow, encode_topic, topic_key};
use super::topics::{Topic, Topics};
use crate::base::NodeId;
use crate::config::{
    Config, ConfigError, DynamicError, Level, Overrides, Scope, TopicConfig, ValueType,
    check_client_metrics, check_group, keys,
};
use crate::store::{Key, Version, Write};

/// Settings that one request may change; Kafka's `MAX_RECORDS_PER_USER_OP`.
pub const ALTER_RECORDS_MAX: usize = 10_000;

/// The longest value, bytes; Kafka's bound (`Short.MAX_VALUE`), and ours for names of keys and resources.
const TEXT_SIZE_MAX: usize = 32_767;

/// Keys and values that a resource may have together, bytes: a broker keeps keys that nobody knows.
const RESOURCE_SIZE_MAX: usize = 1 << 20;

/// What to do with one key (`AlterConfigOp.OpType`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterOp {
    Set(String),
    Delete,
    /// To the list that is set, else to the default one; comma separated.
    Append(String),
    /// From the list that is set, else from the default one; comma separated.
    Subtract(String),
}

/// What to do with a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Each key once.
    Incremental(Vec<(String, AlterOp)>),
    /// The whole set: what is not named is no longer set.
    Replace(Overrides),
}

/// A resource to change, as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfig {
    pub resource: Resource,
    pub change: Change,
}

/// Why a resource is not changed; the texts go to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlterError {
    #[error("Default {0} resources are not allowed.")]
    NoName(&'static str),
    #[error("Subscription name can't be empty")]
    NoSubscription,
    #[error("The name of the resource is longer than {TEXT_SIZE_MAX} bytes.")]
    LongName,
    #[error(transparent)]
    TopicName(#[from] NameError),
    #[error("The topic '{0}' does not exist.")]
    UnknownTopic(String),
    #[error("Can't {op} to key {key} because its type is not LIST.")]
    NotAList { op: &'static str, key: String },
    #[error("Unknown config name: {0}")]
    UnknownList(String),
    #[error("Config value {op} is not allowed for config key: {key}")]
    NotABrokerList { op: &'static str, key: String },
    #[error(
        "The configuration value cannot be added because it exceeds the maximum value size of {TEXT_SIZE_MAX} bytes."
    )]
    LongValue,
    #[error(
        "The settings of a resource may not be longer than {RESOURCE_SIZE_MAX} bytes together."
    )]
    TooMuch,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Dynamic(#[from] DynamicError),
    #[error("Unable to perform excessively large batch operation.")]
    TooLarge,
}

/// What a resource becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum Altered {
    /// As it was.
    Same,
    Topic(Arc<Topic>),
    Other(Resource, Overrides),
}

/// What to write and what to answer.
#[derive(Clone, Debug, Default)]
pub struct Alteration {
    /// One per request, in their order.
    pub outcomes: Vec<Result<Altered, AlterError>>,
    pub guards: Vec<(Key, Version)>,
    /// Empty when nothing changes.
    pub writes: Vec<Write>,
}

/// Decides changes of settings on a broker whose own settings are now `config`; no resource is named twice. Each resource is changed as a whole or not at all.
pub fn alter_configs(
    topics: &Topics,
    configs: &Configs,
    config: &Config,
    requests: &[AlterConfig],
) -> Alteration {
    let count = |request: &AlterConfig| match &request.change {
        Change::Incremental(ops) => ops.len(),
        Change::Replace(set) => set.len(),
    };
    if requests.iter().map(count).sum::<usize>() > ALTER_RECORDS_MAX {
        return Alteration {
            outcomes: vec![Err(AlterError::TooLarge); requests.len()],
            ..Alteration::default()
        };
    }
    let mut alteration = Alteration::default();
    for request in requests {
        let outcome = match &request.resource {
            Resource::Topic(name) => alter_topic(topics, config, name, &request.change),
            other => alter_other(configs, config, other, &request.change),
        };
        match &outcome {
            Ok(Altered::Topic(topic)) => {
                let key = topic_key(&topic.name);
                let version = topics.version(topic.id);
                let row = TopicRow {
                    id: topic.id,
                    partitions: topic.partitions.clone(),
                    overrides: topic.overrides.clone(),
                };
                alteration.put(key, version, Some(encode_topic(&row)));
            }
            Ok(Altered::Other(resource, set)) => {
                if let Some(key) = configs_key(resource) {
                    let value = (!set.is_empty()).then(|| encode_configs(set));
                    alteration.put(key, configs.version(resource), value);
                }
            }
            Ok(Altered::Same) | Err(_) => {}
        }
        alteration.outcomes.push(outcome);
    }
    alteration
}

impl Alteration {
    fn put(&mut self, key: Key, version: Version, value: Option<bytes::Bytes>) {
        self.guards.push((key.clone(), version));
        self.writes.push(match value {
            Some(value) => Write::Put {
                key,
                value,
                place_at: None,
            },
            None => Write::Delete { key },
        });
    }
}

fn alter_topic(
    topics: &Topics,
    config: &Config,
    name: &str,
    change: &Change,
) -> Result<Altered, AlterError> {
    let topic = topics.by_name(name);
    let none = Overrides::new();
    let old = topic.map_or(&none, |topic| &topic.overrides);
    let set = changed(Scope::Topic, old, change)?;
    if name.is_empty() {
        return Err(AlterError::NoName("topic"));
    }
    name::validate(name)?;
    let resolved = TopicConfig::resolve(config, &set)?;
    let topic = topic.ok_or_else(|| AlterError::UnknownTopic(name.to_owned()))?;
    if set == topic.overrides {
        return Ok(Altered::Same);
    }
    Ok(Altered::Topic(Arc::new(Topic {
        config: Arc::new(resolved),
        overrides: set,
        ..Topic::clone(topic)
    })))
}

fn alter_other(
    configs: &Configs,
    config: &Config,
    resource: &Resource,
    change: &Change,
) -> Result<Altered, AlterError> {
    let old = configs.of(resource);
    let set = match resource {
        Resource::Broker(id) => {
            let level = match id {
                Some(NodeId(_)) => Level::Broker,
                None => Level::Cluster,
            };
            // What this version does not take of what is stored is left out of what is checked.
            let accepted = changed(Scope::Broker, config.dynamic(level), change)?;
            config.check_dynamic(level, &accepted)?;
            changed(Scope::Broker, &old, change)?
        }
        Resource::Group(name) => {
            let set = changed(Scope::Group, &old, change)?;
            check_name(name, AlterError::NoName("group"))?;
            check_group(config, &set)?;
            set
        }
        Resource::ClientMetrics(name) => {
            let set = changed(Scope::ClientMetrics, &old, change)?;
            check_name(name, AlterError::NoSubscription)?;
            check_client_metrics(&set)?;
            set
        }
        // Topics have their own way.
        Resource::Topic(_) => return Ok(Altered::Same),
    };
    match set == old {
        true => Ok(Altered::Same),
        false => Ok(Altered::Other(resource.clone(), set)),
    }
}

fn check_name(name: &str, when_empty: AlterError) -> Result<(), AlterError> {
    match name.len() {
        0 => Err(when_empty),
        1..=TEXT_SIZE_MAX => Ok(()),
        _ => Err(AlterError::LongName),
    }
}

/// What is set once a change is made to what was set.
fn changed(scope: Scope, old: &Overrides, change: &Change) -> Result<Overrides, AlterError> {
    let set = match change {
        Change::Replace(set) => set.clone(),
        Change::Incremental(ops) => {
            let mut set = old.clone();
            for (key, op) in ops {
                apply(scope, &mut set, key, op)?;
            }
            set
        }
    };
    if set
        .iter()
        .any(|(key, text)| key.len().max(text.len()) > TEXT_SIZE_MAX)
    {
        return Err(AlterError::LongValue);
    }
    let sizes = set.iter().map(|(key, text)| key.len() + text.len());
    match sizes.sum::<usize>() > RESOURCE_SIZE_MAX {
        true => Err(AlterError::TooMuch),
        false => Ok(set),
    }
}

fn apply(scope: Scope, set: &mut Overrides, key: &str, op: &AlterOp) -> Result<(), AlterError> {
    let text = match op {
        AlterOp::Set(text) => text.clone(),
        AlterOp::Delete => {
            set.remove(key);
            return Ok(());
        }
        AlterOp::Append(more) => {
            let mut items = list(scope, set, key, "append")?;
            for item in more.split(',') {
                if !items.iter().any(|known| known == item) {
                    items.push(item.to_owned());
                }
            }
            items.join(",")
        }
        AlterOp::Subtract(fewer) => {
            let mut items = list(scope, set, key, "subtract")?;
            for item in fewer.split(',') {
                if let Some(at) = items.iter().position(|known| known == item) {
                    items.remove(at);
                }
            }
            items.join(",")
        }
    };
    set.insert(key.to_owned(), text);
    Ok(())
}

/// The items of a list: of the one that is set, else of the key's default. Not of what a topic inherits, as in Kafka.
fn list(
    scope: Scope,
    set: &Overrides,
    key: &str,
    op: &'static str,
) -> Result<Vec<String>, AlterError> {
    let def = keys::find(scope, key);
    // Kafka's controller does not know the types of client metrics keys.
    let is_list =
        scope != Scope::ClientMetrics && def.is_some_and(|def| def.value_type == ValueType::List);
    let key = key.to_owned();
    match (scope, def) {
        (Scope::Broker, None) => return Err(AlterError::UnknownList(key)),
        (Scope::Broker, Some(_)) if !is_list => return Err(AlterError::NotABrokerList { op, key }),
        _ if !is_list => {
            let op = match op {
                "append" => "APPEND",
                _ => "SUBTRACT",
            };
            return Err(AlterError::NotAList { op, key });
        }
        _ => {}
    }
    let default = || def.and_then(|def| def.default_value().shown());
    let text = set.get(&key).cloned().or_else(default).unwrap_or_default();
    let items = text.split(',').filter(|item| !item.is_empty());
    Ok(items.map(str::to_owned).collect())
}
