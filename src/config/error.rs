//! What can be wrong with a key or its value. The texts are Kafka's, because clients show them and tests read them.

use super::def::Scope;

/// A key or value that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such key. Kafka answers INVALID_CONFIG for topics and groups, INVALID_REQUEST for client metrics.
    #[error("Unknown {}: {name}", scope_name(.scope))]
    Unknown { scope: Scope, name: String },
    /// A value that its key does not allow.
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    Invalid {
        name: String,
        value: String,
        reason: String,
    },
    /// Values that are each allowed but contradict each other.
    #[error("{reason}")]
    Conflict { reason: String },
    /// A client metrics subscription's `interval.ms`, for which Kafka answers INVALID_REQUEST.
    #[error(
        "Invalid value {ms} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
    )]
    Interval { ms: i64 },
}

fn scope_name(scope: &Scope) -> &'static str {
    match scope {
        Scope::Broker => "broker config name",
        Scope::Topic => "topic config name",
        Scope::Group => "group config name",
        Scope::ClientMetrics => "client metrics configuration",
    }
}
