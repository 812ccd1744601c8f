//! What the rows of a folder say: which log belongs to which partition, and the rows of one log.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::base::PartitionNumber;
use crate::cluster::{self, TrimSubject};
use crate::log::{self, Head};
use crate::store::local::inspect::{Damage, Rows};
use crate::store::{Key, KeyRange, Space};

/// The logs of a folder, in the order of their topics and partitions; those of deleted topics last.
#[derive(Debug)]
pub(super) struct Logs<'a> {
    rows: &'a Rows,
    pub(super) logs: Vec<Log>,
}

/// One log and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) number: PartitionNumber,
    pub(super) topic: String,
    /// Kafka's index of the partition.
    pub(super) index: usize,
}

impl Log {
    /// How a message names it.
    pub(super) fn name(&self) -> String {
        format!("topic {}, partition {}", self.topic, self.index)
    }
}

impl<'a> Logs<'a> {
    /// Finds all logs; rows that cannot be read are damage.
    pub(super) fn find(rows: &'a Rows, damage: &mut Vec<Damage>) -> Self {
        let mut logs = Logs {
            rows,
            logs: Vec::new(),
        };
        for (key, value) in logs.range(&cluster::topic_rows()) {
            let row = cluster::topic_name_of(key)
                .and_then(|name| Ok((name.to_owned(), cluster::decode_topic(value)?)));
            match row {
                Ok((topic, row)) => logs.add(&topic, &row.partitions),
                Err(error) => damage.push(row_damage("a topic", &error)),
            }
        }
        let trims = [cluster::trim_rows(), cluster::log_trim_rows()];
        for (key, value) in trims
            .into_iter()
            .flat_map(|range| logs.range(&range))
            .collect::<Vec<_>>()
        {
            match cluster::decode_trim(key, value).map(|trim| trim.subject) {
                Ok(TrimSubject::Topic {
                    name, partitions, ..
                }) => logs.add(&format!("{name} (deleted)"), &partitions),
                Ok(TrimSubject::Log(_)) => {}
                Err(error) => damage.push(row_damage("a trim", &error)),
            }
        }
        let known: BTreeMap<_, _> = logs.logs.iter().map(|log| (log.number, ())).collect();
        for (key, _) in logs.range(&KeyRange::all(Space::Head)) {
            let number = key.bytes.first_chunk().copied().map(u32::from_be_bytes);
            let number = number
                .map(PartitionNumber)
                .filter(|n| !known.contains_key(n));
            if let Some(number) = number {
                let reason = "no topic has this log";
                damage.push(row_damage(
                    &format!("the head of log {}", number.0),
                    &reason,
                ));
            }
        }
        logs
    }

    fn add(&mut self, topic: &str, numbers: &[PartitionNumber]) {
        let log = |(index, number): (usize, &PartitionNumber)| Log {
            number: *number,
            topic: topic.to_owned(),
            index,
        };
        self.logs.extend(numbers.iter().enumerate().map(log));
    }

    /// The rows of a range.
    pub(super) fn range(&self, range: &KeyRange) -> Vec<(&'a Key, &'a Bytes)> {
        let start = Key::new(range.space, range.start.clone());
        let rows = self.rows.rows.range(start..);
        let inside = rows.take_while(|(key, _)| range.contains(key));
        inside.map(|(key, (_, value))| (key, value)).collect()
    }

    /// The head of a log; an absent one is that of a log without records.
    pub(super) fn head(&self, log: &Log) -> Result<Head, Damage> {
        let row = self.rows.rows.get(&log::head_key(log.number));
        let head = row.map(|(_, value)| Head::decode(value)).transpose();
        let place = format!("the head of {}", log.name());
        Ok(head
            .map_err(|error| row_damage(&place, &error))?
            .unwrap_or(Head::EMPTY))
    }
}

/// Damage in a row; rows have no place in a file of their own.
pub(super) fn row_damage(what: &str, reason: &dyn std::fmt::Display) -> Damage {
    Damage {
        place: format!("row of {what}"),
        reason: reason.to_string(),
    }
}
