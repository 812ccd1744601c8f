//! One file per API key, and the table that drives dispatch, ApiVersions and docs.
//!
//! Only this module knows request versions and wire error codes. To add an API: a file with the shape of its
//! request and its handler, one row in [`APIS`], and one in `answer_codes`.

mod alter_configs;
mod answer_codes;
mod api_versions;
mod call;
mod common;
mod config_resource;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_topic_partitions;
mod errors;
mod fetch;
mod fetch_answer;
mod find_coordinator;
mod groups;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;

use std::ops::RangeInclusive;

use kafka_protocol::messages::ApiKey;

use crate::base::BoxFuture;
use crate::protocol::shape::Shape;

pub use call::{Answer, Call, Connection, Refusal, Reply, Request};

/// What answers a request. It is called, and its future polled, in the order of the requests on a connection.
pub type Handler = fn(Call) -> BoxFuture<'static, Answer>;

/// One API: a row of [`APIS`].
#[derive(Debug)]
pub struct Api {
    pub key: ApiKey,
    /// What is served: every version that Kafka 4.3 and kafka-protocol's request type share.
    pub versions: RangeInclusive<i16>,
    /// The lowest version that ApiVersions lists; below `versions` only for Produce.
    pub listed_min: i16,
    /// What a body is held against before it is decoded.
    pub request: &'static Shape,
    pub handle: Handler,
}

impl Api {
    /// The API with this number, if it is one of `apis`.
    pub fn find(apis: &[Api], key: i16) -> Option<&Api> {
        apis.iter().find(|api| api.key as i16 == key)
    }

    /// Whether the next request may start before this one is answered. Only a Produce's effects are in order as
    /// soon as its handler returns: the committer has its batches.
    pub fn may_overlap(&self) -> bool {
        self.key == ApiKey::Produce
    }
}

