//! What the APIs about settings share: the types of resources, and how changes of them are checked and answered
//! (Kafka's `ConfigAdminManager`).

use std::collections::{HashMap, HashSet};

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::Call;
use super::call::log_call;
use super::common::catalog_code;
use crate::base::NodeId;
use crate::broker::catalog::CreateMode;
use crate::cluster::{AlterConfig, AlterError, Altered, Change, Resource};
use crate::config::{ConfigError, Scope};

/// What a resource is (`ConfigResource.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Topic,
    Broker,
    BrokerLogger,
    ClientMetrics,
    Group,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] = [
        Kind::Topic,
        Kind::Broker,
        Kind::BrokerLogger,
        Kind::ClientMetrics,
        Kind::Group,
    ];

    pub(super) fn of(wire: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.wire() == wire)
    }

    /// The number in requests and answers.
    pub(super) fn wire(self) -> i8 {
        match self {
            Kind::Topic => 2,
            Kind::Broker => 4,
            Kind::BrokerLogger => 8,
            Kind::ClientMetrics => 16,
            Kind::Group => 32,
        }
    }
}

/// Why a resource is not described or changed.
pub(super) type Refused = (ResponseError, String);

/// A refusal with error 42.
pub(super) fn invalid(text: impl Into<String>) -> Refused {
    (ResponseError::InvalidRequest, text.into())
}

/// A resource of a request to change settings, as it came in.
#[derive(Debug)]
pub(super) struct Asked<Op> {
    pub(super) kind: i8,
    pub(super) name: StrBytes,
    /// Key, value, and what to do with them.
    pub(super) settings: Vec<(String, Option<String>, Op)>,
}

/// Checks each resource with `change`, changes those that are good in one commit, and answers for each.
pub(super) async fn alter<Op>(
    call: &Call,
    asked: Vec<Asked<Op>>,
    validate_only: bool,
    change: impl Fn(Kind, &Asked<Op>) -> Result<Change, Refused>,
) -> Vec<Result<(), Refused>> {
    let mut named: HashMap<(i8, &str), u32> = HashMap::new();
    for resource in &asked {
        *named.entry((resource.kind, &resource.name)).or_default() += 1;
    }
    let checked = asked.iter().map(|resource| {
        if named[&(resource.kind, &*resource.name)] > 1 {
            return Err(invalid("Each resource must appear at most once."));
        }
        check(call, resource, &change)
    });
    let checked: Vec<_> = checked.collect();
    let good: Vec<AlterConfig> = checked.iter().flatten().cloned().collect();
    let mode = match validate_only {
        true => CreateMode::ValidateOnly,
        false => CreateMode::Create,
    };
    let altered = match good.is_empty() {
        true => Ok(Vec::new()),
        false => call.broker.catalog.alter(good, mode).await,
    };
    if let Err(error) = &altered {
        log_call!(error, call, %error, "settings not changed");
    }
    let mut altered = altered.map(Vec::into_iter);
    let answers = checked.into_iter().map(|checked| {
        let request = checked?;
        match &mut altered {
            Ok(outcomes) => match outcomes.next() {
                Some(outcome) => answer(call, &request, outcome, mode),
                None => Err((ResponseError::UnknownServerError, String::new())),
            },
            Err(error) => Err((catalog_code(error), error.to_string())),
        }
    });
    answers.collect()
}

fn answer(
    call: &Call,
    request: &AlterConfig,
    outcome: Result<Altered, AlterError>,
    mode: CreateMode,
) -> Result<(), Refused> {
    match outcome {
        Ok(Altered::Same) => Ok(()),
        Ok(_) => {
            if mode == CreateMode::Create {
                let keys: Vec<&str> = match &request.change {
                    Change::Incremental(ops) => ops.iter().map(|(key, _)| key.as_str()).collect(),
                    Change::Replace(set) => set.keys().map(String::as_str).collect(),
                };
                // Not the values: some are secrets.
                log_call!(info, call,
                    resource = %request.resource, keys = keys.join(", "),
                    "settings changed"
                );
            }
            Ok(())
        }
        Err(error) => Err((alter_code(&error), error.to_string())),
    }
}

fn check<Op>(
    call: &Call,
    asked: &Asked<Op>,
    change: &impl Fn(Kind, &Asked<Op>) -> Result<Change, Refused>,
) -> Result<AlterConfig, Refused> {
    let mut seen = HashSet::new();
    if !asked.settings.iter().all(|(key, ..)| seen.insert(key)) {
        return Err(invalid("Error due to duplicate config keys"));
    }
    let unknown = || invalid(format!("Unknown resource type {}", asked.kind));
    let kind = Kind::of(asked.kind).ok_or_else(unknown)?;
    let change = change(kind, asked)?;
    let name = asked.name.to_string();
    let resource = match kind {
        Kind::Topic => Resource::Topic(name),
        Kind::Broker if name.is_empty() => Resource::Broker(None),
        Kind::Broker => {
            check_node(
                call,
                &name,
                "Unexpected broker id, expected {own}, but received {name}",
            )?;
            Resource::Broker(Some(call.broker.catalog.settings().node_id))
        }
        Kind::BrokerLogger => return Err(unknown()),
        Kind::ClientMetrics => Resource::ClientMetrics(name),
        Kind::Group => Resource::Group(name),
    };
    Ok(AlterConfig { resource, change })
}

/// Whether `name` is this broker's id; `other` is what to say when it is another's.
pub(super) fn check_node(call: &Call, name: &str, other: &str) -> Result<(), Refused> {
    let NodeId(own) = call.broker.catalog.settings().node_id;
    match name.parse::<i32>() {
        Ok(id) if id == own => Ok(()),
        Ok(_) => {
            let text = other.replace("{own}", &own.to_string());
            Err(invalid(text.replace("{name}", name)))
        }
        Err(_) => Err(invalid(format!(
            "Node id must be an integer, but it is: {name}"
        ))),
    }
}

/// The values, none of them null where one is needed.
pub(super) fn not_null<'a>(
    settings: impl Iterator<Item = (&'a String, &'a Option<String>)>,
) -> Result<(), Refused> {
    let nulls: Vec<&str> = settings
        .filter(|(_, value)| value.is_none())
        .map(|(key, _)| key.as_str())
        .collect();
    match nulls.is_empty() {
        true => Ok(()),
        false => Err(invalid(format!(
            "Null value not supported for : {}",
            nulls.join(", ")
        ))),
    }
}

/// Kafka's code for each way in which a change of settings is refused.
fn alter_code(error: &AlterError) -> ResponseError {
    match error {
        AlterError::NoName(_)
        | AlterError::NoSubscription
        | AlterError::LongName
        | AlterError::Dynamic(_) => ResponseError::InvalidRequest,
        AlterError::TopicName(_) => ResponseError::InvalidTopicException,
        AlterError::UnknownTopic(_) => ResponseError::UnknownTopicOrPartition,
        AlterError::NotAList { .. }
        | AlterError::UnknownList(_)
        | AlterError::NotABrokerList { .. }
        | AlterError::LongValue
        | AlterError::TooMuch => ResponseError::InvalidConfig,
        AlterError::Config(error) => match error {
            ConfigError::Unknown {
                scope: Scope::ClientMetrics,
                ..
            }
            | ConfigError::Interval { .. } => ResponseError::InvalidRequest,
            ConfigError::Unknown { .. }
            | ConfigError::Invalid { .. }
            | ConfigError::Conflict { .. } => ResponseError::InvalidConfig,
        },
        AlterError::TooLarge => ResponseError::PolicyViolation,
    }
}
