//! A data folder as an earlier version left it is opened as it is, and holds all that was put into it. What this test
//! opens freezes format 1 of everything on disk.
//!
//! `OTTLA_MAKE_FIXTURE=1 cargo test --test it old_folder` makes tests/testdata/format-1.zst anew with the code of the day.
//! That is for a new format, under a new name: the old file stays, and has to be opened for ever.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::metadata_request::MetadataRequest;
use kafka_protocol::messages::metadata_response::MetadataResponse;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record as Encoded, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use rdkafka::Offset;
use rdkafka::admin::ResourceSpecifier;

use super::{
    Node, PATIENCE, Record, Sender, admin, create, numbered, patient, read, reader, take, wait,
    watermarks,
};
use crate::support::client::Client;

/// The facts that were drawn when the folder was made, kept beside its files.
const FACTS: &str = "facts";

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// Partitions of the topic that makes one commit have so many rows that a checkpoint and a snapshot follow it.
const WIDE: i32 = 60;

/// Batches of the idempotent producer, three records each.
const IDEMPOTENT: i32 = 7;

/// When the records of the fixture say that they were made.
const LONG_AGO_MS: i64 = 1_600_000_000_000;

const NO_ERROR: i16 = 0;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/format-1.zst")
}

#[test]
fn an_old_folder_opens_with_all_that_is_in_it() {
    if std::env::var_os("OTTLA_MAKE_FIXTURE").is_some() {
        make();
    }
    for rows in [Rows::Kept, Rows::Deleted] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        unpack(&fs::read(fixture()).unwrap(), &data);
        let facts = fs::read_to_string(data.join(FACTS)).unwrap();
        fs::remove_file(data.join(FACTS)).unwrap();
        assert!(data.join("rows").exists(), "the fixture has sled's files");
        if rows == Rows::Deleted {
            fs::remove_dir_all(data.join("rows")).unwrap();
        }
        // Once as it was left, and once as this version leaves it.
        for start in 0..2 {
            let node = Node::on_disk(&data, None);
            compare(node.address(), &facts, start);
            node.stop();
        }
    }
}

/// What becomes of sled's files, which are only a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    Kept,
    Deleted,
}

/// Makes the folder and packs it.
fn make() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let node = Node::with_settings(
        &data,
        None,
        &[
            "ottla.journal.segment.bytes=1048576",
            "ottla.checkpoint.overlay.bytes=4096",
            "ottla.snapshot.bytes=4096",
        ],
    );
    let address = node.address();
    create(address, "codecs", 5, &[]).unwrap();
    for (partition, codec) in (0..).zip(CODECS) {
        let sender = Sender::new(address, &[("compression.type", codec)]);
        sender.send("codecs", Some(partition), &of_codec(codec));
    }
    create(address, "deleted", 3, &[]).unwrap();
    create(address, "again", 2, &[]).unwrap();
    for topic in ["deleted", "again"] {
        Sender::new(address, &[]).send(topic, Some(1), &numbered(5));
    }
    let gone = wait(admin(address).delete_topics(&["deleted", "again"], &patient())).unwrap();
    assert!(gone.iter().all(Result::is_ok), "{gone:?}");
    create(address, "again", 1, &[]).unwrap();
    Sender::new(address, &[]).send("again", Some(0), &numbered(3));
    create(address, "wide", WIDE, &[("retention.ms", "86400001")]).unwrap();
    produce_wide(address);
    let deadline = Instant::now() + PATIENCE;
    let has = |beginning: &str| file_names(&data).any(|name| name.starts_with(beginning));
    while !has("snapshot-") || !has("checkpoint.mark") {
        assert!(
            Instant::now() < deadline,
            "neither checkpoint nor snapshot came"
        );
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // These rows are in the journal only.
    create(address, "orders", 1, &[]).unwrap();
    let (id, epoch) = init_producer_id(address);
    for number in 0..IDEMPOTENT {
        let offset = i64::from(number) * 3;
        let produced = produce_idempotent(address, (id, epoch), number);
        assert_eq!(produced, (NO_ERROR, offset));
    }
    let mut facts = format!("producer={id} {epoch}\n");
    facts.push_str(&describe(address));
    node.stop();
    fs::write(data.join(FACTS), facts).unwrap();
    fs::create_dir_all(fixture().parent().unwrap()).unwrap();
    fs::write(fixture(), pack(&data)).unwrap();
}

