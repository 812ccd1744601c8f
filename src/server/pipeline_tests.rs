//! Order, overlap, panics and back pressure, with handlers that do as each request says.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Semaphore;

use super::*;
use crate::api::{Api, Call, Connection};
use crate::base::SystemClock;
use crate::broker::Broker;
use crate::config::Config;
use crate::protocol::shape::{BYTES, INT8, INT32, Shape, field, list};
use crate::server::{Budget, Complaints, Limits, Register};
use crate::store::memory::MemoryStore;

/// What a request tells its handler to do: the value of its first field.
const ANSWER: i8 = 0;
const NO_ANSWER: i8 = 1;
const CLOSE: i8 = 2;
const PANIC_AT_ONCE: i8 = 3;
const PANIC_LATER: i8 = 4;
const LARGE_ANSWER: i8 = 5;

/// Bytes of a large answer.
const LARGE: usize = 1024 * 1024;

static SHAPE: Shape = Shape::new(&[
    field("what", INT8),
    field("gate", INT32),
    field("padding", BYTES),
]);

/// On the wire as the other: its padding are elements.
static SHAPE_WITH_ELEMENTS: Shape = Shape::new(&[
    field("what", INT8),
    field("gate", INT32),
    field("padding", list(&INT8)),
]);

/// Produce takes its place and answers when its gate opens; the others wait for their gate first.
static TEST_APIS: &[Api] = &[
    Api {
        key: ApiKey::Produce,
        versions: 0..=0,
        listed_min: 0,
        request: &SHAPE,
        handle: |mut call| {
            Box::pin(async move {
                let (what, gate) = read(&mut call);
                assert_ne!(what, PANIC_AT_ONCE, "a defect");
                Answer::Pending(Box::pin(async move {
                    gate.pass().await;
                    reply(&call, what)
                }))
            })
        },
    },
    Api {
        key: ApiKey::Fetch,
        versions: 0..=0,
        listed_min: 0,
        request: &SHAPE,
        handle: wait_and_reply,
    },
    Api {
        key: ApiKey::ListOffsets,
        versions: 0..=0,
        listed_min: 0,
        request: &SHAPE_WITH_ELEMENTS,
        handle: wait_and_reply,
    },
];

fn wait_and_reply(mut call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let (what, gate) = read(&mut call);
        gate.pass().await;
        reply(&call, what).into()
    })
}

/// Where a handler waits until its test lets it go on.
struct Gate {
    started: Semaphore,
    open: Semaphore,
}

impl Gate {
    async fn pass(&self) {
        let _permit = self.open.acquire().await;
    }

    fn open(&self) {
        self.open.add_permits(1);
    }

    async fn started(&self) {
        let _permit = self.started.acquire().await;
    }

    fn has_started(&self) -> bool {
        self.started.available_permits() > 0
    }
}

fn gates() -> MutexGuard<'static, HashMap<i32, Arc<Gate>>> {
    static GATES: LazyLock<Mutex<HashMap<i32, Arc<Gate>>>> = LazyLock::new(Mutex::default);
    GATES
        .lock()
        .expect("no test panics while it looks for a gate")
}

/// A gate with a number that no other test has.
fn gate() -> (i32, Arc<Gate>) {
    let mut gates = gates();
    let number = i32::try_from(gates.len()).expect("few gates");
    let gate = Arc::new(Gate {
        started: Semaphore::new(0),
        open: Semaphore::new(0),
    });
    gates.insert(number, Arc::clone(&gate));
    (number, gate)
}

fn read(call: &mut Call) -> (i8, Arc<Gate>) {
    let what = call.body.get_i8();
    let number = call.body.get_i32();
    let gate = Arc::clone(&gates()[&number]);
    gate.started.add_permits(1);
    (what, gate)
}

fn reply(call: &Call, what: i8) -> Reply {
    assert_ne!(what, PANIC_LATER, "a defect");
    let size = if what == LARGE_ANSWER { LARGE } else { 0 };
    match what {
        NO_ANSWER => Reply::Nothing,
        CLOSE => Reply::Close("as told".to_owned()),
        _ => {
            let mut head = BytesMut::new();
            head.put_i32(i32::try_from(size + 4).expect("small"));
            head.put_i32(call.correlation_id);
            Reply::Frame(vec![head.freeze(), Bytes::from(vec![0; size])])
        }
    }
}

/// A client on one end of a pipe; the pipeline runs on the other.
struct Client {
    stream: DuplexStream,
    task: tokio::task::JoinHandle<End>,
    shared: Arc<Shared>,
    next_correlation_id: i32,
}

impl Client {
    async fn connect() -> Self {
        let config = Config::default();
        let limits = Limits::from(&config);
        let store = Arc::new(MemoryStore::new());
        let broker = Broker::start(Arc::new(config), store, Arc::new(SystemClock)).await;
        let shared = Arc::new(Shared {
            apis: TEST_APIS,
            broker: broker.expect("starts"),
            budget: Budget::new(limits.request_memory_size),
            decoded: Budget::new(limits.request_memory_size),
            register: Register::new(&limits),
            complaints: Complaints::default(),
            limits,
        });
        Self::sharing(&shared)
    }

