//! Changes of settings through their handlers: every version, and Kafka's code for each bad request.

use kafka_protocol::messages::{IncrementalAlterConfigsRequest, ListConfigResourcesRequest};

use super::config_testing::{
    APPEND, BROKER, DELETE, GROUP, LOGGER, METRICS, Op, SET, SUBTRACT, TOPIC, change, entry,
    replace, resource, set,
};
use super::data_testing::topic;
use super::testing::{ask, broker};

/// Type, name, key, operation, value, code, message.
const BAD: &str = "\
topic | t | no.such.key | set | 1 | 40 | Unknown topic config name: no.such.key
topic | t | retention.ms | set | soon | 40 | Invalid value soon for configuration retention.ms: Not a number of type LONG
topic | t | min.compaction.lag.ms | set | 9223372036854775807 | 0 | 
topic | t | max.compaction.lag.ms | set | 1 | 40 | conflict topic config setting min.compaction.lag.ms (9223372036854775807) > max.compaction.lag.ms (1)
topic | t | retention.ms | append | 1 | 40 | Can't APPEND to key retention.ms because its type is not LIST.
topic | t | no.such.key | subtract | 1 | 40 | Can't SUBTRACT to key no.such.key because its type is not LIST.
topic | missing | retention.ms | set | 1 | 3 | The topic 'missing' does not exist.
topic | missing | retention.ms | set | x | 40 | Invalid value x for configuration retention.ms: Not a number of type LONG
topic |  | retention.ms | set | 1 | 42 | Default topic resources are not allowed.
topic | a b | retention.ms | set | 1 | 17 | Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'
topic | t | retention.ms | set | null | 42 | Null value not supported for : retention.ms
topic | t | retention.ms | 9 | 1 | 42 | Unknown operations type 9
broker | 1 | num.partitions | set | 2 | 42 | Cannot update these configs dynamically: [num.partitions]
broker |  | num.partitions | delete | null | 0 | 
broker | 1 | ssl.keystore.type | set | PEM | 42 | These security configs can be dynamically updated only per-listener using the listener prefix: [ssl.keystore.type]
broker |  | principal.builder.class | set | x | 42 | Cannot update these configs at default cluster level, broker id must be specified: [principal.builder.class]
broker |  | listener.name.plaintext.ssl.keystore.type | set | PEM | 42 | Cannot update these configs at default cluster level, broker id must be specified: [listener.name.plaintext.ssl.keystore.type]
broker | 1 | listener.name.plaintext.max.connections | set | few | 42 | Invalid value few for configuration max.connections: Not a number of type INT
broker | 1 | message.max.bytes | set | -1 | 42 | Invalid value -1 for configuration message.max.bytes: Value must be at least 0
broker | 1 | message.max.bytes | set | null | 42 | Null value not supported for : message.max.bytes
broker | 2 | message.max.bytes | set | 1 | 42 | Unexpected broker id, expected 1, but received 2
broker | one | message.max.bytes | set | 1 | 42 | Node id must be an integer, but it is: one
broker | 1 | no.such.list | append | 1 | 40 | Unknown config name: no.such.list
broker | 1 | message.max.bytes | append | 1 | 40 | Config value append is not allowed for config key: message.max.bytes
broker | 1 | message.max.bytes | subtract | 1 | 40 | Config value subtract is not allowed for config key: message.max.bytes
broker | 1 | num.io.threads | set | 17 | 42 | Invalid dynamic configuration: num.io.threads may be halved or doubled at most, it is 8
broker | 1 | num.io.threads | set | 3 | 42 | Invalid dynamic configuration: num.io.threads may be halved or doubled at most, it is 8
broker |  | max.connections | set | 0 | 42 | Invalid dynamic configuration: max.connections must be at least 1
broker |  | log.retention.ms | set | 0 | 42 | requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1
broker |  | log.roll.ms | set | 0 | 42 | requirement failed: log.roll.ms must be greater than or equal to 1
broker | 1 | cordoned.log.dirs | set | /elsewhere | 42 | requirement failed: All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : /elsewhere
broker | 1 | log.local.retention.ms | set | 604800001 | 42 | Invalid dynamic configuration: log.local.retention.ms (604800001) may not be above 604800000
logger | 1 | root | set | DEBUG | 40 | Logger root does not exist!
logger | 1 | root | delete | null | 40 | Logger root does not exist!
logger | 1 | root | append | DEBUG | 42 | APPEND operation is not allowed for the BROKER_LOGGER resource
logger | 2 | root | set | DEBUG | 42 | Unexpected node id. Expected 1, but received 2
metrics | m | metrics | append | x | 40 | Can't APPEND to key metrics because its type is not LIST.
metrics |  | interval.ms | set | 100 | 42 | Subscription name can't be empty
metrics | m | interval | set | 100 | 42 | Unknown client metrics configuration: interval
metrics | m | interval.ms | set | 99 | 42 | Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)
metrics | m | interval.ms | set | now | 40 | Invalid value now for configuration interval.ms: Not a number of type INT
metrics | m | match | set | client_id | 40 | Illegal client matching pattern: client_id
metrics | m | match | set | client=x | 40 | Illegal client matching pattern: client=x
broker | 1 | max.connections.per.ip | set | 0 | 42 | requirement failed: max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.
broker | 1 | max.connections.per.ip.overrides | set | nonsense | 42 | Invalid value nonsense for configuration max.connections.per.ip.overrides: `nonsense` is not of the form address:count
broker | 1 | group.share.assignment.interval.ms | set | 15001 | 42 | group.share.assignment.interval.ms must be less than or equal to group.share.max.assignment.interval.ms
broker | 1 | log.cleaner.dedupe.buffer.size | set | 1048576 | 42 | requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.
group |  | consumer.session.timeout.ms | set | 50000 | 42 | Default group resources are not allowed.
group | g | no.such.key | set | 1 | 40 | Unknown group config name: no.such.key
group | g | consumer.session.timeout.ms | set | x | 40 | Invalid value x for configuration consumer.session.timeout.ms: Not a number of type INT
group | g | consumer.session.timeout.ms | set | 44999 | 40 | consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms
group | g | streams.num.standby.replicas | set | 3 | 40 | streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas
64 | x | y | set | 1 | 42 | Unknown resource type 64";

