//! What every attack is given: where the broker is, what is true there, and where it notes what it saw.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, InitProducerIdRequest, InitProducerIdResponse,
    RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use ottla::api::{APIS, Api};
use ottla::base::Rng;

use crate::connections::DEAF_TOPIC;
use crate::records;
use crate::request::{CORRELATION_ID, Facts};
use crate::wire::{Outcome, Wire};

/// Versions used for what is asked by name; both are flexible.
const CREATE_TOPICS: i16 = 7;
const INIT_PRODUCER_ID: i16 = 5;

/// Threads that attack at a time.
const ATTACKERS: usize = 3;

/// How much is thrown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// For `cargo test`: the oldest and the newest version of each API.
    Short,
    /// Every version.
    Long,
}

/// The broker under attack.
#[derive(Debug)]
pub(crate) struct Arena {
    pub(crate) address: SocketAddr,
    pub(crate) facts: Facts,
    pub(crate) effort: Effort,
    pub(crate) seed: u64,
    /// Clients whose frame was refused: the log must name each.
    refused: Mutex<Vec<SocketAddr>>,
    frames: AtomicUsize,
}

/// The topic in which every compressed batch is unpacked.
pub(crate) const CHECKED_TOPIC: &str = "hostile-checked";

impl Arena {
    /// Makes what the attacks need to get far: topics with records, producers.
    pub(crate) fn prepare(address: SocketAddr, effort: Effort, seed: u64) -> Result<Self, String> {
        let [topic_id, other_topic_id, _, _] = create_topics(address)?;
        init_producer_id(address)?;
        let arena = Self {
            address,
            effort,
            seed,
            facts: Facts {
                topic: "hostile".to_owned(),
                topic_id,
                other_topic: "hostile-other".to_owned(),
                other_topic_id,
                other_producer_id: init_producer_id(address)?,
                records: records::batch(3, 100),
            },
            refused: Mutex::default(),
            frames: AtomicUsize::new(0),
        };
        Ok(arena)
    }

    /// Frames thrown until now.
    pub(crate) fn frames(&self) -> usize {
        self.frames.load(Ordering::Relaxed)
    }

