//! What the server may be asked to bear.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::config::{Config, keys};

/// Limits of all listeners and connections.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// `socket.request.max.bytes`: a longer frame closes its connection.
    pub(super) frame_size_max: usize,
    /// Bytes of requests in memory over all connections.
    pub(super) request_memory_size: usize,
    /// `connections.max.idle.ms`; `None` is for ever.
    pub(super) idle_max: Option<Duration>,
    /// `max.connections`: further ones wait until one closes.
    pub(super) connections_max: usize,
    /// `max.connections.per.ip`: further ones are closed.
    pub(super) connections_per_ip_max: usize,
    /// `max.connections.per.ip.overrides`.
    pub(super) connections_of_ip_max: HashMap<IpAddr, usize>,
    /// `socket.listen.backlog.size`.
    pub(super) backlog_size: i32,
    /// `socket.send.buffer.bytes`; `None` leaves it to the operating system.
    pub(super) send_buffer_size: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None` leaves it to the operating system.
    pub(super) receive_buffer_size: Option<usize>,
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
            connections_of_ip_max: overrides(&config.get(keys::MAX_CONNECTIONS_PER_IP_OVERRIDES)),
            backlog_size: config.get(keys::SOCKET_LISTEN_BACKLOG_SIZE),
            send_buffer_size: size(config.get(keys::SOCKET_SEND_BUFFER_BYTES)),
            receive_buffer_size: size(config.get(keys::SOCKET_RECEIVE_BUFFER_BYTES)),
        }
    }
}

/// Reads `address:count,...`; an entry that is neither is named in the log and left out.
fn overrides(text: &str) -> HashMap<IpAddr, usize> {
    let entries = text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    entries
        .filter_map(|entry| {
            let read = entry.rsplit_once(':').and_then(|(address, count)| {
                let address = address.trim_start_matches('[').trim_end_matches(']');
                Some((address.parse().ok()?, count.trim().parse().ok()?))
            });
            if read.is_none() {
                tracing::warn!(
                    "max.connections.per.ip.overrides: `{entry}` is ignored, names are not looked up; hint: write address:count"
                );
            }
            read
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_kafkas_unless_set() {
        let limits = Limits::from(&Config::default());
        assert_eq!(limits.frame_size_max, 104_857_600);
        assert_eq!(limits.idle_max, Some(Duration::from_secs(600)));
        assert_eq!(limits.send_buffer_size, None);
        let set = [
            ("connections.max.idle.ms", "-1"),
            ("queued.max.request.bytes", "5000000"),
            (
                "max.connections.per.ip.overrides",
                "10.0.0.1:7, [::1]:8,localhost:9",
            ),
        ];
        let limits = Limits::from(&Config::from_pairs(set).expect("valid settings"));
        assert_eq!(limits.idle_max, None);
        assert_eq!(limits.request_memory_size, 5_000_000);
        assert_eq!(limits.connections_of_ip_max.len(), 2);
        assert_eq!(
            limits.connections_of_ip_max[&IpAddr::from([10, 0, 0, 1])],
            7
        );
    }
}
