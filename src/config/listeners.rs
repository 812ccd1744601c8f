//! `listeners`, `advertised.listeners` and `listener.security.protocol.map`, read as Kafka reads them.

use std::collections::BTreeMap;

use super::{Config, keys};

/// A place to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// In capitals, as Kafka has it.
    pub name: String,
    /// A host name or address without brackets; empty for every interface.
    pub host: String,
    /// 0 for any free port.
    pub port: u16,
    /// What clients are told instead of the address that they came in on; port 0 for the port that is listened on.
    pub advertised: Option<(String, u16)>,
}

/// The listeners of the broker, and those that are not opened because a controller's they would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    pub broker: Vec<Listener>,
    pub controller: Vec<String>,
}

/// Why the listeners cannot be as they are set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenersError {
    #[error(
        "{key}: cannot read `{text}`\nhint: write NAME://host:port, such as PLAINTEXT://127.0.0.1:9092"
    )]
    Unreadable { key: &'static str, text: String },
    #[error(
        "{key}: the name `{name}` stands there twice\nhint: each listener needs a name of its own"
    )]
    Twice { key: &'static str, name: String },
    #[error(
        "listeners: two listeners are on {host}:{port}\nhint: each needs an address of its own"
    )]
    SameAddress { host: String, port: u16 },
    #[error(
        "no security protocol is defined for listener `{name}`\nhint: add {name}:PLAINTEXT to \
         listener.security.protocol.map"
    )]
    Unmapped { name: String },
    #[error(
        "listener.security.protocol.map: cannot read `{text}`\nhint: write NAME:PROTOCOL, comma separated; the \
         protocols are PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL"
    )]
    Map { text: String },
    #[error(
        "listener `{name}` speaks {protocol}: TLS and SASL are not there yet\nhint: map it to PLAINTEXT and keep it \
         on a trusted network, or leave it out"
    )]
    NotYet { name: String, protocol: String },
    #[error(
        "ottla.metrics.listener: cannot read `{text}`\nhint: write host:port, such as 127.0.0.1:9404"
    )]
    Metrics { text: String },
    #[error("advertised.listeners: there is no listener `{name}`\nhint: the listeners are {known}")]
    NoSuchListener { name: String, known: String },
    #[error(
        "advertised.listeners: clients cannot connect to {host}\nhint: name an address that clients reach, or leave \
         advertised.listeners out: each client is then told the address that it came in on"
    )]
    Unroutable { host: String },
    #[error(
        "listeners: there is none for clients\nhint: every name stands in controller.listener.names"
    )]
    None,
}

struct Endpoint {
    name: String,
    host: String,
    port: u16,
}

impl Config {
    /// Where to listen, checked.
    pub fn listeners(&self) -> Result<Listeners, ListenersError> {
        let protocols = protocols(&self.get(keys::LISTENER_SECURITY_PROTOCOL_MAP))?;
        let controllers: Vec<String> = self
            .get(keys::CONTROLLER_LISTENER_NAMES)
            .iter()
            .map(|name| name.to_uppercase())
            .collect();
        let endpoints = endpoints("listeners", &self.get(keys::LISTENERS))?;
        let (controller, broker): (Vec<_>, Vec<_>) = endpoints
            .into_iter()
            .partition(|endpoint| controllers.contains(&endpoint.name));
        if broker.is_empty() {
            return Err(ListenersError::None);
        }
        for endpoint in &broker {
            match protocols.get(&endpoint.name).map(String::as_str) {
                Some("PLAINTEXT") => {}
                Some(protocol) => {
                    return Err(ListenersError::NotYet {
                        name: endpoint.name.clone(),
                        protocol: protocol.to_owned(),
                    });
                }
                None => {
                    return Err(ListenersError::Unmapped {
                        name: endpoint.name.clone(),
                    });
                }
            }
        }
        distinct_addresses(&broker)?;
        let advertised = self.advertised(&broker, &controllers)?;
        let listener = |endpoint: Endpoint| Listener {
            advertised: advertised.get(&endpoint.name).cloned(),
            name: endpoint.name,
            host: endpoint.host,
            port: endpoint.port,
        };
        Ok(Listeners {
            broker: broker.into_iter().map(listener).collect(),
            controller: controller
                .into_iter()
                .map(|endpoint| endpoint.name)
                .collect(),
        })
    }

