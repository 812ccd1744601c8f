//! ApiVersions (18), versions 0-4: which APIs in which versions are served, derived from [`APIS`].
//!
//! - A request of an unknown version is answered with the body of version 0, error 35 and the range of ApiVersions alone
//!   (KIP-511); its own body is not read. The answer's header is version 0 always.
//! - Version 3 adds the client's software name and version, which must match Kafka's pattern, else error 42.
//! - Produce is listed from version 0: older librdkafka turns compression off otherwise (KAFKA-18659).
//! - Tagged fields that hold their default are left out: an old librdkafka misreads them otherwise.
//! - No feature is finalized yet, so none is reported.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};

use super::{APIS, Answer, Api, Call, Reply};
use crate::base::BoxFuture;
use crate::protocol::shape::{STRING, Shape, field};

pub(super) const SHAPE: Shape = Shape::new(&[
    field("client_software_name", STRING).since(3),
    field("client_software_version", STRING).since(3),
])
.flexible_since(3);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move { Answer::Ready(answer(&call)) })
}

fn answer(call: &Call) -> Reply {
    let own = APIS.iter().find(|api| api.key == ApiKey::ApiVersions);
    if !own.is_some_and(|api| api.versions.contains(&call.version)) {
        let refused = ApiVersionsResponse::default()
            .with_error_code(ResponseError::UnsupportedVersion.code())
            .with_api_keys(own.map(listed).into_iter().collect());
        return call.reply_at(0, &refused);
    }
    let request = match call.decode::<ApiVersionsRequest>() {
        Ok(request) => request,
        Err(reply) => return reply,
    };
    let named = is_software_name(&request.client_software_name)
        && is_software_name(&request.client_software_version);
    if call.version >= 3 && !named {
        let refused =
            ApiVersionsResponse::default().with_error_code(ResponseError::InvalidRequest.code());
        return call.reply(&refused);
    }
    call.reply(&ApiVersionsResponse::default().with_api_keys(APIS.iter().map(listed).collect()))
}

fn listed(api: &Api) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(api.key as i16)
        .with_min_version(api.listed_min)
        .with_max_version(*api.versions.end())
}

/// Kafka's pattern `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?` (`ApiVersionsRequest.java`).
fn is_software_name(name: &str) -> bool {
    let ends_well = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    ends_well(bytes.first())
        && ends_well(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}
