//! Values: Kafka's rules for reading them from text, checking them and writing them back.

use std::fmt;

use super::check::{Refusal, check};
use super::def::{Def, ValueType};

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
    /// Reads `text` as a value of `def` and checks it.
    pub(super) fn parse(def: &Def, text: &str) -> Result<Value, Refusal> {
        let text = text.trim_matches(|c| c <= ' ');
        let not_a_number =
            || Refusal::Value(format!("Not a number of type {}", def.value_type.name()));
        let value = match def.value_type {
            ValueType::Boolean if text.eq_ignore_ascii_case("true") => Value::Boolean(true),
            ValueType::Boolean if text.eq_ignore_ascii_case("false") => Value::Boolean(false),
            ValueType::Boolean => {
                return Err(Refusal::Value(
                    "Expected value to be either true or false".to_owned(),
                ));
            }
            ValueType::Int => Value::Int(text.parse().map_err(|_| not_a_number())?),
            ValueType::Short => Value::Short(text.parse().map_err(|_| not_a_number())?),
            ValueType::Long => Value::Long(text.parse().map_err(|_| not_a_number())?),
            ValueType::Double => Value::Double(text.parse().map_err(|_| not_a_number())?),
            ValueType::List => Value::list(text),
            ValueType::String | ValueType::Class => Value::Text(text.to_owned()),
            ValueType::Password => Value::Secret(Secret(text.to_owned())),
        };
        check(def, &value)?;
        Ok(value)
    }

    /// Splits at commas, white space around them dropped; empty text is the empty list. What stands there twice
    /// counts once, as in Kafka 4.
    pub(super) fn list(text: &str) -> Value {
        let mut items: Vec<String> = Vec::new();
        for item in text.split(',').map(str::trim).filter(|_| !text.is_empty()) {
            if !items.iter().any(|known| known == item) {
                items.push(item.to_owned());
            }
        }
        Value::List(items)
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
