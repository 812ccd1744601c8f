//! What DescribeConfigs answers about a broker, a topic or a group (Kafka's `ConfigHelper`).

use std::collections::BTreeMap;

use super::def::{Def, Effect, Scope, Update, ValueType};
use super::topic::{inherited, parse};
use super::value::Value;
use super::{Config, keys};

/// Where a value comes from (`DescribeConfigsResponse.ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Topic,
    DynamicBroker,
    DynamicDefaultBroker,
    StaticBroker,
    Default,
    ClientMetrics,
    Group,
}

impl Source {
    /// The number in answers.
    pub fn wire(self) -> i8 {
        match self {
            Source::Topic => 1,
            Source::DynamicBroker => 2,
            Source::DynamicDefaultBroker => 3,
            Source::StaticBroker => 4,
            Source::Default => 5,
            Source::ClientMetrics => 7,
            Source::Group => 8,
        }
    }
}

/// A name and value that counts, or would count if those before it were not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSynonym {
    pub name: &'static str,
    /// `None` for null and for secrets.
    pub value: Option<String>,
    pub source: Source,
}

/// One setting as described to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: &'static str,
    /// `None` for null and for secrets.
    pub value: Option<String>,
    pub source: Source,
    pub value_type: ValueType,
    pub is_read_only: bool,
    pub is_sensitive: bool,
    /// The one that counts at the front; empty where nothing stands under this name, not even a default.
    pub synonyms: Vec<ListedSynonym>,
    pub documentation: &'static str,
}

impl Config {
    /// Every setting of this broker, by name.
    pub fn list_broker(&self) -> Vec<Listed> {
        listed(Scope::Broker, |def| self.explicit(def.name).is_some())
            .map(|def| {
                let value = match self.explicit(def.name) {
                    Some(value) => value.clone(),
                    None => def.default_value(),
                };
                let synonyms = self.broker_synonyms(def.name);
                describe(def, &value, synonyms, def.update == Update::ReadOnly)
            })
            .collect()
    }

    /// Every setting of a topic that sets `overrides`, by name.
    pub fn list_topic(&self, overrides: &BTreeMap<String, String>) -> Vec<Listed> {
        self.list_below(Scope::Topic, Source::Topic, overrides)
    }

    /// Every setting of a group that sets `overrides`, by name.
    pub fn list_group(&self, overrides: &BTreeMap<String, String>) -> Vec<Listed> {
        self.list_below(Scope::Group, Source::Group, overrides)
    }

    /// Every setting of a client metrics subscription that sets none, by name.
    pub fn list_client_metrics(&self) -> Vec<Listed> {
        self.list_below(
            Scope::ClientMetrics,
            Source::ClientMetrics,
            &BTreeMap::new(),
        )
    }

    fn list_below(
        &self,
        scope: Scope,
        source: Source,
        overrides: &BTreeMap<String, String>,
    ) -> Vec<Listed> {
        listed(scope, |def| overrides.contains_key(def.name))
            .map(|def| {
                // A stored value was checked before it was stored; one that no longer passes counts as not set.
                let own = overrides
                    .get(def.name)
                    .and_then(|text| parse(scope, def.name, text).ok());
                let value = match &own {
                    Some((_, value)) => value.clone(),
                    None => inherited(self, def),
                };
                let mut synonyms = Vec::new();
                if own.is_some() {
                    synonyms.push(ListedSynonym {
                        name: def.name,
                        value: value.shown(),
                        source,
                    });
                }
                match def.synonyms.first() {
                    Some(first) => synonyms.extend(self.broker_synonyms(first.name)),
                    // Kafka lists a group's own default, but not a topic's.
                    None if scope == Scope::Group => synonyms.push(ListedSynonym {
                        name: def.name,
                        value: def.default_value().shown(),
                        source: Source::Default,
                    }),
                    None => {}
                }
                describe(def, &value, synonyms, false)
            })
            .collect()
    }

    /// The names under which the broker key `name` may be set: first those that are set, then those with a default.
    /// As in Kafka nothing is listed before `name` itself, so that `log.retention.ms` without a value of its own
    /// has no synonyms although `log.retention.hours` has a default.
    fn broker_synonyms(&self, name: &'static str) -> Vec<ListedSynonym> {
        let names = broker_names(name);
        let set = names.iter().filter_map(|name| {
            self.explicit(name).map(|value| ListedSynonym {
                name,
                value: value.shown(),
                source: Source::StaticBroker,
            })
        });
        let defaults = names.iter().filter_map(|name| {
            let value = keys::find(Scope::Broker, name)?.default_value();
            (value != Value::Null).then(|| ListedSynonym {
                name,
                value: value.shown(),
                source: Source::Default,
            })
        });
        set.chain(defaults)
            .skip_while(|synonym| synonym.name != name)
            .collect()
    }
}

/// The keys of a scope that a listing shows: Kafka's internal ones only when they are set.
fn listed(scope: Scope, is_set: impl Fn(&Def) -> bool) -> impl Iterator<Item = &'static Def> {
    keys::all(scope)
        .iter()
        .copied()
        .filter(move |def| def.effect != Effect::Internal || is_set(def))
}

fn describe(
    def: &'static Def,
    value: &Value,
    synonyms: Vec<ListedSynonym>,
    is_read_only: bool,
) -> Listed {
    Listed {
        name: def.name,
        value: value.shown(),
        source: synonyms
            .first()
            .map_or(Source::Default, |synonym| synonym.source),
        value_type: def.value_type,
        is_read_only,
        is_sensitive: def.is_sensitive(),
        synonyms,
        documentation: def.text,
    }
}

/// The broker keys behind one value, in the order in which they count (`DynamicBrokerConfig.brokerConfigSynonyms`).
fn broker_names(name: &'static str) -> Vec<&'static str> {
    match name {
        "log.retention.ms" | "log.retention.minutes" | "log.retention.hours" => {
            vec![
                "log.retention.ms",
                "log.retention.minutes",
                "log.retention.hours",
            ]
        }
        "log.roll.ms" | "log.roll.hours" => vec!["log.roll.ms", "log.roll.hours"],
        "log.roll.jitter.ms" | "log.roll.jitter.hours" => {
            vec!["log.roll.jitter.ms", "log.roll.jitter.hours"]
        }
        "log.flush.interval.ms" => vec!["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
        _ => vec![name],
    }
}
