//! The table: every key that a broker, a topic, a group or a client metrics subscription can have, declared once.
//!
//! Names, types, defaults and bounds are those of Kafka 4.3.1, except for the few whose default differs because a
//! broker here is one process beside its data folder: `listeners`, `log.dir`, `node.id`, `process.roles`,
//! `controller.listener.names`, `socket.send.buffer.bytes`, `socket.receive.buffer.bytes`.

pub mod client_metrics;
pub mod group;
mod groups;
mod identity;
mod log;
mod metadata;
mod network;
mod oauth;
mod operation;
mod ottla;
mod replication;
mod security;
mod tiering;
mod tls;
pub mod topic;
mod topics;
mod transactions;

use std::sync::LazyLock;

pub use groups::*;
pub use identity::*;
pub use log::*;
pub use metadata::*;
pub use network::*;
pub use oauth::*;
pub use operation::*;
pub use ottla::*;
pub use replication::*;
pub use security::*;
pub use tiering::*;
pub use tls::*;
pub use topics::*;
pub use transactions::*;

use super::def::{Def, Scope};

/// A title and the keys under it, as the documentation groups them.
#[derive(Debug)]
pub struct Chapter {
    pub title: &'static str,
    pub keys: &'static [&'static Def],
}

/// The whole table in reading order, broker keys first.
pub fn chapters() -> Vec<Chapter> {
    let chapter = |title, keys| Chapter { title, keys };
    vec![
        chapter("Ottla's own", OTTLA_KEYS),
        chapter("The broker", IDENTITY_KEYS),
        chapter("Listeners and connections", NETWORK_KEYS),
        chapter("Topics", TOPICS_KEYS),
        chapter("Logs", LOG_KEYS),
        chapter("Groups and offsets", GROUPS_KEYS),
        chapter("Producers and transactions", TRANSACTIONS_KEYS),
        chapter("Quotas, metrics and telemetry", OPERATION_KEYS),
        chapter("Authorization and SASL", SECURITY_KEYS),
        chapter("SASL OAUTHBEARER", OAUTH_KEYS),
        chapter("TLS", TLS_KEYS),
        chapter("Replication", REPLICATION_KEYS),
        chapter("Controllers and metadata", METADATA_KEYS),
        chapter("Tiered storage", TIERING_KEYS),
        chapter("Topic keys", topic::TOPIC_KEYS),
        chapter("Group keys", group::GROUP_KEYS),
        chapter("Client metrics keys", client_metrics::CLIENT_METRICS_KEYS),
    ]
}

/// All keys of `scope`, by name.
pub fn all(scope: Scope) -> &'static [&'static Def] {
    static BROKER: LazyLock<Vec<&'static Def>> = LazyLock::new(|| {
        let mut keys: Vec<&Def> = chapters()
            .iter()
            .flat_map(|chapter| chapter.keys.iter().copied())
            .filter(|def| def.scope == Scope::Broker)
            .collect();
        keys.sort_by_key(|def| def.name);
        keys
    });
    match scope {
        Scope::Broker => &BROKER,
        Scope::Topic => topic::TOPIC_KEYS,
        Scope::Group => group::GROUP_KEYS,
        Scope::ClientMetrics => client_metrics::CLIENT_METRICS_KEYS,
    }
}

/// The declaration of `name` in `scope`.
pub fn find(scope: Scope, name: &str) -> Option<&'static Def> {
    let keys = all(scope);
    let index = keys.binary_search_by_key(&name, |def| def.name).ok()?;
    Some(keys[index])
}
