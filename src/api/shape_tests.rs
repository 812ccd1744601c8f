//! Every declared shape against kafka-protocol's own codec, for every API and version that is served.

#![expect(
    clippy::cast_possible_truncation,
    reason = "random numbers below a small bound"
)]

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, HeaderVersion, VersionRange};

use super::APIS;
use crate::base::Rng;
use crate::protocol::Malformed;
use crate::protocol::shape::sample;

/// kafka-protocol's side of one API.
struct Codec {
    versions: VersionRange,
    header_version: fn(i16) -> i16,
    /// Decodes and encodes again; also how many bytes the decoder left over.
    recode: fn(i16, Bytes) -> Result<(usize, Bytes), anyhow::Error>,
}

impl Codec {
    fn of<R: kafka_protocol::protocol::Request + Encodable + HeaderVersion>() -> Self {
        Self {
            versions: R::VERSIONS,
            header_version: R::header_version,
            recode: |version, mut body| {
                let request = R::decode(&mut body, version)?;
                let mut again = BytesMut::new();
                request.encode(&mut again, version)?;
                Ok((body.len(), again.freeze()))
            },
        }
    }
}

macro_rules! codecs {
    ($($api:ident => $request:ident,)*) => {
        fn codec(key: ApiKey) -> Codec {
            match key {
                $(ApiKey::$api => Codec::of::<$request>(),)*
                other => panic!("name the request type of {other:?} in this test"),
            }
        }
    };
}

codecs! {
    Produce => ProduceRequest,
    Fetch => FetchRequest,
    ListOffsets => ListOffsetsRequest,
    Metadata => MetadataRequest,
    FindCoordinator => FindCoordinatorRequest,
    ApiVersions => ApiVersionsRequest,
    OffsetCommit => OffsetCommitRequest,
    OffsetFetch => OffsetFetchRequest,
    JoinGroup => JoinGroupRequest,
    Heartbeat => HeartbeatRequest,
    LeaveGroup => LeaveGroupRequest,
    SyncGroup => SyncGroupRequest,
    DescribeGroups => DescribeGroupsRequest,
    ListGroups => ListGroupsRequest,
    DeleteGroups => DeleteGroupsRequest,
    OffsetDelete => OffsetDeleteRequest,
    CreateTopics => CreateTopicsRequest,
    DeleteTopics => DeleteTopicsRequest,
    DeleteRecords => DeleteRecordsRequest,
    InitProducerId => InitProducerIdRequest,
    OffsetForLeaderEpoch => OffsetForLeaderEpochRequest,
    DescribeConfigs => DescribeConfigsRequest,
    AlterConfigs => AlterConfigsRequest,
    CreatePartitions => CreatePartitionsRequest,
    DescribeLogDirs => DescribeLogDirsRequest,
    DescribeTopicPartitions => DescribeTopicPartitionsRequest,
    IncrementalAlterConfigs => IncrementalAlterConfigsRequest,
    DescribeCluster => DescribeClusterRequest,
    ListConfigResources => ListConfigResourcesRequest,
}

#[test]
fn what_is_served_can_be_decoded() {
    for api in APIS {
        let codec = codec(api.key);
        let (min, max) = (*api.versions.start(), *api.versions.end());
        let known = codec.versions.min <= min && max <= codec.versions.max;
        assert!(known, "{:?} {min}-{max}: {}", api.key, codec.versions);
        for version in api.versions.clone() {
            assert_eq!(
                api.request.is_flexible(version),
                (codec.header_version)(version) >= 2,
                "{:?} v{version}: flexible",
                api.key
            );
        }
    }
}

#[test]
fn every_shape_is_what_the_codec_reads_and_writes() {
    let mut rng = Rng::seeded(1);
    for api in APIS {
        let codec = codec(api.key);
        for version in api.versions.clone() {
            let what = format!("{:?} v{version}", api.key);
            for _ in 0..100 {
                let body = Bytes::from(sample::body(api.request, version, &mut rng));
                let walked = api.request.walk(version, &body);
                assert!(walked.is_ok(), "{what}: {walked:?} of its own sample");
                let (left, again) = (codec.recode)(version, body.clone())
                    .unwrap_or_else(|error| panic!("{what}: {error} in {body:?}"));
                assert_eq!(left, 0, "{what}: bytes that the codec does not read");
                let walked = api.request.walk(version, &again);
                assert!(
                    walked.is_ok(),
                    "{what}: {walked:?} of what the codec writes"
                );
                if !api.request.is_flexible(version) {
                    assert_eq!(again, body, "{what}: there and back");
                }
            }
        }
    }
}

/// A shape that knows of fewer nulls than Kafka's schema would turn good requests away. Where the codec takes a null that
/// the shape refuses, Kafka's schema was looked up: it refuses it as well.
const NULLS_THAT_ONLY_THE_CODEC_TAKES: &[&str] = &[
    "Metadata v0 name",
    "Metadata v0 topics",
    "Metadata v1 name",
    "Metadata v2 name",
    "Metadata v3 name",
    "Metadata v4 name",
    "Metadata v5 name",
    "Metadata v6 name",
    "Metadata v7 name",
    "Metadata v8 name",
    "Metadata v9 name",
    "OffsetFetch v1 topics",
];

#[test]
fn what_a_shape_calls_never_null_the_codec_does_too() {
    let mut rng = Rng::seeded(3);
    let mut taken = BTreeSet::new();
    for api in APIS {
        let codec = codec(api.key);
        for version in api.versions.clone() {
            for _ in 0..200 {
                let sample = sample::body_with_forbidden_null(api.request, version, &mut rng);
                let Some(body) = sample else { continue };
                let what = format!("{:?} v{version}", api.key);
                match api.request.walk(version, &body) {
                    Err(Malformed::Null { field }) => {
                        if (codec.recode)(version, Bytes::from(body)).is_ok() {
                            taken.insert(format!("{what} {field}"));
                        }
                    }
                    other => panic!("{what}: {other:?} of a body with a null"),
                }
            }
        }
    }
    let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
    assert_eq!(taken, NULLS_THAT_ONLY_THE_CODEC_TAKES);
}

/// What the walker lets pass, the decoder may refuse, but reads in memory that the walker has bounded: each count
/// was seen to fit. A run under a debugger is not needed; a reservation by a wild count would abort this test.
#[test]
fn damaged_requests_are_refused_or_decoded() {
    let mut rng = Rng::seeded(2);
    let (mut refused, mut decoded) = (0, 0);
    for api in APIS {
        let codec = codec(api.key);
        for version in api.versions.clone() {
            for _ in 0..200 {
                let mut body = sample::body(api.request, version, &mut rng);
                damage(&mut body, &mut rng);
                match api.request.walk(version, &body) {
                    Ok(_) => {
                        decoded += 1;
                        // Bytes left over are let pass by both, as in Kafka; an error is as good.
                        let _ = (codec.recode)(version, Bytes::from(body));
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(refused > 1000 && decoded > 1000, "{refused} {decoded}");
}

fn damage(body: &mut Vec<u8>, rng: &mut Rng) {
    let length = body.len() as u64;
    if length == 0 {
        body.push(rng.below(256) as u8);
        return;
    }
    let at = rng.below(length) as usize;
    match rng.below(4) {
        0 => body.truncate(at),
        1 => body[at] = rng.below(256) as u8,
        2 => body[at..].iter_mut().take(4).for_each(|byte| *byte = 0x7f),
        _ => body.insert(at, rng.below(256) as u8),
    }
}
