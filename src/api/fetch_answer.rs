//! The body of a Fetch answer, versions 4-18, written in pieces: kafka-protocol's encoder would copy every record batch
//! into one buffer, and that copy is most of what a fetch costs. Held against that encoder in a test, byte for byte.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::common::put_varint;
use crate::base::Rope;

/// Record batches below this size are copied together: a piece costs more than it saves, bytes.
const PIECE_MIN: usize = 2048;

/// The last version that names topics; later ones carry their ids.
const NAMES_UNTIL: i16 = 12;
const FLEXIBLE_SINCE: i16 = 12;

/// A topic by what the request named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AnsweredTopic {
    Name(std::sync::Arc<str>),
    Id(Uuid),
}

#[derive(Debug)]
pub(super) struct TopicAnswer {
    pub(super) topic: AnsweredTopic,
    pub(super) partitions: Vec<PartitionAnswer>,
}

/// -1 stands for "not known" in every offset.
#[derive(Debug)]
pub(super) struct PartitionAnswer {
    pub(super) index: i32,
    pub(super) error_code: i16,
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    pub(super) log_start_offset: i64,
    /// Epoch and its end offset (v12+).
    pub(super) diverging: Option<(i32, i64)>,
    /// Producer id and first offset of each; `None` is null, for readers of uncommitted records.
    pub(super) aborted: Option<Vec<(i64, i64)>>,
    pub(super) records: Rope,
}

#[derive(Debug)]
pub(super) struct FetchAnswerBody {
    pub(super) error_code: i16,
    pub(super) session_id: i32,
    pub(super) topics: Vec<TopicAnswer>,
}

impl FetchAnswerBody {
    /// The body in a version between 4 and 18.
    pub(super) fn encode(&self, version: i16) -> Vec<Bytes> {
        let mut out = Pieces {
            version,
            done: Vec::new(),
            open: BytesMut::with_capacity(512),
        };
        out.open.put_i32(0); // throttle_time_ms
        if version >= 7 {
            out.open.put_i16(self.error_code);
            out.open.put_i32(self.session_id);
        }
        out.count(self.topics.len());
        for topic in &self.topics {
            out.topic(topic);
        }
        out.no_tags();
        out.finish()
    }
}

/// Pieces that are done, and the one that small fields go to.
struct Pieces {
    version: i16,
    done: Vec<Bytes>,
    open: BytesMut,
}

impl Pieces {
    fn topic(&mut self, topic: &TopicAnswer) {
        match &topic.topic {
            AnsweredTopic::Name(name) => {
                debug_assert!(
                    self.version <= NAMES_UNTIL,
                    "later versions carry topic ids"
                );
                self.short_string(name);
            }
            AnsweredTopic::Id(id) => self.open.put_slice(id.as_bytes()),
        }
        self.count(topic.partitions.len());
        for partition in &topic.partitions {
            self.partition(partition);
        }
        self.no_tags();
    }

    fn partition(&mut self, partition: &PartitionAnswer) {
        self.open.put_i32(partition.index);
        self.open.put_i16(partition.error_code);
        self.open.put_i64(partition.high_watermark);
        self.open.put_i64(partition.last_stable_offset);
        if self.version >= 5 {
            self.open.put_i64(partition.log_start_offset);
        }
        match &partition.aborted {
            None => self.null(),
            Some(aborted) => {
                self.count(aborted.len());
                for (producer_id, first_offset) in aborted {
                    self.open.put_i64(*producer_id);
                    self.open.put_i64(*first_offset);
                    self.no_tags();
                }
            }
        }
        if self.version >= 11 {
            self.open.put_i32(-1); // preferred_read_replica
        }
        self.count(partition.records.len());
        self.records(&partition.records);
        match partition.diverging {
            Some((epoch, end_offset)) if self.version >= FLEXIBLE_SINCE => {
                const SIZE: u8 = 4 + 8 + 1;
                self.open.put_slice(&[1, 0, SIZE]); // one tagged field: tag 0 and its size
                self.open.put_i32(epoch);
                self.open.put_i64(end_offset);
                self.no_tags();
            }
            _ => self.no_tags(),
        }
    }

    fn records(&mut self, records: &Rope) {
        for piece in records.pieces() {
            if piece.len() < PIECE_MIN {
                self.open.put_slice(piece);
                continue;
            }
            if !self.open.is_empty() {
                self.done.push(self.open.split().freeze());
            }
            self.done.push(piece.clone());
        }
    }

    fn is_flexible(&self) -> bool {
        self.version >= FLEXIBLE_SINCE
    }

