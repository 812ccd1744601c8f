//! InitProducerId (22), versions 0-5: a producer id for an idempotent producer (KIP-98).
//!
//! - Without a transactional id the id and epoch that a client sends from version 3 on (KIP-360) do not count: it gets a
//!   new id with epoch 0, as from Kafka. Only one of the two being -1 is error 42.
//! - An empty transactional id is error 42.
//!
//! Gap: transactions are not served yet. A transactional id is refused with error 53 (not authorized), because that
//! is what producers of every client take as final and report at once; others they repeat until a time-out.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::call::log_call;
use super::common::catalog_code;
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::protocol::shape::{INT16, INT32, INT64, STRING, Shape, field};

pub(super) const SHAPE: Shape = Shape::new(&[
    field("transactional_id", STRING).null_since(0),
    field("transaction_timeout_ms", INT32),
    field("producer_id", INT64).since(3),
    field("producer_epoch", INT16).since(3),
])
.flexible_since(2);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode() {
            Ok(request) => call.reply(&answer(&call, &request).await).into(),
            Err(reply) => reply.into(),
        }
    })
}

async fn answer(call: &Call, request: &InitProducerIdRequest) -> InitProducerIdResponse {
    match assign(call, request).await {
        Ok(producer_id) => InitProducerIdResponse::default()
            .with_producer_id(producer_id)
            .with_producer_epoch(0),
        Err(error) => InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

async fn assign(call: &Call, request: &InitProducerIdRequest) -> Result<ProducerId, ResponseError> {
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return Err(ResponseError::InvalidRequest);
    }
    match request.transactional_id.as_ref() {
        None => {}
        Some(id) if id.is_empty() => return Err(ResponseError::InvalidRequest),
        Some(id) => {
            log_call!(
                warn,
                call,
                transactional_id = id.as_str(),
                "transactions are not served yet: the producer is refused"
            );
            return Err(ResponseError::TransactionalIdAuthorizationFailed);
        }
    }
    match call.broker.producer_ids.next().await {
        Ok(id) => Ok(ProducerId(id.0)),
        Err(error) => {
            log_call!(error, call, %error, "no producer id given out");
            Err(catalog_code(&error))
        }
    }
}
