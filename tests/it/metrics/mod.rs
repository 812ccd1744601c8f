//! The metrics page and the probes of the real binary: what a scraper reads, and what a bad one may cost.

mod text;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::protocol::StrBytes;
use ottla::metrics::{Kind, table::TABLE};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::support::client::Client;
use text::Page;

/// Longer than anything here takes: a wait this long is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// The binary with metrics, its data in a folder that goes with it.
struct Watched {
    child: Child,
    kafka: SocketAddr,
    http: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Watched {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_ottla"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--metrics",
                "127.0.0.1:0",
                "--data",
            ])
            .arg(folder.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let http = loop {
            let line = line_of(&mut stderr);
            if let Some((_, rest)) = line.split_once("metrics are on http://") {
                let address = rest.split('/').next().expect("an address");
                break address.parse().expect("an address");
            }
        };
        let ready = line_of(&mut BufReader::new(
            child.stdout.take().expect("it is piped"),
        ));
        let (_, rest) = ready.split_once(" on ").expect("an address");
        let kafka = rest.split(',').next().expect("an address").parse();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        });
        Self {
            child,
            kafka: kafka.expect("an address"),
            http,
            _folder: folder,
        }
    }

    /// The whole answer to some bytes.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).expect("it reads");
        answer(&mut stream)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.http).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    fn page(&self) -> Page {
        let answer = self.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(
            head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            "{head}"
        );
        assert!(
            head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())),
            "{head}"
        );
        Page::read(body).expect("the text format")
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line_of(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    let read = reader.read_line(&mut line).expect("text");
    assert!(read > 0, "the broker ended");
    line
}

fn answer(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("text, and the end");
    answer
}

/// Produces `count` records of 100 bytes to partition 0 and reads them back.
fn produce_and_consume(broker: SocketAddr, topic: &str, count: usize) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.to_string())
        .create()
        .expect("a producer");
    for _ in 0..count {
        let record = BaseRecord::<(), _>::to(topic)
            .partition(0)
            .payload(&[7; 100]);
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("room");
    }
    producer.flush(PATIENCE).expect("all are delivered");
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.to_string())
        .set("group.id", "unused")
        .create()
        .expect("a consumer");
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Beginning)
        .expect("an offset");
    consumer.assign(&from).expect("an assignment");
    for _ in 0..count {
        let record = consumer.poll(PATIENCE).expect("a record in time");
        record.expect("a record");
    }
}

#[test]
fn the_page_has_every_metric_of_the_table_and_counts_what_was_done() {
    let broker = Watched::start();
    produce_and_consume(broker.kafka, "orders", 500);
    let page = broker.page();
    let mut named: Vec<_> = page.0.keys().map(String::as_str).collect();
    let mut declared: Vec<_> = TABLE.iter().map(|def| def.name).collect();
    named.sort_unstable();
    declared.sort_unstable();
    assert_eq!(named, declared);
    for def in TABLE {
        let family = &page.0[def.name];
        assert_eq!((&*family.kind, &*family.help), (def.kind.name(), def.help));
        for sample in &family.samples {
            let labels = sample
                .labels
                .keys()
                .filter(|label| *label != "le" || def.kind != Kind::Histogram);
            let mut declared = def.labels.to_vec();
            declared.sort_unstable();
            assert!(labels.eq(&declared), "{sample:?}");
        }
    }
    let value = |name: &str, labels: &[(&str, &str)]| {
        let value = page.value(name, labels);
        value.unwrap_or_else(|| panic!("no {name} {labels:?}: {:?}", page.0.get(name)))
    };
    let of_log = [("partition", "0"), ("topic", "orders")];
    assert_eq!(value("ottla_log_end_offset", &of_log), 500.0);
    assert_eq!(value("ottla_log_start_offset", &of_log), 0.0);
    let bytes = value("ottla_log_bytes", &of_log);
    assert!(bytes > 50_000.0, "{bytes}");
    let of_topic = [("topic", "orders")];
    assert_eq!(value("ottla_produced_records_total", &of_topic), 500.0);
    assert_eq!(value("ottla_produced_bytes_total", &of_topic), bytes);
    assert_eq!(value("ottla_fetched_records_total", &of_topic), 500.0);
    assert_eq!(value("ottla_fetched_bytes_total", &of_topic), bytes);
    let of_produce = [("api", "Produce")];
    let produced = value("ottla_request_duration_seconds_count", &of_produce);
    assert!(produced >= 1.0);
    assert_eq!(value("ottla_commit_requests_sum", &[]), produced);
    assert_eq!(value("ottla_commit_bytes_sum", &[]), bytes);
    assert!(value("ottla_request_bytes_total", &of_produce) > bytes);
    assert!(value("ottla_journal_sync_duration_seconds_count", &[]) >= 1.0);
    assert!(value("ottla_journal_frame_bytes_sum", &[]) > bytes);
    assert!(value("ottla_cache_hits_total", &[]) >= 1.0);
    assert_eq!(value("ottla_store_poisoned", &[]), 0.0);
    assert!(value("process_resident_memory_bytes", &[]) > 1e6);
    assert!(value("process_open_fds", &[]) > 5.0);
}

