//! The topics in a consumer's subscription: the part of the consumer's embedded protocol that a broker reads
//! (`ConsumerProtocolSubscription.json`, version 0, which every later version begins with).

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Buf;

/// `protocol.type` of consumers.
pub(super) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// The topics of a subscription; `None` when the bytes are none.
pub(super) fn topics(mut metadata: &[u8]) -> Option<BTreeSet<Arc<str>>> {
    let version = metadata.try_get_i16().ok()?;
    let count = metadata.try_get_i32().ok()?;
    if version < 0 || count < 0 {
        return None;
    }
    (0..count).map(|_| string(&mut metadata)).collect()
}

fn string(bytes: &mut &[u8]) -> Option<Arc<str>> {
    let length = usize::try_from(bytes.try_get_i16().ok()?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok().map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_what_follows_is_not() {
        let metadata = b"\x00\x03\x00\x00\x00\x02\x00\x01a\x00\x02bc\xff\xff\xff\xff rest";
        let read = topics(metadata).expect("a subscription");
        assert_eq!(
            read.iter().map(|topic| &**topic).collect::<Vec<_>>(),
            ["a", "bc"]
        );
    }

    #[test]
    fn what_is_no_subscription_has_no_topics() {
        for bad in [
            &b""[..],
            b"\x00",
            b"\xff\xff\x00\x00\x00\x00",
            b"\x00\x00\xff\xff\xff\xff",
            b"\x00\x00\x7f\xff\xff\xff\x00\x01a",
            b"\x00\x00\x00\x00\x00\x01\xff\xff",
            b"\x00\x00\x00\x00\x00\x01\x00\x01\xff",
        ] {
            assert_eq!(topics(bad), None, "{bad:?}");
        }
        assert_eq!(topics(b"\x00\x00\x00\x00\x00\x00"), Some(BTreeSet::new()));
    }
}
