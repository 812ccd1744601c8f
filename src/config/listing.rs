//! What DescribeConfigs answers about a broker, a topic or a group (Kafka's `ConfigHelper`).

use std::borrow::Cow;

use super::def::{Def, Effect, Scope, Update, ValueType};
use super::dynamic::{Level, Overrides, find};
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
    pub name: Cow<'static, str>,
    /// `None` for null and for secrets.
    pub value: Option<String>,
    pub source: Source,
}

/// One setting as described to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: Cow<'static, str>,
    /// `None` for null and for secrets.
    pub value: Option<String>,
    pub source: Source,
    /// `None` for a key that nobody knows.
    pub value_type: Option<ValueType>,
    pub is_read_only: bool,
    pub is_sensitive: bool,
    /// The one that counts at the front; empty where nothing stands under this name, not even a default.
    pub synonyms: Vec<ListedSynonym>,
    pub documentation: Option<&'static str>,
}

impl Config {
    /// Every setting of this broker, by name; then those set at run time whose keys nobody knows.
    pub fn list_broker(&self) -> Vec<Listed> {
        let known = listed(Scope::Broker, |def| self.explicit(def.name).is_some()).map(|def| {
            let value = match self.explicit(def.name) {
                Some(value) => value.clone(),
                None => def.default_value(),
            };
            let synonyms = self.broker_synonyms(def.name);
            describe(def, &value, synonyms, def.update == Update::ReadOnly)
        });
        let [of_broker, of_cluster] = [Level::Broker, Level::Cluster].map(|one| self.dynamic(one));
        let mut unknown: Overrides = of_cluster.clone();
        unknown.extend(of_broker.clone());
        unknown.retain(|name, _| keys::find(Scope::Broker, name).is_none());
        let unknown = unknown.iter().map(|(name, text)| {
            let source = match of_broker.contains_key(name) {
                true => Source::DynamicBroker,
                false => Source::DynamicDefaultBroker,
            };
            self.list_dynamic(name, text, source)
        });
        known.chain(unknown).collect()
    }

    /// What was set at run time for all brokers, by name.
    pub fn list_cluster(&self) -> Vec<Listed> {
        let texts = self.dynamic(Level::Cluster).iter();
        texts
            .map(|(name, text)| self.list_dynamic(name, text, Source::DynamicDefaultBroker))
            .collect()
    }

    /// A setting made at run time, as it counts for its level.
    fn list_dynamic(&self, name: &str, text: &str, source: Source) -> Listed {
        let known = keys::find(Scope::Broker, name);
        let described = find(name);
        // What the value may be nobody knows: it might be a secret.
        let is_sensitive = described.is_none_or(Def::is_sensitive);
        let value = (!is_sensitive).then(|| text.to_owned());
        let synonym = |name: &str, value: &Option<String>, source| ListedSynonym {
            name: Cow::Owned(name.to_owned()),
            value: value.clone(),
            source,
        };
        let mut synonyms = vec![synonym(name, &value, source)];
        let lower = self.dynamic(Level::Cluster).get(name);
        if let (Source::DynamicBroker, Some(text)) = (source, lower) {
            let value = (!is_sensitive).then(|| text.clone());
            synonyms.push(synonym(name, &value, Source::DynamicDefaultBroker));
        }
        Listed {
            name: Cow::Owned(name.to_owned()),
            value,
            source,
            value_type: described.map(|def| def.value_type),
            is_read_only: known.is_none_or(|def| def.update == Update::ReadOnly),
            is_sensitive,
            synonyms,
            documentation: known.map(|def| def.text),
        }
    }

    /// Every setting of a topic that sets `overrides`, by name.
    pub fn list_topic(&self, overrides: &Overrides) -> Vec<Listed> {
        self.list_below(Scope::Topic, Source::Topic, overrides)
    }

    /// Every setting of a group that sets `overrides`, by name.
    pub fn list_group(&self, overrides: &Overrides) -> Vec<Listed> {
        self.list_below(Scope::Group, Source::Group, overrides)
    }

    /// Every setting of a client metrics subscription that sets `overrides`, by name.
    pub fn list_client_metrics(&self, overrides: &Overrides) -> Vec<Listed> {
        self.list_below(Scope::ClientMetrics, Source::ClientMetrics, overrides)
    }

    fn list_below(&self, scope: Scope, source: Source, overrides: &Overrides) -> Vec<Listed> {
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
                    synonyms.push(listed_synonym(def.name, &value, source));
                }
                match def.synonyms.first() {
                    Some(first) => synonyms.extend(self.broker_synonyms(first.name)),
                    // Kafka lists a group's own default, but not a topic's.
                    None if scope == Scope::Group => {
                        let default = def.default_value();
                        synonyms.push(listed_synonym(def.name, &default, Source::Default));
                    }
                    None => {}
                }
                describe(def, &value, synonyms, false)
            })
            .collect()
    }

    fn set_by(&self, source: Source, name: &str) -> Option<&Value> {
        match source {
            Source::DynamicBroker => self.of_broker.value(name),
            Source::DynamicDefaultBroker => self.of_cluster.value(name),
            Source::StaticBroker => self.set.get(name),
            Source::Topic | Source::Default | Source::ClientMetrics | Source::Group => None,
        }
    }

    /// The names under which the broker key `name` may be set: first those that are set, for this broker, for all of
    /// them, and before the broker started, then those with a default.
    /// As in Kafka nothing is listed before `name` itself, so that `log.retention.ms` without a value of its own
    /// has no synonyms although `log.retention.hours` has a default.
    fn broker_synonyms(&self, name: &'static str) -> Vec<ListedSynonym> {
        let names = broker_names(name);
        let set = [
            Source::DynamicBroker,
            Source::DynamicDefaultBroker,
            Source::StaticBroker,
        ];
        let set = set.into_iter().flat_map(|source| {
            let of_source = names
                .iter()
                .map(move |name| (*name, self.set_by(source, name)));
            of_source.filter_map(move |(name, value)| Some(listed_synonym(name, value?, source)))
        });
        let defaults = names.iter().filter_map(|name| {
            let value = keys::find(Scope::Broker, name)?.default_value();
            (value != Value::Null).then(|| listed_synonym(name, &value, Source::Default))
        });
        set.chain(defaults)
            .skip_while(|synonym| synonym.name != name)
            .collect()
    }
}

fn listed_synonym(name: &'static str, value: &Value, source: Source) -> ListedSynonym {
    ListedSynonym {
        name: Cow::Borrowed(name),
        value: value.shown(),
        source,
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
        name: Cow::Borrowed(def.name),
        value: value.shown(),
        source: synonyms
            .first()
            .map_or(Source::Default, |synonym| synonym.source),
        value_type: Some(def.value_type),
        is_read_only,
        is_sensitive: def.is_sensitive(),
        synonyms,
        documentation: Some(def.text),
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
