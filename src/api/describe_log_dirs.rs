//! DescribeLogDirs (35), versions 1-4: the one folder of this broker, and how much each partition takes (Kafka's
//! `ReplicaManager.describeLogDirs`).
//!
//! - Null topics (v1) ask for all partitions; of others those that are not here are left out, and so are topics of which
//!   none is here. In the order of their names, each once.
//! - The size is what the batches of a partition take that have not been removed: from the log start on, and up to
//!   what a run begins with before it, as Kafka counts whole segments. The lag is 0, and no log is a future one.
//! - Version 3 adds an error for the whole request, which is never needed while nothing is denied. Version 4 adds the
//!   size of the file system and what is usable of it; -1 where the store is in memory.
//! - Rows that cannot be read are error 56 of the folder.
//!
//! Gap: version 5 (cordoned folders) is not in kafka-protocol 0.18.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::call::log_call;
use super::common::{text, topic_name};
use super::errors;
use super::{Answer, Call};
use crate::base::{BoxFuture, PartitionNumber};
use crate::broker::partitions::LoadError;
use crate::cluster::{Topic, Topics};
use crate::protocol::shape::{INT32, STRING, Shape, array, field, list};

/// The size of the file system is answered from this version on.
const SPACE_SINCE: i16 = 4;

pub(super) const SHAPE: Shape = Shape::new(&[field(
    "topics",
    array(&[field("topic", STRING), field("partitions", list(&INT32))]),
)
.null_since(0)])
.flexible_since(2);

pub(super) fn handle(call: Call) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        match call.decode::<DescribeLogDirsRequest>() {
            Ok(request) => {
                let result = folder(&call, request.topics).await;
                call.reply(&DescribeLogDirsResponse::default().with_results(vec![result]))
                    .into()
            }
            Err(reply) => reply.into(),
        }
    })
}

/// The partitions to describe: their indexes by topic, and the log behind each.
type Wanted<'a> = BTreeMap<&'a str, Vec<(i32, PartitionNumber)>>;

async fn folder(call: &Call, asked: Option<Vec<DescribableLogDirTopic>>) -> DescribeLogDirsResult {
    let folder = call.broker.config.now().data_folder();
    let path = std::path::absolute(&folder).unwrap_or(folder);
    let result = describe_folder(call, asked, &path).await;
    result.unwrap_or_else(|error| {
        log_call!(error, call, %error, "the data folder cannot be described");
        DescribeLogDirsResult::default()
            .with_error_code(errors::of_load(&error).code())
            .with_log_dir(text(path.display().to_string()))
    })
}

async fn describe_folder(
    call: &Call,
    asked: Option<Vec<DescribableLogDirTopic>>,
    path: &Path,
) -> Result<DescribeLogDirsResult, LoadError> {
    let topics = call.broker.catalog.topics();
    let wanted = wanted(&topics, asked.as_deref());
    let logs: Vec<PartitionNumber> = wanted.values().flatten().map(|(_, log)| *log).collect();
    let mut sizes = call.broker.reader.sizes(&logs).await?.into_iter();
    let mut described = Vec::with_capacity(wanted.len());
    for (name, partitions) in wanted {
        let partitions = partitions.iter().zip(&mut sizes).map(|((index, _), size)| {
            DescribeLogDirsPartition::default()
                .with_partition_index(*index)
                .with_partition_size(i64::try_from(size).unwrap_or(i64::MAX))
        });
        described.push(
            DescribeLogDirsTopic::default()
                .with_name(topic_name(name))
                .with_partitions(partitions.collect()),
        );
    }
    let result = DescribeLogDirsResult::default()
        .with_log_dir(text(path.display().to_string()))
        .with_topics(described);
    if call.version < SPACE_SINCE {
        return Ok(result);
    }
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    Ok(match call.broker.store.room().await? {
        Some(room) => result
            .with_total_bytes(bytes(room.total))
            .with_usable_bytes(bytes(room.available)),
        None => result,
    })
}

fn wanted<'a>(topics: &'a Topics, asked: Option<&[DescribableLogDirTopic]>) -> Wanted<'a> {
    let logs = |topic: &'a Topic, indexes: &mut dyn Iterator<Item = i32>| -> Vec<_> {
        indexes
            .filter_map(|index| Some((index, topic.partition(index)?)))
            .collect()
    };
    let Some(asked) = asked else {
        let all = topics.iter();
        return all
            .map(|topic| (&*topic.name, logs(topic, &mut topic.indexes())))
            .collect();
    };
    let mut indexes: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
    for topic in asked {
        let known = indexes.entry(topic.topic.as_str()).or_default();
        known.extend(&topic.partitions);
    }
    let found = indexes.into_iter().filter_map(|(name, indexes)| {
        let topic = topics.by_name(name)?;
        Some((&*topic.name, logs(topic, &mut indexes.into_iter())))
    });
    found.filter(|(_, logs)| !logs.is_empty()).collect()
}
