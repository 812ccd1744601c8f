//! What the walker accepts, and each thing that it refuses.

use super::*;

const SHAPE: Shape = Shape::new(&[
    field(
        "topics",
        array(&[
            field("name", STRING).null_since(2),
            field("partitions", list(&INT32)).until(3),
            field("flag", BOOLEAN).since(1),
        ]),
    )
    .null_since(1),
    field("cursor", structure(&[field("index", INT32)]))
        .since(4)
        .null_since(4),
    field("cluster_id", STRING).since(2).null_since(2).tag(0),
])
.flexible_since(2);

fn refused(version: i16, body: &[u8]) -> Malformed {
    SHAPE
        .walk(version, body)
        .expect_err("a body that is refused")
}

#[test]
fn classic_lengths() {
    assert_eq!(SHAPE.walk(0, &[0, 0, 0, 0]), Ok(0));
    let one = [0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 1, 0, 0, 0, 9];
    assert_eq!(SHAPE.walk(0, &one), Ok(2), "a topic and a partition");
    assert_eq!(SHAPE.walk(1, &[0xff; 4]), Ok(0), "null");
    assert_eq!(refused(0, &[0xff; 4]), Malformed::Null { field: "topics" });
    let length = -2;
    let wrong = Malformed::Length {
        field: "topics",
        length,
    };
    assert_eq!(refused(1, &length.to_be_bytes()), wrong);
    let let_pass = SHAPE.walk(0, &[0, 0, 0, 0, 0]);
    assert_eq!(let_pass, Ok(0), "a byte after the request");
    for end in 0..one.len() {
        assert!(SHAPE.walk(0, &one[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_count_larger_than_the_body_is_refused_at_once() {
    let huge = Malformed::Truncated { field: "topics" };
    assert_eq!(refused(0, &[0x7f, 0xff, 0xff, 0xff]), huge);
    assert_eq!(refused(2, &[0xff, 0xff, 0xff, 0xff, 0x0f]), huge);
}

#[test]
fn a_count_beyond_the_element_budget_is_refused() {
    let count = ELEMENTS_MAX + 1;
    let mut body = count.to_be_bytes().to_vec();
    body.resize(4 + count as usize * 8, 0);
    assert_eq!(refused(0, &body), Malformed::Elements { max: ELEMENTS_MAX });
    let mut within = ELEMENTS_MAX.to_be_bytes().to_vec();
    within.resize(4 + ELEMENTS_MAX as usize * 6, 0);
    assert_eq!(SHAPE.walk(0, &within), Ok(ELEMENTS_MAX));
}

#[test]
fn compact_lengths_and_tagged_fields() {
    assert_eq!(SHAPE.walk(2, &[1, 0]), Ok(0), "no topic, no tag");
    assert_eq!(SHAPE.walk(2, &[0, 0]), Ok(0), "null");
    assert_eq!(
        SHAPE.walk(2, &[2, 0, 1, 1, 0, 0]),
        Ok(1),
        "a nameless topic"
    );
    assert_eq!(
        SHAPE.walk(2, &[0, 1, 0, 3, 3, b'a', b'b']),
        Ok(1),
        "known tag"
    );
    assert_eq!(SHAPE.walk(2, &[0, 1, 9, 2, 7, 7]), Ok(1), "unknown tag");
    let field = "cluster_id";
    assert_eq!(
        refused(2, &[0, 1, 0, 4, 3, b'a', b'b', 0]),
        Malformed::Tagged { field }
    );
    assert_eq!(
        refused(2, &[0, 1, 0, 2, 3, b'a', b'b']),
        Malformed::Truncated { field }
    );
    let truncated = Malformed::Truncated {
        field: "tagged fields",
    };
    assert_eq!(refused(2, &[0, 1, 9, 5, 7, 7]), truncated);
    assert_eq!(refused(2, &[0]), truncated);
    assert_eq!(
        refused(2, &[0, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        Malformed::Elements { max: ELEMENTS_MAX }
    );
}

#[test]
fn variable_length_integers_end_after_32_bits() {
    let overlong = Malformed::Varint { field: "topics" };
    assert_eq!(refused(2, &[0x80, 0x80, 0x80, 0x80, 0x80, 0]), overlong);
    assert_eq!(refused(2, &[0xff, 0xff, 0xff, 0xff, 0x1f]), overlong);
    assert_eq!(
        SHAPE.walk(2, &[0x81, 0x80, 0, 0]),
        Ok(0),
        "long but Kafka reads it"
    );
}

#[test]
fn structs_that_may_be_null() {
    assert_eq!(SHAPE.walk(4, &[0, 0xff, 0]), Ok(0));
    assert_eq!(SHAPE.walk(4, &[0, 1, 0, 0, 0, 5, 0, 0]), Ok(0));
    let truncated = Malformed::Truncated { field: "index" };
    assert_eq!(refused(4, &[0, 1, 0, 0]), truncated);
}
