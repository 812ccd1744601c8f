//! Broker keys: the broker itself.

use crate::config::def::Check::{Any, AtLeast, EachOf};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};

declare! { IDENTITY_KEYS: Broker;
    BACKGROUND_THREADS: int "background.threads" = 10, AtLeast(1), ClusterWide, WithoutMeaning,
        "Threads of Kafka's background work.";
    BROKER_ID: int "broker.id" = -1, Any, ReadOnly, Honoured,
        "The older name of node.id.";
    BROKER_RACK: opt_string "broker.rack", Any, ReadOnly, Honoured,
        "The rack of this broker, as clients see it.";
    CONFIG_PROVIDERS: list "config.providers" = "", Any, ClusterWide, WithoutMeaning,
        "Names of Java classes that fetch values from elsewhere.";
    CONTROLLED_SHUTDOWN_ENABLE: boolean "controlled.shutdown.enable" = true, Any, ReadOnly, WithoutMeaning,
        "Whether Kafka moves leadership away before it stops.";
    NODE_ID: int "node.id" = 1, AtLeast(0), ReadOnly, Honoured,
        "The number of this broker. It is written into the data folder and cannot change after that.";
    PROCESS_ROLES: list "process.roles" = "broker", EachOf(&["broker", "controller"]), ReadOnly, WithoutMeaning,
        "What a Kafka process is: here always a broker that needs no controller.";
    SERVER_MAX_STARTUP_TIME_MS: long "server.max.startup.time.ms" = 9_223_372_036_854_775_807,
        AtLeast(0), ReadOnly, Internal,
        "The longest time that Kafka may take to start.";
    UNSTABLE_API_VERSIONS_ENABLE: boolean "unstable.api.versions.enable" = false, Any, ReadOnly, Internal,
        "Whether Kafka serves versions of requests that may still change.";
    UNSTABLE_FEATURE_VERSIONS_ENABLE: boolean "unstable.feature.versions.enable" = false,
        Any, ReadOnly, Internal,
        "Whether Kafka allows feature versions that may still change.";
}
