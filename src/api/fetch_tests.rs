//! Fetch through its handler: limits, waits, sessions, isolation, errors.

use std::time::Duration;

use kafka_protocol::messages::fetch_request::ForgottenTopic;
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::data_testing::{
    NOW_MS, batch, fetch, fetch_request, first, produce, produce_request, stamped, topic,
};
use super::testing::{ask, broker};
use crate::cluster::Topic;

#[tokio::test]
async fn limits_cut_at_whole_batches_and_the_first_batch_is_always_whole() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let one = batch(&[(NOW_MS, "0123456789")]);
    for index in [0, 0, 0, 1, 1] {
        let request = produce_request(9, &topic, index, Some(one.clone()));
        ask(&broker, 9, &request).await;
    }
    let size = i32::try_from(one.len()).unwrap();
    let sizes = async |bytes_max: i32, partition_max: i32| {
        let mut request = fetch_request(12, &topic, 0).with_max_bytes(bytes_max);
        let mut second = request.topics[0].partitions[0].clone();
        second.partition = 1;
        request.topics[0].partitions.push(second);
        for partition in &mut request.topics[0].partitions {
            partition.partition_max_bytes = partition_max;
        }
        let answer = ask(&broker, 12, &request).await;
        let size_of = |p: &PartitionData| {
            p.records
                .as_ref()
                .map_or(-1, |r| i32::try_from(r.len()).unwrap())
        };
        answer.responses[0]
            .partitions
            .iter()
            .map(size_of)
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(1 << 20, 1 << 20).await, [3 * size, 2 * size]);
    assert_eq!(
        sizes(1, 1).await,
        [size, 0],
        "the first batch over both limits"
    );
    assert_eq!(sizes(1 << 20, 2 * size + 1).await, [2 * size, 2 * size]);
    assert_eq!(sizes(4 * size, 1 << 20).await, [3 * size, size]);
    assert_eq!(sizes(0, 0).await, [size, 0]);
}

#[tokio::test]
async fn a_fetch_waits_for_enough_bytes_and_no_longer() {
    const FOR_EVER_MS: i32 = 600_000;
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let short = fetch_request(12, &topic, 0).with_max_wait_ms(20);
    assert_eq!(
        first(&ask(&broker, 12, &short).await).records.as_deref(),
        Some(&[][..])
    );
    let records = batch(&[(NOW_MS, "value")]);
    let both = fetch_request(12, &topic, 0)
        .with_max_wait_ms(FOR_EVER_MS)
        .with_min_bytes(i32::try_from(records.len()).unwrap() + 1);
    let parked = {
        let broker = broker.clone();
        tokio::spawn(async move { ask(&broker, 12, &both).await })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    produce(&broker, 9, &topic, Some(records.clone())).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!parked.is_finished(), "one batch is too little");
    produce(&broker, 9, &topic, Some(records.clone())).await;
    let answer = parked.await.unwrap();
    assert_eq!(
        first(&answer).records.as_ref().unwrap().len(),
        2 * records.len()
    );
    let unknown = Topic {
        name: "unknown".into(),
        ..(*topic).clone()
    };
    let nothing_to_read = fetch_request(12, &unknown, 0).with_max_wait_ms(FOR_EVER_MS);
    assert_eq!(
        first(&ask(&broker, 12, &nothing_to_read).await).error_code,
        3
    );
    let outside = fetch_request(12, &topic, 99).with_max_wait_ms(FOR_EVER_MS);
    assert_eq!(first(&ask(&broker, 12, &outside).await).error_code, 1);
}

#[tokio::test]
async fn fetch_errors_have_kafkas_codes() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    produce(&broker, 9, &topic, Some(batch(&[(NOW_MS, "value")]))).await;
    let unknown = Topic {
        name: "u".into(),
        id: Uuid::from_u128(7),
        ..(*topic).clone()
    };
    assert_eq!(fetch(&broker, 12, &unknown, 0).await.error_code, 3);
    assert_eq!(fetch(&broker, 13, &unknown, 0).await.error_code, 100);
    for offset in [-1, 2] {
        let got = fetch(&broker, 12, &topic, offset).await;
        let offsets = (
            got.high_watermark,
            got.last_stable_offset,
            got.log_start_offset,
        );
        assert_eq!(
            (got.error_code, offsets),
            (1, (-1, -1, -1)),
            "offset {offset}"
        );
        assert_eq!(got.records.as_deref(), Some(&[][..]), "empty, not null");
    }
    let asked = async |current: i32, last: i32, offset: i64| {
        let mut request = fetch_request(12, &topic, offset);
        let partition = &mut request.topics[0].partitions[0];
        partition.current_leader_epoch = current;
        partition.last_fetched_epoch = last;
        first(&ask(&broker, 12, &request).await).clone()
    };
    assert_eq!(asked(1, -1, 0).await.error_code, 75);
    assert_eq!(asked(-2, -1, 0).await.error_code, 74);
    assert_eq!(asked(0, 0, 0).await.error_code, 0);
    assert_eq!(asked(0, 1, 0).await.error_code, 1);
    let diverging = asked(0, 0, 5).await;
    let epoch = (
        diverging.diverging_epoch.epoch,
        diverging.diverging_epoch.end_offset,
    );
    assert_eq!((diverging.error_code, epoch), (0, (0, 1)));
}

