//! What follows from a change of settings: at once, and after a restart.

use std::sync::Arc;

use super::config_testing::{
    APPEND, BROKER, DELETE, SET, SUBTRACT, TOPIC, change, described, entry, replace, resource, set,
};
use super::data_testing::{NOW_MS, Producer, batch, batch_by, produce, topic};
use super::testing::{broker, broker_on};
use crate::base::ManualClock;
use crate::broker::Broker;
use crate::config::{Config, keys};
use crate::store::Store;
use crate::store::memory::MemoryStore;

#[tokio::test]
async fn topic_settings_take_effect_at_once_and_survive_a_restart() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = broker_on(store.clone(), &[("message.max.bytes", "5000")]).await;
    let topic = topic(&broker, "t", &[("retention.ms", "1000")]).await;
    let records = || Some(batch(&[(NOW_MS, "a")]));
    assert_eq!(produce(&broker, 13, &topic, records()).await.error_code, 0);
    let before = broker.catalog.topics();
    set(
        &broker,
        TOPIC,
        "t",
        &[
            ("max.message.bytes", SET, Some("10")),
            ("retention.ms", DELETE, None),
        ],
    )
    .await;
    assert_eq!(
        produce(&broker, 13, &topic, records()).await.error_code,
        10,
        "too large"
    );
    assert_eq!(before.by_name("t"), Some(&topic), "old snapshots stay");
    for broker in [
        broker,
        broker_on(store.clone(), &[("message.max.bytes", "5000")]).await,
    ] {
        let size = entry(&broker, TOPIC, "t", "max.message.bytes").await;
        assert_eq!((size.0.as_str(), size.1), ("10", 1));
        assert_eq!(
            size.2,
            [
                "1 max.message.bytes=10",
                "4 message.max.bytes=5000",
                "5 message.max.bytes=1048588"
            ]
        );
        assert_eq!(entry(&broker, TOPIC, "t", "retention.ms").await.1, 5);
        assert_eq!(produce(&broker, 13, &topic, records()).await.error_code, 10);
    }
}

#[tokio::test]
async fn lists_grow_and_shrink_from_what_is_set_or_the_default() {
    let broker = broker(&[("log.cleanup.policy", "compact")]).await;
    topic(&broker, "t", &[]).await;
    let policy = |op, value| [("cleanup.policy", op, Some(value))];
    let steps = [
        (policy(APPEND, "compact"), "delete,compact"),
        (policy(APPEND, "compact,delete"), "delete,compact"),
        (policy(SUBTRACT, "delete,shred"), "compact"),
        (policy(SUBTRACT, "compact"), ""),
        (policy(APPEND, "delete"), "delete"),
    ];
    assert_eq!(
        entry(&broker, TOPIC, "t", "cleanup.policy").await.0,
        "compact"
    );
    for (ops, expected) in steps {
        set(&broker, TOPIC, "t", &ops).await;
        assert_eq!(
            entry(&broker, TOPIC, "t", "cleanup.policy").await.0,
            expected
        );
    }
    let reporters = [("metric.reporters", APPEND, Some("a.B"))];
    set(&broker, BROKER, "1", &reporters).await;
    let listed = entry(&broker, BROKER, "1", "metric.reporters").await;
    assert_eq!(listed.0, "org.apache.kafka.common.metrics.JmxReporter,a.B");
    assert_eq!(listed.1, 2);
    let [half, other] = ["x", "y"].map(|letter| letter.repeat(20_000));
    set(
        &broker,
        BROKER,
        "1",
        &[("metric.reporters", SET, Some(half.as_str()))],
    )
    .await;
    let more = [("metric.reporters", APPEND, Some(other.as_str()))];
    let refused = change(&broker, 1, vec![resource(BROKER, "1", &more)]).await;
    assert_eq!(refused[0].0, 40, "longer than 32,767 bytes");
}

/// The largest batch that a topic takes now.
fn largest(broker: &Arc<Broker>, name: &str) -> i32 {
    let topics = broker.catalog.topics();
    topics
        .by_name(name)
        .expect("there")
        .config
        .max_message_bytes
}

const LAYERED: [(&str, &str); 2] = [("message.max.bytes", "5000"), ("log.retention.hours", "2")];

