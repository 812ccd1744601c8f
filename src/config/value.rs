//! Values: Kafka's rules for reading them from text, checking them and writing them back.

use std::fmt;

use super::def::{Check, Def, ValueType};

/// A value of a key.
#[derive(Clone, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    Int(i32),
    Short(i16),
    Long(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
    Secret(Secret),
}

/// A password: shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The password itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl Value {
    /// Reads `text` as a value of `def` and checks it. The error is the reason, in Kafka's words.
    pub fn parse(def: &Def, text: &str) -> Result<Value, String> {
        let text = text.trim_matches(|c| c <= ' ');
        let not_a_number = || format!("Not a number of type {}", def.value_type.name());
        let value = match def.value_type {
            ValueType::Boolean if text.eq_ignore_ascii_case("true") => Value::Boolean(true),
            ValueType::Boolean if text.eq_ignore_ascii_case("false") => Value::Boolean(false),
            ValueType::Boolean => {
                return Err("Expected value to be either true or false".to_owned());
            }
            ValueType::Int => Value::Int(text.parse().map_err(|_| not_a_number())?),
            ValueType::Short => Value::Short(text.parse().map_err(|_| not_a_number())?),
            ValueType::Long => Value::Long(text.parse().map_err(|_| not_a_number())?),
            ValueType::Double => Value::Double(text.parse().map_err(|_| not_a_number())?),
            ValueType::List => Value::list(text),
            ValueType::String | ValueType::Class => Value::Text(text.to_owned()),
            ValueType::Password => Value::Secret(Secret(text.to_owned())),
        };
        check(def.check, &value)?;
        Ok(value)
    }

    /// Splits at commas, white space around them dropped; empty text is the empty list.
    pub(super) fn list(text: &str) -> Value {
        if text.is_empty() {
            return Value::List(Vec::new());
        }
        Value::List(text.split(',').map(|item| item.trim().to_owned()).collect())
    }

    /// The value as a whole number, where it is one.
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(i64::from(*value)),
            Value::Short(value) => Some(i64::from(*value)),
            Value::Long(value) => Some(*value),
            Value::Null
            | Value::Boolean(_)
            | Value::Double(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Secret(_) => None,
        }
    }

    /// The text that Kafka answers for the value: `None` for null and for secrets.
    pub fn shown(&self) -> Option<String> {
        match self {
            Value::Null | Value::Secret(_) => None,
            Value::Boolean(value) => Some(value.to_string()),
            Value::Int(value) => Some(value.to_string()),
            Value::Short(value) => Some(value.to_string()),
            Value::Long(value) => Some(value.to_string()),
            Value::Double(value) => Some(show_double(*value)),
            Value::Text(text) => Some(text.clone()),
            Value::List(items) => Some(items.join(",")),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.shown()) {
            (Value::Null, _) => f.write_str("null"),
            (_, Some(text)) => f.write_str(&text),
            (_, None) => f.write_str("[hidden]"),
        }
    }
}

/// As Java's `Double.toString`: plain from 0.001 to below ten million, else with an exponent.
fn show_double(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => {
            format!("{mantissa}.0E{exponent}")
        }
        Some(_) | None => text,
    }
}

fn check(check: Check, value: &Value) -> Result<(), String> {
    match (check, value) {
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
                Err(format!("Value must be at least {}", whole(min)))
            } else if *ratio > max {
                Err(format!("Value must be no more than {}", whole(max)))
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
        (Check::EachOf(allowed), Value::List(items)) => each_of(allowed, items),
        (Check::NotEmpty, Value::Text(text)) if text.is_empty() => {
            Err("String must be non-empty".to_owned())
        }
        (Check::ThrottledReplicas, Value::List(items)) => throttled_replicas(items),
        (Check::AutoOffsetReset, Value::Text(text)) => auto_offset_reset(text),
        (
            Check::Ratio(..)
            | Check::OneOf(_)
            | Check::OneOfIgnoringCase(_)
            | Check::EachOf(_)
            | Check::NotEmpty
            | Check::ThrottledReplicas
            | Check::AutoOffsetReset,
            _,
        ) => Ok(()),
    }
}

/// Kafka prints the bounds of its own ratios without a fraction where they have none.
fn whole(bound: f64) -> String {
    bound.to_string()
}

fn in_range(value: &Value, min: i64, max: i64) -> Result<(), String> {
    match value.integer() {
        Some(number) if number < min => Err(format!("Value must be at least {min}")),
        Some(number) if number > max => Err(format!("Value must be no more than {max}")),
        Some(_) | None => Ok(()),
    }
}

fn each_of(allowed: &[&str], items: &[String]) -> Result<(), String> {
    for (index, item) in items.iter().enumerate() {
        if items[..index].contains(item) {
            return Err(format!("Duplicate value '{item}'"));
        }
        if !allowed.contains(&item.as_str()) {
            return Err(format!("String must be one of: {}", allowed.join(", ")));
        }
    }
    Ok(())
}

fn throttled_replicas(items: &[String]) -> Result<(), String> {
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    let is_pair = |item: &String| {
        item.split_once(':')
            .is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
    };
    match items {
        [] => Ok(()),
        [all] if all == "*" || all == "none" || all.is_empty() => Ok(()),
        pairs if pairs.iter().all(is_pair) => Ok(()),
        _ => Err(
            "must be the literal '*' or a list of replicas in the following format: \
             [partitionId]:[brokerId],[partitionId]:[brokerId],..."
                .to_owned(),
        ),
    }
}

fn auto_offset_reset(text: &str) -> Result<(), String> {
    let good = match text {
        "latest" | "earliest" => true,
        _ => text
            .strip_prefix("by_duration:")
            .is_some_and(is_iso_duration),
    };
    if good {
        Ok(())
    } else {
        Err(format!(
            "Invalid value `{text}`. The value must be either 'latest', 'earliest' or of the format \
             'by_duration:<PnDTnHnMn.nS>'."
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

/// Types that a [`super::Key`] can read a value as.
pub trait FromValue: Sized {
    /// `None` where the value has another type.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($rust:ty: $variant:ident $(, $clone:ident)?;)*) => {$(
        impl FromValue for $rust {
            fn from_value(value: &Value) -> Option<Self> {
                if let Value::$variant(inner) = value {
                    Some((*inner)$(.$clone())?)
                } else {
                    None
                }
            }
        }
    )*};
}

from_value! {
    bool: Boolean;
    i32: Int;
    i16: Short;
    i64: Long;
    f64: Double;
    String: Text, clone;
    Vec<String>: List, clone;
    Secret: Secret, clone;
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        if *value == Value::Null {
            Some(None)
        } else {
            T::from_value(value).map(Some)
        }
    }
}
