//! A Kafka client that does exactly what the test says: one connection, requests sent and answers awaited apart.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, FetchRequest, InitProducerIdRequest, ProduceRequest,
    ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

const PRODUCE: i16 = 9;
const FETCH: i16 = 12;
const CREATE_TOPICS: i16 = 7;
const INIT_PRODUCER_ID: i16 = 4;

/// Longer than any answer takes.
const ANSWER_MAX: Duration = Duration::from_secs(20);

pub(crate) const TOPIC: &str = "kill";

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

/// What a producer puts into its batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProducerId {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// A record as read.
#[derive(Debug)]
pub(crate) struct ReadRecord {
    pub(crate) offset: i64,
    pub(crate) value: Bytes,
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

fn broken(problem: impl std::fmt::Display) -> io::Error {
    io::Error::other(problem.to_string())
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(Self {
            stream,
            correlation_id: 0,
        })
    }

    fn send<Q: Request>(&mut self, version: i16, request: &Q) -> io::Result<()> {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(Q::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("kill-test")));
        let mut frame = BytesMut::zeroed(4);
        let header_version = Q::header_version(version);
        header.encode(&mut frame, header_version).map_err(broken)?;
        request.encode(&mut frame, version).map_err(broken)?;
        let len = u32::try_from(frame.len() - 4).map_err(broken)?;
        frame[..4].copy_from_slice(&len.to_be_bytes());
        self.stream.write_all(&frame)
    }

    fn receive<A: Decodable + HeaderVersion>(&mut self, version: i16) -> io::Result<A> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len)?;
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(len)).map_err(broken)?];
        self.stream.read_exact(&mut frame)?;
        let mut frame = Bytes::from(frame);
        ResponseHeader::decode(&mut frame, A::header_version(version)).map_err(broken)?;
        let answer = A::decode(&mut frame, version).map_err(broken)?;
        if frame.has_remaining() {
            return Err(broken("bytes left over behind an answer"));
        }
        Ok(answer)
    }

    pub(crate) fn create_topic(&mut self, partitions: i32) -> io::Result<()> {
        let topic = CreatableTopic::default()
            .with_name(topic())
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        self.send(CREATE_TOPICS, &request)?;
        let answer: <CreateTopicsRequest as Request>::Response = self.receive(CREATE_TOPICS)?;
        match answer.topics[0].error_code {
            0 => Ok(()),
            code => Err(broken(format!("CreateTopics: error {code}"))),
        }
    }

    pub(crate) fn init_producer_id(&mut self) -> io::Result<ProducerId> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000);
        self.send(INIT_PRODUCER_ID, &request)?;
        let answer: <InitProducerIdRequest as Request>::Response =
            self.receive(INIT_PRODUCER_ID)?;
        match answer.error_code {
            0 => Ok(ProducerId {
                id: answer.producer_id.0,
                epoch: answer.producer_epoch,
            }),
            code => Err(broken(format!("InitProducerId: error {code}"))),
        }
    }

    /// Sends a batch; [`Client::produced`] awaits its answer.
    pub(crate) fn produce(&mut self, partition: i32, records: &[Record]) -> io::Result<()> {
        let mut batch = BytesMut::new();
        let options = RecordEncodeOptions {
            version: 2,
            compression: Compression::None,
        };
        RecordBatchEncoder::encode(&mut batch, records, &options).map_err(broken)?;
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(batch.freeze()));
        let topic = TopicProduceData::default()
            .with_name(topic())
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(-1)
            .with_timeout_ms(10_000)
            .with_topic_data(vec![topic]);
        self.send(PRODUCE, &request)
    }

    /// The answer to the oldest batch that has none: its partition, error code and base offset.
    pub(crate) fn produced(&mut self) -> io::Result<(i32, i16, i64)> {
        let answer: ProduceResponse = self.receive(PRODUCE)?;
        let partition = &answer.responses[0].partition_responses[0];
        Ok((partition.index, partition.error_code, partition.base_offset))
    }

    /// The records from an offset on, and the high watermark.
    pub(crate) fn fetch(
        &mut self,
        partition: i32,
        offset: i64,
    ) -> io::Result<(Vec<ReadRecord>, i64)> {
        let wanted = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(4 << 20);
        let topic = FetchTopic::default()
            .with_topic(topic())
            .with_partitions(vec![wanted]);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(0)
            .with_min_bytes(0)
            .with_max_bytes(4 << 20)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        self.send(FETCH, &request)?;
        let answer: <FetchRequest as Request>::Response = self.receive(FETCH)?;
        if answer.error_code != 0 {
            return Err(broken(format!("Fetch: error {}", answer.error_code)));
        }
        let Some(data) = answer
            .responses
            .into_iter()
            .flat_map(|t| t.partitions)
            .next()
        else {
            return Ok((Vec::new(), offset));
        };
        if data.error_code != 0 {
            let code = data.error_code;
            return Err(broken(format!(
                "Fetch of {partition} at {offset}: error {code}"
            )));
        }
        Ok((read_records(&data, offset)?, data.high_watermark))
    }
}

/// The records of an answer, without those before `offset` that stand in the same batch.
fn read_records(data: &PartitionData, offset: i64) -> io::Result<Vec<ReadRecord>> {
    let mut bytes = data.records.clone().unwrap_or_default();
    let mut read = Vec::new();
    if bytes.is_empty() {
        return Ok(read);
    }
    // Checks each batch's CRC.
    for set in RecordBatchDecoder::decode_all(&mut bytes).map_err(broken)? {
        for record in set.records {
            if record.offset >= offset {
                read.push(ReadRecord {
                    offset: record.offset,
                    value: record.value.unwrap_or_default(),
                });
            }
        }
    }
    Ok(read)
}

/// A record that is the `index`th of its batch.
pub(crate) fn record(producer: Option<(ProducerId, i32)>, index: usize, value: Bytes) -> Record {
    let index = i32::try_from(index).unwrap_or(i32::MAX);
    let (id, epoch, sequence) = match producer {
        Some((ProducerId { id, epoch }, first)) => (id, epoch, first + index),
        // The encoder makes one batch of records whose sequences follow each other.
        None => (-1, -1, index - 1),
    };
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: id,
        producer_epoch: epoch,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(index),
        sequence,
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some(value),
        headers: Default::default(),
    }
}