#[tokio::test]
async fn broker_settings_are_layers_that_topics_follow() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut broker = broker_on(store.clone(), &LAYERED).await;
    topic(&broker, "own", &[("max.message.bytes", "6000")]).await;
    topic(&broker, "plain", &[]).await;
    let size = |value| ("message.max.bytes", SET, Some(value));
    let of_all = [size("20"), ("log.retention.ms", SET, Some("9"))];
    set(&broker, BROKER, "", &of_all).await;
    assert_eq!(
        (largest(&broker, "plain"), largest(&broker, "own")),
        (20, 6000)
    );
    set(&broker, BROKER, "1", &[size("30")]).await;
    assert_eq!(
        (largest(&broker, "plain"), largest(&broker, "own")),
        (30, 6000)
    );
    assert_eq!(broker.config.get(keys::MESSAGE_MAX_BYTES), 30);
    for _ in 0..2 {
        layers_are_in_effect(&broker).await;
        broker = broker_on(store.clone(), &LAYERED).await;
    }
    set(&broker, BROKER, "1", &[("message.max.bytes", DELETE, None)]).await;
    assert_eq!(largest(&broker, "plain"), 20);
    assert_eq!(replace(&broker, 2, BROKER, "", &[]).await, 0);
    assert_eq!(largest(&broker, "plain"), 5000);
    assert!(described(&broker, BROKER, "").await.is_empty());
}

/// What the test above has set, as produce and describe show it.
async fn layers_are_in_effect(broker: &Arc<Broker>) {
    for (name, code) in [("plain", 10), ("own", 0)] {
        let topic = broker
            .catalog
            .topics()
            .by_name(name)
            .cloned()
            .expect("there");
        let answer = produce(broker, 13, &topic, Some(batch(&[(NOW_MS, "a")]))).await;
        assert_eq!(answer.error_code, code, "{name}");
    }
    let listed = entry(broker, BROKER, "1", "message.max.bytes").await;
    let layers = ["2", "3", "4", "5"]
        .iter()
        .zip(["30", "20", "5000", "1048588"]);
    let layers = layers.map(|(source, value)| format!("{source} message.max.bytes={value}"));
    let layers: Vec<String> = layers.collect();
    assert_eq!(listed, ("30".to_owned(), 2, layers.clone()));
    assert_eq!(
        entry(broker, TOPIC, "plain", "max.message.bytes").await.2,
        layers
    );
    let retention = entry(broker, TOPIC, "plain", "retention.ms").await;
    assert_eq!((retention.0.as_str(), retention.1), ("9", 3));
    let layers = [
        "3 log.retention.ms=9",
        "4 log.retention.hours=2",
        "5 log.retention.hours=168",
    ];
    assert_eq!(retention.2, layers);
    let of_all = described(broker, BROKER, "").await;
    let of_all = of_all
        .iter()
        .map(|one| (one.name.as_str(), one.config_source));
    let expected = [("log.retention.ms", 3), ("message.max.bytes", 3)];
    assert_eq!(of_all.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn keys_that_nobody_knows_are_kept_and_not_shown() {
    let broker = broker(&[]).await;
    set(
        &broker,
        BROKER,
        "1",
        &[("some.plugin.secret", SET, Some("pst"))],
    )
    .await;
    set(
        &broker,
        BROKER,
        "",
        &[("some.plugin.secret", SET, Some("all"))],
    )
    .await;
    set(
        &broker,
        BROKER,
        "1",
        &[("listener.name.plaintext.ssl.key.password", SET, Some("pst"))],
    )
    .await;
    for key in [
        "some.plugin.secret",
        "listener.name.plaintext.ssl.key.password",
    ] {
        let all = described(&broker, BROKER, "1").await;
        let found = all
            .iter()
            .find(|one| one.name.as_str() == key)
            .expect("described");
        assert!(
            found.is_sensitive && found.read_only && found.value.is_none(),
            "{found:?}"
        );
        assert_eq!(found.config_source, 2);
    }
    assert!(!format!("{:?}", broker.config).contains("pst"));
    set(
        &broker,
        BROKER,
        "1",
        &[("leader.replication.throttled.rate", SET, Some("7"))],
    )
    .await;
    let rate = entry(&broker, BROKER, "1", "leader.replication.throttled.rate").await;
    assert_eq!((rate.0.as_str(), rate.1), ("7", 2));
}

#[tokio::test]
async fn producers_are_forgotten_by_what_is_set_now() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let store = Arc::new(MemoryStore::new());
    let broker = Broker::start(Arc::new(Config::default()), store, clock.clone());
    let broker = broker.await.expect("starts");
    let topic = topic(&broker, "t", &[]).await;
    let producer = Producer {
        id: 7,
        epoch: 0,
        sequence: 0,
    };
    let again = async || {
        clock.advance(10_000);
        let answer = produce(
            &broker,
            13,
            &topic,
            Some(batch_by(producer, &[(NOW_MS, "a")])),
        )
        .await;
        (answer.error_code, answer.base_offset)
    };
    assert_eq!(again().await, (0, 0));
    assert_eq!(again().await, (0, 0), "known, so a retry");
    set(
        &broker,
        BROKER,
        "1",
        &[("producer.id.expiration.ms", SET, Some("5000"))],
    )
    .await;
    assert_eq!(again().await, (0, 1), "unknown by now, so another one");
}
