//! The effective settings of one topic: its own, else the broker's, else the defaults.

use super::check::Refusal;
use super::def::{Def, Key, Scope, Synonym, ValueType};
use super::dynamic::Overrides;
use super::error::ConfigError;
use super::keys::topic as keys;
use super::value::{FromValue, Value};
use super::{Config, keys as table};

/// `compression.type`: what stored batches are compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent them.
    Producer,
    Uncompressed,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// `message.timestamp.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// `cleanup.policy`; neither means that records stay for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// Everything about one topic that running code asks for, resolved once.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// The largest batch, bytes.
    pub max_message_bytes: i32,
    pub message_timestamp_type: TimestampType,
    /// How far back a timestamp may lie.
    pub message_timestamp_before_max_ms: i64,
    /// How far ahead a timestamp may lie.
    pub message_timestamp_after_max_ms: i64,
    pub compression_type: CompressionType,
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_zstd_level: i32,
    pub min_insync_replicas: i32,
    pub cleanup_policy: CleanupPolicy,
    /// -1 for ever.
    pub retention_ms: i64,
    /// -1 for no limit.
    pub retention_bytes: i64,
    pub segment_bytes: i32,
    pub segment_ms: i64,
    pub delete_retention_ms: i64,
    pub min_compaction_lag_ms: i64,
    pub max_compaction_lag_ms: i64,
    pub min_cleanable_dirty_ratio: f64,
}

impl TopicConfig {
    /// The settings of a topic that sets `overrides` on this broker. Every override must be a known key with a good
    /// value, and together they must make sense.
    pub fn resolve(config: &Config, overrides: &Overrides) -> Result<TopicConfig, ConfigError> {
        for (name, value) in overrides {
            parse(Scope::Topic, name, value)?;
        }
        let settings = Settings { config, overrides };
        let resolved = Self::read(&settings)?;
        resolved.check(settings.get(keys::REMOTE_STORAGE_ENABLE)?)?;
        Ok(resolved)
    }

    /// The settings of a topic as it is stored: they were checked when they were set, and what a newer broker stored,
    /// or what no longer fits the broker's settings, must not keep the topic from its others. Also what does not count.
    pub fn of_stored(
        config: &Config,
        overrides: &Overrides,
    ) -> Result<(TopicConfig, Vec<ConfigError>), ConfigError> {
        let mut good = Overrides::new();
        let mut refused = Vec::new();
        for (name, value) in overrides {
            match parse(Scope::Topic, name, value) {
                Ok(_) => drop(good.insert(name.clone(), value.clone())),
                Err(error) => refused.push(error),
            }
        }
        let overrides = &good;
        Ok((Self::read(&Settings { config, overrides })?, refused))
    }

    fn read(settings: &Settings<'_>) -> Result<TopicConfig, ConfigError> {
        let policy = settings.get(keys::CLEANUP_POLICY)?;
        Ok(TopicConfig {
            max_message_bytes: settings.get(keys::MAX_MESSAGE_BYTES)?,
            message_timestamp_type: timestamp_type(&settings.get(keys::MESSAGE_TIMESTAMP_TYPE)?),
            message_timestamp_before_max_ms: settings.get(keys::MESSAGE_TIMESTAMP_BEFORE_MAX_MS)?,
            message_timestamp_after_max_ms: settings.get(keys::MESSAGE_TIMESTAMP_AFTER_MAX_MS)?,
            compression_type: compression_type(&settings.get(keys::COMPRESSION_TYPE)?),
            compression_gzip_level: settings.get(keys::COMPRESSION_GZIP_LEVEL)?,
            compression_lz4_level: settings.get(keys::COMPRESSION_LZ4_LEVEL)?,
            compression_zstd_level: settings.get(keys::COMPRESSION_ZSTD_LEVEL)?,
            min_insync_replicas: settings.get(keys::MIN_INSYNC_REPLICAS)?,
            cleanup_policy: CleanupPolicy {
                delete: policy.iter().any(|item| item == "delete"),
                compact: policy.iter().any(|item| item == "compact"),
            },
            retention_ms: settings.get(keys::RETENTION_MS)?.max(-1),
            retention_bytes: settings.get(keys::RETENTION_BYTES)?.max(-1),
            segment_bytes: settings.get(keys::SEGMENT_BYTES)?,
            segment_ms: settings.get(keys::SEGMENT_MS)?,
            delete_retention_ms: settings.get(keys::DELETE_RETENTION_MS)?,
            min_compaction_lag_ms: settings.get(keys::MIN_COMPACTION_LAG_MS)?,
            max_compaction_lag_ms: settings.get(keys::MAX_COMPACTION_LAG_MS)?,
            min_cleanable_dirty_ratio: settings.get(keys::MIN_CLEANABLE_DIRTY_RATIO)?,
        })
    }

