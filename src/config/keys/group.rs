//! Group keys (`GroupConfig`).

use crate::config::def::Check::{Any, AtLeast, AutoOffsetReset, OneOf};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare, same};

declare! { GROUP_KEYS: Group;
    CONSUMER_ASSIGNMENT_INTERVAL_MS: int "consumer.assignment.interval.ms" = 1000, AtLeast(0), ClusterWide, Later,
        from [same("group.consumer.assignment.interval.ms")],
        "The shortest time between new assignments of the group.";
    CONSUMER_HEARTBEAT_INTERVAL_MS: int "consumer.heartbeat.interval.ms" = 5000, AtLeast(1), ClusterWide, Later,
        from [same("group.consumer.heartbeat.interval.ms")],
        "How often members of the group send heartbeats.";
    CONSUMER_SESSION_TIMEOUT_MS: int "consumer.session.timeout.ms" = 45_000, AtLeast(1), ClusterWide, Later,
        from [same("group.consumer.session.timeout.ms")],
        "How long a member of the group may be silent.";
    SHARE_ASSIGNMENT_INTERVAL_MS: int "share.assignment.interval.ms" = 1000, AtLeast(0), ClusterWide, Later,
        from [same("group.share.assignment.interval.ms")],
        "The shortest time between new assignments of the share group.";
    SHARE_AUTO_OFFSET_RESET: string "share.auto.offset.reset" = "latest", AutoOffsetReset, ClusterWide, Later,
        "Where a share group starts in a partition that is new to it.";
    SHARE_DELIVERY_COUNT_LIMIT: int "share.delivery.count.limit" = 5, AtLeast(2), ClusterWide, Later,
        from [same("group.share.delivery.count.limit")],
        "How often a record is delivered at most.";
    SHARE_HEARTBEAT_INTERVAL_MS: int "share.heartbeat.interval.ms" = 5000, AtLeast(1), ClusterWide, Later,
        from [same("group.share.heartbeat.interval.ms")],
        "How often members of the share group send heartbeats.";
    SHARE_ISOLATION_LEVEL: string "share.isolation.level" = "read_uncommitted",
        OneOf(&["read_committed", "read_uncommitted"]), ClusterWide, Later,
        "Whether records of open and aborted transactions are delivered.";
    SHARE_PARTITION_MAX_RECORD_LOCKS: int "share.partition.max.record.locks" = 2000, AtLeast(100), ClusterWide, Later,
        from [same("group.share.partition.max.record.locks")],
        "The most records of a share partition that are locked at a time.";
    SHARE_RECORD_LOCK_DURATION_MS: int "share.record.lock.duration.ms" = 30_000, AtLeast(1000), ClusterWide, Later,
        from [same("group.share.record.lock.duration.ms")],
        "How long a record stays locked for the member that acquired it.";
    SHARE_RENEW_ACKNOWLEDGE_ENABLE: boolean "share.renew.acknowledge.enable" = true, Any, ClusterWide, Later,
        "Whether members may renew a record's lock.";
    SHARE_SESSION_TIMEOUT_MS: int "share.session.timeout.ms" = 45_000, AtLeast(1), ClusterWide, Later,
        from [same("group.share.session.timeout.ms")],
        "How long a member of the share group may be silent.";
    STREAMS_ASSIGNMENT_INTERVAL_MS: int "streams.assignment.interval.ms" = 1000, AtLeast(0), ClusterWide, Later,
        from [same("group.streams.assignment.interval.ms")],
        "The shortest time between new assignments of the streams group.";
    STREAMS_HEARTBEAT_INTERVAL_MS: int "streams.heartbeat.interval.ms" = 5000, AtLeast(1), ClusterWide, Later,
        from [same("group.streams.heartbeat.interval.ms")],
        "How often members of the streams group send heartbeats.";
    STREAMS_INITIAL_REBALANCE_DELAY_MS: int "streams.initial.rebalance.delay.ms" = 3000, AtLeast(0), ClusterWide, Later,
        from [same("group.streams.initial.rebalance.delay.ms")],
        "How long the empty group waits for more members before its first assignment.";
    STREAMS_NUM_STANDBY_REPLICAS: int "streams.num.standby.replicas" = 0, AtLeast(0), ClusterWide, Later,
        from [same("group.streams.num.standby.replicas")],
        "Standby replicas of each task.";
    STREAMS_SESSION_TIMEOUT_MS: int "streams.session.timeout.ms" = 45_000, AtLeast(1), ClusterWide, Later,
        from [same("group.streams.session.timeout.ms")],
        "How long a member of the streams group may be silent.";
}