    /// Length of an array or of bytes.
    fn count(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if self.is_flexible() {
            put_varint(&mut self.open, count.saturating_add(1));
        } else {
            self.open.put_u32(count);
        }
    }

    fn null(&mut self) {
        if self.is_flexible() {
            self.open.put_u8(0)
        } else {
            self.open.put_i32(-1)
        }
    }

    /// A topic name: 249 bytes at most.
    fn short_string(&mut self, text: &str) {
        if self.is_flexible() {
            self.count(text.len());
        } else {
            self.open
                .put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
        }
        self.open.put_slice(text.as_bytes());
    }

    fn no_tags(&mut self) {
        if self.is_flexible() {
            self.open.put_u8(0);
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        if !self.open.is_empty() {
            self.done.push(self.open.freeze());
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::fetch_response::{
        AbortedTransaction, EpochEndOffset, FetchResponse, FetchableTopicResponse, PartitionData,
    };
    use kafka_protocol::messages::{ProducerId, TopicName};
    use kafka_protocol::protocol::{Encodable, StrBytes};

    fn body(version: i16) -> FetchAnswerBody {
        let mut records = Rope::new();
        records.push(Bytes::from_static(b"small"));
        records.push(Bytes::from(vec![7; PIECE_MIN]));
        records.push(Bytes::from(vec![9; 300]));
        let partition = |index, records| PartitionAnswer {
            index,
            error_code: 0,
            high_watermark: 1 << 40,
            last_stable_offset: 12,
            log_start_offset: if version >= 5 { 3 } else { -1 },
            diverging: (version >= 12 && index == 1).then_some((0, 77)),
            aborted: (index == 0).then(|| vec![(5, 6), (7, 8)]),
            records,
        };
        let topic = |name: &str, partitions| TopicAnswer {
            topic: match version {
                ..=NAMES_UNTIL => AnsweredTopic::Name(name.into()),
                _ => AnsweredTopic::Id(Uuid::from_u128(9)),
            },
            partitions,
        };
        let many = (0..200)
            .map(|index| partition(index + 2, Rope::new()))
            .collect();
        FetchAnswerBody {
            error_code: if version >= 7 { 70 } else { 0 },
            session_id: if version >= 7 { 99 } else { 0 },
            topics: vec![
                topic("t", vec![partition(0, records), partition(1, Rope::new())]),
                topic(&"long".repeat(60), many),
            ],
        }
    }

    fn by_the_crate(body: &FetchAnswerBody, version: i16) -> Bytes {
        let topics = body.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|p| {
                let aborted = p.aborted.as_ref().map(|aborted| {
                    let one = |(producer, offset): &(i64, i64)| {
                        AbortedTransaction::default()
                            .with_producer_id(ProducerId(*producer))
                            .with_first_offset(*offset)
                    };
                    aborted.iter().map(one).collect()
                });
                let diverging = p
                    .diverging
                    .map_or(EpochEndOffset::default(), |(epoch, end)| {
                        EpochEndOffset::default()
                            .with_epoch(epoch)
                            .with_end_offset(end)
                    });
                PartitionData::default()
                    .with_partition_index(p.index)
                    .with_error_code(p.error_code)
                    .with_high_watermark(p.high_watermark)
                    .with_last_stable_offset(p.last_stable_offset)
                    .with_log_start_offset(p.log_start_offset)
                    .with_aborted_transactions(aborted)
                    .with_diverging_epoch(diverging)
                    .with_records(Some(p.records.to_bytes()))
            });
            let answer = FetchableTopicResponse::default().with_partitions(partitions.collect());
            match &topic.topic {
                AnsweredTopic::Name(name) => {
                    answer.with_topic(TopicName(StrBytes::from_string(name.to_string())))
                }
                AnsweredTopic::Id(id) => answer.with_topic_id(*id),
            }
        });
        let response = FetchResponse::default()
            .with_error_code(body.error_code)
            .with_session_id(body.session_id)
            .with_responses(topics.collect());
        let mut out = BytesMut::new();
        response.encode(&mut out, version).unwrap();
        out.freeze()
    }

    #[test]
    fn every_version_is_what_kafka_protocol_writes() {
        for version in 4..=18 {
            let body = body(version);
            let pieces = body.encode(version);
            assert!(pieces.len() > 1, "large records are a piece of their own");
            assert_eq!(
                Bytes::from(pieces.concat()),
                by_the_crate(&body, version),
                "v{version}"
            );
        }
    }
}
