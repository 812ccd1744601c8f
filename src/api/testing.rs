//! Asks a broker over the memory engine through the whole way of a request: table, shape, handler, encoding.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use super::{APIS, Answer, Connection, Reply, Request};
use crate::base::ManualClock;
use crate::broker::Broker;
use crate::config::Config;
use crate::store::Store;
use crate::store::memory::MemoryStore;

/// A broker with these settings.
pub(super) async fn broker(settings: &[(&str, &str)]) -> Arc<Broker> {
    broker_on(Arc::new(MemoryStore::new()), settings).await
}

/// A broker on this store.
pub(super) async fn broker_on(store: Arc<dyn Store>, settings: &[(&str, &str)]) -> Arc<Broker> {
    let config = Config::from_pairs(settings.iter().copied()).expect("valid settings");
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    Broker::start(Arc::new(config), store, clock)
        .await
        .expect("starts")
}

/// What kafka-protocol's request types have in common, as far as tests need it.
pub(super) trait Asked:
    kafka_protocol::protocol::Request + Encodable + HeaderVersion
{
}
impl<T: kafka_protocol::protocol::Request + Encodable + HeaderVersion> Asked for T {}

/// The answer to a request, decoded in its version with nothing left over.
pub(super) async fn ask<R: Asked>(broker: &Arc<Broker>, version: i16, request: &R) -> R::Response
where
    R::Response: Decodable + HeaderVersion,
{
    let reply = match outcome(broker, version, request).await {
        Answer::Ready(reply) => reply,
        Answer::Pending(reply) => reply.await,
    };
    let parts = match reply {
        Reply::Frame(parts) => parts,
        other => panic!("v{version} is answered, not {other:?}"),
    };
    let mut answer = Bytes::from(parts.concat());
    let length = usize::try_from(answer.get_i32()).expect("not negative");
    assert_eq!(length, answer.len(), "length of the frame");
    assert_eq!(answer.get_i32(), 77, "correlation id");
    if <R::Response as HeaderVersion>::header_version(version) >= 1 {
        assert_eq!(answer.get_u8(), 0, "no tagged fields in the header");
    }
    let decoded = R::Response::decode(&mut answer, version).expect("decodes");
    assert!(
        answer.is_empty(),
        "v{version} has {} bytes too many",
        answer.len()
    );
    decoded
}

/// What the handler of a request returns.
pub(super) async fn outcome<R: Asked>(broker: &Arc<Broker>, version: i16, request: &R) -> Answer {
    let frame = frame(version, request);
    let request =
        Request::read(APIS, broker, &connection(), frame).expect("served and well-formed");
    (request.api.handle)(request.call).await
}

/// A request frame without its length.
fn frame<R: Asked>(version: i16, request: &R) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i16(R::KEY);
    frame.put_i16(version);
    frame.put_i32(77);
    frame.put_i16(4);
    frame.put_slice(b"test");
    if R::header_version(version) >= 2 {
        frame.put_u8(0);
    }
    request.encode(&mut frame, version).expect("encodes");
    frame.freeze()
}

pub(super) fn connection() -> Arc<Connection> {
    Arc::new(Connection {
        id: 1,
        peer: "127.0.0.1:50000".parse().expect("an address"),
        local: "127.0.0.1:9092".parse().expect("an address"),
        listener: Arc::from("PLAINTEXT"),
        advertised: Some(("broker.example".to_owned(), 19_092)),
    })
}
