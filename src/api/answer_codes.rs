//! Where each answer has its error codes: what `ottla_errors_total` counts (Kafka's `AbstractResponse.errorCounts`).

use kafka_protocol::messages::{
    AlterConfigsResponse, ApiVersionsResponse, ConsumerGroupDescribeResponse,
    ConsumerGroupHeartbeatResponse, CreatePartitionsResponse, CreateTopicsResponse,
    DeleteGroupsResponse, DeleteRecordsResponse, DeleteTopicsResponse, DescribeClusterResponse,
    DescribeConfigsResponse, DescribeGroupsResponse, DescribeLogDirsResponse,
    DescribeTopicPartitionsResponse, FindCoordinatorResponse, HeartbeatResponse,
    IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse, LeaveGroupResponse,
    ListConfigResourcesResponse, ListGroupsResponse, ListOffsetsResponse, MetadataResponse,
    OffsetCommitResponse, OffsetDeleteResponse, OffsetFetchResponse, OffsetForLeaderEpochResponse,
    ProduceResponse, SyncGroupResponse,
};

use super::fetch_answer::FetchAnswerBody;

/// An answer whose error codes can be looked at; 0 is no error.
#[diagnostic::on_unimplemented(note = "say in src/api/answer_codes.rs where its error codes are")]
pub(super) trait AnswerCodes {
    /// Hands each error code to `look`.
    fn each_code(&self, look: &mut dyn FnMut(i16));
}

/// One row per answer: the ways to its error codes, through lists with `/`.
macro_rules! answers {
    ($($answer:ident: $($($step:ident)/ +),+;)+) => {
        $(impl AnswerCodes for $answer {
            fn each_code(&self, look: &mut dyn FnMut(i16)) {
                $(answers!(@walk self, look, $($step)/ +);)+
            }
        })+
    };
    (@walk $at:expr, $look:ident, $code:ident) => {
        $look($at.$code)
    };
    (@walk $at:expr, $look:ident, $list:ident / $($rest:ident)/ +) => {
        for item in &$at.$list {
            answers!(@walk item, $look, $($rest)/ +);
        }
    };
}

answers! {
    ProduceResponse: responses / partition_responses / error_code;
    FetchAnswerBody: error_code, topics / partitions / error_code;
    ListOffsetsResponse: topics / partitions / error_code;
    MetadataResponse: error_code, topics / error_code, topics / partitions / error_code;
    FindCoordinatorResponse: error_code, coordinators / error_code;
    ApiVersionsResponse: error_code;
    CreateTopicsResponse: topics / error_code;
    DeleteTopicsResponse: responses / error_code;
    InitProducerIdResponse: error_code;
    OffsetForLeaderEpochResponse: topics / partitions / error_code;
    DescribeConfigsResponse: results / error_code;
    CreatePartitionsResponse: results / error_code;
    DescribeClusterResponse: error_code;
    AlterConfigsResponse: responses / error_code;
    ConsumerGroupDescribeResponse: groups / error_code;
    ConsumerGroupHeartbeatResponse: error_code;
    DeleteGroupsResponse: results / error_code;
    DeleteRecordsResponse: topics / partitions / error_code;
    DescribeGroupsResponse: groups / error_code;
    DescribeLogDirsResponse: error_code, results / error_code;
    DescribeTopicPartitionsResponse: topics / error_code, topics / partitions / error_code;
    HeartbeatResponse: error_code;
    IncrementalAlterConfigsResponse: responses / error_code;
    JoinGroupResponse: error_code;
    LeaveGroupResponse: error_code, members / error_code;
    ListConfigResourcesResponse: error_code;
    ListGroupsResponse: error_code;
    OffsetCommitResponse: topics / partitions / error_code;
    OffsetDeleteResponse: error_code, topics / partitions / error_code;
    OffsetFetchResponse: error_code, topics / partitions / error_code, groups / error_code,
        groups / topics / partitions / error_code;
    SyncGroupResponse: error_code;
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::produce_response::{
        PartitionProduceResponse, TopicProduceResponse,
    };

    #[test]
    fn every_code_of_an_answer_is_looked_at() {
        let partition = |code| PartitionProduceResponse::default().with_error_code(code);
        let topic = |codes: &[i16]| {
            let partitions = codes.iter().copied().map(partition).collect();
            TopicProduceResponse::default().with_partition_responses(partitions)
        };
        let answer = ProduceResponse::default().with_responses(vec![
            topic(&[0, 3]),
            topic(&[]),
            topic(&[10]),
        ]);
        let mut codes = Vec::new();
        answer.each_code(&mut |code| codes.push(code));
        assert_eq!(codes, [0, 3, 10]);
    }
}
