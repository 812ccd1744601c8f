//! Incremental fetch sessions (KIP-227; Kafka's `FetchManager`, `FetchSession`, `FetchSessionCacheShard`): the broker
//! remembers which partitions a client reads, so that a request names only what changed and an answer only what is new.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::base::Rng;

/// A session that was not used for this long may give its place to a new one, milliseconds
/// (Kafka's `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
const EVICTION_AGE_MS: i64 = 120_000;

/// The session id that stands for "no session".
pub const NO_SESSION: i32 = 0;

/// The epoch of a request that asks for a new session.
const INITIAL_EPOCH: i32 = 0;

/// The epoch of a request that wants no session, or closes the one it names.
const FINAL_EPOCH: i32 = -1;

/// How a request names a topic: by id from Fetch v13 on, by name before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicKey {
    Name(Arc<str>),
    Id(Uuid),
}

/// A partition as a request names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartitionKey {
    pub topic: TopicKey,
    pub index: i32,
}

/// What a client wants of a partition; -1 stands for "not given" in both epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub fetch_offset: i64,
    pub bytes_max: i32,
    pub current_leader_epoch: i32,
    pub last_fetched_epoch: i32,
}

/// What is about to be answered for a partition, as far as it decides whether the partition appears at all.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub high_watermark: i64,
    pub log_start_offset: i64,
    pub has_records: bool,
    pub is_error: bool,
    pub is_diverging: bool,
}

/// A fetch request as it names its session.
#[derive(Debug)]
pub struct SessionRequest {
    pub session_id: i32,
    pub epoch: i32,
    pub uses_topic_ids: bool,
    pub wanted: Vec<(PartitionKey, Wanted)>,
    pub forgotten: Vec<PartitionKey>,
}

/// Why a request cannot be served in its session; the whole answer is this error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("fetch session not found; the client opens a new one")]
    NotFound,
    #[error("fetch session epoch is not the next one; the client opens a new session")]
    WrongEpoch,
    #[error("fetch session mixes topic names and topic ids; the client opens a new session")]
    TopicIdError,
}

/// What to read for a request, and how its answer is to be put together.
#[derive(Debug)]
pub struct FetchContext {
    /// The partitions to read, in this order.
    pub partitions: Vec<(PartitionKey, Wanted)>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Sessionless,
    Full { uses_topic_ids: bool },
    Incremental { session_id: i32, epoch: i32 },
}

/// Which partitions an answer holds.
#[derive(Debug, PartialEq, Eq)]
pub struct FetchAnswer {
    pub session_id: i32,
    /// One flag per partition of the context, in its order.
    pub included: Vec<bool>,
}

/// All sessions of a broker.
#[derive(Debug)]
pub struct FetchSessions {
    /// `max.incremental.fetch.session.cache.slots`.
    slots_max: usize,
    cache: Mutex<Cache>,
}

#[derive(Debug)]
struct Cache {
    sessions: HashMap<i32, Session>,
    /// Bytes of all sessions, and how many there may be.
    bytes: usize,
    bytes_max: usize,
    ids: Rng,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    uses_topic_ids: bool,
    created_ms: i64,
    used_ms: i64,
    partitions: OrderedPartitions,
}

#[derive(Debug)]
struct Cached {
    key: PartitionKey,
    wanted: Wanted,
    /// -1 when the client has not been told yet.
    high_watermark: i64,
    log_start_offset: i64,
}

/// The partitions of a session in serving order; one that was served moves to the end, for fairness.
#[derive(Debug, Default)]
struct OrderedPartitions {
    by_turn: BTreeMap<u64, Cached>,
    turns: HashMap<PartitionKey, u64>,
    next_turn: u64,
    bytes: usize,
}

/// Bytes that all sessions take at most. A client whose session has no room is served without one.
pub const SESSIONS_SIZE_MAX: usize = 64 << 20;

/// Bytes that a session takes for each of its partitions, the maps that find it included: their nodes and tables have up
/// to twice the room that is used. The name of the topic comes on top.
const PARTITION_SIZE: usize = 2 * (size_of::<(u64, Cached)>() + size_of::<(PartitionKey, u64)>());

impl PartitionKey {
    /// Bytes that a session takes for it.
    fn session_size(&self) -> usize {
        match &self.topic {
            TopicKey::Name(name) => PARTITION_SIZE + name.len(),
            TopicKey::Id(_) => PARTITION_SIZE,
        }
    }
}

impl FetchSessions {
    /// Room for `slots_max` sessions; with 0 every fetch is answered without one.
    pub fn new(slots_max: usize) -> Self {
        Self::within(slots_max, SESSIONS_SIZE_MAX)
    }

