//! Flags that stand for keys: what they write into them.

use super::listeners::split_port;
use super::{Config, keys};

/// The flags as typed; an empty list or `None` where one was not.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--listen`: `host:port` or `NAME://host:port`.
    pub listen: Vec<String>,
    /// `--advertise`: `host`, `host:port` or `NAME://host:port`.
    pub advertise: Vec<String>,
    pub data: Option<String>,
    pub node_id: Option<String>,
    pub partitions: Option<String>,
    pub durability: Option<String>,
    pub store: Option<String>,
    pub log: Option<String>,
    pub log_format: Option<String>,
    pub metrics: Option<String>,
    pub ready_file: Option<String>,
}

/// A flag that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    #[error(
        "--listen: cannot read `{text}`\nhint: write host:port, such as 127.0.0.1:9092 or [::1]:9092"
    )]
    Listen { text: String },
    #[error(
        "--advertise: cannot read `{text}`\nhint: write host or host:port, such as broker.example.org:9092"
    )]
    Advertise { text: String },
    #[error(
        "--advertise: {given} addresses for {listeners} listeners\nhint: give one for each, in the same order"
    )]
    TooMany { given: usize, listeners: usize },
}

/// Flag, key and value of all that were given; `below` is what the other places came to.
pub(super) fn settings(
    flags: &Flags,
    below: &Config,
) -> Result<Vec<(&'static str, &'static str, String)>, FlagError> {
    let simple = [
        ("--data", "log.dirs", &flags.data),
        ("--node-id", "node.id", &flags.node_id),
        ("--partitions", "num.partitions", &flags.partitions),
        ("--durability", "ottla.durability", &flags.durability),
        ("--store", "ottla.store", &flags.store),
        ("--log", "ottla.log.filter", &flags.log),
        ("--log-format", "ottla.log.format", &flags.log_format),
        ("--metrics", "ottla.metrics.listener", &flags.metrics),
        ("--ready-file", "ottla.ready.file", &flags.ready_file),
    ];
    let mut settings: Vec<_> = simple
        .into_iter()
        .filter_map(|(flag, key, value)| Some((flag, key, value.clone()?)))
        .collect();
    let mut listeners = below.get(keys::LISTENERS);
    if !flags.listen.is_empty() {
        listeners = listen(&flags.listen)?;
        let map = map_with(&below.get(keys::LISTENER_SECURITY_PROTOCOL_MAP), &listeners);
        settings.push(("--listen", keys::LISTENERS.name(), listeners.join(",")));
        settings.push(("--listen", keys::LISTENER_SECURITY_PROTOCOL_MAP.name(), map));
    }
    if !flags.advertise.is_empty() {
        let controllers = below.get(keys::CONTROLLER_LISTENER_NAMES);
        listeners.retain(|listener| !controllers.iter().any(|name| name_of(listener) == name));
        let advertised = advertise(&flags.advertise, &listeners)?;
        settings.push(("--advertise", keys::ADVERTISED_LISTENERS.name(), advertised));
    }
    Ok(settings)
}

fn name_of(listener: &str) -> &str {
    listener.split_once("://").map_or("", |(name, _)| name)
}

/// Gives a name to each address that has none: PLAINTEXT, PLAINTEXT_2 and so on.
fn listen(addresses: &[String]) -> Result<Vec<String>, FlagError> {
    let named = addresses.iter().enumerate().map(|(index, text)| {
        let address = text
            .split_once("://")
            .map_or(text.as_str(), |(_, address)| address);
        if split_port(address).is_none() {
            return Err(FlagError::Listen { text: text.clone() });
        }
        Ok(match (text.contains("://"), index) {
            (true, _) => text.clone(),
            (false, 0) => format!("PLAINTEXT://{text}"),
            (false, index) => format!("PLAINTEXT_{}://{text}", index + 1),
        })
    });
    named.collect()
}

/// Listeners from flags speak PLAINTEXT unless the map says otherwise.
fn map_with(map: &str, listeners: &[String]) -> String {
    let mut map = map.to_owned();
    for name in listeners.iter().map(|listener| name_of(listener)) {
        let is_named = |pair: &str| {
            pair.split_once(':')
                .is_some_and(|(known, _)| known.trim().eq_ignore_ascii_case(name))
        };
        if !map.split(',').any(is_named) {
            if !map.is_empty() {
                map.push(',');
            }
            map.push_str(name);
            map.push_str(":PLAINTEXT");
        }
    }
    map
}

/// An address without a name goes to the listener at the same place, one without a port takes that listener's.
fn advertise(addresses: &[String], listeners: &[String]) -> Result<String, FlagError> {
    if addresses.len() > listeners.len() {
        return Err(FlagError::TooMany {
            given: addresses.len(),
            listeners: listeners.len(),
        });
    }
    let named = addresses.iter().zip(listeners).map(|(text, listener)| {
        if text.contains("://") {
            return Ok(text.clone());
        }
        let unreadable = || FlagError::Advertise { text: text.clone() };
        let (host, port) = host_and_port(text).ok_or_else(unreadable)?;
        let port = port
            .or_else(|| split_port(listener.split_once("://")?.1).map(|(_, port)| port))
            .unwrap_or(0);
        let name = name_of(listener);
        Ok(if host.contains(':') {
            format!("{name}://[{host}]:{port}")
        } else {
            format!("{name}://{host}:{port}")
        })
    });
    Ok(named.collect::<Result<Vec<_>, _>>()?.join(","))
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`, or an IPv6 address alone.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let is_bare_v6 = !text.starts_with('[') && text.matches(':').count() > 1;
    let (host, port) = if is_bare_v6 || (!text.contains(':') || text.ends_with(']')) {
        (text.trim_start_matches('[').trim_end_matches(']'), None)
    } else {
        let (host, port) = split_port(text)?;
        (host, Some(port))
    };
    (!host.is_empty()).then_some((host, port))
}
