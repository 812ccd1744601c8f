//! Topics as clients make, see, lose and make them again; many of them, and many partitions.

use std::collections::BTreeMap;

use rdkafka::Offset;
use rdkafka::admin::{NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;

use super::{
    PATIENCE, Record, Sender, admin, client, create, fresh, node, numbered, patient, read, reader,
    send, take, wait, watermarks,
};

fn delete(address: &str, topics: &[&str]) -> Vec<Result<(), RDKafkaErrorCode>> {
    let results = wait(admin(address).delete_topics(topics, &patient())).unwrap();
    results
        .into_iter()
        .map(|result| result.map(drop).map_err(|(_, code)| code))
        .collect()
}

/// The number of partitions, by the names of all topics.
fn listed(address: &str) -> BTreeMap<String, usize> {
    let consumer: BaseConsumer = client(address).create().unwrap();
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    let topics = metadata.topics().iter();
    topics
        .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
        .collect()
}

#[test]
fn a_topic_is_made_by_the_first_record() {
    let node = node();
    let topic = fresh("auto");
    send(node.address(), &topic, 0, &numbered(3));
    assert_eq!(read(node.address(), &topic, 0, 3), numbered(3));
    node.shows("the topic", || listed(node.address()).contains_key(&topic));
}

#[test]
fn what_cannot_be_made_is_refused_by_name() {
    let node = node();
    let topic = fresh("refused");
    let make = |name: &str, partitions, config: &[(&str, &str)]| {
        create(node.address(), name, partitions, config)
    };
    assert_eq!(make(&topic, 1, &[]), Ok(()));
    assert_eq!(
        make(&topic, 1, &[]),
        Err(RDKafkaErrorCode::TopicAlreadyExists)
    );
    assert_eq!(
        make("not a name", 1, &[]),
        Err(RDKafkaErrorCode::InvalidTopic)
    );
    assert_eq!(make("..", 1, &[]), Err(RDKafkaErrorCode::InvalidTopic));
    let bad_value = make(&fresh("bad"), 1, &[("retention.ms", "soon")]);
    assert_eq!(bad_value, Err(RDKafkaErrorCode::InvalidConfig));
    let bad_key = make(&fresh("bad"), 1, &[("retention.mss", "1")]);
    assert_eq!(bad_key, Err(RDKafkaErrorCode::InvalidConfig));
    let absent = fresh("absent");
    assert_eq!(
        delete(node.address(), &[&absent]),
        [Err(RDKafkaErrorCode::UnknownTopicOrPartition)]
    );

    let replicated = fresh("replicated");
    let new = NewTopic::new(&replicated, 1, TopicReplication::Fixed(3));
    let results = wait(admin(node.address()).create_topics([&new], &patient())).unwrap();
    assert_eq!(
        results,
        [Err((
            replicated,
            RDKafkaErrorCode::InvalidReplicationFactor
        ))]
    );
}

#[test]
fn overrides_are_described() {
    let node = node();
    let topic = fresh("described");
    create(node.address(), &topic, 1, &[("retention.ms", "3600000")]).unwrap();
    node.shows("the topic", || listed(node.address()).contains_key(&topic));
    let described = wait(
        admin(node.address()).describe_configs([&ResourceSpecifier::Topic(&topic)], &patient()),
    );
    let resource = described.unwrap().remove(0).unwrap();
    let value = |key| resource.get(key).and_then(|entry| entry.value.clone());
    assert_eq!(value("retention.ms").as_deref(), Some("3600000"));
    assert_eq!(value("cleanup.policy").as_deref(), Some("delete"));
    assert!(!resource.get("retention.ms").unwrap().is_default);
    assert!(resource.get("segment.bytes").unwrap().is_default);
}

#[test]
fn a_deleted_and_remade_topic_is_another_one() {
    let node = node();
    let topic = fresh("remade");
    create(node.address(), &topic, 2, &[]).unwrap();
    send(node.address(), &topic, 0, &numbered(100));
    send(node.address(), &topic, 1, &numbered(100));
    assert_eq!(delete(node.address(), &[&topic]), [Ok(())]);
    node.shows("no topic", || !listed(node.address()).contains_key(&topic));
    create(node.address(), &topic, 1, &[]).unwrap();
    node.shows("one partition", || {
        listed(node.address()).get(&topic) == Some(&1)
    });
    assert_eq!(watermarks(node.address(), &topic, 0), (0, 0));
    send(node.address(), &topic, 0, &[Record::value("new")]);
    assert_eq!(read(node.address(), &topic, 0, 1), [Record::value("new")]);
    assert_eq!(watermarks(node.address(), &topic, 0), (0, 1));
}

#[test]
fn a_topic_gets_more_partitions() {
    let node = node();
    let topic = fresh("growing");
    create(node.address(), &topic, 1, &[]).unwrap();
    send(node.address(), &topic, 0, &numbered(10));
    let grow = |count: usize| {
        let new = NewPartitions::new(&topic, count);
        let results = wait(admin(node.address()).create_partitions([&new], &patient())).unwrap();
        let result = results.into_iter().next().unwrap();
        result.map(drop).map_err(|(_, code)| code)
    };
    assert_eq!(grow(3), Ok(()));
    for same_or_fewer in [3, 2] {
        assert_eq!(
            grow(same_or_fewer),
            Err(RDKafkaErrorCode::InvalidPartitions)
        );
    }
    send(node.address(), &topic, 2, &numbered(5));
    assert_eq!(read(node.address(), &topic, 2, 5), numbered(5));
    assert_eq!(read(node.address(), &topic, 0, 10), numbered(10));
    node.shows("three partitions", || {
        listed(node.address()).get(&topic) == Some(&3)
    });
}

#[test]
fn many_partitions() {
    const PARTITIONS: i32 = 500;
    let node = node();
    let topic = fresh("wide");
    create(node.address(), &topic, PARTITIONS, &[]).unwrap();
    let sender = Sender::new(node.address(), &[]);
    let record = |n: i32| Record {
        key: Some(n.to_string().into_bytes()),
        ..Record::value(n.to_string())
    };
    let records: Vec<Record> = (0..20 * PARTITIONS).map(record).collect();
    let places = sender.send(&topic, None, &records);
    // The same key goes to the same partition, and what is read there is what was acknowledged there.
    let from: Vec<(&str, i32, Offset)> = (0..PARTITIONS)
        .map(|n| (topic.as_str(), n, Offset::Beginning))
        .collect();
    let mut found = BTreeMap::new();
    for one in take(&reader(node.address(), &from, &[]), records.len()) {
        let doubled = found.insert((one.partition, one.offset), one.record.value);
        assert_eq!(doubled, None, "one record at an offset");
    }
    for (place, record) in places.iter().zip(&records) {
        assert_eq!(found[place], record.value);
    }
}

const MANY: usize = 2000;

/// Makes [`MANY`] topics, some in each request.
fn create_many(address: &str) -> Vec<String> {
    let prefix = fresh("topic");
    let names: Vec<String> = (0..MANY).map(|n| format!("{prefix}-{n}")).collect();
    let admin = admin(address);
    for some in names.chunks(500) {
        let new = |name| NewTopic::new(name, 1, TopicReplication::Fixed(1));
        let new: Vec<NewTopic<'_>> = some.iter().map(|name| new(name)).collect();
        let results = wait(admin.create_topics(&new, &patient())).unwrap();
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }
    names
}

#[test]
fn two_thousand_topics_are_written_and_read() {
    let node = node();
    let names = create_many(node.address());
    let sender = Sender::new(node.address(), &[]);
    for (n, name) in names.iter().enumerate() {
        sender.enqueue(name, Some(0), n, &Record::value(n.to_string()));
    }
    assert_eq!(sender.settle(MANY), vec![Ok((0, 0)); MANY]);
    let from: Vec<(&str, i32, Offset)> = names
        .iter()
        .map(|name| (name.as_str(), 0, Offset::Beginning))
        .collect();
    let mut found = BTreeMap::new();
    for one in take(&reader(node.address(), &from, &[]), MANY) {
        found.insert(one.topic, one.record.value);
    }
    for (n, name) in names.iter().enumerate() {
        assert_eq!(found[name], Some(n.to_string().into_bytes()));
    }
}

/// No producer here: one that knows a topic asks for it and so makes it again, and does not say when it has stopped.
#[test]
fn two_thousand_topics_come_and_go() {
    let node = node();
    let names = create_many(node.address());
    node.shows("all topics", || {
        let all = listed(node.address());
        names.iter().all(|name| all.get(name) == Some(&1))
    });
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(delete(node.address(), &names).iter().all(Result::is_ok));
    node.shows("none of them", || {
        let all = listed(node.address());
        !names.iter().any(|name| all.contains_key(*name))
    });
}
