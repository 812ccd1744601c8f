//! Bad input to groups: what is asked, and Kafka's code for it.

use std::sync::Arc;

use kafka_protocol::messages::JoinGroupRequest;

use super::common::text;
use super::data_testing::topic;
use super::groups_testing::Me;
use super::testing::{ask, broker};
use crate::broker::Broker;
use crate::group::GROUP_ID_SIZE_MAX;

async fn stable() -> (Arc<Broker>, Me) {
    let broker = broker(&[("group.max.session.timeout.ms", "20000")]).await;
    topic(&broker, "t", &[]).await;
    let me = Me::in_stable_group(&broker).await;
    (broker, me)
}

#[tokio::test]
async fn who_is_no_member_is_told_so() {
    let (broker, me) = stable().await;
    let long: &'static str = Box::leak("g".repeat(GROUP_ID_SIZE_MAX + 1).into_boxed_str());
    let me_as = || me.clone();
    let ghost = || Me::in_group("g").with_id("ghost").with_generation(1);
    let nameless = || me_as().with_id("").with_instance(None);
    for (what, who, [join, sync, heartbeat, leave, commit]) in [
        (
            "empty group id",
            me_as().with_group(""),
            [24, 24, 24, 24, 69],
        ),
        (
            "long group id",
            me_as().with_group(long),
            [24, 24, 24, 24, 24],
        ),
        (
            "unknown group",
            ghost().with_group("none"),
            [25, 25, 25, 25, 69],
        ),
        ("unknown member", ghost(), [25, 25, 25, 25, 25]),
        (
            "unknown instance",
            me_as().with_instance(Some("j")),
            [25, 25, 25, 25, 25],
        ),
        (
            "fenced member",
            me_as().with_id("old"),
            [82, 82, 82, 82, 82],
        ),
        ("no member id", nameless(), [79, 25, 25, 25, 25]),
        (
            "no generation",
            nameless().with_generation(-1),
            [79, 25, 25, 25, 25],
        ),
    ] {
        assert_eq!(who.commit_code(&broker, 9, None).await, commit, "{what}");
        let beat = ask(&broker, 4, &who.heartbeat(4)).await;
        assert_eq!(beat.error_code, heartbeat, "{what}");
        let synced = ask(&broker, 5, &who.sync(5, Some(b"B"))).await;
        assert_eq!(synced.error_code, sync, "{what}");
        assert_eq!(who.leave_code(&broker, 5).await, leave, "{what}");
        let joined = ask(&broker, 9, &who.join(9)).await;
        assert_eq!(joined.error_code, join, "{what}");
    }
    let beat = ask(&broker, 4, &me.heartbeat(4)).await;
    assert_eq!(beat.error_code, 0, "the member has noticed nothing");
    // A group that is not there, for clients of old.
    let nowhere = ghost().with_group("none");
    assert_eq!(nowhere.commit_code(&broker, 8, None).await, 22);
    assert_eq!(nowhere.leave_code(&broker, 2).await, 25);
}

#[tokio::test]
async fn another_generation_or_protocol_is_refused() {
    let (broker, me) = stable().await;
    for generation in [0, 2, i32::MAX, -1] {
        let who = me.clone().with_generation(generation);
        assert_eq!(who.commit_code(&broker, 9, None).await, 22, "{generation}");
        let beat = ask(&broker, 4, &who.heartbeat(4)).await;
        assert_eq!(beat.error_code, 22, "{generation}");
        let synced = ask(&broker, 5, &who.sync(5, None)).await;
        assert_eq!(synced.error_code, 22, "{generation}");
    }
    for (protocol_type, name, code) in [
        (Some("connect"), Some("range"), 23),
        (Some("consumer"), Some("sticky"), 23),
        (Some("consumer"), Some("range"), 0),
        (None, None, 0),
    ] {
        let request = me
            .sync(5, None)
            .with_protocol_type(protocol_type.map(text))
            .with_protocol_name(name.map(text));
        assert_eq!(
            ask(&broker, 5, &request).await.error_code,
            code,
            "{protocol_type:?} {name:?}"
        );
    }
}

#[tokio::test]
async fn joins_that_cannot_be_are_refused() {
    let (broker, me) = stable().await;
    let new = Me::in_group("h").join(9);
    let stranger = me.clone().with_id("").with_instance(None).join(9);
    type Change = fn(&mut JoinGroupRequest);
    let cases: [(&str, &JoinGroupRequest, Change, i16); 8] = [
        (
            "session too short",
            &new,
            |join| join.session_timeout_ms = 5_999,
            26,
        ),
        (
            "session too long",
            &new,
            |join| join.session_timeout_ms = 20_001,
            26,
        ),
        (
            "no protocol type",
            &new,
            |join| join.protocol_type = text(""),
            23,
        ),
        ("no protocols", &new, |join| join.protocols.clear(), 23),
        (
            "id in a new group",
            &new,
            |join| join.member_id = text("x"),
            25,
        ),
        (
            "other protocol",
            &stranger,
            |join| join.protocols[0].name = text("sticky"),
            23,
        ),
        (
            "other protocol type",
            &stranger,
            |join| join.protocol_type = text("connect"),
            23,
        ),
        ("nothing wrong", &new, |_| (), 79),
    ];
    for (what, request, change, code) in cases {
        let mut request = request.clone();
        change(&mut request);
        let refused = ask(&broker, 9, &request).await;
        assert_eq!(refused.error_code, code, "{what}");
        let rest = (
            refused.generation_id,
            &*refused.leader,
            refused.protocol_name,
        );
        assert_eq!(rest, (-1, "", None), "{what}");
    }
}

#[tokio::test]
async fn metadata_is_measured_in_utf_16_units() {
    let (broker, me) = stable().await;
    // Two units and four bytes each.
    let crabs = |units: usize| "\u{1f980}".repeat(units / 2);
    for (metadata, code) in [
        (crabs(4_096), 0),
        (crabs(4_098), 12),
        ("x".repeat(4_096), 0),
        ("x".repeat(4_097), 12),
    ] {
        let got = me.commit_code(&broker, 9, Some(&metadata)).await;
        assert_eq!(got, code, "{} bytes", metadata.len());
    }
}
