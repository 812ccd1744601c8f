//! What the settings of a group (`GroupConfig`) and of a client metrics subscription (`ClientMetricsConfigs`) must
//! satisfy together.

use super::def::Scope;
use super::dynamic::Overrides;
use super::error::ConfigError;
use super::topic::{inherited, parse};
use super::value::Value;
use super::{Config, keys};

/// Broker keys that bound a group's setting.
struct Bounds {
    key: &'static str,
    min: Option<&'static str>,
    max: &'static str,
}

const fn between(key: &'static str, min: &'static str, max: &'static str) -> Bounds {
    Bounds {
        key,
        min: Some(min),
        max,
    }
}

const BOUNDS: &[Bounds] = &[
    between(
        "consumer.heartbeat.interval.ms",
        "group.consumer.min.heartbeat.interval.ms",
        "group.consumer.max.heartbeat.interval.ms",
    ),
    between(
        "consumer.session.timeout.ms",
        "group.consumer.min.session.timeout.ms",
        "group.consumer.max.session.timeout.ms",
    ),
    between(
        "consumer.assignment.interval.ms",
        "group.consumer.min.assignment.interval.ms",
        "group.consumer.max.assignment.interval.ms",
    ),
    between(
        "share.heartbeat.interval.ms",
        "group.share.min.heartbeat.interval.ms",
        "group.share.max.heartbeat.interval.ms",
    ),
    between(
        "share.session.timeout.ms",
        "group.share.min.session.timeout.ms",
        "group.share.max.session.timeout.ms",
    ),
    between(
        "share.record.lock.duration.ms",
        "group.share.min.record.lock.duration.ms",
        "group.share.max.record.lock.duration.ms",
    ),
    between(
        "share.delivery.count.limit",
        "group.share.min.delivery.count.limit",
        "group.share.max.delivery.count.limit",
    ),
    between(
        "share.partition.max.record.locks",
        "group.share.min.partition.max.record.locks",
        "group.share.max.partition.max.record.locks",
    ),
    between(
        "share.assignment.interval.ms",
        "group.share.min.assignment.interval.ms",
        "group.share.max.assignment.interval.ms",
    ),
    between(
        "streams.heartbeat.interval.ms",
        "group.streams.min.heartbeat.interval.ms",
        "group.streams.max.heartbeat.interval.ms",
    ),
    between(
        "streams.session.timeout.ms",
        "group.streams.min.session.timeout.ms",
        "group.streams.max.session.timeout.ms",
    ),
    Bounds {
        key: "streams.num.standby.replicas",
        min: None,
        max: "group.streams.max.standby.replicas",
    },
    between(
        "streams.assignment.interval.ms",
        "group.streams.min.assignment.interval.ms",
        "group.streams.max.assignment.interval.ms",
    ),
];

/// A member must be heard of more often than it may be silent.
const SESSIONS: &[(&str, &str)] = &[
    (
        "consumer.session.timeout.ms",
        "consumer.heartbeat.interval.ms",
    ),
    ("share.session.timeout.ms", "share.heartbeat.interval.ms"),
    (
        "streams.session.timeout.ms",
        "streams.heartbeat.interval.ms",
    ),
];

/// Holds all settings of a group against the table and the broker's bounds, as AlterConfigs does before it stores them.
pub fn check_group(config: &Config, overrides: &Overrides) -> Result<(), ConfigError> {
    for (name, text) in overrides {
        parse(Scope::Group, name, text)?;
    }
    let conflict = |reason| Err(ConfigError::Conflict { reason });
    for Bounds { key, min, max } in BOUNDS {
        if !overrides.contains_key(*key) {
            continue;
        }
        let value = effective(config, overrides, key);
        if let Some(min) = min.filter(|min| value < config.number(min)) {
            return conflict(format!("{key} must be greater than or equal to {min}"));
        }
        if value > config.number(max) {
            return conflict(format!("{key} must be less than or equal to {max}"));
        }
    }
    for (session, heartbeat) in SESSIONS {
        let [timeout, interval] = [session, heartbeat].map(|key| effective(config, overrides, key));
        let asked_for = overrides.contains_key(*session) || overrides.contains_key(*heartbeat);
        if asked_for && timeout <= interval {
            return conflict(format!("{session} must be greater than {heartbeat}"));
        }
    }
    Ok(())
}

fn effective(config: &Config, overrides: &Overrides, key: &str) -> Option<i64> {
    let def = keys::find(Scope::Group, key)?;
    match overrides.get(key) {
        Some(text) => parse(Scope::Group, key, text).ok()?.1.integer(),
        None => inherited(config, def).integer(),
    }
}

/// The shortest and the longest time between two pushes of a client, ms.
const INTERVAL_MS: std::ops::RangeInclusive<i64> = 100..=3_600_000;

/// What of a client a pattern of `match` may ask for.
const MATCHABLE: &[&str] = &[
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Holds all settings of a client metrics subscription against the table. That a pattern of `match` is a regular
/// expression is not checked.
pub fn check_client_metrics(overrides: &Overrides) -> Result<(), ConfigError> {
    let parsed = overrides
        .iter()
        .map(|(name, text)| parse(Scope::ClientMetrics, name, text));
    for (def, value) in parsed.collect::<Result<Vec<_>, _>>()? {
        match (def.name, value) {
            ("interval.ms", value) => check_interval(value.integer().unwrap_or_default())?,
            ("match", Value::List(patterns)) => {
                patterns.iter().try_for_each(|p| check_pattern(p))?
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_interval(ms: i64) -> Result<(), ConfigError> {
    match INTERVAL_MS.contains(&ms) {
        true => Ok(()),
        false => Err(ConfigError::Interval { ms }),
    }
}

fn check_pattern(pattern: &str) -> Result<(), ConfigError> {
    // Java's split leaves out empty parts at the end.
    let parts: Vec<_> = pattern.trim_end_matches('=').split('=').collect();
    match parts.as_slice() {
        [name, _] if MATCHABLE.contains(&name.trim()) => Ok(()),
        _ => Err(ConfigError::Conflict {
            reason: format!("Illegal client matching pattern: {pattern}"),
        }),
    }
}