/// Every API that is served, by key.
pub static APIS: &[Api] = &[
    Api {
        key: ApiKey::Produce,
        versions: 3..=13,
        listed_min: 0,
        request: &produce::SHAPE,
        handle: produce::handle,
    },
    Api {
        key: ApiKey::Fetch,
        versions: 4..=18,
        listed_min: 4,
        request: &fetch::SHAPE,
        handle: fetch::handle,
    },
    Api {
        key: ApiKey::ListOffsets,
        versions: 1..=10,
        listed_min: 1,
        request: &list_offsets::SHAPE,
        handle: list_offsets::handle,
    },
    Api {
        key: ApiKey::Metadata,
        versions: 0..=13,
        listed_min: 0,
        request: &metadata::SHAPE,
        handle: metadata::handle,
    },
    Api {
        key: ApiKey::OffsetCommit,
        versions: 2..=9,
        listed_min: 2,
        request: &offset_commit::SHAPE,
        handle: offset_commit::handle,
    },
    Api {
        key: ApiKey::OffsetFetch,
        versions: 1..=9,
        listed_min: 1,
        request: &offset_fetch::SHAPE,
        handle: offset_fetch::handle,
    },
    Api {
        key: ApiKey::FindCoordinator,
        versions: 0..=6,
        listed_min: 0,
        request: &find_coordinator::SHAPE,
        handle: find_coordinator::handle,
    },
    Api {
        key: ApiKey::JoinGroup,
        versions: 0..=9,
        listed_min: 0,
        request: &join_group::SHAPE,
        handle: join_group::handle,
    },
    Api {
        key: ApiKey::Heartbeat,
        versions: 0..=4,
        listed_min: 0,
        request: &heartbeat::SHAPE,
        handle: heartbeat::handle,
    },
    Api {
        key: ApiKey::LeaveGroup,
        versions: 0..=5,
        listed_min: 0,
        request: &leave_group::SHAPE,
        handle: leave_group::handle,
    },
    Api {
        key: ApiKey::SyncGroup,
        versions: 0..=5,
        listed_min: 0,
        request: &sync_group::SHAPE,
        handle: sync_group::handle,
    },
    Api {
        key: ApiKey::DescribeGroups,
        versions: 0..=6,
        listed_min: 0,
        request: &describe_groups::SHAPE,
        handle: describe_groups::handle,
    },
    Api {
        key: ApiKey::ListGroups,
        versions: 0..=5,
        listed_min: 0,
        request: &list_groups::SHAPE,
        handle: list_groups::handle,
    },
    Api {
        key: ApiKey::ApiVersions,
        versions: 0..=4,
        listed_min: 0,
        request: &api_versions::SHAPE,
        handle: api_versions::handle,
    },
    Api {
        key: ApiKey::CreateTopics,
        versions: 2..=7,
        listed_min: 2,
        request: &create_topics::SHAPE,
        handle: create_topics::handle,
    },
    Api {
        key: ApiKey::DeleteTopics,
        versions: 1..=6,
        listed_min: 1,
        request: &delete_topics::SHAPE,
        handle: delete_topics::handle,
    },
    Api {
        key: ApiKey::DeleteRecords,
        versions: 0..=2,
        listed_min: 0,
        request: &delete_records::SHAPE,
        handle: delete_records::handle,
    },
    Api {
        key: ApiKey::InitProducerId,
        versions: 0..=5,
        listed_min: 0,
        request: &init_producer_id::SHAPE,
        handle: init_producer_id::handle,
    },
    Api {
        key: ApiKey::OffsetForLeaderEpoch,
        versions: 2..=4,
        listed_min: 2,
        request: &offset_for_leader_epoch::SHAPE,
        handle: offset_for_leader_epoch::handle,
    },
    Api {
        key: ApiKey::DescribeConfigs,
        versions: 1..=4,
        listed_min: 1,
        request: &describe_configs::SHAPE,
        handle: describe_configs::handle,
    },
    Api {
        key: ApiKey::AlterConfigs,
        versions: 0..=2,
        listed_min: 0,
        request: &alter_configs::SHAPE,
        handle: alter_configs::handle,
    },
    Api {
        key: ApiKey::DescribeLogDirs,
        versions: 1..=4,
        listed_min: 1,
        request: &describe_log_dirs::SHAPE,
        handle: describe_log_dirs::handle,
    },
    Api {
        key: ApiKey::CreatePartitions,
        versions: 0..=3,
        listed_min: 0,
        request: &create_partitions::SHAPE,
        handle: create_partitions::handle,
    },
    Api {
        key: ApiKey::DeleteGroups,
        versions: 0..=2,
        listed_min: 0,
        request: &delete_groups::SHAPE,
        handle: delete_groups::handle,
    },
    Api {
        key: ApiKey::IncrementalAlterConfigs,
        versions: 0..=1,
        listed_min: 0,
        request: &incremental_alter_configs::SHAPE,
        handle: incremental_alter_configs::handle,
    },
    Api {
        key: ApiKey::OffsetDelete,
        versions: 0..=0,
        listed_min: 0,
        request: &offset_delete::SHAPE,
        handle: offset_delete::handle,
    },
    Api {
        key: ApiKey::DescribeCluster,
        versions: 0..=2,
        listed_min: 0,
        request: &describe_cluster::SHAPE,
        handle: describe_cluster::handle,
    },
    Api {
        key: ApiKey::ListConfigResources,
        versions: 0..=1,
        listed_min: 0,
        request: &list_config_resources::SHAPE,
        handle: list_config_resources::handle,
    },
    Api {
        key: ApiKey::DescribeTopicPartitions,
        versions: 0..=0,
        listed_min: 0,
        request: &describe_topic_partitions::SHAPE,
        handle: describe_topic_partitions::handle,
    },
];

#[cfg(test)]
mod admin_tests;
#[cfg(test)]
mod alter_configs_tests;
#[cfg(test)]
mod alter_effects_tests;
#[cfg(test)]
mod cluster_tests;
#[cfg(test)]
mod config_testing;
#[cfg(test)]
mod create_partitions_tests;
#[cfg(test)]
mod data_testing;
#[cfg(test)]
mod delete_records_tests;
#[cfg(test)]
mod fetch_tests;
#[cfg(test)]
mod groups_bad_input_tests;
#[cfg(test)]
mod groups_testing;
#[cfg(test)]
mod groups_tests;
#[cfg(test)]
mod log_dirs_tests;
#[cfg(test)]
mod offsets_tests;
#[cfg(test)]
mod produce_tests;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod shape_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
