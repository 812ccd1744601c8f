//! Client metrics keys (`ClientMetricsConfigs`, KIP-714).

use crate::config::def::Check::Any;
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};

declare! { CLIENT_METRICS_KEYS: ClientMetrics;
    INTERVAL_MS: int "interval.ms" = 300_000, Any, ClusterWide, Later,
        "How often clients push.";
    MATCH: list "match" = "", Any, ClusterWide, Later,
        "The clients that the subscription is for, attribute=pattern, comma separated; empty for all.";
    METRICS: list "metrics" = "", Any, ClusterWide, Later,
        "Prefixes of the metrics to push; empty for none, * for all.";
}
