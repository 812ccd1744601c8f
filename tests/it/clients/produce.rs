//! Ways of producing: acknowledgements, idempotence, many small requests.

use super::{Sender, create, fresh, node, numbered, read, send, watermarks};

/// The offsets 0, 1, ... in partition 0.
fn dense(count: usize) -> Vec<(i32, i64)> {
    (0..i64::try_from(count).unwrap())
        .map(|offset| (0, offset))
        .collect()
}

#[test]
fn an_idempotent_producer_keeps_order_with_five_requests_in_flight() {
    let node = node();
    let topic = fresh("idempotent");
    create(node.address(), &topic, 1, &[]).unwrap();
    let settings = [
        ("enable.idempotence", "true"),
        ("linger.ms", "0"),
        ("batch.num.messages", "7"),
    ];
    let sender = Sender::new(node.address(), &settings);
    assert_eq!(sender.send(&topic, Some(0), &numbered(5000)), dense(5000));
    assert_eq!(read(node.address(), &topic, 0, 5000), numbered(5000));
    // Another one is another producer id.
    let other = Sender::new(node.address(), &settings);
    assert_eq!(other.send(&topic, Some(0), &numbered(1)), [(0, 5000)]);
    assert_eq!(sender.send(&topic, Some(0), &numbered(1)), [(0, 5001)]);
}

#[test]
fn many_small_requests_keep_their_order() {
    let node = node();
    let topic = fresh("pipelined");
    create(node.address(), &topic, 1, &[]).unwrap();
    let settings = [
        ("max.in.flight", "100"),
        ("linger.ms", "0"),
        ("batch.num.messages", "1"),
    ];
    let sender = Sender::new(node.address(), &settings);
    assert_eq!(sender.send(&topic, Some(0), &numbered(3000)), dense(3000));
    assert_eq!(read(node.address(), &topic, 0, 3000), numbered(3000));
}

#[test]
fn every_kind_of_acknowledgement() {
    let node = node();
    for acks in ["0", "1", "all"] {
        let topic = fresh("acks");
        create(node.address(), &topic, 1, &[]).unwrap();
        let sender = Sender::new(node.address(), &[("acks", acks)]);
        sender.send(&topic, Some(0), &numbered(200));
        assert_eq!(
            read(node.address(), &topic, 0, 200),
            numbered(200),
            "acks={acks}"
        );
    }
}

#[test]
fn producers_side_by_side_share_a_partition() {
    let node = node();
    let topic = fresh("shared");
    create(node.address(), &topic, 1, &[]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| send(node.address(), &topic, 0, &numbered(500)));
        }
    });
    assert_eq!(watermarks(node.address(), &topic, 0), (0, 4000));
    let found = read(node.address(), &topic, 0, 4000);
    for record in numbered(500) {
        assert_eq!(found.iter().filter(|other| **other == record).count(), 8);
    }
}
