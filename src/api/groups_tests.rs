//! Groups through their handlers: each version, and a table of bad input with Kafka's code for each.

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteTopicsRequest, DescribeGroupsRequest, FindCoordinatorRequest,
    ListGroupsRequest, ListOffsetsRequest, MetadataRequest, OffsetDeleteRequest, TopicName,
};

use super::common::text;
use super::data_testing::{batch, produce, topic};
use super::groups::group_id;
use super::groups_testing::{Me, SUBSCRIPTION, fetch};
use super::testing::{ask, broker};
use crate::broker::Broker;
use std::sync::Arc;

/// The versions of each request that go with a version of JoinGroup.
fn beside(join: i16) -> (i16, i16, i16, i16) {
    (
        join.min(5),
        join.min(4),
        join.min(5),
        (join + 2).clamp(2, 9),
    )
}

#[tokio::test]
async fn a_member_lives_through_every_version() {
    let broker = broker(&[]).await;
    topic(&broker, "t", &[]).await;
    for version in 0..=9 {
        let (sync, heartbeat, leave, commit) = beside(version);
        let mut me = Me::in_group("g");
        let joined = me.join_through(&broker, version).await;
        assert_eq!(joined.error_code, 0, "v{version}");
        assert_eq!((&joined.leader, joined.members.len()), (&me.id, 1));
        assert_eq!(&*joined.members[0].metadata, SUBSCRIPTION);
        assert!(
            me.id.as_str().starts_with("test-"),
            "named by its client: {:?}",
            me.id
        );
        let protocol_type = joined.protocol_type.as_deref();
        assert_eq!(protocol_type, (version >= 7).then_some("consumer"));
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));

        let synced = ask(&broker, sync, &me.sync(sync, Some(b"A"))).await;
        assert_eq!(
            (synced.error_code, &*synced.assignment),
            (0, &b"A"[..]),
            "v{sync}"
        );
        assert_eq!(synced.protocol_name.is_some(), sync >= 5);
        let beat = ask(&broker, heartbeat, &me.heartbeat(heartbeat)).await;
        assert_eq!(beat.error_code, 0, "v{heartbeat}");

        let offset = i64::from(version);
        let request = me.commit(commit, &[("t", 0, offset, Some("é"))]);
        let committed = ask(&broker, commit, &request).await;
        assert_eq!(committed.topics[0].partitions[0].error_code, 0, "v{commit}");
        let expected = ("t".to_owned(), 0, offset, "é".to_owned());
        for fetch_version in 1..=9 {
            let found = fetch(&broker, fetch_version, "g", Some(&[0])).await;
            assert_eq!(found, std::slice::from_ref(&expected), "v{fetch_version}");
        }

        let left = ask(&broker, leave, &me.leave(leave)).await;
        assert_eq!(left.error_code, 0, "v{leave}");
        assert!(left.members.iter().all(|member| member.error_code == 0));
        let beat = ask(&broker, heartbeat, &me.heartbeat(heartbeat)).await;
        assert_eq!(beat.error_code, 25, "v{heartbeat}");
    }
}

#[tokio::test]
async fn two_members_wait_for_each_other() {
    let broker = broker(&[]).await;
    let (mut first, mut second) = (Me::in_group("g"), Me::in_group("g"));
    first.join_through(&broker, 9).await;
    ask(&broker, 5, &first.sync(5, Some(b"all"))).await;

    let waiting = {
        let broker = Arc::clone(&broker);
        tokio::spawn(async move {
            let joined = second.join_through(&broker, 9).await;
            (second, joined)
        })
    };
    while ask(&broker, 4, &first.heartbeat(4)).await.error_code != 27 {
        tokio::task::yield_now().await;
    }
    let joined = first.join_through(&broker, 9).await;
    assert_eq!((joined.generation_id, joined.members.len()), (2, 2));
    let (second, joined) = waiting.await.expect("no panic");
    assert_eq!((joined.error_code, joined.generation_id), (0, 2));
    assert_eq!((joined.leader, joined.members.len()), (first.id.clone(), 0));

    let waiting = {
        let broker = Arc::clone(&broker);
        let sync = second.sync(5, None);
        tokio::spawn(async move { ask(&broker, 5, &sync).await })
    };
    let synced = ask(&broker, 5, &first.sync(5, Some(b"mine"))).await;
    assert_eq!(&*synced.assignment, b"mine");
    let synced = waiting.await.expect("no panic");
    assert_eq!(
        (synced.error_code, synced.assignment.len()),
        (0, 0),
        "it was left out"
    );
}

