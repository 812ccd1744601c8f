//! Requests of clients that want a lot: those of the deaf, and of a broker at work.

use std::net::SocketAddr;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, FetchRequest, ProduceRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::arena::ask;

/// Versions that name topics.
pub(crate) const FETCH: i16 = 12;
pub(crate) const PRODUCE: i16 = 9;
const CREATE_TOPICS: i16 = 7;

/// Bytes of records that a fetch asks for.
pub(crate) const DEAF_BYTES: i32 = 32 << 20;

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// Asks for all there is, from the beginning on, without a session.
pub(crate) fn fetch(topic: &str, indexes: &[i32]) -> FetchRequest {
    let partition = |index: &i32| {
        FetchPartition::default()
            .with_partition(*index)
            .with_partition_max_bytes(DEAF_BYTES)
    };
    let topic = FetchTopic::default()
        .with_topic(topic_name(topic))
        .with_partitions(indexes.iter().map(partition).collect());
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(500)
        .with_max_bytes(DEAF_BYTES)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// Writes one batch.
pub(crate) fn produce(topic: &str, index: i32, batch: Vec<u8>) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(index)
        .with_records(Some(batch.into()));
    let topic = TopicProduceData::default()
        .with_name(topic_name(topic))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic])
}

pub(crate) fn create_topic(address: SocketAddr, name: &str, partitions: i32) -> Result<(), String> {
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(10_000);
    match ask(address, CREATE_TOPICS, &request)?.topics[0].error_code {
        0 => Ok(()),
        code => Err(format!("creating {name}: error {code}")),
    }
}
