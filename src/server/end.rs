//! How a connection ends, and what is counted and told of it and of its requests.

use std::any::Any;
use std::io;
use std::time::Instant;

use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;

use super::complaints::{Complaints, Volume};
use super::register::Live;
use crate::api::Refusal;
use crate::metrics::table::{self, CloseReason};

/// What is measured and told of a request.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) api: ApiKey,
    pub(super) version: i16,
    pub(super) client_id: Option<StrBytes>,
    pub(super) size: usize,
    /// When it was there as a whole.
    pub(super) since: Instant,
}

impl About {
    pub(super) fn count_begun(&self) {
        table::REQUEST_BYTES.add(self.api as usize, self.size as u64);
    }

    pub(super) fn count_answered(&self, answer_size: usize) {
        table::REQUEST_DURATION.observe_since(self.api as usize, self.since);
        table::ANSWER_BYTES.add(self.api as usize, answer_size as u64);
    }
}

/// How a connection came to its end.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed it between two requests.
    Client,
    /// The server stops.
    Stopped,
    /// The client broke the protocol, or a handler asked for the end.
    Refused(Cause),
    /// A handler panicked.
    Panicked(Cause),
    /// The socket failed.
    Lost(io::Error),
}

/// Why, and at which request if it is known.
#[derive(Debug)]
pub(super) struct Cause {
    pub(super) text: String,
    pub(super) api: Option<(ApiKey, i16)>,
    pub(super) client_id: Option<StrBytes>,
}

impl Cause {
    /// At a request.
    pub(super) fn of(about: About, text: String) -> Self {
        Self {
            text,
            api: Some((about.api, about.version)),
            client_id: about.client_id,
        }
    }

    /// At no request, or none that could be read.
    pub(super) fn unknown(text: String) -> Self {
        Self {
            text,
            api: None,
            client_id: None,
        }
    }

    /// A client that breaks the protocol again and again is told of at debug level only.
    fn log(&self, live: &Live, complaints: &Complaints) {
        let connection = &live.connection;
        let (id, peer, listener) = (connection.id, connection.peer, &*connection.listener);
        let client_id = self.client_id.as_deref().or(live.client_id());
        let (api, version) = self.api.unzip();
        match complaints.volume(peer.ip(), Instant::now()) {
            Volume::Warn => tracing::warn!(
                connection = id, %peer, listener, client_id, api = api.map(debug), version,
                "closed the connection: {}", self.text
            ),
            Volume::Debug => tracing::debug!(
                connection = id, %peer, listener, client_id, api = api.map(debug), version,
                "closed the connection: {}", self.text
            ),
        }
    }
}

impl From<Refusal> for Cause {
    fn from(refusal: Refusal) -> Self {
        Self {
            text: refusal.to_string(),
            api: refusal.api(),
            client_id: refusal.into_client_id(),
        }
    }
}

impl End {
    /// One line for whoever looks for the connection later.
    pub(super) fn log(&self, live: &Live, complaints: &Complaints) {
        let connection = &live.connection;
        let (id, peer, listener) = (connection.id, connection.peer, &*connection.listener);
        let client_id = live.client_id();
        match self {
            End::Client => tracing::debug!(
                connection = id, %peer, client_id,
                "the client closed the connection"
            ),
            End::Stopped => tracing::debug!(
                connection = id, %peer, client_id,
                "closed the connection: stopping"
            ),
            End::Lost(error) => tracing::debug!(
                connection = id, %peer, client_id, %error,
                "lost the connection"
            ),
            End::Refused(cause) => cause.log(live, complaints),
            End::Panicked(cause) => tracing::error!(
                connection = id, %peer, listener,
                client_id = cause.client_id.as_deref().or(client_id),
                api = cause.api.map(|(api, _)| debug(api)),
                version = cause.api.map(|(_, version)| version),
                "closed the connection: a defect in a handler: {}", cause.text
            ),
        }
    }

    /// What it is counted as.
    pub(super) fn reason(&self) -> CloseReason {
        match self {
            End::Client => CloseReason::Client,
            End::Stopped => CloseReason::Stopping,
            End::Refused(_) => CloseReason::Refused,
            End::Panicked(_) => CloseReason::Defect,
            End::Lost(_) => CloseReason::Lost,
        }
    }
}

/// What a panic says.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