    /// Random numbers for one attack.
    pub(crate) fn rng(&self, salt: u64) -> Rng {
        Rng::seeded(self.seed ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The versions of an API that this effort attacks.
    pub(crate) fn versions(&self, api: &Api) -> Vec<i16> {
        let (first, last) = (*api.versions.start(), *api.versions.end());
        match self.effort {
            Effort::Short if first == last => vec![last],
            Effort::Short => vec![first, last],
            Effort::Long => api.versions.clone().collect(),
        }
    }

    /// Runs an attack on every API and version from several threads; the first problem ends it.
    pub(crate) fn on_each_version(
        &self,
        attack: impl Fn(&mut Thrower<'_>, &'static Api, i16) -> Result<(), String> + Sync,
    ) -> Result<(), String> {
        let of_api = |api: &'static Api| self.versions(api).into_iter().map(move |v| (api, v));
        let targets: Vec<(&'static Api, i16)> = APIS.iter().flat_map(of_api).collect();
        let next = AtomicUsize::new(0);
        let problem = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..ATTACKERS {
                scope.spawn(|| {
                    let mut thrower = Thrower::new(self);
                    while let Some((api, version)) =
                        targets.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        if let Err(found) = attack(&mut thrower, api, *version) {
                            let found = format!("{:?} v{version}: {found}", api.key);
                            problem
                                .lock()
                                .expect("no attacker panics")
                                .get_or_insert(found);
                            next.store(targets.len(), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let problem = problem.into_inner().expect("no attacker panics");
        problem.map_or(Ok(()), Err)
    }

    /// Remembers that this client's frame was refused.
    pub(crate) fn refused(&self, client: SocketAddr) {
        self.refused
            .lock()
            .expect("no attacker panics")
            .push(client);
    }

    /// An error unless the log names every client that was refused; how many there were.
    pub(crate) fn check_log(&self, log: &str) -> Result<usize, String> {
        let refused = self.refused.lock().expect("no attacker panics");
        let named: std::collections::HashSet<&str> = log
            .lines()
            .filter(|line| line.contains("closed the connection: "))
            .filter_map(|line| line.split("peer=").nth(1)?.split_whitespace().next())
            .collect();
        match refused
            .iter()
            .find(|client| !named.contains(&*client.to_string()))
        {
            Some(client) => Err(format!(
                "the log does not name {client}, whose frame was refused"
            )),
            None => Ok(refused.len()),
        }
    }
}

/// Throws frames, on one connection as long as the broker leaves it open.
pub(crate) struct Thrower<'a> {
    arena: &'a Arena,
    wire: Option<Wire>,
}

impl<'a> Thrower<'a> {
    pub(crate) fn new(arena: &'a Arena) -> Self {
        Self { arena, wire: None }
    }

    /// Throws one frame. Whatever the broker does with it is right, as long as it does something.
    pub(crate) fn throw(&mut self, frame: &[u8]) -> Result<Outcome, String> {
        self.throw_and(frame, Wire::outcome)
    }

    /// Throws one frame that has an answer, and waits for it.
    pub(crate) fn ask(&mut self, frame: &[u8]) -> Result<Outcome, String> {
        self.throw_and(frame, Wire::answer)
    }

    fn throw_and(
        &mut self,
        frame: &[u8],
        outcome: fn(&mut Wire) -> Result<Outcome, String>,
    ) -> Result<Outcome, String> {
        self.arena.frames.fetch_add(1, Ordering::Relaxed);
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::connect(self.arena.address)
                .map_err(|error| format!("cannot connect: {error}"))?,
        };
        wire.send_frame(frame);
        let outcome = outcome(&mut wire)?;
        match &outcome {
            Outcome::Answered(_) if !wire.ended => self.wire = Some(wire),
            Outcome::Answered(_) => {}
            Outcome::Refused => self.arena.refused(wire.local),
            Outcome::Silent => {}
        }
        Ok(outcome)
    }
}

/// Topics: one to attack, one that belongs to others, one whose records are looked into, one for who reads nothing.
fn create_topics(address: SocketAddr) -> Result<[[u8; 16]; 4], String> {
    let looked_into = CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str("message.timestamp.before.max.ms"))
        .with_value(Some(StrBytes::from_static_str("9000000000000000")));
    let topic = |name, configs| {
        CreatableTopic::default()
            .with_name(TopicName(StrBytes::from_static_str(name)))
            .with_num_partitions(4)
            .with_replication_factor(1)
            .with_configs(configs)
    };
    let topics = vec![
        topic("hostile", Vec::new()),
        topic("hostile-other", Vec::new()),
        topic(CHECKED_TOPIC, vec![looked_into]),
        topic(DEAF_TOPIC, Vec::new()),
    ];
    let request = CreateTopicsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(10_000);
    let answer: CreateTopicsResponse = ask(address, CREATE_TOPICS, &request)?;
    let ids = answer.topics.iter().map(|topic| match topic.error_code {
        0 => Ok(topic.topic_id.into_bytes()),
        code => Err(format!("topic {:?}: error {code}", topic.name)),
    });
    let ids: Vec<[u8; 16]> = ids.collect::<Result<_, _>>()?;
    ids.try_into()
        .map_err(|_| "not an answer for each topic".to_owned())
}

fn init_producer_id(address: SocketAddr) -> Result<i64, String> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000);
    let answer: InitProducerIdResponse = ask(address, INIT_PRODUCER_ID, &request)?;
    Ok(answer.producer_id.0)
}

/// Asks what no attack is.
pub(crate) fn ask<Q: Request>(
    address: SocketAddr,
    version: i16,
    request: &Q,
) -> Result<Q::Response, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut wire = Wire::connect(address).map_err(|error| text(&error))?;
    wire.send_frame(&frame(version, request));
    match wire.answer()? {
        Outcome::Answered(answer) => {
            // A flexible header has one byte more: no tagged fields.
            let start = usize::from(Q::Response::header_version(version) >= 1);
            let mut body = Bytes::from(answer).slice(start..);
            Q::Response::decode(&mut body, version).map_err(|error| text(&error))
        }
        other => Err(format!("{other:?} instead of an answer")),
    }
}

/// A request of this type, without its length.
pub(crate) fn frame<Q: Request>(version: i16, request: &Q) -> Vec<u8> {
    let header = RequestHeader::default()
        .with_request_api_key(Q::KEY)
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION_ID)
        .with_client_id(Some(StrBytes::from_static_str("hostile")));
    let mut frame = bytes::BytesMut::new();
    header
        .encode(&mut frame, Q::header_version(version))
        .expect("a header that encodes");
    request
        .encode(&mut frame, version)
        .expect("a request that encodes");
    frame.to_vec()
}
