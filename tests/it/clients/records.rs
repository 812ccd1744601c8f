//! What is written is what is read: bytes, keys, headers, times, codecs, sizes, offsets.

use rdkafka::consumer::Consumer;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::{
    PATIENCE, Record, Sender, create, fresh, node, numbered, read, reader, send, take, watermarks,
};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

#[test]
fn every_codec_comes_back() {
    let node = node();
    for codec in CODECS {
        let topic = fresh(codec);
        create(node.address(), &topic, 3, &[]).unwrap();
        let record = |n: usize| Record {
            key: Some(format!("key {}", n % 7).into_bytes()),
            value: Some(format!("record {n} that looks much like the one before it").into_bytes()),
            headers: vec![("n".to_owned(), Some(n.to_string().into_bytes()))],
            timestamp_ms: None,
        };
        let records: Vec<Record> = (0..500).map(record).collect();
        let sender = Sender::new(node.address(), &[("compression.type", codec)]);
        for partition in 0..3 {
            sender.send(&topic, Some(partition), &records);
            assert_eq!(
                read(node.address(), &topic, partition, 500),
                records,
                "{codec}"
            );
        }
    }
}

#[test]
fn codecs_live_side_by_side_in_one_partition() {
    let node = node();
    let topic = fresh("mixed");
    create(node.address(), &topic, 1, &[]).unwrap();
    let mut all = Vec::new();
    for codec in CODECS {
        let records: Vec<Record> = (0..50)
            .map(|n| Record::value(format!("{codec} {n}")))
            .collect();
        Sender::new(node.address(), &[("compression.type", codec)]).send(&topic, Some(0), &records);
        all.extend(records);
    }
    assert_eq!(read(node.address(), &topic, 0, all.len()), all);
}

#[test]
fn headers_keep_order_duplicates_and_nulls() {
    let node = node();
    let topic = fresh("headers");
    create(node.address(), &topic, 1, &[]).unwrap();
    let header = |key: &str, value: Option<&[u8]>| (key.to_owned(), value.map(<[u8]>::to_vec));
    let records = [
        Record {
            headers: vec![
                header("b", Some(b"1")),
                header("a", None),
                header("b", Some(b"")),
                header("", Some(b"\0\xff")),
            ],
            ..Record::value("value")
        },
        Record {
            key: Some(Vec::new()),
            value: Some(Vec::new()),
            ..Record::default()
        },
        Record::default(),
    ];
    send(node.address(), &topic, 0, &records);
    assert_eq!(read(node.address(), &topic, 0, 3), records);
}

#[test]
fn times_are_kept_and_searched() {
    let node = node();
    let topic = fresh("times");
    create(node.address(), &topic, 1, &[]).unwrap();
    let now = i64::try_from(
        std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_millis(),
    )
    .unwrap();
    // Not in order, and the newest is not the last.
    let times = [now - 5000, now - 3000, now - 4000, now - 1000, now - 2000];
    let stamped = |ms| Record {
        timestamp_ms: Some(ms),
        ..Record::value("x")
    };
    let records = times.map(stamped);
    send(node.address(), &topic, 0, &records);
    let consumer = reader(node.address(), &[(&topic, 0, Offset::Beginning)], &[]);
    let found: Vec<Record> = take(&consumer, times.len())
        .into_iter()
        .map(|found| found.record)
        .collect();
    assert_eq!(found, records);

    let search = |ms: i64| {
        let mut wanted = TopicPartitionList::new();
        wanted
            .add_partition_offset(&topic, 0, Offset::Offset(ms))
            .unwrap();
        consumer
            .offsets_for_times(wanted, PATIENCE)
            .unwrap()
            .elements()[0]
            .offset()
    };
    assert_eq!(search(0), Offset::Offset(0), "older than all: the first");
    assert_eq!(
        search(now - 4500),
        Offset::Offset(1),
        "the first record at or after the time, by offset"
    );
    assert_eq!(
        search(now - 3000),
        Offset::Offset(1),
        "the time itself counts"
    );
    assert_eq!(search(now - 2999), Offset::Offset(3));
    assert_eq!(search(now), Offset::End, "newer than all: none");
}

#[test]
fn append_time_is_the_brokers() {
    let node = node();
    let topic = fresh("append-time");
    create(
        node.address(),
        &topic,
        1,
        &[("message.timestamp.type", "LogAppendTime")],
    )
    .unwrap();
    let old = Record {
        timestamp_ms: Some(1_000),
        ..Record::value("x")
    };
    send(node.address(), &topic, 0, &[old]);
    let consumer = reader(node.address(), &[(&topic, 0, Offset::Beginning)], &[]);
    let found = take(&consumer, 1).remove(0);
    assert_eq!(found.record.timestamp_ms, None, "not the producer's time");
}

#[test]
fn records_of_a_mebibyte() {
    let node = node();
    let topic = fresh("large");
    create(
        node.address(),
        &topic,
        1,
        &[("max.message.bytes", "2000000")],
    )
    .unwrap();
    let record = |n: u8| Record::value(vec![n; 1 << 20]);
    let records: Vec<Record> = (0..16).map(record).collect();
    let sender = Sender::new(node.address(), &[("message.max.bytes", "4000000")]);
    sender.send(&topic, Some(0), &records);
    assert_eq!(read(node.address(), &topic, 0, 16), records);
    // A consumer that asks for less than one record gets one all the same.
    let small = [
        ("fetch.message.max.bytes", "10000"),
        ("fetch.max.bytes", "10000"),
        ("message.max.bytes", "10000"),
    ];
    let consumer = reader(node.address(), &[(&topic, 0, Offset::Beginning)], &small);
    let found: Vec<Record> = take(&consumer, 16)
        .into_iter()
        .map(|found| found.record)
        .collect();
    assert_eq!(found.len(), 16);
    assert!(
        found
            .iter()
            .zip(&records)
            .all(|(found, sent)| found.value == sent.value)
    );

    let too_large = sender.try_send(&topic, Some(0), &[Record::value(vec![0; 2_000_000])]);
    assert_eq!(too_large, [Err(RDKafkaErrorCode::MessageSizeTooLarge)]);
    assert_eq!(watermarks(node.address(), &topic, 0), (0, 16));
}

#[test]
fn offsets_are_sought_and_bounded() {
    let node = node();
    let topic = fresh("offsets");
    create(node.address(), &topic, 1, &[]).unwrap();
    assert_eq!(watermarks(node.address(), &topic, 0), (0, 0));
    send(node.address(), &topic, 0, &numbered(1000));
    assert_eq!(watermarks(node.address(), &topic, 0), (0, 1000));
    let first = |offset, settings: &[(&str, &str)]| {
        let consumer = reader(node.address(), &[(&topic, 0, offset)], settings);
        take(&consumer, 1)[0].offset
    };
    assert_eq!(first(Offset::Offset(777), &[]), 777);
    assert_eq!(first(Offset::OffsetTail(3), &[]), 997);
    assert_eq!(
        first(Offset::Offset(5000), &[("auto.offset.reset", "earliest")]),
        0
    );

    // A reader that waits at the end is woken by the next record.
    let consumer = reader(node.address(), &[(&topic, 0, Offset::End)], &[]);
    assert!(consumer.poll(std::time::Duration::from_secs(1)).is_none());
    send(node.address(), &topic, 0, &[Record::value("new")]);
    assert_eq!(take(&consumer, 1)[0].offset, 1000);
}
