//! ListConfigResources (74), versions 0-1: what there is to describe and change settings of (KIP-1142).
//!
//! - Version 0 lists client metrics subscriptions only, as ListClientMetricsResources did (KIP-714).
//! - Version 1 lists the types asked for, or every type: groups and client metrics subscriptions on which something is
//!   set, this broker as broker and as broker logger, and all topics.
//! - A type that nobody knows fails the request with error 35, as in Kafka.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::common::text;
use super::config_resource::Kind;
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::cluster::Resource;
use crate::protocol::shape::{INT8, Shape, field, list};

pub(super) const SHAPE: Shape =
    Shape::new(&[field("resource_types", list(&INT8)).since(1)]).flexible_since(0);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode() {
            Ok(request) => call.reply(&answer(&call, &request)).into(),
            Err(reply) => reply.into(),
        }
    })
}

fn answer(call: &Call, request: &ListConfigResourcesRequest) -> ListConfigResourcesResponse {
    let mut kinds = Vec::new();
    for wire in &request.resource_types {
        match Kind::of(*wire) {
            Some(kind) => kinds.push(kind),
            None => {
                return ListConfigResourcesResponse::default()
                    .with_error_code(ResponseError::UnsupportedVersion.code());
            }
        }
    }
    let wanted = |kind: Kind| match call.version {
        0 => kind == Kind::ClientMetrics,
        _ => kinds.is_empty() || kinds.contains(&kind),
    };
    let in_order = [
        Kind::Group,
        Kind::ClientMetrics,
        Kind::BrokerLogger,
        Kind::Broker,
        Kind::Topic,
    ];
    let listed = in_order.into_iter().filter(|kind| wanted(*kind));
    let listed =
        listed.flat_map(|kind| names(call, kind).into_iter().map(move |name| (kind, name)));
    let resources = listed.map(|(kind, name)| {
        ConfigResource::default()
            .with_resource_name(text(name))
            .with_resource_type(kind.wire())
    });
    ListConfigResourcesResponse::default().with_config_resources(resources.collect())
}

fn names(call: &Call, kind: Kind) -> Vec<String> {
    let catalog = &call.broker.catalog;
    match kind {
        Kind::Topic => catalog
            .topics()
            .iter()
            .map(|t| t.name.to_string())
            .collect(),
        Kind::Broker | Kind::BrokerLogger => vec![catalog.settings().node_id.0.to_string()],
        Kind::ClientMetrics | Kind::Group => {
            let configs = catalog.configs();
            let of_kind = configs.resources().filter_map(|resource| match resource {
                Resource::Group(name) if kind == Kind::Group => Some(name.clone()),
                Resource::ClientMetrics(name) if kind == Kind::ClientMetrics => Some(name.clone()),
                _ => None,
            });
            of_kind.collect()
        }
    }
}