/// Holds what a broker serves against what was put into the folder; it has been started `before` times since.
fn compare(address: &str, facts: &str, before: i32) {
    let (producer, described) = facts.split_once('\n').unwrap();
    assert_eq!(describe(address), described);
    for (found, codec) in read_all(address, "codecs", 5, 20).iter().zip(CODECS) {
        assert_eq!(*found, of_codec(codec), "{codec}");
    }
    assert_eq!(read(address, "again", 0, 3), numbered(3));
    assert_eq!(watermarks(address, "again", 0), (0, 3));
    for (partition, found) in read_all(address, "wide", WIDE, 1).iter().enumerate() {
        let record = Record {
            timestamp_ms: Some(LONG_AGO_MS),
            ..Record::value(format!("wide {partition}"))
        };
        assert_eq!(*found, [record]);
    }
    let topic = ResourceSpecifier::Topic("wide");
    let mut described = wait(admin(address).describe_configs([&topic], &patient())).unwrap();
    let wide = described.remove(0).unwrap();
    let retention = wide.get("retention.ms").unwrap();
    assert_eq!(retention.value.as_deref(), Some("86400001"));

    // The producer's state: what it sent is known, and it goes on where it was.
    let producer = producer.strip_prefix("producer=").unwrap();
    let (id, epoch) = producer.split_once(' ').unwrap();
    let producer = (id.parse().unwrap(), epoch.parse().unwrap());
    let next = IDEMPOTENT + before;
    let records: Vec<Record> = (0..next).flat_map(idempotent_values).collect();
    assert_eq!(read(address, "orders", 0, records.len()), records);
    for number in next - 5..next {
        let offset = i64::from(number) * 3;
        let produced = produce_idempotent(address, producer, number);
        assert_eq!(produced, (NO_ERROR, offset), "batch {number} again");
    }
    let gap = produce_idempotent(address, producer, next + 1);
    assert_eq!(gap.0, OUT_OF_ORDER_SEQUENCE_NUMBER);
    let produced = produce_idempotent(address, producer, next);
    assert_eq!(produced, (NO_ERROR, i64::from(next) * 3));
    let (fresh, _) = init_producer_id(address);
    assert!(
        fresh > producer.0,
        "producer id {fresh} was given out before"
    );
}

/// All records of a topic, by partition, each of which has `count`.
fn read_all(address: &str, topic: &str, partitions: i32, count: usize) -> Vec<Vec<Record>> {
    let from: Vec<_> = (0..partitions)
        .map(|partition| (topic, partition, Offset::Beginning))
        .collect();
    let mut all = vec![Vec::new(); from.len()];
    for found in take(&reader(address, &from, &[]), from.len() * count) {
        let partition = &mut all[usize::try_from(found.partition).unwrap()];
        assert_eq!(found.offset, i64::try_from(partition.len()).unwrap());
        partition.push(found.record);
    }
    all
}

/// Records with everything that a record can have, in times long ago.
fn of_codec(codec: &str) -> Vec<Record> {
    let record = |number: i64| Record {
        key: (number % 3 > 0).then(|| format!("key {number}").into_bytes()),
        value: (number % 7 > 0).then(|| format!("{codec}, record {number}").into_bytes()),
        headers: vec![
            ("number".to_owned(), Some(number.to_string().into_bytes())),
            ("null".to_owned(), None),
        ],
        timestamp_ms: Some(LONG_AGO_MS + number),
    };
    (0..20).map(record).collect()
}

fn idempotent_values(number: i32) -> impl Iterator<Item = Record> {
    (0..3).map(move |index| Record::value(format!("order {number}.{index}")))
}