    /// Another client of the same server.
    fn sharing(shared: &Arc<Shared>) -> Self {
        let shared = Arc::clone(shared);
        let connection = Arc::new(Connection {
            id: shared.register.next_id(),
            peer: "127.0.0.1:50000".parse().expect("an address"),
            local: "127.0.0.1:9092".parse().expect("an address"),
            listener: Arc::from("PLAINTEXT"),
            advertised: None,
        });
        let room = shared.register.try_room().expect("room for one");
        let entry = shared.register.enter(connection, room);
        let (stream, other) = tokio::io::duplex(64 * 1024);
        let mut pipeline = Pipeline::new(other, &shared, Arc::clone(&entry.live));
        let task = tokio::spawn(async move {
            let _entry = entry;
            pipeline.run().await
        });
        Self {
            stream,
            task,
            shared,
            next_correlation_id: 0,
        }
    }

    /// Sends a request that waits at `gate` and then does `what`. Correlation ids count up from 0.
    async fn send(&mut self, api: ApiKey, what: i8, gate: i32, padding: usize) {
        let mut frame = BytesMut::new();
        frame.put_u32(u32::try_from(10 + 9 + padding).expect("small"));
        frame.put_i16(api as i16);
        frame.put_i16(0);
        frame.put_i32(self.next_correlation_id);
        frame.put_i16(-1);
        frame.put_i8(what);
        frame.put_i32(gate);
        frame.put_u32(u32::try_from(padding).expect("small"));
        frame.put_bytes(0, padding);
        self.next_correlation_id += 1;
        self.stream.write_all(&frame).await.expect("it reads");
    }

    /// The correlation id of the next answer.
    async fn answer(&mut self) -> i32 {
        let length = self.stream.read_i32().await.expect("an answer");
        let correlation_id = self.stream.read_i32().await.expect("an answer");
        let mut rest = vec![0; usize::try_from(length - 4).expect("a length")];
        self.stream.read_exact(&mut rest).await.expect("the rest");
        correlation_id
    }

    async fn end(self) -> End {
        self.task.await.expect("no panic gets out")
    }
}

#[tokio::test]
async fn a_produce_that_waits_lets_the_next_one_start_and_answers_keep_their_order() {
    let mut client = Client::connect().await;
    let ((first, first_gate), (second, second_gate)) = (gate(), gate());
    client.send(ApiKey::Produce, ANSWER, first, 0).await;
    client.send(ApiKey::Produce, ANSWER, second, 0).await;
    second_gate.started().await;
    second_gate.open();
    tokio::task::yield_now().await;
    first_gate.open();
    assert_eq!(client.answer().await, 0);
    assert_eq!(client.answer().await, 1);
}

#[tokio::test]
async fn any_other_request_starts_when_all_before_it_are_answered() {
    let mut client = Client::connect().await;
    let [a, b, c, d] = [gate(), gate(), gate(), gate()];
    client.send(ApiKey::Produce, ANSWER, a.0, 0).await;
    client.send(ApiKey::Produce, ANSWER, b.0, 0).await;
    client.send(ApiKey::Fetch, ANSWER, c.0, 0).await;
    client.send(ApiKey::Produce, ANSWER, d.0, 0).await;
    b.1.started().await;
    b.1.open();
    d.1.open();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(!c.1.has_started() && !d.1.has_started());
    a.1.open();
    c.1.started().await;
    assert_eq!(client.answer().await, 0);
    assert_eq!(client.answer().await, 1);
    assert!(!d.1.has_started(), "a Fetch is running");
    c.1.open();
    assert_eq!(client.answer().await, 2);
    assert_eq!(client.answer().await, 3);
}

#[tokio::test]
async fn a_request_without_an_answer_holds_nobody_up() {
    let mut client = Client::connect().await;
    let [silent, asked] = [gate(), gate()];
    silent.1.open();
    asked.1.open();
    client.send(ApiKey::Produce, NO_ANSWER, silent.0, 0).await;
    client.send(ApiKey::Fetch, ANSWER, asked.0, 0).await;
    assert_eq!(client.answer().await, 1);
}

#[tokio::test]
async fn a_close_comes_after_the_answers_before_it_and_before_those_behind_it() {
    let mut client = Client::connect().await;
    let [before, close, behind] = [gate(), gate(), gate()];
    client.send(ApiKey::Produce, ANSWER, before.0, 0).await;
    client.send(ApiKey::Produce, CLOSE, close.0, 0).await;
    client.send(ApiKey::Produce, ANSWER, behind.0, 0).await;
    behind.1.started().await;
    [behind, close, before]
        .iter()
        .for_each(|gate| gate.1.open());
    assert_eq!(client.answer().await, 0);
    assert_eq!(client.stream.read(&mut [0]).await.expect("the end"), 0);
    let end = client.end().await;
    assert!(
        matches!(&end, End::Refused(cause) if cause.text == "as told" && cause.api == Some((ApiKey::Produce, 0))),
        "{end:?}"
    );
}