/// The number that a name in [`BAD`] stands for, or that stands there.
fn number(name: &str, names: &[(&str, i8)]) -> i8 {
    let named = names.iter().find(|(known, _)| *known == name);
    named.map_or_else(|| name.parse().expect("a number"), |(_, number)| *number)
}

#[tokio::test]
async fn each_bad_change_has_kafkas_code() {
    let kinds = [
        ("topic", TOPIC),
        ("broker", BROKER),
        ("logger", LOGGER),
        ("metrics", METRICS),
        ("group", GROUP),
    ];
    let ops = [
        ("set", SET),
        ("delete", DELETE),
        ("append", APPEND),
        ("subtract", SUBTRACT),
    ];
    let broker = broker(&[]).await;
    topic(&broker, "t", &[]).await;
    for line in BAD.lines() {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [kind, name, key, op, value, code, message] = fields.as_slice() else {
            panic!("seven fields: {line}");
        };
        let value = (*value != "null").then_some(*value);
        let bad = resource(
            number(kind, &kinds),
            name,
            &[(key, number(op, &ops), value)],
        );
        for version in 0..=1 {
            let answer = change(&broker, version, vec![bad.clone()]).await;
            let code: i16 = code.parse().expect("a code");
            assert_eq!(answer, [(code, (*message).to_owned())], "{line}");
        }
    }
    assert_eq!(
        broker.catalog.configs().resources().count(),
        0,
        "nothing was stored"
    );
}

#[tokio::test]
async fn repeats_are_refused_and_the_rest_of_the_request_is_done() {
    let broker = broker(&[]).await;
    topic(&broker, "t", &[]).await;
    let retention = ("retention.ms", SET, Some("5"));
    let twice = vec![
        resource(TOPIC, "t", &[retention]),
        resource(
            GROUP,
            "g",
            &[("consumer.session.timeout.ms", SET, Some("50000"))],
        ),
        resource(TOPIC, "t", &[retention]),
        resource(TOPIC, "u", &[retention, retention]),
    ];
    let answer = change(&broker, 1, twice).await;
    let repeat = (42, "Each resource must appear at most once.".to_owned());
    assert_eq!(
        answer,
        [
            repeat.clone(),
            (0, String::new()),
            repeat,
            (42, "Error due to duplicate config keys".to_owned())
        ]
    );
    assert_eq!(entry(&broker, TOPIC, "t", "retention.ms").await.1, 5);
    let of_group = entry(&broker, GROUP, "g", "consumer.session.timeout.ms").await;
    assert_eq!((of_group.0.as_str(), of_group.1), ("50000", 8));

    let many: Vec<String> = (0..10_001).map(|n| format!("key.{n}")).collect();
    let many: Vec<Op<'_>> = many
        .iter()
        .map(|key| (key.as_str(), SET, Some("1")))
        .collect();
    let answer = change(
        &broker,
        1,
        vec![
            resource(BROKER, "", &many),
            resource(TOPIC, "t", &[retention]),
        ],
    )
    .await;
    assert_eq!(answer.iter().map(|one| one.0).collect::<Vec<_>>(), [44, 44]);
}