#[tokio::test]
async fn a_session_answers_with_news_only() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let opened = ask(
        &broker,
        12,
        &fetch_request(12, &topic, 0).with_session_epoch(0),
    )
    .await;
    assert_eq!((opened.error_code, opened.responses.len()), (0, 1));
    let in_session = |epoch| {
        FetchRequest::default()
            .with_max_bytes(1 << 20)
            .with_min_bytes(1)
            .with_session_id(opened.session_id)
            .with_session_epoch(epoch)
    };
    let quiet = ask(&broker, 12, &in_session(1)).await;
    assert_eq!((quiet.error_code, quiet.responses.len()), (0, 0));
    produce(&broker, 9, &topic, Some(batch(&[(NOW_MS, "value")]))).await;
    let news = ask(&broker, 12, &in_session(2)).await;
    assert_eq!((news.responses.len(), first(&news).high_watermark), (1, 1));
    assert_eq!(ask(&broker, 12, &in_session(9)).await.error_code, 71);
    assert_eq!(
        ask(&broker, 12, &in_session(3).with_session_id(1))
            .await
            .error_code,
        70
    );
    assert_eq!(ask(&broker, 13, &in_session(3)).await.error_code, 106);
    let forgotten = ForgottenTopic::default()
        .with_topic(TopicName(StrBytes::from_static_str("t")))
        .with_partitions(vec![0]);
    let forget = in_session(3).with_forgotten_topics_data(vec![forgotten]);
    assert_eq!(
        ask(&broker, 12, &forget).await.session_id,
        0,
        "nothing left, so closed"
    );
}

#[tokio::test]
async fn read_committed_has_a_list_of_aborted_transactions() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    produce(&broker, 9, &topic, Some(batch(&[(NOW_MS, "value")]))).await;
    let request = fetch_request(12, &topic, 0).with_isolation_level(1);
    let answer = ask(&broker, 12, &request).await;
    assert_eq!(first(&answer).aborted_transactions, Some(Vec::new()));
    assert_eq!(
        (
            first(&answer).last_stable_offset,
            first(&answer).high_watermark
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_log_larger_than_the_cache_is_read_through_from_end_to_end() {
    const CACHE_SIZE: usize = 4_000_000;
    let broker = broker(&[("ottla.cache.bytes", &CACHE_SIZE.to_string())]).await;
    let topic = topic(&broker, "t", &[]).await;
    let mut expected = Vec::new();
    for number in 0..100 {
        let value = format!("{number:03}").repeat(30_000);
        let records = batch(&[(NOW_MS, &value)]);
        expected.extend_from_slice(&stamped(&records, number));
        produce(&broker, 9, &topic, Some(records)).await;
    }
    let mut read = Vec::new();
    for offset in (0..100).step_by(2) {
        let mut request = fetch_request(12, &topic, offset);
        request.topics[0].partitions[0].partition_max_bytes = 200_000;
        let answer = ask(&broker, 12, &request).await;
        read.extend_from_slice(first(&answer).records.as_ref().unwrap());
        assert!(
            broker.reader.cache_bytes() <= CACHE_SIZE,
            "the budget holds"
        );
    }
    assert!(read == expected, "every batch once, in order");
}

#[tokio::test]
async fn batches_before_the_offset_are_left_out_inside_a_run_too() {
    let broker = broker(&[]).await;
    let topic = topic(&broker, "t", &[]).await;
    let one = batch(&[(NOW_MS, "0123456789")]);
    let mut request = produce_request(9, &topic, 0, Some(one.clone()));
    let again = request.topic_data[0].partition_data[0].clone();
    request.topic_data[0]
        .partition_data
        .extend([again.clone(), again]);
    ask(&broker, 9, &request).await;
    for offset in 0..3 {
        let expected: Vec<u8> = (offset..3).flat_map(|at| stamped(&one, at)).collect();
        let got = fetch(&broker, 12, &topic, offset).await;
        assert_eq!(
            got.records.as_deref(),
            Some(&expected[..]),
            "offset {offset}"
        );
    }
}