#[tokio::test]
async fn a_panic_ends_its_connection_with_a_reason() {
    for (api, what) in [
        (ApiKey::Produce, PANIC_AT_ONCE),
        (ApiKey::Produce, PANIC_LATER),
        (ApiKey::Fetch, PANIC_LATER),
    ] {
        let mut client = Client::connect().await;
        let (number, gate) = gate();
        gate.open();
        client.send(api, what, number, 0).await;
        let end = client.end().await;
        let End::Panicked(cause) = &end else {
            panic!("{end:?}");
        };
        assert_eq!(cause.api, Some((api, 0)));
        assert!(cause.text.contains("a defect"), "{cause:?}");
    }
}

#[tokio::test]
async fn a_long_poll_for_nobody_is_given_up() {
    for requests_behind_it in 0..3 {
        let mut client = Client::connect().await;
        let [poll, behind] = [gate(), gate()];
        client.send(ApiKey::Fetch, ANSWER, poll.0, 0).await;
        for _ in 0..requests_behind_it {
            client.send(ApiKey::Fetch, ANSWER, behind.0, 0).await;
        }
        poll.1.started().await;
        client.stream.shutdown().await.expect("half closed");
        assert!(matches!(client.end().await, End::Client));
        assert!(!behind.1.has_started());
    }
}

#[tokio::test]
async fn a_client_that_half_closed_gets_what_comes_soon() {
    let mut client = Client::connect().await;
    let gates = [gate(), gate(), gate(), gate()];
    for (number, _) in &gates {
        client.send(ApiKey::Fetch, ANSWER, *number, 0).await;
    }
    gates[0].1.started().await;
    client.stream.shutdown().await.expect("half closed");
    for (correlation_id, (_, gate)) in (0..).zip(&gates) {
        tokio::task::yield_now().await;
        gate.open();
        assert_eq!(client.answer().await, correlation_id);
    }
    assert!(matches!(client.end().await, End::Client));
}

#[tokio::test]
async fn a_produce_for_nobody_is_not_given_up() {
    let mut client = Client::connect().await;
    let (number, gate) = gate();
    client.send(ApiKey::Produce, ANSWER, number, 0).await;
    gate.started().await;
    client.stream.shutdown().await.expect("half closed");
    gate.open();
    assert_eq!(client.answer().await, 0);
    assert!(matches!(client.end().await, End::Client));
}

#[tokio::test]
async fn a_client_that_takes_no_answer_starts_no_further_request() {
    let mut client = Client::connect().await;
    let [large, next] = [gate(), gate()];
    large.1.open();
    next.1.open();
    client.send(ApiKey::Fetch, LARGE_ANSWER, large.0, 0).await;
    client.send(ApiKey::Fetch, ANSWER, next.0, 0).await;
    large.1.started().await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(!next.1.has_started());
    assert_eq!(client.answer().await, 0);
    assert_eq!(client.answer().await, 1);
}

#[tokio::test]
async fn what_may_wait_for_the_disk_is_bounded() {
    let mut client = Client::connect().await;
    let (number, gate) = gate();
    let size = 8 * 1024 * 1024;
    let fits = PENDING_SIZE_MAX.div_ceil(size);
    let sent = async {
        for _ in 0..fits + 3 {
            client.send(ApiKey::Produce, ANSWER, number, size).await;
        }
    };
    let full = async {
        while gate.started.available_permits() < fits {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    tokio::select! {
        () = sent => panic!("the client could send everything"),
        () = full => {}
    }
    assert_eq!(gate.started.available_permits(), fits);
    gate.open.add_permits(100);
    assert_eq!(client.answer().await, 0);
    assert_eq!(client.shared.budget.waiting(), 0);
}

#[tokio::test]
async fn a_request_starts_when_there_is_memory_for_what_its_elements_become() {
    const ELEMENTS: usize = 1_000;
    let mut client = Client::connect().await;
    let budget = Arc::clone(&client.shared.decoded);
    let (mut most, mut slot) = (Charge::new(&budget), Charge::new(&budget));
    let room = 2 * ELEMENTS;
    let size = client.shared.limits.request_memory_size - room;
    std::future::poll_fn(|cx| most.poll_cover(cx, size, size)).await;
    std::future::poll_fn(|cx| slot.poll_cover(cx, size, size)).await;
    let (number, gate) = gate();
    client
        .send(ApiKey::ListOffsets, ANSWER, number, ELEMENTS)
        .await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(
        !gate.has_started(),
        "its frame fits, what it becomes does not"
    );
    assert_eq!(budget.waiting(), 1);
    let mut other = Client::sharing(&client.shared);
    let (small_number, small) = self::gate();
    other
        .send(ApiKey::ListOffsets, ANSWER, small_number, 10)
        .await;
    small.started().await;
    drop(most);
    gate.started().await;
    gate.open();
    client.answer().await;
}
