//! Members of a group: librdkafka's own consumers, eager and cooperative, static ones, a broker that restarts under
//! them, a member that dies, and offsets with metadata.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{GroupId, JoinGroupRequest};
use kafka_protocol::protocol::StrBytes;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::{Node, PATIENCE, Sender, client, create, fresh, node, numbered, wait};
use crate::support::client::Client;

const PARTITIONS: i32 = 4;

/// Counts how often its member was given or lost partitions.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl ClientContext for Counting {}

impl ConsumerContext for Counting {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(_) = rebalance {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A consumer in a group.
struct Member {
    consumer: BaseConsumer<Counting>,
    assignments: Counting,
}

impl Member {
    fn join(node: &Node, group: &str, topic: &str, settings: &[(&str, &str)]) -> Self {
        let assignments = Counting::default();
        let mut config = client(node.address());
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("heartbeat.interval.ms", "100");
        settings.iter().for_each(|(key, value)| {
            config.set(*key, *value);
        });
        let consumer: BaseConsumer<Counting> =
            config.create_with_context(assignments.clone()).unwrap();
        consumer.subscribe(&[topic]).unwrap();
        Self {
            consumer,
            assignments,
        }
    }

    fn assignments(&self) -> usize {
        self.assignments.0.load(Ordering::SeqCst)
    }

    fn partitions(&self) -> usize {
        self.consumer.assignment().unwrap().count()
    }

    /// A record, if one is there now.
    fn poll(&self) -> Option<(i32, i64)> {
        match self.consumer.poll(Duration::from_millis(20))? {
            Ok(message) => Some((message.partition(), message.offset())),
            Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
            )) => None,
            Err(error) => panic!("polling: {error}"),
        }
    }

    fn commit(&self) {
        self.consumer
            .commit_consumer_state(CommitMode::Sync)
            .unwrap();
    }
}

/// Polls all until each has as many partitions as asked for; no record comes meanwhile.
#[track_caller]
fn until_shared(members: &[(&Member, usize)]) {
    let deadline = Instant::now() + PATIENCE;
    while members
        .iter()
        .any(|(member, count)| member.partitions() != *count)
    {
        assert!(
            Instant::now() < deadline,
            "the partitions are not shared in time"
        );
        for (member, _) in members {
            let record = member.poll();
            assert_eq!(record, None, "all was read before");
        }
    }
}

/// Polls all until `count` records came: how many each got. None comes twice.
#[track_caller]
fn gather(members: &[&Member], count: usize) -> Vec<usize> {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = BTreeSet::new();
    let mut counts = vec![0; members.len()];
    while seen.len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} records came",
            seen.len()
        );
        for (member, read) in members.iter().zip(&mut counts) {
            if let Some(record) = member.poll() {
                assert!(seen.insert(record), "{record:?} came twice");
                *read += 1;
            }
        }
    }
    members.iter().for_each(|member| member.commit());
    counts
}

/// Ten records to each partition.
fn send_to_all(sender: &Sender, topic: &str) {
    for partition in 0..PARTITIONS {
        sender.send(topic, Some(partition), &numbered(10));
    }
}

fn sharing(strategy: &str) {
    let node = node();
    let (topic, group) = (fresh("shared"), fresh("group"));
    create(node.address(), &topic, PARTITIONS, &[]).unwrap();
    let sender = Sender::new(node.address(), &[]);
    let join = || {
        let strategy = ("partition.assignment.strategy", strategy);
        Member::join(&node, &group, &topic, &[strategy])
    };
    let first = join();
    send_to_all(&sender, &topic);
    assert_eq!(gather(&[&first], 40), [40]);

    let second = join();
    until_shared(&[(&first, 2), (&second, 2)]);
    send_to_all(&sender, &topic);
    assert_eq!(gather(&[&first, &second], 40), [20, 20]);

    drop(second);
    until_shared(&[(&first, 4)]);
    send_to_all(&sender, &topic);
    assert_eq!(gather(&[&first], 40), [40]);
    drop(first);

    // Whoever comes later goes on where the group was.
    send_to_all(&sender, &topic);
    assert_eq!(gather(&[&join()], 40), [40]);
}

#[test]
fn members_share_a_topic_eagerly() {
    sharing("range");
}

#[test]
fn members_share_a_topic_cooperatively() {
    sharing("cooperative-sticky");
}

#[test]
fn a_static_member_returns_without_a_rebalance() {
    let node = node();
    let (topic, group) = (fresh("static"), fresh("group"));
    create(node.address(), &topic, PARTITIONS, &[]).unwrap();
    let sender = Sender::new(node.address(), &[]);
    let join = |instance| Member::join(&node, &group, &topic, &[("group.instance.id", instance)]);
    let (first, second) = (join("i1"), join("i2"));
    until_shared(&[(&first, 2), (&second, 2)]);
    let before = first.assignments();
    drop(second);
    let second = join("i2");
    until_shared(&[(&first, 2), (&second, 2)]);
    send_to_all(&sender, &topic);
    assert_eq!(gather(&[&first, &second], 40), [20, 20]);
    assert_eq!(first.assignments(), before, "the first noticed nothing");
}