    fn within(slots_max: usize, bytes_max: usize) -> Self {
        let cache = Cache {
            sessions: HashMap::new(),
            bytes: 0,
            bytes_max,
            ids: Rng::from_entropy(),
        };
        Self {
            slots_max,
            cache: Mutex::new(cache),
        }
    }

    /// Finds what a request wants read, updating the session it names.
    pub fn begin(
        &self,
        request: SessionRequest,
        now_ms: i64,
    ) -> Result<FetchContext, SessionError> {
        let mut cache = self.lock();
        let cache = &mut *cache;
        let SessionRequest {
            session_id,
            epoch,
            uses_topic_ids,
            wanted,
            forgotten,
        } = request;
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            cache.remove(session_id);
            let kind = match epoch {
                FINAL_EPOCH => Kind::Sessionless,
                _ => Kind::Full { uses_topic_ids },
            };
            return Ok(FetchContext {
                partitions: without_repeats(wanted),
                kind,
            });
        }
        let session = cache
            .sessions
            .get_mut(&session_id)
            .ok_or(SessionError::NotFound)?;
        if session.epoch != epoch {
            return Err(SessionError::WrongEpoch);
        }
        if session.uses_topic_ids != uses_topic_ids {
            return Err(SessionError::TopicIdError);
        }
        let before = session.partitions.bytes;
        if cache.bytes + session.partitions.size_of_new(&wanted) > cache.bytes_max {
            cache.remove(session_id);
            return Err(SessionError::NotFound);
        }
        for (key, wanted) in wanted {
            session.partitions.update(key, wanted);
        }
        for key in &forgotten {
            session.partitions.remove(key);
        }
        cache.bytes = cache.bytes - before + session.partitions.bytes;
        if session.partitions.by_turn.is_empty() {
            cache.remove(session_id);
            return Ok(FetchContext {
                partitions: Vec::new(),
                kind: Kind::Sessionless,
            });
        }
        session.used_ms = now_ms;
        session.epoch = next_epoch(epoch);
        Ok(FetchContext {
            partitions: session.partitions.list(),
            kind: Kind::Incremental {
                session_id,
                epoch: session.epoch,
            },
        })
    }

    /// Decides which partitions the answer holds and remembers what the client is told. `answered` has one element
    /// per partition of the context.
    pub fn finish(
        &self,
        context: FetchContext,
        answered: &[Answered],
        now_ms: i64,
    ) -> Result<FetchAnswer, SessionError> {
        assert_eq!(
            context.partitions.len(),
            answered.len(),
            "an answer for every partition"
        );
        let all = vec![true; answered.len()];
        match context.kind {
            Kind::Sessionless => Ok(FetchAnswer {
                session_id: NO_SESSION,
                included: all,
            }),
            Kind::Full { uses_topic_ids } => {
                let session_id = self.open(context.partitions, answered, uses_topic_ids, now_ms);
                Ok(FetchAnswer {
                    session_id,
                    included: all,
                })
            }
            Kind::Incremental { session_id, epoch } => {
                let mut cache = self.lock();
                let session = cache
                    .sessions
                    .get_mut(&session_id)
                    .ok_or(SessionError::NotFound)?;
                if session.epoch != epoch {
                    return Err(SessionError::WrongEpoch);
                }
                let tell = |((key, _), answered): (&(PartitionKey, Wanted), &Answered)| {
                    session.partitions.tell(key, answered)
                };
                let included = context.partitions.iter().zip(answered).map(tell).collect();
                Ok(FetchAnswer {
                    session_id,
                    included,
                })
            }
        }
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn open(
        &self,
        partitions: Vec<(PartitionKey, Wanted)>,
        answered: &[Answered],
        uses_topic_ids: bool,
        now_ms: i64,
    ) -> i32 {
        let mut cache = self.lock();
        let bytes = partitions.iter().map(|(key, _)| key.session_size()).sum();
        if !cache.make_room(self.slots_max, partitions.len(), bytes, now_ms) {
            return NO_SESSION;
        }
        let mut ordered = OrderedPartitions::default();
        for ((key, wanted), answered) in partitions.into_iter().zip(answered) {
            ordered.update(key.clone(), wanted);
            ordered.tell(&key, answered);
        }
        let id = cache.new_id();
        let session = Session {
            epoch: next_epoch(INITIAL_EPOCH),
            uses_topic_ids,
            created_ms: now_ms,
            used_ms: now_ms,
            partitions: ordered,
        };
        cache.bytes += session.partitions.bytes;
        cache.sessions.insert(id, session);
        id
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.bytes -= session.partitions.bytes;
        }
    }

    /// Whether a session of `size` partitions and so many bytes fits, after giving up those that are idle, or old ones that
    /// are smaller.
    fn make_room(&mut self, slots_max: usize, size: usize, bytes: usize, now_ms: i64) -> bool {
        if bytes > self.bytes_max || slots_max == 0 {
            return false;
        }
        while self.sessions.len() >= slots_max || self.bytes + bytes > self.bytes_max {
            if !self.evict(size, now_ms) {
                return false;
            }
        }
        true
    }

    /// Gives up one session that is idle, or an old one of fewer partitions than `size`; false: there is none.
    fn evict(&mut self, size: usize, now_ms: i64) -> bool {
        let idle = self
            .sessions
            .iter()
            .min_by_key(|(_, session)| session.used_ms);
        let idle = idle.filter(|(_, session)| now_ms - session.used_ms > EVICTION_AGE_MS);
        let old = self
            .sessions
            .iter()
            .filter(|(_, s)| now_ms - s.created_ms > EVICTION_AGE_MS);
        let smallest = old.min_by_key(|(_, session)| session.partitions.by_turn.len());
        let smaller = smallest.filter(|(_, session)| session.partitions.by_turn.len() < size);
        let Some(victim) = idle.or(smaller).map(|(id, _)| *id) else {
            return false;
        };
        self.remove(victim);
        true
    }

    fn new_id(&mut self) -> i32 {
        loop {
            let id = i32::try_from(self.ids.below(i32::MAX as u64) + 1).unwrap_or(1);
            if !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }
}

