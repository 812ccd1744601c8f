//! Topic names: what Kafka allows (`org.apache.kafka.common.internals.Topic`) and which names are its own.

/// Bytes that a topic name may have at most.
pub const TOPIC_NAME_SIZE_MAX: usize = 249;

/// The name of KRaft's metadata log. No client may create it.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// The topics that Kafka marks as internal. What they hold in Kafka lies in rows here.
const INTERNAL_TOPICS: [&str; 3] = [
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
];

/// Why a name cannot be a topic's; the texts are what Kafka's clients show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    #[error("Topic name is invalid: '{0}' is not allowed")]
    Dots(&'static str),
    #[error(
        "Topic name is invalid: the length of '{0}' is longer than the max allowed length {TOPIC_NAME_SIZE_MAX}"
    )]
    Long(String),
    #[error(
        "Topic name is invalid: '{0}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    )]
    Characters(String),
}

/// Whether a topic may have this name, with Kafka's order of checks.
pub fn validate(name: &str) -> Result<(), NameError> {
    match name {
        "" => Err(NameError::Empty),
        "." => Err(NameError::Dots(".")),
        ".." => Err(NameError::Dots("..")),
        // The name goes back to the client in the message, so a name of megabytes is cut.
        long if long.len() > TOPIC_NAME_SIZE_MAX => Err(NameError::Long(shortened(long))),
        other if !other.bytes().all(is_legal) => Err(NameError::Characters(other.to_owned())),
        _ => Ok(()),
    }
}

/// Whether Kafka keeps state of its own in a topic of this name.
pub fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// The name with every `.` as `_`; two names collide when theirs are equal, because metrics cannot tell them apart.
/// `None` for a name without either character, which collides with nothing.
pub(super) fn unified(name: &str) -> Option<Box<str>> {
    name.contains(['.', '_'])
        .then(|| name.replace('.', "_").into_boxed_str())
}

fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn shortened(name: &str) -> String {
    let mut kept: String = name.chars().take(TOPIC_NAME_SIZE_MAX).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_kafka_does() {
        let at_limit = "a".repeat(TOPIC_NAME_SIZE_MAX);
        for good in ["a", "a.b_c-D9", "...", "-", at_limit.as_str()] {
            assert_eq!(validate(good), Ok(()), "{good}");
        }
        assert_eq!(validate(""), Err(NameError::Empty));
        assert_eq!(validate("."), Err(NameError::Dots(".")));
        assert_eq!(validate(".."), Err(NameError::Dots("..")));
        for bad in ["a b", "a/b", "ä", "a\u{0}", "a:b"] {
            assert_eq!(validate(bad), Err(NameError::Characters(bad.to_owned())));
        }
        let long = validate(&"b".repeat(1_000_000)).expect_err("too long");
        assert!(matches!(long, NameError::Long(_)));
        assert!(long.to_string().len() < 400);
    }

    #[test]
    fn only_names_with_dot_or_underscore_collide() {
        assert_eq!(unified("a.b"), unified("a_b"));
        assert_ne!(unified("a.b"), unified("a-b"));
        assert_eq!(unified("ab"), None);
    }

    #[test]
    fn internal_names_are_kafkas_three() {
        assert!(is_internal("__consumer_offsets"));
        assert!(!is_internal(CLUSTER_METADATA_TOPIC));
        assert!(!is_internal("_consumer_offsets"));
    }
}
