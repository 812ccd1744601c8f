//! The cluster's state as pure data: topics, settings, the counters that number partitions and producers, cluster facts.
//!
//! `decide`-style functions take the state as it is and a request, and return what to write and what to answer;
//! the shell in `broker::catalog` commits the writes and publishes the new state. Nothing here does I/O, reads a
//! clock or draws random numbers.

mod alter;
mod configs;
mod create;
mod delete;
mod grow;
mod name;
mod rows;
mod topics;

#[cfg(test)]
mod grow_tests;
#[cfg(test)]
mod tests;

pub use alter::{
    ALTER_RECORDS_MAX, AlterConfig, AlterError, AlterOp, Alteration, Altered, Change, alter_configs,
};
pub use configs::{
    Configs, Resource, configs_key, configs_rows, decode_configs, encode_configs, resource_of,
};
pub use create::{
    Assignment, CREATE_PARTITIONS_MAX, CREATE_RECORDS_MAX, CreateError, CreateTopic, Creation,
    Creator, Replication, Rules, create_topics,
};
pub use delete::{DeleteError, DeleteTopic, Deletion, delete_topics};
pub use grow::{GrowError, GrowTopic, Growth, create_partitions};
pub use name::{CLUSTER_METADATA_TOPIC, NameError, TOPIC_NAME_SIZE_MAX, is_internal, validate};
pub use rows::{
    Counter, PARTITIONS_MAX, RowError, TopicRow, Trim, TrimSubject, counter_key, decode_cluster_id,
    decode_counter, decode_producer_ids, decode_topic, decode_trim, encode_counter,
    encode_producer_ids, encode_topic, encode_trim, facts_key, log_trim_key, log_trim_rows,
    producer_ids_key, topic_key, topic_name_of, topic_rows, trim_key, trim_rows,
};
pub use topics::{Topic, Topics};
