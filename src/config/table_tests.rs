//! Tests over the table: every key is declared once and well.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::def::{Def, Effect, Literal, Scope, ValueType};
use super::value::Value;
use super::{Config, Source, TopicConfig, keys};

const SCOPES: [Scope; 4] = [
    Scope::Broker,
    Scope::Topic,
    Scope::Group,
    Scope::ClientMetrics,
];

fn every_key() -> impl Iterator<Item = &'static Def> {
    SCOPES
        .into_iter()
        .flat_map(|scope| keys::all(scope).iter().copied())
}

#[test]
fn names_are_sorted_and_unique_within_their_scope() {
    for scope in SCOPES {
        let names: Vec<_> = keys::all(scope).iter().map(|def| def.name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{scope:?}: {names:?}");
        assert!(keys::all(scope).iter().all(|def| def.scope == scope));
    }
    for chapter in keys::chapters() {
        assert!(
            chapter.keys.is_sorted_by(|a, b| a.name < b.name),
            "{}",
            chapter.title
        );
    }
}

#[test]
fn the_table_has_all_of_kafkas_keys() {
    let count = |scope| {
        keys::all(scope)
            .iter()
            .filter(|def| !def.name.starts_with("ottla."))
            .count()
    };
    // Kafka 4.3.1 declares 360 broker keys, reads two more in its authorizer, and takes three at run time only.
    assert_eq!(count(Scope::Broker), 365);
    assert_eq!(count(Scope::Topic), 34);
    assert_eq!(count(Scope::Group), 17);
    assert_eq!(count(Scope::ClientMetrics), 3);
}

#[test]
fn defaults_pass_their_own_checks() {
    for def in every_key().filter(|def| def.default != Literal::Null) {
        let value = def.default_value();
        let text = value.shown().expect("a default that is not null");
        assert_eq!(Value::parse(def, &text), Ok(value), "{}", def.name);
    }
}

#[test]
fn texts_are_sentences() {
    for def in every_key() {
        let text = def.text;
        assert!(
            text.ends_with('.') && text.len() > 15,
            "{}: {text}",
            def.name
        );
        assert!(
            text.starts_with(|c: char| c.is_uppercase() || c == '_'),
            "{text}"
        );
    }
}

#[test]
fn synonyms_are_broker_keys_with_the_same_default_and_type() {
    for def in every_key() {
        for synonym in def.synonyms {
            let broker = keys::find(Scope::Broker, synonym.name)
                .unwrap_or_else(|| panic!("{}: {}", def.name, synonym.name));
            if synonym.factor == 1 && broker.default != Literal::Null {
                assert_eq!(broker.default, def.default, "{}", def.name);
                assert_eq!(broker.value_type, def.value_type, "{}", def.name);
            }
            if let (true, Literal::Int(count), Literal::Long(ms)) =
                (synonym.factor > 1, broker.default, def.default)
            {
                assert_eq!(i64::from(count) * synonym.factor, ms, "{}", def.name);
            }
        }
    }
}

#[test]
fn a_typed_get_answers_for_every_kind_of_key() {
    let config =
        Config::from_pairs([("num.partitions", " 7 "), ("log.retention.ms", "5")]).unwrap();
    assert_eq!(config.get(keys::NUM_PARTITIONS), 7);
    assert_eq!(config.get(keys::LOG_RETENTION_MS), Some(5));
    assert_eq!(config.get(keys::LOG_RETENTION_MINUTES), None);
    assert!(config.get(keys::AUTO_CREATE_TOPICS_ENABLE));
    assert_eq!(config.get(keys::LOG_CLEANUP_POLICY), ["delete"]);
    assert_eq!(config.get(keys::OFFSETS_TOPIC_REPLICATION_FACTOR), 3);
    assert_eq!(config.get(keys::LOG_CLEANER_MIN_CLEANABLE_RATIO), 0.5);
    assert_eq!(config.get(keys::SSL_KEY_PASSWORD), None);
    assert_eq!(config.get(keys::OTTLA_DURABILITY), "fsync");
}

fn overrides(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_topic_takes_its_own_value_then_the_brokers_then_the_default() {
    let own = overrides(&[("retention.ms", "1000")]);
    let set =
        Config::from_pairs([("log.retention.hours", "2"), ("message.max.bytes", "99")]).unwrap();
    let plain = Config::default();
    let resolve =
        |config: &Config, own: &BTreeMap<_, _>| TopicConfig::resolve(config, own).unwrap();
    let none = BTreeMap::new();
    assert_eq!(resolve(&plain, &none).retention_ms, 604_800_000);
    assert_eq!(resolve(&set, &none).retention_ms, 7_200_000);
    assert_eq!(resolve(&set, &none).max_message_bytes, 99);
    assert_eq!(resolve(&set, &own).retention_ms, 1000);

    let finer = Config::from_pairs([("log.retention.hours", "2"), ("log.retention.minutes", "1")]);
    assert_eq!(resolve(&finer.unwrap(), &none).retention_ms, 60_000);
    let for_ever = Config::from_pairs([("log.retention.hours", "-1")]).unwrap();
    assert_eq!(resolve(&for_ever, &none).retention_ms, -1);
}

#[test]
fn a_topic_with_settings_that_contradict_each_other_is_refused_in_kafkas_words() {
    let refuse = |pairs: &[(&str, &str)]| {
        TopicConfig::resolve(&Config::default(), &overrides(pairs))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refuse(&[
            ("min.compaction.lag.ms", "2"),
            ("max.compaction.lag.ms", "1")
        ]),
        "conflict topic config setting min.compaction.lag.ms (2) > max.compaction.lag.ms (1)"
    );
    assert!(refuse(&[("remote.storage.enable", "true")]).starts_with("Tiered Storage"));
    assert_eq!(
        refuse(&[("retention.mss", "1")]),
        "Unknown topic config name: retention.mss"
    );
    assert_eq!(
        refuse(&[("retention.ms", "-2")]),
        "Invalid value -2 for configuration retention.ms: Value must be at least -1"
    );
}

#[test]
fn listings_name_source_synonyms_and_type() {
    let config =
        Config::from_pairs([("message.max.bytes", "99"), ("ssl.key.password", "pst")]).unwrap();
    let topic = config.list_topic(&overrides(&[("max.message.bytes", "77")]));
    let entry = topic
        .iter()
        .find(|entry| entry.name == "max.message.bytes")
        .unwrap();
    assert_eq!(entry.value.as_deref(), Some("77"));
    assert_eq!(
        (entry.source.wire(), entry.value_type.map(ValueType::wire)),
        (1, Some(3))
    );
    let synonyms: Vec<_> = entry
        .synonyms
        .iter()
        .map(|synonym| (&*synonym.name, synonym.value.as_deref(), synonym.source))
        .collect();
    assert_eq!(
        synonyms,
        [
            ("max.message.bytes", Some("77"), Source::Topic),
            ("message.max.bytes", Some("99"), Source::StaticBroker),
            ("message.max.bytes", Some("1048588"), Source::Default),
        ]
    );
    let internal = keys::all(Scope::Topic)
        .iter()
        .filter(|def| def.effect == Effect::Internal);
    assert_eq!(
        topic.len() + internal.count(),
        keys::all(Scope::Topic).len()
    );

    let broker = config.list_broker();
    let secret = broker
        .iter()
        .find(|entry| entry.name == "ssl.key.password")
        .unwrap();
    assert_eq!((secret.value.as_deref(), secret.is_sensitive), (None, true));
    let partitions = broker
        .iter()
        .find(|entry| entry.name == "num.partitions")
        .unwrap();
    assert!(partitions.is_read_only && partitions.value.as_deref() == Some("1"));
    assert!(!format!("{config:?}").contains("pst"));
}

/// All of the library's code, without the table and the tests.
fn code() -> String {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut code = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && name != "keys" {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                code.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    code
}

#[test]
fn a_broker_key_that_is_honoured_is_read_somewhere() {
    let code = code();
    let topics = keys::all(Scope::Topic).iter();
    let behind_topics: Vec<_> = topics
        .flat_map(|def| def.synonyms.iter().map(|synonym| synonym.name))
        .collect();
    let unread: Vec<_> = keys::all(Scope::Broker)
        .iter()
        .filter(|def| def.effect == Effect::Honoured)
        .map(|def| def.name)
        .filter(|name| !behind_topics.contains(name) && !code.contains(&format!("\"{name}\"")))
        .filter(|name| !code.contains(&format!("keys::{}", name.replace('.', "_").to_uppercase())))
        .collect();
    assert!(
        unread.is_empty(),
        "nothing reads {unread:?}: say Later or WithoutMeaning"
    );
}
