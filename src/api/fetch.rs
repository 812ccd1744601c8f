//! Fetch (1), versions 4-18: reads partitions from an offset on, waiting for more while there is too little.
//!
//! - Sessions (KIP-227) from v7; the answer to a request in a session holds only what is new. A broken session is a
//!   top-level error (70, 71, 106).
//! - `max_bytes` is capped by `fetch.max.bytes`; the first batch of the first partition that has one is returned
//!   whole (KIP-74); batches are never split. Waits end as in Kafka (see `broker::fetch`).
//! - read_committed ends at the last stable offset and always has a list of aborted transactions; read_uncommitted
//!   has null. Partitions in error have offsets -1 and empty records.
//! - v9 leader epochs (74, 75), v12 diverging epochs, v13 topic ids (100).
//!
//! Gaps: no replica fetches (replica id and state are ignored), no preferred read replica, no leader hints (v16):
//! there is one broker, and it leads.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::FetchResponse;

use super::call::log_call;
use super::errors;
use super::fetch_answer::{AnsweredTopic, FetchAnswerBody, PartitionAnswer, TopicAnswer};
use super::{Answer, Call, Reply};
use crate::base::{BoxFuture, Rope};
use crate::broker::fetch::{FetchError, FetchLimits, Fetched};
use crate::broker::fetch_session::{
    Answered, NO_SESSION, PartitionKey, SessionError, SessionRequest, TopicKey, Wanted,
};
use crate::broker::reader::{Isolation, Offsets, ReadError};
use crate::config::keys;
use crate::protocol::shape::{
    INT8, INT32, INT64, STRING, Shape, UUID, array, field, list, structure,
};

/// Topic ids take the place of names from this version on.
const TOPIC_IDS_SINCE: i16 = 13;

pub(super) const SHAPE: Shape = Shape::new(&[
    field("cluster_id", STRING).since(12).null_since(12).tag(0),
    field("replica_id", INT32).until(14),
    field("max_wait_ms", INT32),
    field("min_bytes", INT32),
    field("max_bytes", INT32),
    field("isolation_level", INT8),
    field("session_id", INT32).since(7),
    field("session_epoch", INT32).since(7),
    field(
        "topics",
        array(&[
            field("topic", STRING).until(12),
            field("topic_id", UUID).since(13),
            field(
                "partitions",
                array(&[
                    field("partition", INT32),
                    field("current_leader_epoch", INT32).since(9),
                    field("fetch_offset", INT64),
                    field("last_fetched_epoch", INT32).since(12),
                    field("log_start_offset", INT64).since(5),
                    field("partition_max_bytes", INT32),
                    field("replica_directory_id", UUID).since(17).tag(0),
                    field("high_watermark", INT64).since(18).tag(1),
                ]),
            ),
        ]),
    ),
    field(
        "forgotten_topics_data",
        array(&[
            field("topic", STRING).until(12),
            field("topic_id", UUID).since(13),
            field("partitions", list(&INT32)),
        ]),
    )
    .since(7),
    field("rack_id", STRING).since(11),
    field(
        "replica_state",
        structure(&[field("replica_id", INT32), field("replica_epoch", INT64)]),
    )
    .since(15)
    .tag(1),
])
.flexible_since(12);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<FetchRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        answer(&call, &request).await.into()
    })
}

async fn answer(call: &Call, request: &FetchRequest) -> Reply {
    let broker = &call.broker;
    let limits = limits(call, request);
    let session = session_request(call.version, request);
    let context = match broker.fetch_sessions.begin(session, broker.clock.now_ms()) {
        Ok(context) => context,
        Err(error) => return session_error(call, error),
    };
    let (fetched, charge) = broker.fetch(&context.partitions, limits).await;
    let answers: Vec<(PartitionKey, PartitionAnswer)> = context
        .partitions
        .iter()
        .zip(fetched)
        .map(|((key, _), fetched)| {
            (
                key.clone(),
                partition_answer(call, key, fetched, limits.isolation),
            )
        })
        .collect();
    let facts: Vec<Answered> = answers.iter().map(|(_, answer)| answered(answer)).collect();
    match broker
        .fetch_sessions
        .finish(context, &facts, broker.clock.now_ms())
    {
        Ok(finished) => {
            let included = answers.into_iter().zip(finished.included);
            let included = included.filter_map(|(answer, included)| included.then_some(answer));
            let body = FetchAnswerBody {
                error_code: 0,
                session_id: finished.session_id,
                topics: by_topic(included),
            };
            call.count_errors(&body);
            call.reply_parts::<FetchResponse>(charge.ride_on(body.encode(call.version)))
        }
        Err(error) => session_error(call, error),
    }
}

fn limits(call: &Call, request: &FetchRequest) -> FetchLimits {
    let bytes = |bytes: i32| usize::try_from(bytes).unwrap_or(0);
    let bytes_max = bytes(
        request
            .max_bytes
            .min(call.broker.config.get(keys::FETCH_MAX_BYTES)),
    );
    FetchLimits {
        wait_max: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
        bytes_min: bytes(request.min_bytes).min(bytes_max),
        bytes_max,
        isolation: isolation(request.isolation_level),
    }
}

