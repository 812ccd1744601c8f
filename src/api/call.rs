//! What a handler is given and what it gives back.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use super::Api;
use super::answer_codes::AnswerCodes;
use crate::base::BoxFuture;
use crate::broker::Broker;
use crate::metrics::table::{self, ERROR_INDEX_OFFSET};
use crate::protocol::Malformed;
use crate::protocol::frame::{RequestStart, Room, answer_start, split_client_id};
use crate::protocol::shape::ELEMENT_SIZE;

/// The connection that a request came in on.
#[derive(Debug)]
pub struct Connection {
    /// Counts up from 1 over all listeners; names the connection in the log.
    pub id: u64,
    pub peer: SocketAddr,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// The name of the listener, `PLAINTEXT` unless configured otherwise.
    pub listener: Arc<str>,
    /// What the listener is advertised as; without it the local address of this connection is.
    pub advertised: Option<(String, u16)>,
}

impl Connection {
    /// The host and port that this client should be told: an address that it can reach, because it did.
    pub fn advertised(&self) -> (String, u16) {
        self.advertised.clone().unwrap_or_else(|| {
            (
                self.local.ip().to_canonical().to_string(),
                self.local.port(),
            )
        })
    }
}

/// A line of the log about a [`Call`]: it names the connection, the client and the API. Level, call, then as in `tracing`.
macro_rules! log_call {
    ($level:ident, $call:ident, $($rest:tt)+) => {
        tracing::$level!(
            connection = $call.connection.id,
            client_id = $call.client_id.as_deref(),
            api = ?$call.api,
            $($rest)+
        )
    };
}
pub(super) use log_call;

/// A request on its way to a handler: its version is listed and its body has the declared shape.
#[derive(Debug)]
pub struct Call {
    pub broker: Arc<Broker>,
    pub connection: Arc<Connection>,
    pub api: ApiKey,
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: Option<StrBytes>,
    /// The request without its header; record batches stay slices of it.
    pub body: Bytes,
}

impl Call {
    /// The request; bytes after it are let pass, as by [`crate::protocol::shape::Shape::walk`]. An error is a reply
    /// that closes the connection, as Kafka does with what does not parse.
    pub fn decode<R: Decodable>(&self) -> Result<R, Reply> {
        let mut body = self.body.clone();
        R::decode(&mut body, self.version)
            .map_err(|error| Reply::Close(format!("the request does not decode: {error}")))
    }

    /// The answer in the version of the request. Fields that the version lacks must hold their default:
    /// kafka-protocol refuses to leave them out, and the client would never get an answer.
    pub(super) fn reply<R: Encodable + HeaderVersion + AnswerCodes>(&self, response: &R) -> Reply {
        self.reply_at(self.version, response)
    }

    /// The answer in another version than the request's (ApiVersions, KIP-511).
    pub(super) fn reply_at<R: Encodable + HeaderVersion + AnswerCodes>(
        &self,
        version: i16,
        response: &R,
    ) -> Reply {
        self.count_errors(response);
        let encode = || -> Result<Reply, anyhow::Error> {
            let size = response.compute_size(version)?;
            let flexible = R::header_version(version) >= 1;
            let mut frame = answer_start(self.correlation_id, flexible, size, Room::Whole)
                .ok_or_else(|| anyhow::anyhow!("{size} bytes are more than a frame holds"))?;
            response.encode(&mut frame, version)?;
            Ok(Reply::Frame(vec![frame.freeze()]))
        };
        encode().unwrap_or_else(|error| {
            Reply::Close(format!("the answer does not encode at v{version}: {error}"))
        })
    }

    /// An answer whose body the handler has encoded itself, in pieces that are written without being copied together.
    /// `R` is the type of the answer, which decides the header; whoever encodes counts the errors in it.
    pub fn reply_parts<R: HeaderVersion>(&self, body: Vec<Bytes>) -> Reply {
        let size: usize = body.iter().map(Bytes::len).sum();
        let flexible = R::header_version(self.version) >= 1;
        let Some(start) = answer_start(self.correlation_id, flexible, size, Room::Start) else {
            return Reply::Close(format!("an answer of {size} bytes does not fit a frame"));
        };
        let mut frame = Vec::with_capacity(body.len() + 1);
        frame.push(start.freeze());
        frame.extend(body);
        Reply::Frame(frame)
    }
}

