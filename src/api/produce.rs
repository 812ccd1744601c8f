//! Produce (0), versions 3-13, listed from 0: appends record batches.
//!
//! - One batch per partition; what is checked, and in which order, stands in `log::validate`. Each partition has its
//!   own answer; errors of single records are named from v8 on.
//! - acks must be -1, 0 or 1 (else 21 for every partition). All three are answered when the batch is as durable as
//!   the broker was told to make it; acks=0 gets no answer, and a closed connection on an error.
//! - Topics by id from v13 (unknown 100), by name before (unknown 3); internal topics take records from nobody but
//!   `__admin_client` (17).
//! - Idempotent producers (KIP-98): a retry of one of the last five batches is answered with its first offset.
//! - Listed from v0, because older librdkafka turns compression off otherwise (KAFKA-18659).
//!
//! Gaps: a transactional batch is refused (48) until transactions are there; no leader hints (v10): there is one
//! broker, and it leads.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::StrBytes;

use super::call::log_call;
use super::errors;
use super::{Answer, Call, Reply};
use crate::base::BoxFuture;
use crate::broker::append_rules;
use crate::broker::committer::{Append, AppendAnswers, ProduceError};
use crate::cluster::{Topic, Topics};
use crate::log::{
    AppendError, Appended, BadRecord, ProducerError, RecordError, ZstdSupport, must_unpack,
    validate,
};
use crate::protocol::shape::{INT16, INT32, RECORDS, STRING, Shape, UUID, array, field};

/// zstd came with this version (KIP-110).
const ZSTD_SINCE: i16 = 7;
/// Topic ids take the place of names from this version on (KIP-516).
const TOPIC_IDS_SINCE: i16 = 13;
/// Errors of single records are answered from this version on (KIP-467).
const RECORD_ERRORS_SINCE: i16 = 8;
/// The log start offset is answered from this version on.
const LOG_START_SINCE: i16 = 5;
/// The only client that may write to internal topics (Kafka's `AclManager`).
const ADMIN_CLIENT_ID: &str = "__admin_client";

pub(super) const SHAPE: Shape = Shape::new(&[
    field("transactional_id", STRING).null_since(3),
    field("acks", INT16),
    field("timeout_ms", INT32),
    field(
        "topic_data",
        array(&[
            field("name", STRING).until(12),
            field("topic_id", UUID).since(13),
            field(
                "partition_data",
                array(&[
                    field("index", INT32),
                    field("records", RECORDS).null_since(0),
                ]),
            ),
        ]),
    ),
])
.flexible_since(9);

/// Batches keep their request in memory for as long as the block cache keeps them, which counts their bytes and not the
/// request's. If more than one part in so many of it is anything but batches that are taken, they are copied out.
const REST_SHARE: usize = 8;

/// What became of one partition of the request before the committer had it.
enum Outcome {
    Refused(Refusal),
    /// The batch is on its way; its answer is the next one.
    Appended,
}

/// An error as the client gets it.
struct Refusal {
    code: ResponseError,
    message: Option<String>,
    records: Vec<BadRecord>,
}

impl Refusal {
    fn new(code: ResponseError) -> Self {
        Self {
            code,
            message: None,
            records: Vec::new(),
        }
    }
}

/// A request as far as its batches are with the committer.
struct InProgress {
    topics: Vec<(TopicProduceData, Vec<Outcome>)>,
    acks: i16,
}

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let request = match call.decode::<ProduceRequest>() {
            Ok(request) => request,
            Err(reply) => return reply.into(),
        };
        let (appends, in_progress) = check(&call, request).await;
        if appends.is_empty() {
            return finish(&call, in_progress, Vec::new()).into();
        }
        let count = appends.len();
        let stopping = move || (0..count).map(|_| Err(ProduceError::Stopping)).collect();
        match call.broker.committer.append(appends).await {
            Ok(answers) => Answer::Pending(Box::pin(async move {
                let answers = answers.await.unwrap_or_else(|_| stopping());
                finish(&call, in_progress, answers)
            })),
            Err(_) => finish(&call, in_progress, stopping()).into(),
        }
    })
}

/// Finds the partitions and checks the batches.
async fn check(call: &Call, request: ProduceRequest) -> (Vec<Append>, InProgress) {
    let topics = call.broker.catalog.topics();
    let mut appends = Vec::new();
    let mut checked = Vec::with_capacity(request.topic_data.len());
    for mut data in request.topic_data {
        let topic = find_topic(call, &topics, &data, request.acks);
        let mut outcomes = Vec::with_capacity(data.partition_data.len());
        for partition in &mut data.partition_data {
            let append = match &topic {
                Ok(topic) => check_batch(call, topic, partition).await,
                Err(code) => Err(Refusal::new(*code)),
            };
            // The batch lives on in the append alone.
            partition.records = None;
            outcomes.push(match append {
                Ok(append) => {
                    appends.push(append);
                    Outcome::Appended
                }
                Err(refusal) => Outcome::Refused(refusal),
            });
        }
        checked.push((data, outcomes));
    }
    let taken: usize = appends
        .iter()
        .map(|append| append.batch.bytes().len())
        .sum();
    if taken < call.body.len() / REST_SHARE * (REST_SHARE - 1) {
        appends.iter_mut().for_each(|append| append.batch.detach());
    }
    (
        appends,
        InProgress {
            topics: checked,
            acks: request.acks,
        },
    )
}