/// A batch of values; `sequence` is the producer's id, its epoch and the first value's sequence number.
fn batch(values: &[String], (id, epoch, sequence): (i64, i16, i32)) -> Bytes {
    let record = |(index, value): (usize, &String)| Encoded {
        transactional: false,
        control: false,
        partition_leader_epoch: 0,
        producer_id: id,
        producer_epoch: epoch,
        timestamp_type: TimestampType::Creation,
        offset: i64::try_from(index).unwrap(),
        sequence: sequence + i32::try_from(index).unwrap(),
        timestamp: LONG_AGO_MS,
        key: None,
        value: Some(Bytes::from(value.clone())),
        headers: [].into_iter().collect(),
        delete_horizon: false,
    };
    let records: Vec<Encoded> = values.iter().enumerate().map(record).collect();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    bytes.freeze()
}

/// Produces one batch to each of the partitions; the error and the base offset of the first.
fn produce(address: &str, topic: &'static str, batches: Vec<Bytes>) -> (i16, i64) {
    let data = (0..).zip(batches).map(|(index, batch)| {
        PartitionProduceData::default()
            .with_index(index)
            .with_records(Some(batch))
    });
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str(topic)))
        .with_partition_data(data.collect());
    let request = ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    let answer = ask(address, |mut client| async move {
        client.ask(9, &request).await
    });
    let first = &answer.responses[0].partition_responses[0];
    (first.error_code, first.base_offset)
}

fn produce_wide(address: &str) {
    let batches = (0..WIDE).map(|partition| batch(&[format!("wide {partition}")], (-1, -1, -1)));
    assert_eq!(produce(address, "wide", batches.collect()), (NO_ERROR, 0));
}

fn produce_idempotent(address: &str, (id, epoch): (i64, i16), number: i32) -> (i16, i64) {
    let text = |record: Record| String::from_utf8(record.value.unwrap()).unwrap();
    let values: Vec<String> = idempotent_values(number).map(text).collect();
    let batch = batch(&values, (id, epoch, number * 3));
    produce(address, "orders", vec![batch])
}

fn init_producer_id(address: &str) -> (i64, i16) {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000);
    let answer = ask(address, |mut client| async move {
        client.ask(4, &request).await
    });
    assert_eq!(answer.error_code, NO_ERROR);
    (answer.producer_id.0, answer.producer_epoch)
}

/// The cluster and its topics as clients see them, one a line.
fn describe(address: &str) -> String {
    let request = MetadataRequest::default().with_topics(None);
    let answer: MetadataResponse = ask(address, |mut client| async move {
        client.ask(12, &request).await
    });
    let mut text = format!("cluster={}\n", &**answer.cluster_id.as_ref().unwrap());
    let topics: BTreeMap<String, String> = answer
        .topics
        .iter()
        // The clients that read here commit where they are: `__consumer_offsets` is of their making.
        .filter(|topic| !topic.is_internal)
        .map(|topic| {
            let name = topic.name.as_ref().unwrap().to_string();
            let partitions = topic.partitions.len();
            (name, format!("{} {partitions}", topic.topic_id))
        })
        .collect();
    for (name, facts) in topics {
        writeln!(text, "topic={name} {facts}").unwrap();
    }
    text
}

/// One question over a connection of its own.
fn ask<T, F: Future<Output = T>>(address: &str, question: impl FnOnce(Client) -> F) -> T {
    let address = address.parse().unwrap();
    wait(async { question(Client::connect(address).await).await })
}

fn file_names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap())
}

/// All files of a folder, each as path length, path, length, bytes, and all of it compressed.
fn pack(folder: &Path) -> Vec<u8> {
    let (mut packed, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for name in file_names(&next) {
            let path = next.join(name);
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            let bytes = fs::read(&path).unwrap();
            packed.extend_from_slice(&u32::try_from(name.len()).unwrap().to_be_bytes());
            packed.extend_from_slice(name.as_bytes());
            packed.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
            packed.extend_from_slice(&bytes);
        }
    }
    zstd::encode_all(&packed[..], 19).unwrap()
}

/// The inverse of [`pack`].
fn unpack(packed: &[u8], folder: &Path) {
    let bytes = zstd::decode_all(packed).unwrap();
    let mut rest = &bytes[..];
    let mut take = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        let (field, after) = after.split_at(length);
        rest = after;
        Some(field)
    };
    while let Some(name) = take() {
        let path = folder.join(std::str::from_utf8(name).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, take().unwrap()).unwrap();
    }
}