/// A broker with a stable group `g` of one static member, and a group that has only offsets.
async fn two_groups() -> (Arc<Broker>, Me) {
    let broker = broker(&[]).await;
    topic(&broker, "t", &[]).await;
    let me = Me::in_stable_group(&broker).await;
    let other = Me::in_group("only-offsets").with_generation(-1);
    ask(&broker, 9, &other.commit(9, &[("t", 0, 4, None)])).await;
    (broker, me)
}

#[tokio::test]
async fn groups_are_described() {
    let (broker, me) = two_groups().await;
    for version in 0..=6 {
        let request = DescribeGroupsRequest::default()
            .with_groups(["g", "only-offsets", "none"].map(group_id).to_vec())
            .with_include_authorized_operations(version >= 3);
        let answer = ask(&broker, version, &request).await;
        let [group, offsets, none] = &answer.groups[..] else {
            panic!("three groups: {answer:?}");
        };
        assert_eq!(
            (&*group.group_state, &*group.protocol_type),
            ("Stable", "consumer")
        );
        assert_eq!(&*group.protocol_data, "range");
        let member = &group.members[0];
        assert_eq!((&member.member_id, &*member.client_id), (&me.id, "test"));
        assert_eq!(&*member.client_host, "/127.0.0.1");
        assert_eq!(
            (&*member.member_metadata, &*member.member_assignment),
            (SUBSCRIPTION, &b"A"[..])
        );
        let instance = member.group_instance_id.as_deref();
        assert_eq!(instance, (version >= 4).then_some("i"));
        let operations = if version >= 3 { 3_400 } else { i32::MIN };
        assert_eq!(group.authorized_operations, operations);
        assert_eq!(
            (&*offsets.group_state, &*offsets.protocol_type),
            ("Empty", "")
        );
        let code = if version >= 6 { 69 } else { 0 };
        assert_eq!((&*none.group_state, none.error_code), ("Dead", code));
        assert_eq!(none.error_message.is_some(), version >= 6);
    }
}

#[tokio::test]
async fn groups_are_listed_and_deleted() {
    let (broker, _) = two_groups().await;
    for version in 0..=5 {
        let listed = ask(&broker, version, &ListGroupsRequest::default()).await;
        let ids: Vec<&str> = listed
            .groups
            .iter()
            .map(|group| group.group_id.as_str())
            .collect();
        assert_eq!(ids, ["g", "only-offsets"]);
        let state = if version >= 4 { "Stable" } else { "" };
        let kind = if version >= 5 { "classic" } else { "" };
        assert_eq!(
            (
                &*listed.groups[0].group_state,
                &*listed.groups[0].group_type
            ),
            (state, kind)
        );
    }
    let filtered = async |states: &[&'static str], types: &[&'static str]| {
        let request = ListGroupsRequest::default()
            .with_states_filter(states.iter().map(|state| text(*state)).collect())
            .with_types_filter(types.iter().map(|kind| text(*kind)).collect());
        ask(&broker, 5, &request).await.groups.len()
    };
    assert_eq!(filtered(&["empty", "Dead"], &[]).await, 1);
    assert_eq!(filtered(&["Stable", "EMPTY"], &["Classic"]).await, 2);
    assert_eq!(filtered(&[], &["consumer"]).await, 0);
    for version in 0..=2 {
        let request = DeleteGroupsRequest::default()
            .with_groups_names(["g", "none", "none"].map(group_id).to_vec());
        let answer = ask(&broker, version, &request).await;
        let codes: Vec<i16> = answer
            .results
            .iter()
            .map(|result| result.error_code)
            .collect();
        assert_eq!(codes, [68, 69], "v{version}");
    }
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id("only-offsets")]);
    assert_eq!(ask(&broker, 2, &request).await.results[0].error_code, 0);
    assert_eq!(fetch(&broker, 9, "only-offsets", None).await, []);
}