#[tokio::test]
async fn the_legacy_way_replaces_all_settings_in_every_version() {
    let broker = broker(&[]).await;
    topic(&broker, "t", &[("retention.ms", "5")]).await;
    for version in 0..=2 {
        assert_eq!(
            replace(&broker, version, TOPIC, "t", &[("segment.ms", Some("7"))]).await,
            0
        );
        assert_eq!(entry(&broker, TOPIC, "t", "segment.ms").await.0, "7");
        assert_eq!(
            entry(&broker, TOPIC, "t", "retention.ms").await.1,
            5,
            "no longer set"
        );
        let table = [
            (TOPIC, "t", "retention.ms", None, 42),
            (TOPIC, "t", "retention.ms", Some("x"), 40),
            (TOPIC, "t", "no.such.key", Some("x"), 40),
            (TOPIC, "missing", "retention.ms", Some("1"), 3),
            (BROKER, "1", "num.partitions", Some("1"), 42),
            (BROKER, "9", "message.max.bytes", Some("1"), 42),
            (LOGGER, "1", "root", Some("DEBUG"), 42),
            (GROUP, "g", "no.such.key", Some("1"), 40),
            (METRICS, "m", "no.such.key", Some("1"), 42),
            (0, "m", "no.such.key", Some("1"), 42),
        ];
        for (kind, name, key, value, code) in table {
            let got = replace(&broker, version, kind, name, &[(key, value)]).await;
            assert_eq!(got, code, "{kind} {name} {key}");
        }
        assert_eq!(
            replace(
                &broker,
                version,
                GROUP,
                "g",
                &[("consumer.session.timeout.ms", Some("50000"))]
            )
            .await,
            0
        );
        assert_eq!(replace(&broker, version, GROUP, "g", &[]).await, 0);
        assert_eq!(broker.catalog.configs().resources().count(), 0);
        set(&broker, TOPIC, "t", &[("retention.ms", SET, Some("5"))]).await;
    }
}

#[tokio::test]
async fn validate_only_changes_nothing_and_a_closed_store_shows_in_every_answer() {
    let broker = broker(&[]).await;
    topic(&broker, "t", &[]).await;
    let resources = vec![
        resource(TOPIC, "t", &[("retention.ms", SET, Some("5"))]),
        resource(BROKER, "", &[("message.max.bytes", SET, Some("5"))]),
        resource(GROUP, "g", &[("no.such.key", SET, Some("5"))]),
    ];
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(resources.clone())
        .with_validate_only(true);
    let answer = ask(&broker, 1, &request).await;
    let codes: Vec<i16> = answer.responses.iter().map(|one| one.error_code).collect();
    assert_eq!(codes, [0, 0, 40]);
    assert_eq!(entry(&broker, TOPIC, "t", "retention.ms").await.1, 5);
    assert_eq!(broker.catalog.configs().resources().count(), 0);
    broker.store.close().await.expect("closes");
    let answer = change(&broker, 1, resources).await;
    assert_eq!(
        answer.iter().map(|one| one.0).collect::<Vec<_>>(),
        [7, 7, 7]
    );
}

#[tokio::test]
async fn resources_are_listed_by_type() {
    let broker = broker(&[("node.id", "5")]).await;
    topic(&broker, "t", &[]).await;
    set(
        &broker,
        GROUP,
        "g",
        &[("consumer.session.timeout.ms", SET, Some("50000"))],
    )
    .await;
    set(&broker, METRICS, "m", &[("metrics", SET, Some("*"))]).await;
    set(
        &broker,
        BROKER,
        "",
        &[("message.max.bytes", SET, Some("5"))],
    )
    .await;
    let list = async |version, types: &[i8]| {
        let request = ListConfigResourcesRequest::default().with_resource_types(types.to_vec());
        let answer = ask(&broker, version, &request).await;
        let listed = answer.config_resources.iter();
        let listed = listed.map(|one| (one.resource_type, one.resource_name.to_string()));
        (answer.error_code, listed.collect::<Vec<_>>())
    };
    let named = |kind: i8, name: &str| (kind, name.to_owned());
    assert_eq!(list(0, &[]).await, (0, vec![named(METRICS, "m")]));
    let all = [
        named(GROUP, "g"),
        named(METRICS, "m"),
        named(LOGGER, "5"),
        named(BROKER, "5"),
        named(TOPIC, "t"),
    ];
    assert_eq!(list(1, &[]).await, (0, all.to_vec()));
    assert_eq!(
        list(1, &[TOPIC, GROUP]).await,
        (0, vec![named(GROUP, "g"), named(TOPIC, "t")])
    );
    assert_eq!(list(1, &[TOPIC, 3]).await, (35, Vec::new()));
}
