//! What the server may be asked to bear.

use std::time::Duration;

use crate::config::{Config, keys};

/// Limits of all listeners and connections, with Kafka's defaults.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `socket.request.max.bytes`: a longer frame closes its connection.
    pub frame_size_max: usize,
    /// Bytes of requests in memory over all connections.
    pub request_memory_size: usize,
    /// `connections.max.idle.ms`; `None` is for ever.
    pub idle_max: Option<Duration>,
    /// `max.connections`: further ones wait until one closes.
    pub connections_max: usize,
    /// `max.connections.per.ip`: further ones are closed.
    pub connections_per_ip_max: usize,
    /// `socket.listen.backlog.size`.
    pub backlog_size: i32,
    /// `socket.send.buffer.bytes`; `None` leaves it to the operating system.
    pub send_buffer_size: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None` leaves it to the operating system.
    pub receive_buffer_size: Option<usize>,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        // A negative setting stands for "none" where Kafka has one; the table's checks refuse it elsewhere.
        let size = |bytes: i32| usize::try_from(bytes).ok();
        let memory_size = usize::try_from(config.get(keys::QUEUED_MAX_REQUEST_BYTES))
            .ok()
            .or_else(|| usize::try_from(config.get(keys::OTTLA_REQUEST_MEMORY_BYTES)).ok());
        Self {
            frame_size_max: size(config.get(keys::SOCKET_REQUEST_MAX_BYTES)).unwrap_or(0),
            request_memory_size: memory_size.unwrap_or(usize::MAX),
            idle_max: u64::try_from(config.get(keys::CONNECTIONS_MAX_IDLE_MS))
                .ok()
                .map(Duration::from_millis),
            connections_max: size(config.get(keys::MAX_CONNECTIONS)).unwrap_or(0),
            connections_per_ip_max: size(config.get(keys::MAX_CONNECTIONS_PER_IP)).unwrap_or(0),
            backlog_size: config.get(keys::SOCKET_LISTEN_BACKLOG_SIZE),
            send_buffer_size: size(config.get(keys::SOCKET_SEND_BUFFER_BYTES)),
            receive_buffer_size: size(config.get(keys::SOCKET_RECEIVE_BUFFER_BYTES)),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::from(&Config::default())
    }
}
