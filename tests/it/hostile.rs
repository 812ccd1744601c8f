//! Clients that break the protocol, or use all of it: what they may cost, and whom.

use bytes::BufMut;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, DescribeGroupsRequest, FetchRequest, GroupId, JoinGroupRequest,
    MetadataRequest,
};
use kafka_protocol::protocol::StrBytes;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

use crate::support::broker::{TestBroker, loopback};
use crate::support::client::{Client, classic_header, request_frame};

fn versions_request() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("raw"))
        .with_client_software_version(StrBytes::from_static_str("1.0"))
}

async fn is_served(broker: &TestBroker) {
    let mut client = Client::connect(broker.address()).await;
    let answer = client.ask(0, &ApiVersionsRequest::default()).await;
    assert_eq!(answer.error_code, 0);
}

#[tokio::test]
async fn every_version_of_api_versions_is_answered() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address()).await;
    for version in 0..=4 {
        let request = match version {
            3.. => versions_request(),
            _ => ApiVersionsRequest::default(),
        };
        let answer = client.ask(version, &request).await;
        assert_eq!(answer.error_code, 0, "v{version}");
        let own = answer
            .api_keys
            .iter()
            .find(|api| api.api_key == ApiKey::ApiVersions as i16)
            .expect("it lists itself");
        assert_eq!((own.min_version, own.max_version), (0, 4));
    }
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let broker = TestBroker::start().await;
    for version in [5, 99, i16::MAX, -1] {
        let mut client = Client::connect(broker.address()).await;
        let mut frame = classic_header(ApiKey::ApiVersions, version, 7);
        if version > 0 {
            frame.put_u8(0);
        }
        frame.put_slice(b"a body of a later time");
        client.send_frame(&frame).await;
        let answer = client.answer::<ApiVersionsRequest>(0, 7).await;
        assert_eq!(answer.error_code, 35);
        let listed: Vec<_> = answer.api_keys.iter().map(|api| api.api_key).collect();
        assert_eq!(listed, [ApiKey::ApiVersions as i16]);
        let again = client.ask(3, &versions_request()).await;
        assert_eq!(again.error_code, 0, "the client asks again, lower");
    }
}

#[tokio::test]
async fn a_client_must_name_its_software_as_kafka_says() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address()).await;
    for (name, version, code) in [
        ("a", "1", 0),
        ("apache-kafka-java", "4.3.1", 0),
        ("", "1", 42),
        ("a", "", 42),
        ("-a", "1", 42),
        ("a b", "1", 42),
        ("a", "1.", 42),
        ("ä", "1", 42),
    ] {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str(name))
            .with_client_software_version(StrBytes::from_static_str(version));
        let answer = client.ask(3, &request).await;
        assert_eq!(answer.error_code, code, "{name:?} {version:?}");
    }
}

/// Kafka reads what it knows and lets the rest pass; librdkafka's Metadata for all topics depends on it.
#[tokio::test]
async fn bytes_after_a_request_are_let_pass() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address()).await;
    let request = MetadataRequest::default().with_topics(None);
    let mut frame = request_frame(13, 1, &request).to_vec();
    frame.extend([0, 0, 0]);
    client.send_frame(&frame).await;
    let answer = client.answer::<MetadataRequest>(13, 1).await;
    assert_eq!(answer.brokers.len(), 1);
}