    /// Host and port of `ottla.metrics.listener`, if it is set.
    pub fn metrics_listener(&self) -> Result<Option<(String, u16)>, ListenersError> {
        let Some(text) = self.get(keys::OTTLA_METRICS_LISTENER) else {
            return Ok(None);
        };
        match split_port(&text) {
            Some((host, port)) => Ok(Some((host.to_owned(), port))),
            None => Err(ListenersError::Metrics { text }),
        }
    }

    fn advertised(
        &self,
        broker: &[Endpoint],
        controllers: &[String],
    ) -> Result<BTreeMap<String, (String, u16)>, ListenersError> {
        let set = self.get(keys::ADVERTISED_LISTENERS).unwrap_or_default();
        let mut advertised = BTreeMap::new();
        for endpoint in endpoints("advertised.listeners", &set)? {
            if controllers.contains(&endpoint.name) {
                continue;
            }
            if !broker.iter().any(|known| known.name == endpoint.name) {
                let known: Vec<_> = broker.iter().map(|known| known.name.as_str()).collect();
                return Err(ListenersError::NoSuchListener {
                    name: endpoint.name,
                    known: known.join(", "),
                });
            }
            if matches!(endpoint.host.as_str(), "0.0.0.0" | "::") {
                return Err(ListenersError::Unroutable {
                    host: endpoint.host,
                });
            }
            // Without a host, as in `PLAINTEXT://:9092`, there is nothing to tell but the address that a client used.
            if !endpoint.host.is_empty() {
                advertised.insert(endpoint.name, (endpoint.host, endpoint.port));
            }
        }
        Ok(advertised)
    }
}

fn endpoints(key: &'static str, items: &[String]) -> Result<Vec<Endpoint>, ListenersError> {
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(items.len());
    for text in items.iter().filter(|text| !text.is_empty()) {
        let endpoint = endpoint(text).ok_or_else(|| ListenersError::Unreadable {
            key,
            text: text.clone(),
        })?;
        if endpoints.iter().any(|other| other.name == endpoint.name) {
            return Err(ListenersError::Twice {
                key,
                name: endpoint.name,
            });
        }
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let (name, address) = text.split_once("://")?;
    let (host, port) = split_port(address)?;
    (!name.is_empty()).then(|| Endpoint {
        name: name.to_uppercase(),
        host: host.to_owned(),
        port,
    })
}

/// `host:port`, `[v6]:port`, `:port`. As in Kafka an IPv6 address may stand without brackets.
pub(super) fn split_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None => host,
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
    if !host.chars().all(allowed) {
        return None;
    }
    Some((host, port.parse().ok()?))
}

/// `NAME://host:port` without the host. What cannot be read stays as it is, to be refused where it is used.
pub(super) fn on_every_interface(text: &str) -> String {
    match endpoint(text) {
        Some(Endpoint { name, port, .. }) => format!("{name}://:{port}"),
        None => text.to_owned(),
    }
}

fn distinct_addresses(endpoints: &[Endpoint]) -> Result<(), ListenersError> {
    for (index, endpoint) in endpoints.iter().enumerate() {
        let same = |other: &Endpoint| other.port == endpoint.port && other.host == endpoint.host;
        if endpoint.port != 0 && endpoints[..index].iter().any(same) {
            return Err(ListenersError::SameAddress {
                host: endpoint.host.clone(),
                port: endpoint.port,
            });
        }
    }
    Ok(())
}

fn protocols(map: &str) -> Result<BTreeMap<String, String>, ListenersError> {
    let mut protocols = BTreeMap::new();
    for text in map
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        let pair = text
            .rsplit_once(':')
            .map(|(name, protocol)| (name.trim().to_uppercase(), protocol.trim().to_uppercase()));
        let known = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
        match pair {
            Some((name, protocol)) if known.contains(&protocol.as_str()) => {
                protocols.insert(name, protocol);
            }
            Some(_) | None => {
                return Err(ListenersError::Map {
                    text: text.to_owned(),
                });
            }
        }
    }
    Ok(protocols)
}
