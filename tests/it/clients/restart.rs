//! The same data after a stop and a start, and clients that go on as if nothing had been.

use rdkafka::Offset;
use rdkafka::types::RDKafkaErrorCode;

use super::{Node, Record, Sender, create, fresh, numbered, read, reader, take};

#[test]
fn a_restart_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::on_disk(folder.path(), None);
    let topic = fresh("restart");
    create(
        node.address(),
        &topic,
        2,
        &[("max.message.bytes", "500000")],
    )
    .unwrap();
    let sender = Sender::new(node.address(), &[("enable.idempotence", "true")]);
    sender.send(&topic, Some(0), &numbered(1000));
    sender.send(&topic, Some(1), &numbered(10));
    let consumer = reader(node.address(), &[(&topic, 0, Offset::Beginning)], &[]);
    assert_eq!(take(&consumer, 1000).len(), 1000);

    // The same producer and the same consumer go on, at the same address, where they were.
    let port = node.port();
    node.stop();
    let node = Node::on_disk(folder.path(), Some(port));
    let again = sender.send(&topic, Some(0), &numbered(500));
    assert_eq!(again[0], (0, 1000));
    assert_eq!(again[499], (0, 1499));
    let found = take(&consumer, 500);
    assert_eq!(found[0].offset, 1000);
    assert_eq!(found[499].offset, 1499);

    let mut all = numbered(1000);
    all.extend(numbered(500));
    assert_eq!(read(node.address(), &topic, 0, 1500), all);
    assert_eq!(read(node.address(), &topic, 1, 10), numbered(10));
    // What the topic was made with is still held.
    let large = Record::value(vec![0; 600_000]);
    let refused = sender.try_send(&topic, Some(1), &[large]);
    assert_eq!(refused, [Err(RDKafkaErrorCode::MessageSizeTooLarge)]);
    node.stop();
}