#[tokio::test]
async fn malformed_frames_close_their_connection_and_no_other() {
    let broker = TestBroker::start().await;
    let mut bystander = Client::connect(broker.address()).await;
    let frames: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("shorter than a header", vec![0, 18, 0, 0, 0, 0, 0]),
        ("without a client id", vec![0, 18, 0, 0, 0, 0, 0, 1]),
        (
            "client id longer than the frame",
            vec![0, 18, 0, 0, 0, 0, 0, 1, 0, 9, b'x'],
        ),
        (
            "client id of length -2",
            vec![0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xfe],
        ),
        (
            "client id not UTF-8",
            vec![0, 18, 0, 0, 0, 0, 0, 1, 0, 1, 0xff],
        ),
        (
            "unknown key",
            vec![0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        ),
        (
            "negative key",
            vec![0xff, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        ),
        (
            "key of ZooKeeper's time",
            vec![0, 4, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        ),
        (
            "four billion header tags",
            vec![0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 255, 255, 255, 255, 15],
        ),
        (
            "endless varint",
            vec![
                0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 255, 255, 255, 255, 255, 255,
            ],
        ),
    ];
    for (what, frame) in frames {
        let mut client = Client::connect(broker.address()).await;
        client.send_frame(&frame).await;
        client.closed().await;
        let answer = bystander.ask(0, &ApiVersionsRequest::default()).await;
        assert_eq!(answer.error_code, 0, "{what}");
    }
}

#[tokio::test]
async fn lengths_out_of_bounds_close_the_connection_before_memory_is_spent() {
    let broker = TestBroker::with(&[("socket.request.max.bytes", "1000")]).await;
    for length in [-1, i32::MIN, i32::MAX, 1001, 0x4745_5420] {
        let mut client = Client::connect(broker.address()).await;
        client.send_raw(&length.to_be_bytes()).await;
        client.closed().await;
    }
    is_served(&broker).await;
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_requests() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address()).await;
    let mut bytes = Vec::new();
    for correlation_id in 0..1000 {
        let version = i16::try_from(correlation_id % 5).expect("below 5");
        let request = match version {
            3.. => versions_request(),
            _ => ApiVersionsRequest::default(),
        };
        let frame = request_frame(version, correlation_id, &request);
        bytes.put_i32(i32::try_from(frame.len()).expect("short"));
        bytes.put_slice(&frame);
    }
    client.send_raw(&bytes).await;
    for correlation_id in 0..1000 {
        let version = i16::try_from(correlation_id % 5).expect("below 5");
        client
            .answer::<ApiVersionsRequest>(version, correlation_id)
            .await;
    }
}

#[tokio::test]
async fn a_client_that_closes_its_side_still_gets_its_answers() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address()).await;
    let first = client.send(0, &ApiVersionsRequest::default()).await;
    let second = client.send(0, &ApiVersionsRequest::default()).await;
    client.stream.shutdown().await.expect("half closed");
    client.answer::<ApiVersionsRequest>(0, first).await;
    client.answer::<ApiVersionsRequest>(0, second).await;
    client.closed().await;
    broker.until_connections(0).await;
}