#[test]
fn a_group_lives_through_a_restart_of_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::on_disk(folder.path(), None);
    let (topic, group) = (fresh("restart"), fresh("group"));
    create(node.address(), &topic, PARTITIONS, &[]).unwrap();
    let sender = Sender::new(node.address(), &[]);
    let first = Member::join(&node, &group, &topic, &[]);
    let second = Member::join(&node, &group, &topic, &[]);
    until_shared(&[(&first, 2), (&second, 2)]);
    send_to_all(&sender, &topic);
    assert_eq!(gather(&[&first, &second], 40), [20, 20]);
    let before = (first.assignments(), second.assignments());

    let port = node.port();
    node.stop();
    let node = Node::on_disk(folder.path(), Some(port));
    send_to_all(&sender, &topic);
    assert_eq!(gather(&[&first, &second], 40), [20, 20]);
    let after = (first.assignments(), second.assignments());
    assert_eq!(after, before, "no rebalance");
    drop((first, second));

    let late = Member::join(&node, &group, &topic, &[]);
    send_to_all(&sender, &topic);
    assert_eq!(gather(&[&late], 40), [40], "the offsets were kept");
    drop(late);
    node.stop();
}

/// Joins the group over a connection of its own and is never heard of again.
async fn join_and_die(address: SocketAddr, group: String, topic: String) {
    let mut metadata = BytesMut::new();
    metadata.put_i16(0);
    metadata.put_i32(1);
    metadata.put_i16(i16::try_from(topic.len()).unwrap());
    metadata.put_slice(topic.as_bytes());
    metadata.put_i32(-1);
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"))
        .with_metadata(Bytes::from(metadata));
    let mut join = JoinGroupRequest::default()
        .with_group_id(GroupId(StrBytes::from_string(group)))
        .with_session_timeout_ms(1_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    let mut client = Client::connect(address).await;
    let refused = client.ask(5, &join).await;
    assert_eq!(refused.error_code, 79);
    join.member_id = refused.member_id;
    let joined = client.ask(5, &join).await;
    assert_eq!((joined.error_code, joined.generation_id), (0, 2));
}

#[test]
fn a_member_that_dies_is_replaced_by_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["group.min.session.timeout.ms=1000"];
    let node = Node::with_settings(folder.path(), None, &settings);
    let (topic, group) = (fresh("dies"), fresh("group"));
    create(node.address(), &topic, PARTITIONS, &[]).unwrap();
    let first = Member::join(&node, &group, &topic, &[]);
    until_shared(&[(&first, 4)]);

    let address = node.address().parse().unwrap();
    let (dying_group, dying_topic) = (group.clone(), topic.clone());
    let dying = std::thread::spawn(move || wait(join_and_die(address, dying_group, dying_topic)));
    while !dying.is_finished() {
        first.poll();
    }
    dying.join().unwrap();
    // It is the second generation that has two members; the third has one again.
    let deadline = Instant::now() + PATIENCE;
    while first.assignments() < 3 || first.partitions() != 4 {
        assert!(Instant::now() < deadline, "the dead member is not given up");
        first.poll();
    }
    send_to_all(&Sender::new(node.address(), &[]), &topic);
    assert_eq!(gather(&[&first], 40), [40]);
    drop(first);
    node.stop();
}

#[test]
fn offsets_are_committed_with_metadata() {
    let node = node();
    let (topic, group) = (fresh("offsets"), fresh("group"));
    create(node.address(), &topic, PARTITIONS, &[]).unwrap();
    let mut config = client(node.address());
    config.set("group.id", &group);
    let consumer: BaseConsumer = config.create().unwrap();
    let committed = |partition: i32| {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&topic, partition);
        let found = consumer.committed_offsets(asked, PATIENCE).unwrap();
        let found = found.find_partition(&topic, partition).unwrap();
        (found.offset(), found.metadata().to_owned())
    };
    let commit = |partition: i32, offset: i64, metadata: &str| {
        let mut offsets = TopicPartitionList::new();
        let mut place = offsets.add_partition(&topic, partition);
        place.set_offset(Offset::Offset(offset)).unwrap();
        place.set_metadata(metadata);
        consumer.commit(&offsets, CommitMode::Sync)
    };
    assert_eq!(committed(0), (Offset::Invalid, String::new()));
    commit(0, 5, "up to fünf").unwrap();
    assert_eq!(committed(0), (Offset::Offset(5), "up to fünf".to_owned()));
    commit(0, 3, "").unwrap();
    assert_eq!(
        committed(0),
        (Offset::Offset(3), String::new()),
        "back, because it was asked for"
    );
    let refused = commit(1, 1, &"x".repeat(4_097)).unwrap_err();
    let code = refused.rdkafka_error_code();
    assert_eq!(code, Some(RDKafkaErrorCode::OffsetMetadataTooLarge));
    assert_eq!(committed(1), (Offset::Invalid, String::new()));
}
