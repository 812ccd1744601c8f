//! The known key that a mistyped one was probably meant to be.

use super::def::{Effect, Scope};
use super::keys;

/// The nearest key of the broker by edit distance, if it is near enough to be meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let (distance, def) = keys::all(Scope::Broker)
        .iter()
        .filter(|def| def.effect != Effect::Internal)
        .map(|def| (edit_distance(name, def.name), *def))
        .min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= name.len().max(6)).then_some(def.name)
}

/// Levenshtein's distance over bytes, a swap of two neighbours counting once (optimal string alignment).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = [
        vec![0; b.len() + 1],
        (0..=b.len()).collect::<Vec<usize>>(),
        vec![0; b.len() + 1],
    ];
    for (i, byte) in a.iter().enumerate() {
        rows[2][0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let change = rows[1][j] + usize::from(byte != other);
            let mut best = change.min(rows[1][j + 1] + 1).min(rows[2][j] + 1);
            if i > 0 && j > 0 && *byte == b[j - 1] && a[i - 1] == *other {
                best = best.min(rows[0][j - 1] + 1);
            }
            rows[2][j + 1] = best;
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{edit_distance, nearest};

    #[test]
    fn distances() {
        for (a, b, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("kitten", "sitting", 3),
            ("num.partition", "num.partitions", 1),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }

    #[test]
    fn what_was_meant_is_found_and_nonsense_is_left_alone() {
        for (name, meant) in [
            ("num.partition", Some("num.partitions")),
            ("listner", Some("listeners")),
            ("log.retention.hour", Some("log.retention.hours")),
            ("log_dirs", Some("log.dirs")),
            ("otlla.durability", Some("ottla.durability")),
            (
                "auto.create.topic.enable",
                Some("auto.create.topics.enable"),
            ),
            ("colour", None),
            ("completely.unrelated.words", None),
        ] {
            assert_eq!(nearest(name), meant, "{name}");
        }
    }
}
