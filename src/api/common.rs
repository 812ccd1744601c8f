//! What the handlers about topics and the cluster share.

use bytes::{BufMut, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::Call;
use crate::broker::catalog::CatalogError;
use crate::store::StoreError;

/// What a client may do with a topic where nothing is denied, as a bit per `AclOperation`: read (3), write (4),
/// create (5), delete (6), alter (7), describe (8), describe configs (10), alter configs (11).
pub(super) const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;

/// What a client may do with the cluster where nothing is denied: create (5), alter (7), describe (8), cluster action
/// (9), describe configs (10), alter configs (11), idempotent write (12).
pub(super) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

/// A string on the wire.
pub(super) fn text(value: impl Into<String>) -> StrBytes {
    StrBytes::from_string(value.into())
}

/// An unsigned variable-length integer (KIP-482), as compact lengths are.
pub(super) fn put_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.put_u8(value.to_le_bytes()[0]);
}

/// A topic's name on the wire.
pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// This broker's id.
pub(super) fn node_id(call: &Call) -> BrokerId {
    BrokerId(call.broker.catalog.settings().node_id.0)
}

/// This broker's rack.
pub(super) fn rack(call: &Call) -> Option<StrBytes> {
    call.broker.catalog.settings().rack.as_deref().map(text)
}

/// The code for a change or read of the catalog that failed as a whole. What may work a moment later is
/// retriable in every client.
pub(super) fn catalog_code(error: &CatalogError) -> ResponseError {
    match error {
        CatalogError::Store(error) => store_code(error),
        CatalogError::Contended | CatalogError::Stopping => ResponseError::RequestTimedOut,
        CatalogError::Row(_)
        | CatalogError::Group(_)
        | CatalogError::Config(_)
        | CatalogError::ClusterId { .. }
        | CatalogError::ProducerIdsExhausted => ResponseError::UnknownServerError,
    }
}

fn store_code(error: &StoreError) -> ResponseError {
    match error {
        StoreError::Unavailable { .. } | StoreError::Unknown { .. } | StoreError::Closed => {
            ResponseError::RequestTimedOut
        }
        StoreError::Full { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Missing(_)
        | StoreError::Fenced { .. }
        | StoreError::Poisoned { .. } => ResponseError::KafkaStorageError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_what_kafka_answers_without_an_authorizer() {
        assert_eq!(TOPIC_OPERATIONS, 3_576);
        assert_eq!(CLUSTER_OPERATIONS, 8_096);
    }
}
