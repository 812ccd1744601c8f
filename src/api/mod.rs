//! One file per API key, and the table that drives dispatch, ApiVersions and docs.
//!
//! Only this module knows request versions and wire error codes. To add an API: a file with the shape of its
//! request and its handler, and one row in [`APIS`].

mod api_versions;
mod call;

use std::ops::RangeInclusive;

use kafka_protocol::messages::ApiKey;

use crate::base::BoxFuture;
use crate::protocol::shape::Shape;

pub use call::{Answer, Call, Connection, Refusal, Reply, Request};

/// What answers a request. It is called, and its future polled, in the order of the requests on a connection.
pub type Handler = fn(Call) -> BoxFuture<'static, Answer>;

/// One API: a row of [`APIS`].
#[derive(Debug)]
pub struct Api {
    pub key: ApiKey,
    /// What is served: every version that Kafka 4.3 and kafka-protocol's request type share.
    pub versions: RangeInclusive<i16>,
    /// The lowest version that ApiVersions lists; below `versions` only for Produce.
    pub listed_min: i16,
    /// What a body is held against before it is decoded.
    pub request: &'static Shape,
    pub handle: Handler,
}

impl Api {
    /// The API with this number, if it is served.
    pub fn find(key: i16) -> Option<&'static Api> {
        APIS.iter().find(|api| api.key as i16 == key)
    }

    /// Whether the next request may start before this one is answered. Only a Produce's effects are in order as
    /// soon as its handler returns: the committer has its batches.
    pub fn may_overlap(&self) -> bool {
        self.key == ApiKey::Produce
    }
}

/// Every API that is served, by key.
pub static APIS: &[Api] = &[Api {
    key: ApiKey::ApiVersions,
    versions: 0..=4,
    listed_min: 0,
    request: &api_versions::SHAPE,
    handle: api_versions::handle,
}];

#[cfg(test)]
mod tests;
