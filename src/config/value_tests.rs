//! Reading, checking and writing values by Kafka's rules.

use super::def::Scope;
use super::{keys, topic::parse, value::Value};

fn topic(name: &str, value: &str) -> String {
    match parse(Scope::Topic, name, value) {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn topic_values_are_refused_in_kafkas_words() {
    let refusals = [
        (
            "preallocate",
            "yes",
            "Expected value to be either true or false",
        ),
        ("segment.bytes", "1k", "Not a number of type INT"),
        ("segment.bytes", "99999999999", "Not a number of type INT"),
        ("segment.bytes", "1024", "Value must be at least 1048576"),
        ("retention.ms", "", "Not a number of type LONG"),
        (
            "min.cleanable.dirty.ratio",
            "1.5",
            "Value must be no more than 1",
        ),
        (
            "min.cleanable.dirty.ratio",
            "-0.5",
            "Value must be at least 0",
        ),
        (
            "compression.type",
            "GZIP",
            "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
        ),
        (
            "compression.lz4.level",
            "18",
            "Value must be no more than 17",
        ),
        (
            "compression.gzip.level",
            "0",
            "Value must be between 1 and 9 or equal to -1",
        ),
    ];
    for (name, value, reason) in refusals {
        assert_eq!(
            topic(name, value),
            format!("Invalid value {value} for configuration {name}: {reason}")
        );
    }
}

#[test]
fn white_space_and_case_are_as_in_kafka() {
    for (name, value) in [
        ("preallocate", " TRUE "),
        ("retention.ms", " +5 "),
        ("cleanup.policy", " compact , delete "),
        ("cleanup.policy", ""),
        ("leader.replication.throttled.replicas", "*"),
        ("leader.replication.throttled.replicas", "0:1,1:1"),
        ("compression.gzip.level", "-1"),
    ] {
        assert_eq!(topic(name, value), "ok", "{name}={value:?}");
    }
}

#[test]
fn lists_are_refused_item_by_item() {
    assert_eq!(
        topic("cleanup.policy", "delete,shrink"),
        "Invalid value shrink for configuration cleanup.policy: String must be one of: compact, delete"
    );
    assert_eq!(
        topic("cleanup.policy", "delete,"),
        "Configuration 'cleanup.policy' values must not be empty."
    );
    assert_eq!(
        topic("leader.replication.throttled.replicas", "0,1"),
        "Invalid value [0, 1] for configuration leader.replication.throttled.replicas: \
         leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: \
         [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    );
    assert_eq!(topic("cleanup.policy", "delete,delete"), "ok");
}

#[test]
fn share_groups_start_where_the_format_allows() {
    for good in [
        "latest",
        "earliest",
        "by_duration:P3D",
        "by_duration:PT1H30M",
        "by_duration:PT0.5S",
        "by_duration:p1dt2h",
    ] {
        assert!(
            parse(Scope::Group, "share.auto.offset.reset", good).is_ok(),
            "{good}"
        );
    }
    for bad in [
        "",
        "newest",
        "by_duration:",
        "by_duration:P",
        "by_duration:PT",
        "by_duration:P-1D",
        "by_duration:PTS",
    ] {
        assert!(
            parse(Scope::Group, "share.auto.offset.reset", bad).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn values_are_shown_as_java_shows_them() {
    let show = |name, text| {
        let def = keys::find(Scope::Broker, name).unwrap();
        Value::parse(def, text).unwrap().shown().unwrap()
    };
    assert_eq!(show("log.cleaner.min.cleanable.ratio", "1"), "1.0");
    assert_eq!(
        show("log.cleaner.io.max.bytes.per.second", "12500000"),
        "1.25E7"
    );
    assert_eq!(
        show("log.cleaner.io.max.bytes.per.second", "10000000"),
        "1.0E7"
    );
    let largest = keys::find(Scope::Broker, "log.cleaner.io.max.bytes.per.second").unwrap();
    assert_eq!(
        largest.default_value().shown().as_deref(),
        Some("1.7976931348623157E308")
    );
    assert_eq!(
        show("log.cleanup.policy", "delete, compact"),
        "delete,compact"
    );
}
