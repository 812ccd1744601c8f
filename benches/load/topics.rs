//! Making and removing topics.

use std::time::{Duration, Instant};

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    ListOffsetsRequest, MetadataRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::wire::{ask, connect};
use crate::{Arguments, Failure, Measures};

const CREATE_VERSION: i16 = 5;
const GROW_VERSION: i16 = 3;
const DELETE_VERSION: i16 = 5;
const LIST_OFFSETS_VERSION: i16 = 5;
/// The timestamp that asks for the end of a partition.
const LATEST: i64 = -1;
const METADATA_VERSION: i16 = 9;
/// One request must not make more than 10,000 records of metadata.
const ADDED_AT_ONCE: i32 = 5_000;
/// For creating twenty thousand partitions on a slow day.
const PATIENCE: Duration = Duration::from_secs(120);

fn name(arguments: &Arguments) -> Result<TopicName, Failure> {
    Ok(TopicName(StrBytes::from_string(arguments.get("topic")?)))
}

/// Until every partition has a leader: brokers with a separate controller answer before that.
pub(crate) async fn create(arguments: &Arguments) -> Result<Measures, Failure> {
    let (topic, partitions) = (name(arguments)?, arguments.get::<i32>("partitions")?);
    let mut stream = connect(&arguments.get::<String>("address")?).await?;
    let started = Instant::now();
    let request = CreateTopicsRequest::default()
        .with_timeout_ms(timeout_ms()?)
        .with_topics(vec![
            CreatableTopic::default()
                .with_name(topic.clone())
                .with_num_partitions(partitions.min(ADDED_AT_ONCE))
                .with_replication_factor(1),
        ]);
    let answer = ask(&mut stream, &request, CREATE_VERSION).await?;
    let code = answer.topics.first().map_or(0, |topic| topic.error_code);
    if code != 0 {
        return Err(format!("creating the topic: error code {code}").into());
    }
    grow(&mut stream, &topic, partitions).await?;
    while led(&mut stream, &topic).await? < usize::try_from(partitions)?
        || !lead(&mut stream, &topic, partitions).await?
    {
        if started.elapsed() > PATIENCE {
            return Err("partitions of the new topic have no leader".into());
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(vec![("seconds", started.elapsed().as_secs_f64())])
}

/// Adds the partitions that could not be created with the topic.
async fn grow(stream: &mut TcpStream, topic: &TopicName, partitions: i32) -> Result<(), Failure> {
    let mut count = ADDED_AT_ONCE;
    while count < partitions {
        count = partitions.min(count + ADDED_AT_ONCE);
        let request = CreatePartitionsRequest::default()
            .with_timeout_ms(timeout_ms()?)
            .with_topics(vec![
                CreatePartitionsTopic::default()
                    .with_name(topic.clone())
                    .with_count(count)
                    .with_assignments(None),
            ]);
        let answer = ask(stream, &request, GROW_VERSION).await?;
        let code = answer.results.first().map_or(0, |topic| topic.error_code);
        if code != 0 {
            return Err(format!("growing the topic to {count}: error code {code}").into());
        }
    }
    Ok(())
}

fn timeout_ms() -> Result<i32, Failure> {
    Ok(i32::try_from(PATIENCE.as_millis())?)
}

/// Whether every partition answers as its leader: one that leads by the metadata may not know of it yet.
async fn lead(stream: &mut TcpStream, topic: &TopicName, partitions: i32) -> Result<bool, Failure> {
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![
            ListOffsetsTopic::default()
                .with_name(topic.clone())
                .with_partitions(
                    (0..partitions)
                        .map(|index| {
                            ListOffsetsPartition::default()
                                .with_partition_index(index)
                                .with_timestamp(LATEST)
                        })
                        .collect(),
                ),
        ]);
    let answer = ask(stream, &request, LIST_OFFSETS_VERSION).await?;
    let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    Ok(partitions.all(|partition| partition.error_code == 0))
}

/// How many partitions have a leader.
async fn led(stream: &mut TcpStream, topic: &TopicName) -> Result<usize, Failure> {
    let request = MetadataRequest::default().with_topics(Some(vec![
        MetadataRequestTopic::default().with_name(Some(topic.clone())),
    ]));
    let answer = ask(stream, &request, METADATA_VERSION).await?;
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    Ok(partitions
        .filter(|p| p.error_code == 0 && p.leader_id.0 >= 0)
        .count())
}

pub(crate) async fn delete(arguments: &Arguments) -> Result<Measures, Failure> {
    let mut stream = connect(&arguments.get::<String>("address")?).await?;
    let request = DeleteTopicsRequest::default()
        .with_topic_names(vec![name(arguments)?])
        .with_timeout_ms(30_000);
    let answer = ask(&mut stream, &request, DELETE_VERSION).await?;
    match answer.responses.first().map_or(0, |topic| topic.error_code) {
        0 => Ok(vec![]),
        code => Err(format!("deleting the topic: error code {code}").into()),
    }
}