fn find_topic<'a>(
    call: &Call,
    topics: &'a Topics,
    data: &TopicProduceData,
    acks: i16,
) -> Result<&'a Topic, ResponseError> {
    if !(-1..=1).contains(&acks) {
        return Err(ResponseError::InvalidRequiredAcks);
    }
    let topic = match call.version >= TOPIC_IDS_SINCE {
        true => topics
            .by_id(data.topic_id)
            .ok_or(ResponseError::UnknownTopicId)?,
        false => topics
            .by_name(&data.name)
            .ok_or(ResponseError::UnknownTopicOrPartition)?,
    };
    if topic.internal && call.client_id.as_deref() != Some(ADMIN_CLIENT_ID) {
        return Err(ResponseError::InvalidTopicException);
    }
    Ok(topic)
}

async fn check_batch(
    call: &Call,
    topic: &Topic,
    data: &PartitionProduceData,
) -> Result<Append, Refusal> {
    let partition = topic
        .partition(data.index)
        .ok_or(Refusal::new(ResponseError::UnknownTopicOrPartition))?;
    let zstd = match call.version {
        ZSTD_SINCE.. => ZstdSupport::Allowed,
        _ => ZstdSupport::Refused,
    };
    let rules = append_rules(&topic.config);
    let now_ms = call.broker.clock.now_ms();
    let records = data.records.as_deref().unwrap_or_default();
    let _unpacking = match must_unpack(records, &rules, now_ms) {
        // An error is a semaphore that was closed, and nobody closes it.
        true => call.broker.unpacking.acquire().await.ok(),
        false => None,
    };
    let batch = validate(data.records.as_ref(), &rules, zstd, now_ms).map_err(|error| {
        log_call!(debug, call,
            topic = %topic.name, partition = data.index, %error,
            "batch refused"
        );
        refusal_of_records(error)
    })?;
    Ok(Append {
        topic_id: topic.id,
        partition,
        batch,
    })
}

/// The answer, once the committer has answered for every batch that it was given.
fn finish(call: &Call, in_progress: InProgress, answers: AppendAnswers) -> Reply {
    let mut answers = answers.into_iter();
    let mut responses = Vec::with_capacity(in_progress.topics.len());
    let mut failed = None;
    for (topic, outcomes) in in_progress.topics {
        let partitions = topic
            .partition_data
            .iter()
            .zip(outcomes)
            .map(|(data, outcome)| {
                let refusal = match outcome {
                    Outcome::Refused(refusal) => refusal,
                    Outcome::Appended => match answers.next() {
                        Some(Ok(appended)) => return success(call.version, data.index, appended),
                        Some(Err(error)) => refusal_of_commit(&error),
                        None => Refusal::new(ResponseError::UnknownServerError),
                    },
                };
                failed = Some(refusal.code);
                failure(call.version, data.index, refusal)
            });
        responses.push(
            TopicProduceResponse::default()
                .with_partition_responses(partitions.collect())
                .with_name(topic.name)
                .with_topic_id(topic.topic_id),
        );
    }
    match (in_progress.acks, failed) {
        (0, None) => Reply::Nothing,
        (0, Some(code)) => Reply::Close(format!(
            "produce with acks=0 failed: {code:?}, and has no other answer"
        )),
        _ => call.reply(&ProduceResponse::default().with_responses(responses)),
    }
}

fn success(version: i16, index: i32, appended: Appended) -> PartitionProduceResponse {
    let log_start_offset = if version >= LOG_START_SINCE {
        appended.log_start_offset
    } else {
        -1
    };
    PartitionProduceResponse::default()
        .with_index(index)
        .with_base_offset(appended.base_offset)
        .with_log_append_time_ms(appended.log_append_time_ms)
        .with_log_start_offset(log_start_offset)
}

fn failure(version: i16, index: i32, refusal: Refusal) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(refusal.code.code())
        .with_base_offset(-1);
    if version < RECORD_ERRORS_SINCE {
        return answer;
    }
    let record = |record: BadRecord| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(record.index)
            .with_batch_index_error_message(Some(StrBytes::from_static_str(record.reason)))
    };
    answer
        .with_record_errors(refusal.records.into_iter().map(record).collect())
        .with_error_message(refusal.message.map(StrBytes::from_string))
}

fn refusal_of_records(error: RecordError) -> Refusal {
    let message = Some(error.to_string());
    let (code, records) = match error {
        RecordError::Invalid { records, .. } => (ResponseError::InvalidRecord, records),
        RecordError::InvalidTimestamp { records } => (ResponseError::InvalidTimestamp, records),
        RecordError::Corrupt { .. } => (ResponseError::CorruptMessage, Vec::new()),
        RecordError::UnsupportedCompression => {
            (ResponseError::UnsupportedCompressionType, Vec::new())
        }
        RecordError::TooLarge { .. } | RecordError::TooLargeUncompressed { .. } => {
            (ResponseError::MessageTooLarge, Vec::new())
        }
        RecordError::SegmentTooLarge { .. } => (ResponseError::RecordListTooLarge, Vec::new()),
    };
    Refusal {
        code,
        message,
        records,
    }
}

fn refusal_of_commit(error: &ProduceError) -> Refusal {
    let code = match error {
        ProduceError::Append(AppendError::Producer(error)) => match error {
            ProducerError::OutOfOrderSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
            ProducerError::InvalidProducerEpoch { .. } => ResponseError::InvalidProducerEpoch,
            ProducerError::InvalidTransactionState => ResponseError::InvalidTxnState,
        },
        ProduceError::Append(AppendError::CommitFull { .. }) | ProduceError::Contended => {
            ResponseError::RequestTimedOut
        }
        ProduceError::Append(AppendError::OffsetsExhausted) => ResponseError::UnknownServerError,
        ProduceError::TopicDeleted => ResponseError::UnknownTopicOrPartition,
        ProduceError::Load(error) => errors::of_load(error),
        ProduceError::Store(error) => errors::of_store(error),
        ProduceError::Stopping => ResponseError::NotLeaderOrFollower,
    };
    Refusal {
        code,
        message: Some(error.to_string()),
        records: Vec::new(),
    }
}