impl OrderedPartitions {
    fn update(&mut self, key: PartitionKey, wanted: Wanted) {
        if let Some(cached) = self
            .turns
            .get(&key)
            .and_then(|turn| self.by_turn.get_mut(turn))
        {
            cached.wanted = wanted;
            return;
        }
        self.bytes += key.session_size();
        self.turns.insert(key.clone(), self.next_turn);
        let cached = Cached {
            key,
            wanted,
            high_watermark: -1,
            log_start_offset: -1,
        };
        self.by_turn.insert(self.next_turn, cached);
        self.next_turn += 1;
    }

    fn remove(&mut self, key: &PartitionKey) {
        if let Some(turn) = self.turns.remove(key) {
            self.by_turn.remove(&turn);
            self.bytes -= key.session_size();
        }
    }

    /// Bytes that those of `wanted` take which are not here yet.
    fn size_of_new(&self, wanted: &[(PartitionKey, Wanted)]) -> usize {
        let new = wanted.iter().map(|(key, _)| key);
        let new = new.filter(|key| !self.turns.contains_key(*key));
        new.map(PartitionKey::session_size).sum()
    }

    fn list(&self) -> Vec<(PartitionKey, Wanted)> {
        self.by_turn
            .values()
            .map(|cached| (cached.key.clone(), cached.wanted))
            .collect()
    }

    /// Whether the client must be told of this answer; remembers it if so. After an error the watermark counts as
    /// unknown, so that it is sent again.
    fn tell(&mut self, key: &PartitionKey, answered: &Answered) -> bool {
        let Some(turn) = self.turns.get_mut(key) else {
            return true;
        };
        let Some(cached) = self.by_turn.get_mut(turn) else {
            return true;
        };
        let is_news = answered.has_records
            || answered.is_error
            || answered.is_diverging
            || cached.high_watermark != answered.high_watermark
            || cached.log_start_offset != answered.log_start_offset;
        cached.high_watermark = if answered.is_error {
            -1
        } else {
            answered.high_watermark
        };
        cached.log_start_offset = answered.log_start_offset;
        if answered.has_records
            && let Some(cached) = self.by_turn.remove(turn)
        {
            *turn = self.next_turn;
            self.by_turn.insert(self.next_turn, cached);
            self.next_turn += 1;
        }
        is_news
    }
}

/// The epoch after `epoch`: wraps to 1, because 0 asks for a new session.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

/// The last mention of each partition counts, in order of first mention, as in Kafka's request map.
fn without_repeats(wanted: Vec<(PartitionKey, Wanted)>) -> Vec<(PartitionKey, Wanted)> {
    let mut ordered = OrderedPartitions::default();
    for (key, wanted) in wanted {
        ordered.update(key, wanted);
    }
    ordered.list()
}

#[cfg(test)]
#[path = "fetch_session_tests.rs"]
mod tests;
