//! Settings as an admin client changes, describes and keeps them.

use rdkafka::admin::{AlterConfig, ConfigResource, ConfigSource, ResourceSpecifier};
use rdkafka::types::RDKafkaErrorCode;

use super::{Node, Record, Sender, admin, create, fresh, patient, wait};

/// Sets these settings and no others, as librdkafka's AlterConfigs does. The rdkafka crate does not tell what was refused.
fn alter(address: &str, on: ResourceSpecifier<'_>, settings: &[(&str, &str)]) {
    let change = settings
        .iter()
        .fold(AlterConfig::new(on), |change, (key, value)| {
            change.set(key, value)
        });
    let results = wait(admin(address).alter_configs([&change], &patient())).unwrap();
    assert!(results[0].is_ok());
}

fn describe(address: &str, on: ResourceSpecifier<'_>) -> ConfigResource {
    let described = wait(admin(address).describe_configs([&on], &patient()));
    described.unwrap().remove(0).unwrap()
}

/// Value and source of a setting.
fn setting<'a>(described: &'a ConfigResource, key: &str) -> (Option<&'a str>, &'a ConfigSource) {
    let entry = described.get(key).unwrap();
    (entry.value.as_deref(), &entry.source)
}

#[test]
fn settings_change_are_described_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::on_disk(folder.path(), None);
    let (own, plain) = (fresh("own"), fresh("plain"));
    create(node.address(), &own, 1, &[("segment.ms", "777")]).unwrap();
    create(node.address(), &plain, 1, &[]).unwrap();
    let broker = ResourceSpecifier::Broker(1);
    let topic = ResourceSpecifier::Topic(&own);
    let settings = [("retention.ms", "5000"), ("max.message.bytes", "500000")];
    alter(node.address(), topic, &settings);
    alter(node.address(), broker, &[("message.max.bytes", "100000")]);

    // Neither of them is taken, nor what stands beside it.
    let with_a_bad_one = [("retention.ms", "6000"), ("segment.bytes", "few")];
    alter(node.address(), topic, &with_a_bad_one);
    alter(node.address(), broker, &[("num.partitions", "7")]);

    for _ in 0..2 {
        let of_topic = describe(node.address(), topic);
        let retention = setting(&of_topic, "retention.ms");
        assert_eq!(retention, (Some("5000"), &ConfigSource::DynamicTopic));
        let segment = setting(&of_topic, "segment.ms");
        assert_eq!(
            segment.1,
            &ConfigSource::Default,
            "what is not named is reset"
        );
        let of_broker = describe(node.address(), broker);
        let largest = setting(&of_broker, "message.max.bytes");
        assert_eq!(largest, (Some("100000"), &ConfigSource::DynamicBroker));
        assert_eq!(setting(&of_broker, "num.partitions").0, Some("1"));
        assert!(of_broker.get("num.partitions").unwrap().is_read_only);
        let of_plain = describe(node.address(), ResourceSpecifier::Topic(&plain));
        let inherited = setting(&of_plain, "max.message.bytes");
        assert_eq!(inherited, largest);

        // A topic's own limit counts; without one, that of the broker.
        let sender = Sender::new(node.address(), &[]);
        let size = |size| [Record::value(vec![0; size])];
        assert!(sender.try_send(&own, Some(0), &size(400_000))[0].is_ok());
        for (topic, size) in [(&own, size(600_000)), (&plain, size(400_000))] {
            let refused = sender.try_send(topic, Some(0), &size);
            assert_eq!(refused, [Err(RDKafkaErrorCode::MessageSizeTooLarge)]);
        }
        let port = node.port();
        node.stop();
        node = Node::on_disk(folder.path(), Some(port));
    }
    node.stop();
}