#[tokio::test]
async fn the_offsets_topic_is_shown_once_a_coordinator_was_asked_for() {
    let broker = broker(&[("offsets.topic.num.partitions", "3")]).await;
    let metadata = MetadataRequest::default().with_topics(None);
    assert_eq!(ask(&broker, 12, &metadata).await.topics, []);
    let key = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]);
    for _ in 0..2 {
        let found = ask(&broker, 4, &key).await;
        assert_eq!(found.coordinators[0].error_code, 0);
        let topics = ask(&broker, 12, &metadata).await.topics;
        let [topic] = &topics[..] else {
            panic!("one topic: {topics:?}");
        };
        let name = topic.name.as_ref().map(|name| name.as_str());
        assert_eq!(name, Some("__consumer_offsets"));
        assert_eq!((topic.is_internal, topic.partitions.len()), (true, 3));
    }
    let partition = ListOffsetsPartition::default().with_timestamp(-1);
    let asked = ListOffsetsTopic::default()
        .with_name(TopicName(text("__consumer_offsets")))
        .with_partitions(vec![partition]);
    let latest = ListOffsetsRequest::default().with_topics(vec![asked]);
    let listed = ask(&broker, 7, &latest).await;
    let found = &listed.topics[0].partitions[0];
    assert_eq!((found.error_code, found.offset), (0, 0));
    let records = Some(batch(&[(1, "a")]));
    let topic = broker
        .catalog
        .topics()
        .by_name("__consumer_offsets")
        .cloned();
    let refused = produce(&broker, 9, &topic.expect("a topic"), records).await;
    assert_eq!(refused.error_code, 17);
}

async fn delete_offsets(
    broker: &Arc<Broker>,
    group: &str,
    topic: &'static str,
    index: i32,
) -> (i16, i16) {
    let partition = OffsetDeleteRequestPartition::default().with_partition_index(index);
    let asked = OffsetDeleteRequestTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(vec![partition]);
    let request = OffsetDeleteRequest::default()
        .with_group_id(group_id(group))
        .with_topics(vec![asked]);
    let answer = ask(broker, 0, &request).await;
    let of_partition = answer
        .topics
        .first()
        .map(|topic| topic.partitions[0].error_code);
    (answer.error_code, of_partition.unwrap_or_default())
}

#[tokio::test]
async fn offsets_are_kept_fetched_and_deleted() {
    let broker = broker(&[]).await;
    topic(&broker, "t", &[]).await;
    topic(&broker, "u", &[]).await;
    let row =
        |topic: &str, offset, metadata: &str| (topic.to_owned(), 0, offset, metadata.to_owned());
    for version in 1..=9 {
        let found = fetch(&broker, version, "nobody", Some(&[0, 99])).await;
        let none = |index| ("t".to_owned(), index, -1, String::new());
        assert_eq!(found, [none(0), none(99)], "v{version}");
    }
    let me = Me::in_group("g").with_generation(-1);
    let request = me.commit(
        9,
        &[
            ("t", 0, 5, None),
            ("u", 0, 6, Some("")),
            ("u", 7, 1, None),
            ("v", 0, 1, None),
        ],
    );
    let answer = ask(&broker, 9, &request).await;
    let codes: Vec<i16> = answer
        .topics
        .iter()
        .map(|topic| topic.partitions[0].error_code)
        .collect();
    assert_eq!(codes, [0, 0, 3, 3]);
    for version in 2..=9 {
        let all = fetch(&broker, version, "g", None).await;
        assert_eq!(all, [row("t", 5, ""), row("u", 6, "")], "v{version}");
    }

    assert_eq!(delete_offsets(&broker, "g", "t", 0).await, (0, 0));
    assert_eq!(
        delete_offsets(&broker, "g", "t", 0).await,
        (0, 0),
        "there is none any more"
    );
    assert_eq!(delete_offsets(&broker, "g", "t", 9).await, (0, 3));
    assert_eq!(delete_offsets(&broker, "g", "v", 0).await, (0, 3));
    assert_eq!(delete_offsets(&broker, "none", "t", 0).await, (69, 0));
    assert_eq!(delete_offsets(&broker, "", "t", 0).await, (24, 0));
    assert_eq!(fetch(&broker, 9, "g", None).await, [row("u", 6, "")]);

    // The offsets of a deleted topic go, and a topic of the same name begins without.
    let request = DeleteTopicsRequest::default().with_topic_names(vec![TopicName(text("u"))]);
    ask(&broker, 1, &request).await;
    topic(&broker, "u", &[]).await;
    while !fetch(&broker, 9, "g", None).await.is_empty() {
        tokio::task::yield_now().await;
    }
}
