//! DeleteTopics (20), versions 1-6: deletes topics by name, from version 6 by name or id.
//!
//! - The topics are gone when the answer leaves; the space that they took is given back afterwards by a job that goes
//!   on after a restart.
//! - `delete.topic.enable=false`: error 73, in versions below 3 error 42.
//! - A name or id that occurs twice is not deleted and answered once, with error 42. A name and an id of the same
//!   topic are both refused with error 42; Kafka answers only one of the two.
//! - `timeout_ms` does not count: a commit takes no waiting.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use super::call::log_call;
use super::common::{catalog_code, text, topic_name};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::cluster::{DeleteError, DeleteTopic, Topic};
use crate::protocol::shape::{INT32, STRING, Shape, UUID, array, field, list};

pub(super) const SHAPE: Shape = Shape::new(&[
    field(
        "topics",
        array(&[field("name", STRING).null_since(6), field("topic_id", UUID)]),
    )
    .since(6),
    field("topic_names", list(&STRING)).until(5),
    field("timeout_ms", INT32),
])
.flexible_since(4);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode() {
            Ok(request) => call.reply(&answer(&call, request).await).into(),
            Err(reply) => reply.into(),
        }
    })
}

async fn answer(call: &Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let asked = asked(request);
    let results = if !call.broker.catalog.settings().deletable {
        let code = match call.version {
            ..3 => ResponseError::InvalidRequest,
            3.. => ResponseError::TopicDeletionDisabled,
        };
        all_refused(&asked, code, "Topic deletion is disabled.")
    } else {
        match call.broker.catalog.delete(asked.clone()).await {
            Ok(outcomes) => {
                let mut seen = HashSet::new();
                let first_only = asked.iter().zip(outcomes).filter(|(request, outcome)| {
                    seen.insert(*request) || !matches!(outcome, Err(error) if is_repeat(*error))
                });
                first_only
                    .map(|(asked, outcome)| result(call, asked, outcome))
                    .collect()
            }
            Err(error) => {
                log_call!(error, call, %error, "topics not deleted");
                all_refused(&asked, catalog_code(&error), &error.to_string())
            }
        }
    };
    let mut response = DeleteTopicsResponse::default().with_responses(results);
    if call.version < 5 {
        for result in &mut response.responses {
            result.error_message = None;
        }
    }
    response
}

fn asked(request: DeleteTopicsRequest) -> Vec<DeleteTopic> {
    let names = request.topic_names.into_iter().map(|name| DeleteTopic {
        name: Some(name.to_string()),
        id: None,
    });
    let either = request.topics.into_iter().map(|topic| DeleteTopic {
        name: topic.name.map(|name| name.to_string()),
        id: (!topic.topic_id.is_nil()).then_some(topic.topic_id),
    });
    names.chain(either).collect()
}

/// Whether the error is one that all repeats of a topic share.
fn is_repeat(error: DeleteError) -> bool {
    matches!(error, DeleteError::DuplicateName | DeleteError::DuplicateId)
}

fn result(
    call: &Call,
    asked: &DeleteTopic,
    outcome: Result<Arc<Topic>, DeleteError>,
) -> DeletableTopicResult {
    match outcome {
        Ok(topic) => {
            log_call!(info, call, topic = &*topic.name, "topic deleted");
            DeletableTopicResult::default()
                .with_name(Some(topic_name(&topic.name)))
                .with_topic_id(topic.id)
        }
        Err(error) => refused(asked, delete_code(error), error.to_string()),
    }
}

fn all_refused(asked: &[DeleteTopic], code: ResponseError, why: &str) -> Vec<DeletableTopicResult> {
    let refusals = asked
        .iter()
        .map(|asked| refused(asked, code, why.to_owned()));
    refusals.collect()
}

fn refused(asked: &DeleteTopic, code: ResponseError, message: String) -> DeletableTopicResult {
    DeletableTopicResult::default()
        .with_name(asked.name.as_deref().map(topic_name))
        .with_topic_id(asked.id.unwrap_or_default())
        .with_error_code(code.code())
        .with_error_message(Some(text(message)))
}

/// Kafka's code for each way in which a topic is refused (`ControllerApis`).
fn delete_code(error: DeleteError) -> ResponseError {
    match error {
        DeleteError::Neither
        | DeleteError::Both
        | DeleteError::DuplicateName
        | DeleteError::DuplicateId
        | DeleteError::NamedTwice => ResponseError::InvalidRequest,
        DeleteError::UnknownName => ResponseError::UnknownTopicOrPartition,
        DeleteError::UnknownId => ResponseError::UnknownTopicId,
    }
}