#[tokio::test]
async fn a_frame_may_come_byte_by_byte() {
    let broker = TestBroker::start().await;
    let mut slow = Client::connect(broker.address()).await;
    let frame = request_frame(3, 5, &versions_request());
    let length = u32::try_from(frame.len()).expect("short").to_be_bytes();
    for byte in length.iter().chain(&frame) {
        slow.send_raw(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    is_served(&broker).await;
    slow.answer::<ApiVersionsRequest>(3, 5).await;
}

#[tokio::test]
async fn a_frame_cut_off_ends_its_connection_only() {
    let broker = TestBroker::start().await;
    for keep in [1, 3, 4, 5, 11] {
        let mut client = Client::connect(broker.address()).await;
        let mut bytes = vec![0, 0, 0, 10];
        bytes.extend_from_slice(&request_frame(0, 1, &ApiVersionsRequest::default()));
        client.send_raw(&bytes[..keep]).await;
        client.stream.shutdown().await.expect("half closed");
        client.closed().await;
    }
    broker.until_connections(0).await;
    is_served(&broker).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_the_others_nothing() {
    let broker = TestBroker::start().await;
    let mut stalled = Client::connect(broker.address()).await;
    let frame = request_frame(0, 1, &ApiVersionsRequest::default());
    let mut bytes = Vec::new();
    for _ in 0..1000 {
        bytes.put_i32(i32::try_from(frame.len()).expect("short"));
        bytes.put_slice(&frame);
    }
    // Until the broker has stopped reading from it: its answers have nowhere to go.
    let full = async {
        loop {
            stalled.send_raw(&bytes).await;
        }
    };
    let never: Result<(), _> = tokio::time::timeout(Duration::from_millis(500), full).await;
    assert!(never.is_err(), "writing goes on for ever");
    for _ in 0..20 {
        is_served(&broker).await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let broker = TestBroker::with(&[("connections.max.idle.ms", "100")]).await;
    let mut idle = Client::connect(broker.address()).await;
    let mut mid_frame = Client::connect(broker.address()).await;
    mid_frame.send_raw(&[0, 0, 0, 10, 0]).await;
    idle.closed().await;
    mid_frame.closed().await;
    broker.until_connections(0).await;
    is_served(&broker).await;
}

#[tokio::test]
async fn connections_beyond_the_maximum_wait_for_room() {
    let broker = TestBroker::with(&[("max.connections", "2")]).await;
    let mut first = Client::connect(broker.address()).await;
    let mut second = Client::connect(broker.address()).await;
    first.ask(0, &ApiVersionsRequest::default()).await;
    second.ask(0, &ApiVersionsRequest::default()).await;
    let mut third = Client::connect(broker.address()).await;
    let asked = third.send(0, &ApiVersionsRequest::default()).await;
    let early = tokio::time::timeout(Duration::from_millis(100), third.frame()).await;
    assert!(early.is_err(), "it is served although two are connected");
    drop(first);
    third.answer::<ApiVersionsRequest>(0, asked).await;
    second.ask(0, &ApiVersionsRequest::default()).await;
}

#[tokio::test]
async fn connections_beyond_an_addresss_share_are_closed() {
    let broker = TestBroker::with(&[("max.connections.per.ip", "1")]).await;
    let mut first = Client::connect(broker.address()).await;
    first.ask(0, &ApiVersionsRequest::default()).await;
    Client::connect(broker.address()).await.closed().await;
    first.ask(0, &ApiVersionsRequest::default()).await;
    drop(first);
    broker.until_connections(0).await;
    is_served(&broker).await;
}

#[tokio::test]
async fn frames_larger_than_all_request_memory_still_come_through() {
    let broker = TestBroker::with(&[("ottla.request.memory.bytes", "1048576")]).await;
    // Each is refused for its unknown version, but only once it was received whole.
    let mut frame = classic_header(ApiKey::Metadata, 99, 1);
    frame.resize(3 * 1024 * 1024, 0);
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = Client::connect(broker.address()).await;
        let frame = frame.clone();
        clients.push(tokio::spawn(async move {
            client.send_frame(&frame).await;
            client.closed().await;
        }));
    }
    for client in clients {
        client.await.expect("its frame came through");
    }
    is_served(&broker).await;
}

#[tokio::test]
async fn the_server_stops_with_clients_connected() {
    let broker = TestBroker::start().await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = Client::connect(broker.address()).await;
        client.ask(0, &ApiVersionsRequest::default()).await;
        clients.push(client);
    }
    let address = broker.address();
    broker.stop().await;
    for client in &mut clients {
        client.closed().await;
    }
    let again = tokio::net::TcpStream::connect(address).await;
    assert!(again.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn several_listeners_serve_ipv4_and_ipv6() {
    let mut listeners = vec![loopback(), loopback()];
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let mut ipv6 = loopback();
        ipv6.host = "::1".to_owned();
        let mut any = loopback();
        any.host = String::new();
        listeners.extend([ipv6, any]);
    }
    let broker = TestBroker::listening(listeners, &[])
        .await
        .expect("free ports");
    for address in broker.addresses() {
        let address = match address.ip().is_unspecified() {
            true => format!("127.0.0.1:{}", address.port())
                .parse()
                .expect("an address"),
            false => *address,
        };
        let mut client = Client::connect(address).await;
        client.ask(0, &ApiVersionsRequest::default()).await;
    }
}

#[tokio::test]
async fn a_port_in_use_is_said_to_be() {
    let broker = TestBroker::start().await;
    let mut taken = loopback();
    taken.port = broker.address().port();
    let error = TestBroker::listening(vec![loopback(), taken], &[])
        .await
        .err()
        .expect("the port is taken");
    assert!(error.to_string().contains("is in use"), "{error}");
}

#[tokio::test]
async fn a_long_poll_ends_when_its_client_goes_away() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address()).await;
    let name = StrBytes::from_static_str("waited-for");
    let topic = MetadataRequestTopic::default().with_name(Some(name.clone().into()));
    let create = MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        .with_allow_auto_topic_creation(true);
    client.ask(4, &create).await;
    let partition = FetchPartition::default().with_partition_max_bytes(1);
    let topic = FetchTopic::default()
        .with_topic(name.into())
        .with_partitions(vec![partition]);
    let fetch = FetchRequest::default()
        .with_max_wait_ms(i32::MAX)
        .with_min_bytes(1)
        .with_topics(vec![topic]);
    client.send(4, &fetch).await;
    // Behind a Fetch that waits nothing is answered, but it is read.
    client.send(0, &ApiVersionsRequest::default()).await;
    let early = tokio::time::timeout(Duration::from_millis(100), client.frame()).await;
    assert!(early.is_err(), "the Fetch waits");
    let mut other = Client::connect(broker.address()).await;
    other.send(4, &fetch).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(other);
    broker.until_connections(1).await;
    drop(client);
    broker.until_connections(0).await;
}

/// Kafka can't notice it: it does not read while a join is parked.
#[tokio::test]
async fn a_parked_join_ends_with_its_connection_and_the_member_stays() {
    let broker = TestBroker::with(&[("group.initial.rebalance.delay.ms", "3600000")]).await;
    let group = GroupId(StrBytes::from_static_str("g"));
    let protocol = JoinGroupRequestProtocol::default().with_name(StrBytes::from_static_str("p"));
    let mut join = JoinGroupRequest::default()
        .with_group_id(group.clone())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    let mut member = Client::connect(broker.address()).await;
    join.member_id = member.ask(5, &join).await.member_id;
    member.send(5, &join).await;

    let mut observer = Client::connect(broker.address()).await;
    let describe = DescribeGroupsRequest::default().with_groups(vec![group]);
    while observer.ask(5, &describe).await.groups[0]
        .members
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    drop(member);
    broker.until_connections(1).await;
    let described = observer.ask(5, &describe).await;
    assert_eq!(&*described.groups[0].group_state, "PreparingRebalance");
    assert_eq!(described.groups[0].members[0].member_id, join.member_id);
    broker.stop().await;
}
