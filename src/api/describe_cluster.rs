//! DescribeCluster (60), versions 0-2: the brokers, the controller and the cluster id.
//!
//! - There is one broker, this one; it is the controller too, and never fenced (version 2 can ask for fenced brokers).
//! - Version 1 adds the endpoint type: 1 are brokers. Type 2 (controllers) is at no listener of ours: error 114 as from
//!   Kafka's broker listener. Any other is error 115.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::common::{CLUSTER_OPERATIONS, node_id, rack, text};
use super::{Answer, Call};
use crate::base::BoxFuture;
use crate::protocol::shape::{BOOLEAN, INT8, Shape, field};

pub(super) const SHAPE: Shape = Shape::new(&[
    field("include_cluster_authorized_operations", BOOLEAN),
    field("endpoint_type", INT8).since(1),
    field("include_fenced_brokers", BOOLEAN).since(2),
])
.flexible_since(0);

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode() {
            Ok(request) => call.reply(&answer(&call, &request)).into(),
            Err(reply) => reply.into(),
        }
    })
}

fn answer(call: &Call, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            return refused(
                ResponseError::MismatchedEndpointType,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
                    .to_owned(),
            );
        }
        other => {
            return refused(
                ResponseError::UnsupportedEndpointType,
                format!("Unsupported endpoint type {other}"),
            );
        }
    }
    let (host, port) = call.connection.advertised();
    let broker = DescribeClusterBroker::default()
        .with_broker_id(node_id(call))
        .with_host(text(host))
        .with_port(i32::from(port))
        .with_rack(rack(call));
    let response = DescribeClusterResponse::default()
        .with_cluster_id(text(call.broker.catalog.cluster_id()))
        .with_controller_id(node_id(call))
        .with_brokers(vec![broker]);
    match request.include_cluster_authorized_operations {
        true => response.with_cluster_authorized_operations(CLUSTER_OPERATIONS),
        false => response,
    }
}

fn refused(code: ResponseError, message: String) -> DescribeClusterResponse {
    DescribeClusterResponse::default()
        .with_error_code(code.code())
        .with_error_message(Some(text(message)))
}