#[tokio::test]
async fn errors_and_ends_of_connections_are_counted_by_what_they_are() {
    let broker = Watched::start();
    let mut client = Client::connect(broker.kafka).await;
    let topic = MetadataRequestTopic::default()
        .with_name(Some(StrBytes::from_static_str("nowhere").into()));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        .with_allow_auto_topic_creation(false);
    client.ask(9, &request).await;
    client.send_frame(&[0, 3, 0x7f, 0x7f, 0, 0, 0, 1]).await;
    client.closed().await;
    let error = [("api", "Metadata"), ("error", "UNKNOWN_TOPIC_OR_PARTITION")];
    let (mut page, mut left) = (broker.page(), 1000);
    // The client may see the end a moment before it is counted.
    while page.value("ottla_connections", &[]) != Some(0.0) {
        left -= 1;
        assert!(left > 0, "the connection stays");
        page = broker.page();
    }
    assert_eq!(page.value("ottla_errors_total", &error), Some(1.0));
    let closed = |reason| page.value("ottla_connections_closed_total", &[("reason", reason)]);
    assert_eq!(
        (closed("refused"), closed("client")),
        (Some(1.0), Some(0.0))
    );
    assert_eq!(
        page.value("ottla_connections_accepted_total", &[]),
        Some(1.0)
    );
}

#[test]
fn probes_are_answered_and_everything_else_is_refused() {
    let broker = Watched::start();
    let status = |request: &[u8]| {
        let answer = broker.ask(request);
        answer.lines().next().unwrap_or_default().to_owned()
    };
    let ask = |line: &str| status(format!("{line}\r\nHost: localhost\r\n\r\n").as_bytes());
    assert_eq!(ask("GET /live HTTP/1.1"), "HTTP/1.1 200 OK");
    assert_eq!(ask("GET /ready HTTP/1.0"), "HTTP/1.1 200 OK");
    assert_eq!(ask("GET / HTTP/1.1"), "HTTP/1.1 404 Not Found");
    assert_eq!(ask("GET /metrics/ HTTP/1.1"), "HTTP/1.1 404 Not Found");
    assert_eq!(
        ask("PUT /metrics HTTP/1.1"),
        "HTTP/1.1 405 Method Not Allowed"
    );
    assert_eq!(ask("GET /metrics"), "HTTP/1.1 400 Bad Request");
    assert_eq!(
        ask("GET /metrics HTTP/3"),
        "HTTP/1.1 505 HTTP Version Not Supported"
    );
    assert_eq!(
        status(&[0xff; 4096].map(|_| b'\n')[..2]),
        "HTTP/1.1 400 Bad Request"
    );
    let huge = format!(
        "GET /metrics HTTP/1.1\r\nA: {}\r\n\r\n",
        "a".repeat(100_000)
    );
    assert_eq!(
        status(huge.as_bytes()),
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
    let answer = broker.ask(b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"));
}

#[test]
fn slow_scrapers_are_given_up_and_bother_nobody() {
    let broker = Watched::start();
    let mut slow: Vec<TcpStream> = (0..50).map(|_| broker.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /metr").expect("it reads");
    }
    produce_and_consume(broker.kafka, "orders", 10);
    let mut gone = broker.connect();
    gone.write_all(b"GET /metrics HTTP/1.1\r\n")
        .expect("it reads");
    gone.shutdown(Shutdown::Write).expect("a socket");
    // The first ones are in the way of the others until their time is up.
    assert_eq!(
        answer(&mut slow[0]).lines().next(),
        Some("HTTP/1.1 408 Request Timeout")
    );
    drop(slow);
    let page = broker.page();
    let end = page.value(
        "ottla_log_end_offset",
        &[("partition", "0"), ("topic", "orders")],
    );
    assert_eq!(end, Some(10.0));
}
