//! A consumer that asks for much and reads nothing costs the others nothing.

use std::io::Write;
use std::net::TcpStream;

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{ApiKey, BrokerId, FetchRequest, RequestHeader, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::{Record, Sender, create, fresh, node, numbered, read};

/// The last version that names topics and has no tagged fields: short to write down.
const FETCH_VERSION: i16 = 11;
/// What one fetch asks for; together far more than the buffers between broker and client hold.
const FETCH_BYTES: i32 = 16 << 20;
const FETCHES: i32 = 40;

fn fetch(topic: &str, correlation_id: i32) -> BytesMut {
    let header = RequestHeader::default()
        .with_request_api_key(ApiKey::Fetch as i16)
        .with_request_api_version(FETCH_VERSION)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("stalled")));
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_partition_max_bytes(FETCH_BYTES);
    let topic = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(FETCH_BYTES)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let mut body = BytesMut::new();
    header
        .encode(
            &mut body,
            ApiKey::Fetch.request_header_version(FETCH_VERSION),
        )
        .unwrap();
    request.encode(&mut body, FETCH_VERSION).unwrap();
    let mut frame = BytesMut::new();
    frame.put_u32(u32::try_from(body.len()).unwrap());
    frame.extend_from_slice(&body);
    frame
}

#[test]
fn a_stalled_consumer_costs_the_others_nothing() {
    let node = node();
    let topic = fresh("stalled");
    create(node.address(), &topic, 1, &[]).unwrap();
    let large: Vec<Record> = (0..40).map(|n| Record::value(vec![n; 500_000])).collect();
    let sender = Sender::new(node.address(), &[]);
    sender.send(&topic, Some(0), &large);

    // Several of them, each with as many requests on the way as its socket takes.
    let mut stalled = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(node.address()).unwrap();
        for correlation_id in 0..FETCHES {
            stream.write_all(&fetch(&topic, correlation_id)).unwrap();
        }
        stalled.push(stream);
    }

    // The others write to the same partition and read all of it, while nobody reads those answers.
    sender.send(&topic, Some(0), &numbered(1000));
    let mut all = large;
    all.extend(numbered(1000));
    assert_eq!(read(node.address(), &topic, 0, all.len()), all);
    drop(stalled);
    assert_eq!(read(node.address(), &topic, 0, all.len()), all);
}
