//! A request from its frame to its answer: shape, decoder, handler, encoder, on a broker over the memory engine.
//!
//! The first byte is the API's key, so that a corpus outlives new APIs; the second chooses its version; the rest is the
//! body.

#![no_main]

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use ottla::api::{APIS, Answer, Api, Connection, Reply, Request};
use ottla::base::ManualClock;
use ottla::broker::Broker;
use ottla::config::Config;
use ottla::store::memory::MemoryStore;
use tokio::runtime::{Builder, Runtime};

/// Requests after which a new broker takes over: topics of the old one must not fill the memory.
const REQUESTS_MAX: usize = 2_000;

/// A long poll is left alone after this.
const WAIT_MAX: Duration = Duration::from_millis(1);

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|input: &[u8]| {
    let [key, version, body @ ..] = input else {
        return;
    };
    WORLD.with_borrow_mut(|world| world.ask(*key, *version, body));
});

struct World {
    runtime: Runtime,
    broker: Arc<Broker>,
    connection: Arc<Connection>,
    requests: usize,
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let store = Arc::new(MemoryStore::new());
        let broker = Broker::start(Arc::new(Config::default()), store, clock);
        let address = "127.0.0.1:9092".parse().expect("an address");
        Self {
            broker: runtime.block_on(broker).expect("an empty store loads"),
            runtime,
            connection: Arc::new(Connection {
                id: 1,
                peer: address,
                local: address,
                listener: Arc::from("PLAINTEXT"),
                advertised: None,
            }),
            requests: 0,
        }
    }

    fn ask(&mut self, key: u8, version: u8, body: &[u8]) {
        let Some(api) = Api::find(APIS, key.into()) else {
            return;
        };
        if self.requests == REQUESTS_MAX {
            *self = Self::new();
        }
        self.requests += 1;
        let versions: Vec<i16> = api.versions.clone().collect();
        let version = versions[usize::from(version) % versions.len()];
        let mut frame = BytesMut::new();
        frame.put_i16(api.key as i16);
        frame.put_i16(version);
        frame.put_i32(7);
        frame.put_i16(-1);
        if api.request.is_flexible(version) {
            frame.put_u8(0);
        }
        frame.put_slice(body);
        let request = Request::read(APIS, &self.broker, &self.connection, frame.freeze());
        let Ok(request) = request else {
            return;
        };
        let answered = async { tokio::time::timeout(WAIT_MAX, answer(request)).await };
        let answered = self.runtime.block_on(answered);
        if let Ok(Reply::Frame(pieces)) = answered {
            let bytes = Bytes::from(pieces.concat());
            let length = bytes.first_chunk().copied().map(i32::from_be_bytes);
            let length = length.and_then(|length| usize::try_from(length).ok());
            assert_eq!(length, Some(bytes.len() - 4), "the answer's length");
        }
    }
}

async fn answer(request: Request) -> Reply {
    match (request.api.handle)(request.call).await {
        Answer::Ready(reply) => reply,
        Answer::Pending(reply) => reply.await,
    }
}