/// 1 is read_committed, everything else reads uncommitted records.
pub(super) fn isolation(level: i8) -> Isolation {
    match level {
        1 => Isolation::ReadCommitted,
        _ => Isolation::ReadUncommitted,
    }
}

fn session_request(version: i16, request: &FetchRequest) -> SessionRequest {
    let uses_topic_ids = version >= TOPIC_IDS_SINCE;
    let topic_key = |name: &str, id| match uses_topic_ids {
        true => TopicKey::Id(id),
        false => TopicKey::Name(name.into()),
    };
    let mut wanted = Vec::new();
    for topic in &request.topics {
        let key = topic_key(&topic.topic, topic.topic_id);
        wanted.extend(topic.partitions.iter().map(|p| {
            let wanted = Wanted {
                fetch_offset: p.fetch_offset,
                bytes_max: p.partition_max_bytes,
                current_leader_epoch: p.current_leader_epoch,
                last_fetched_epoch: p.last_fetched_epoch,
            };
            (
                PartitionKey {
                    topic: key.clone(),
                    index: p.partition,
                },
                wanted,
            )
        }));
    }
    let mut forgotten = Vec::new();
    for topic in &request.forgotten_topics_data {
        let key = topic_key(&topic.topic, topic.topic_id);
        let partition = |index: &i32| PartitionKey {
            topic: key.clone(),
            index: *index,
        };
        forgotten.extend(topic.partitions.iter().map(partition));
    }
    // Before v7 there are no sessions: the crate's defaults say "no session" by epoch -1.
    SessionRequest {
        session_id: request.session_id,
        epoch: request.session_epoch,
        uses_topic_ids,
        wanted,
        forgotten,
    }
}

fn session_error(call: &Call, error: SessionError) -> Reply {
    let code = match error {
        SessionError::NotFound => ResponseError::FetchSessionIdNotFound,
        SessionError::WrongEpoch => ResponseError::InvalidFetchSessionEpoch,
        SessionError::TopicIdError => ResponseError::FetchSessionTopicIdError,
    };
    let body = FetchAnswerBody {
        error_code: code.code(),
        session_id: NO_SESSION,
        topics: Vec::new(),
    };
    call.count_errors(&body);
    call.reply_parts::<FetchResponse>(body.encode(call.version))
}

fn partition_answer(
    call: &Call,
    key: &PartitionKey,
    fetched: Fetched,
    isolation: Isolation,
) -> PartitionAnswer {
    const UNKNOWN: Offsets = Offsets {
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
    };
    let (code, offsets, diverging, records) = match fetched {
        Fetched::Records(read) => (0, read.offsets, None, read.records),
        Fetched::Diverging {
            epoch,
            end_offset,
            offsets,
        } => (0, offsets, Some((epoch, end_offset)), Rope::new()),
        Fetched::Failed(error) => {
            if let FetchError::Read(ReadError::Damage { .. } | ReadError::Row { .. }) = &error {
                log_call!(error, call, partition = key.index, topic = ?key.topic, %error, "not served");
            }
            (error_of(&error).code(), UNKNOWN, None, Rope::new())
        }
    };
    PartitionAnswer {
        index: key.index,
        error_code: code,
        high_watermark: offsets.high_watermark,
        last_stable_offset: offsets.last_stable_offset,
        log_start_offset: offsets.log_start_offset,
        diverging,
        aborted: (isolation == Isolation::ReadCommitted).then(Vec::new),
        records,
    }
}

fn error_of(error: &FetchError) -> ResponseError {
    match error {
        FetchError::UnknownTopicOrPartition => ResponseError::UnknownTopicOrPartition,
        FetchError::UnknownTopicId => ResponseError::UnknownTopicId,
        FetchError::LeaderEpoch(error) => errors::of_leader_epoch(*error),
        FetchError::Read(error) => errors::of_read(error),
    }
}

fn answered(answer: &PartitionAnswer) -> Answered {
    Answered {
        high_watermark: answer.high_watermark,
        log_start_offset: answer.log_start_offset,
        has_records: !answer.records.is_empty(),
        is_error: answer.error_code != 0,
        is_diverging: answer.diverging.is_some(),
    }
}

/// Consecutive partitions of a topic go under one mention of it.
fn by_topic(answers: impl Iterator<Item = (PartitionKey, PartitionAnswer)>) -> Vec<TopicAnswer> {
    let mut topics: Vec<TopicAnswer> = Vec::new();
    for (key, partition) in answers {
        let topic = match key.topic {
            TopicKey::Name(name) => AnsweredTopic::Name(name),
            TopicKey::Id(id) => AnsweredTopic::Id(id),
        };
        match topics.last_mut().filter(|last| last.topic == topic) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(TopicAnswer {
                topic,
                partitions: vec![partition],
            }),
        }
    }
    topics
}