    /// What Kafka's `LogConfig.validate` checks across keys.
    fn check(&self, remote_storage: bool) -> Result<(), ConfigError> {
        let (min, max) = (self.min_compaction_lag_ms, self.max_compaction_lag_ms);
        if min > max {
            return Err(ConfigError::Conflict {
                reason: format!(
                    "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
                ),
            });
        }
        if remote_storage {
            return Err(ConfigError::Conflict {
                reason: "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with \
                         remote log storage."
                    .to_owned(),
            });
        }
        Ok(())
    }
}

pub(super) fn parse(
    scope: Scope,
    name: &str,
    text: &str,
) -> Result<(&'static Def, Value), ConfigError> {
    let Some(def) = table::find(scope, name) else {
        return Err(ConfigError::Unknown {
            scope,
            name: name.to_owned(),
        });
    };
    match Value::parse(def, text) {
        Ok(value) => Ok((def, value)),
        Err(refusal) => Err(refused(def, text.trim(), refusal)),
    }
}

/// The refusal as Kafka words it; a list is shown as Java shows one.
fn refused(def: &Def, text: &str, refusal: Refusal) -> ConfigError {
    let (value, reason) = match refusal {
        Refusal::EmptyItem => {
            return ConfigError::Conflict {
                reason: format!("Configuration '{}' values must not be empty.", def.name),
            };
        }
        Refusal::Item(item, reason) => (item, reason),
        Refusal::Value(reason) if def.value_type == ValueType::List => {
            let items: Vec<_> = text.split(',').map(str::trim).collect();
            (format!("[{}]", items.join(", ")), reason)
        }
        Refusal::Value(reason) => (text.to_owned(), reason),
    };
    ConfigError::Invalid {
        name: def.name.to_owned(),
        value: if def.is_sensitive() {
            "[hidden]".to_owned()
        } else {
            value
        },
        reason,
    }
}

struct Settings<'a> {
    config: &'a Config,
    overrides: &'a Overrides,
}

impl Settings<'_> {
    fn get<T: FromValue>(&self, key: Key<T>) -> Result<T, ConfigError> {
        let value = match self.overrides.get(key.name()) {
            Some(text) => parse(key.def().scope, key.name(), text)?.1,
            None => inherited(self.config, key.def()),
        };
        Ok(key.read(&value))
    }
}

/// The value of a topic or group key that is not set on the topic or group itself: that of the first synonym that
/// the broker's operator set, else the default.
pub(super) fn inherited(config: &Config, def: &Def) -> Value {
    def.synonyms
        .iter()
        .find_map(|synonym| config.explicit(synonym.name).map(|set| (synonym, set)))
        .map_or_else(
            || def.default_value(),
            |(synonym, set)| convert(*synonym, set),
        )
}

/// Hours and minutes become milliseconds; a negative time means for ever.
fn convert(synonym: Synonym, value: &Value) -> Value {
    match (synonym.factor, value.integer()) {
        (1, _) | (_, None) => value.clone(),
        (_, Some(count)) if count < 0 => Value::Long(-1),
        (factor, Some(count)) => Value::Long(count.saturating_mul(factor)),
    }
}

fn timestamp_type(text: &str) -> TimestampType {
    if text == "LogAppendTime" {
        TimestampType::LogAppendTime
    } else {
        TimestampType::CreateTime
    }
}

fn compression_type(text: &str) -> CompressionType {
    match text {
        "uncompressed" => CompressionType::Uncompressed,
        "gzip" => CompressionType::Gzip,
        "snappy" => CompressionType::Snappy,
        "lz4" => CompressionType::Lz4,
        "zstd" => CompressionType::Zstd,
        _ => CompressionType::Producer,
    }
}
