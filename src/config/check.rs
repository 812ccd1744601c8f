//! What a value must satisfy beyond its type, and how Kafka words a refusal.

use super::def::{Check, Def};
use super::value::Value;

/// Why a text is not a value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The reason.
    Value(String),
    /// The item of the list that is refused, and the reason.
    Item(String, String),
    /// A list has an empty item.
    EmptyItem,
}

/// Holds a value against the check of its key.
pub(super) fn check(def: &Def, value: &Value) -> Result<(), Refusal> {
    if let (Check::EachOf(allowed), Value::List(items)) = (def.check, value) {
        return each_of(allowed, items);
    }
    whole(def, value).map_err(Refusal::Value)
}

fn whole(def: &Def, value: &Value) -> Result<(), String> {
    match (def.check, value) {
        (Check::Any, _) => Ok(()),
        (Check::AtLeast(min), value) => in_range(value, min, i64::MAX),
        (Check::Between(min, max), value) => in_range(value, min, max),
        (Check::LevelOrDefault(min, max), value) => match value.integer() {
            Some(-1) => Ok(()),
            Some(level) if (min..=max).contains(&level) => Ok(()),
            Some(_) | None => Err(format!(
                "Value must be between {min} and {max} or equal to -1"
            )),
        },
        (Check::Ratio(min, max), Value::Double(ratio)) => {
            if ratio.is_nan() || *ratio < min {
                Err(format!("Value must be at least {}", bound(min)))
            } else if *ratio > max {
                Err(format!("Value must be no more than {}", bound(max)))
            } else {
                Ok(())
            }
        }
        (Check::OneOf(allowed), Value::Text(text)) => {
            if allowed.contains(&text.as_str()) {
                Ok(())
            } else {
                Err(format!("String must be one of: {}", allowed.join(", ")))
            }
        }
        (Check::OneOfIgnoringCase(allowed), Value::Text(text)) => {
            if allowed.iter().any(|item| item.eq_ignore_ascii_case(text)) {
                Ok(())
            } else {
                Err(format!(
                    "String must be one of (case insensitive): {}",
                    allowed.join(", ")
                ))
            }
        }
        (Check::NotEmpty, Value::Text(text)) if text.is_empty() => {
            Err("String must be non-empty".to_owned())
        }
        (Check::AddressCounts, Value::Text(text)) => address_counts(text),
        (Check::ThrottledReplicas, Value::List(items)) => throttled_replicas(def.name, items),
        (Check::AutoOffsetReset, Value::Text(text)) => auto_offset_reset(def.name, text),
        (
            Check::Ratio(..)
            | Check::OneOf(_)
            | Check::OneOfIgnoringCase(_)
            | Check::EachOf(_)
            | Check::NotEmpty
            | Check::AddressCounts
            | Check::ThrottledReplicas
            | Check::AutoOffsetReset,
            _,
        ) => Ok(()),
    }
}

/// Kafka prints the bounds of its own ratios without a fraction where they have none.
fn bound(bound: f64) -> String {
    bound.to_string()
}

fn in_range(value: &Value, min: i64, max: i64) -> Result<(), String> {
    match value.integer() {
        Some(number) if number < min => Err(format!("Value must be at least {min}")),
        Some(number) if number > max => Err(format!("Value must be no more than {max}")),
        Some(_) | None => Ok(()),
    }
}

fn each_of(allowed: &[&str], items: &[String]) -> Result<(), Refusal> {
    if items.iter().any(String::is_empty) {
        return Err(Refusal::EmptyItem);
    }
    match items.iter().find(|item| !allowed.contains(&item.as_str())) {
        None => Ok(()),
        Some(item) => Err(Refusal::Item(
            item.clone(),
            format!("String must be one of: {}", allowed.join(", ")),
        )),
    }
}

/// Addresses may be names, and IPv6 has colons of its own (`Utils.HOST_PATTERN`).
fn address_counts(text: &str) -> Result<(), String> {
    let is_good = |entry: &str| {
        entry.rsplit_once(':').is_some_and(|(address, count)| {
            let known = |c: char| c.is_ascii_alphanumeric() || "-%._:[]".contains(c);
            address.trim().chars().all(known) && count.trim().parse::<i32>().is_ok()
        })
    };
    match text
        .split(',')
        .map(str::trim)
        .find(|entry| !entry.is_empty() && !is_good(entry))
    {
        None => Ok(()),
        Some(entry) => Err(format!("`{entry}` is not of the form address:count")),
    }
}

fn throttled_replicas(name: &str, items: &[String]) -> Result<(), String> {
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    let is_pair = |item: &String| {
        item.split_once(':')
            .is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
    };
    match items {
        [] => Ok(()),
        [all] if all == "*" => Ok(()),
        pairs if pairs.iter().all(is_pair) => Ok(()),
        _ => Err(format!(
            "{name} must be the literal '*' or a list of replicas in the following format: \
             [partitionId]:[brokerId],[partitionId]:[brokerId],..."
        )),
    }
}

fn auto_offset_reset(name: &str, text: &str) -> Result<(), String> {
    let good = match text {
        "latest" | "earliest" => true,
        _ => text
            .strip_prefix("by_duration:")
            .is_some_and(|duration| is_iso_duration(&duration.to_uppercase())),
    };
    if good {
        Ok(())
    } else {
        Err(format!(
            "Invalid value `{text}` for configuration {name}. The value must be either 'earliest', \
             'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
        ))
    }
}

/// `PnDTnHnMn.nS` with at least one part, in this order, nothing negative.
fn is_iso_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else {
        return false;
    };
    let (date, time) = rest.split_once('T').unwrap_or((rest, ""));
    if rest.contains('T') && time.is_empty() || rest.is_empty() {
        return false;
    }
    has_parts(date, &['D']) && has_parts(time, &['H', 'M', 'S'])
}

/// Whether `text` is a number and a unit, several times, with the units in this order; seconds may have a fraction.
fn has_parts(mut text: &str, units: &[char]) -> bool {
    let is_whole = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    for unit in units {
        let Some((number, rest)) = text.split_once(*unit) else {
            continue;
        };
        let is_number = match number.split_once('.') {
            Some((whole, fraction)) => *unit == 'S' && is_whole(whole) && is_whole(fraction),
            None => is_whole(number),
        };
        if !is_number {
            return false;
        }
        text = rest;
    }
    text.is_empty()
}