impl Call {
    /// Counts the error codes of an answer.
    pub(super) fn count_errors(&self, answer: &impl AnswerCodes) {
        answer.each_code(&mut |code| {
            if code != 0 {
                let index = usize::try_from(code + ERROR_INDEX_OFFSET).unwrap_or(usize::MAX);
                table::ERRORS.count(self.api as usize, index);
            }
        });
    }
}

/// What a handler returns.
pub enum Answer {
    Ready(Reply),
    /// The request has its place in the order of effects (the committer has it) and the answer follows. The
    /// connection reads on meanwhile.
    Pending(BoxFuture<'static, Reply>),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Ready(reply) => f.debug_tuple("Ready").field(reply).finish(),
            Answer::Pending(_) => f.write_str("Pending"),
        }
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Answer::Ready(reply)
    }
}

/// What goes back to the client.
#[derive(Debug)]
pub enum Reply {
    /// A whole frame, its length included, written with vectored writes.
    Frame(Vec<Bytes>),
    /// No answer (`acks=0`).
    Nothing,
    /// The connection is closed; why, for the log.
    Close(String),
}

/// A request that has its handler.
#[derive(Debug)]
pub struct Request {
    pub api: &'static Api,
    pub call: Call,
    /// Elements of its arrays, tagged fields among them.
    elements: u32,
}

impl Request {
    /// Reads the header of a frame (without its length), finds its API in `apis` and holds the body against its shape.
    pub fn read(
        apis: &'static [Api],
        broker: &Arc<Broker>,
        connection: &Arc<Connection>,
        mut frame: Bytes,
    ) -> Result<Self, Refusal> {
        let start = RequestStart::read(&frame).map_err(Refusal::Header)?;
        let RequestStart {
            api_key: key,
            version,
            correlation_id,
        } = start;
        let api = Api::find(apis, key).ok_or(Refusal::UnknownApi { key, version })?;
        let served = api.versions.contains(&version);
        // An ApiVersions request of an unknown version is answered without reading its body (KIP-511).
        if !served && api.key != ApiKey::ApiVersions {
            return Err(Refusal::Version {
                api: api.key,
                version,
            });
        }
        let flexible = api.request.is_flexible(version);
        let client_id = split_client_id(&mut frame, flexible).map_err(Refusal::Header)?;
        let elements = match served {
            true => api.request.walk(version, &frame),
            false => Ok(0),
        };
        let elements = elements.map_err(|cause| Refusal::Body {
            api: api.key,
            version,
            client_id: client_id.clone(),
            cause,
        })?;
        let call = Call {
            broker: Arc::clone(broker),
            connection: Arc::clone(connection),
            api: api.key,
            version,
            correlation_id,
            client_id,
            body: frame,
        };
        Ok(Self {
            api,
            call,
            elements,
        })
    }

    /// Bytes of memory that its elements take once they are decoded and answered.
    pub fn decoded_size(&self) -> usize {
        let elements = usize::try_from(self.elements).unwrap_or(usize::MAX);
        elements.saturating_mul(ELEMENT_SIZE)
    }
}

/// Why a request has no handler. Kafka closes the connection without an answer in each case.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the request header is malformed: {0}")]
    Header(Malformed),
    #[error("API key {key} (version {version}) is not served")]
    UnknownApi { key: i16, version: i16 },
    #[error("{api:?} version {version} is not served")]
    Version { api: ApiKey, version: i16 },
    #[error("{api:?} v{version} is malformed: {cause}")]
    Body {
        api: ApiKey,
        version: i16,
        client_id: Option<StrBytes>,
        cause: Malformed,
    },
}

impl Refusal {
    /// The API and version that were asked for, as far as they were read.
    pub fn api(&self) -> Option<(ApiKey, i16)> {
        match self {
            Refusal::Header(_) | Refusal::UnknownApi { .. } => None,
            Refusal::Version { api, version } | Refusal::Body { api, version, .. } => {
                Some((*api, *version))
            }
        }
    }

    /// How the client calls itself, if that was read.
    pub fn into_client_id(self) -> Option<StrBytes> {
        match self {
            Refusal::Header(_) | Refusal::UnknownApi { .. } | Refusal::Version { .. } => None,
            Refusal::Body { client_id, .. } => client_id,
        }
    }
}
