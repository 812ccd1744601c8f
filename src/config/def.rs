//! What the table of keys is made of: a [`Def`] per key, and a typed [`Key`] to read it by.

use std::marker::PhantomData;

use super::value::{FromValue, Value};

/// What a key is set on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The broker: file, environment, flags.
    Broker,
    /// One topic, through CreateTopics and AlterConfigs.
    Topic,
    /// One group, through AlterConfigs.
    Group,
    /// One client metrics subscription (KIP-714).
    ClientMetrics,
}

/// Kafka's types of values (`ConfigDef.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    /// The name of a Java class: kept and described, never loaded.
    Class,
    Password,
}

impl ValueType {
    /// The name in Kafka's messages.
    pub fn name(self) -> &'static str {
        match self {
            ValueType::Boolean => "BOOLEAN",
            ValueType::String => "STRING",
            ValueType::Int => "INT",
            ValueType::Short => "SHORT",
            ValueType::Long => "LONG",
            ValueType::Double => "DOUBLE",
            ValueType::List => "LIST",
            ValueType::Class => "CLASS",
            ValueType::Password => "PASSWORD",
        }
    }

    /// The number in DescribeConfigs answers (`DescribeConfigsResponse.ConfigType`).
    pub fn wire(self) -> i8 {
        match self {
            ValueType::Boolean => 1,
            ValueType::String => 2,
            ValueType::Int => 3,
            ValueType::Short => 4,
            ValueType::Long => 5,
            ValueType::Double => 6,
            ValueType::List => 7,
            ValueType::Class => 8,
            ValueType::Password => 9,
        }
    }
}

/// A default as it stands in the table; lists are comma separated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Literal {
    Null,
    Boolean(bool),
    Int(i32),
    Short(i16),
    Long(i64),
    Double(f64),
    Text(&'static str),
}

/// What a value must satisfy beyond its type.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    Ratio(f64, f64),
    /// -1 for the codec's own default, or a level in the range.
    LevelOrDefault(i64, i64),
    OneOf(&'static [&'static str]),
    OneOfIgnoringCase(&'static [&'static str]),
    /// A list whose elements are each one of these, none twice.
    EachOf(&'static [&'static str]),
    NotEmpty,
    /// `partition:broker,partition:broker` or `*`.
    ThrottledReplicas,
    /// `address:count,address:count`.
    AddressCounts,
    /// `latest`, `earliest` or `by_duration:` and an ISO 8601 duration.
    AutoOffsetReset,
}

/// Whether and how a key can change while the broker runs (Kafka's dynamic update modes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    ReadOnly,
    /// For one listener of one broker, as `listener.name.NAME.KEY`.
    PerListener,
    /// For one broker.
    PerBroker,
    /// For one broker, or for all that have no value of their own.
    ClusterWide,
}

/// What setting a key does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Honoured,
    /// Known, checked, stored and described; what it governs comes in a later version, and the log says so once.
    Later,
    /// Accepted with one line, because what it governs does not exist here.
    WithoutMeaning,
    /// A test knob of Kafka's own, or a throttle that it takes at run time only: as without meaning, and left out of
    /// listings as Kafka does.
    Internal,
}

/// A broker key that a topic or group key falls back to, and what one unit of it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: &'static str,
    /// Milliseconds per unit; 1 where the values are the same.
    pub factor: i64,
}

/// The same value under another name.
pub(super) const fn same(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

/// A broker key in minutes behind a key in milliseconds.
pub(super) const fn minutes(name: &'static str) -> Synonym {
    Synonym {
        name,
        factor: 60_000,
    }
}

/// A broker key in hours behind a key in milliseconds.
pub(super) const fn hours(name: &'static str) -> Synonym {
    Synonym {
        name,
        factor: 3_600_000,
    }
}

/// One key, declared once.
#[derive(Debug)]
pub struct Def {
    pub name: &'static str,
    pub scope: Scope,
    pub value_type: ValueType,
    pub default: Literal,
    pub check: Check,
    pub update: Update,
    pub effect: Effect,
    /// Broker keys to fall back to, the one that counts first at the front.
    pub synonyms: &'static [Synonym],
    pub text: &'static str,
}

impl Def {
    /// The value when nobody set one.
    pub fn default_value(&self) -> Value {
        match self.default {
            Literal::Null => Value::Null,
            Literal::Boolean(value) => Value::Boolean(value),
            Literal::Int(value) => Value::Int(value),
            Literal::Short(value) => Value::Short(value),
            Literal::Long(value) => Value::Long(value),
            Literal::Double(value) => Value::Double(value),
            Literal::Text(text) if self.value_type == ValueType::List => Value::list(text),
            Literal::Text(text) => Value::Text(text.to_owned()),
        }
    }

    /// True where a listing must not show the value.
    pub fn is_sensitive(&self) -> bool {
        self.value_type == ValueType::Password
    }

    /// The unit of the value, as the name tells it; empty where it has none.
    pub fn unit(&self) -> &'static str {
        let name = self.name;
        if !matches!(
            self.value_type,
            ValueType::Int | ValueType::Short | ValueType::Long | ValueType::Double
        ) {
            return "";
        }
        let has = |part: &str| name.split('.').any(|word| word == part);
        if name.ends_with(".per.second") {
            "bytes per second"
        } else if has("ms") || has("millis") {
            "ms"
        } else if has("seconds") || has("secs") {
            "s"
        } else if has("minutes") {
            "min"
        } else if has("hours") {
            "h"
        } else if has("bytes") || name.ends_with("buffer.size") || name.ends_with("receive.size") {
            "bytes"
        } else {
            ""
        }
    }
}

/// A key and the Rust type of its values; the table makes them agree.
pub struct Key<T> {
    def: &'static Def,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    pub(super) const fn new(def: &'static Def) -> Self {
        Self {
            def,
            value: PhantomData,
        }
    }

    /// The declaration.
    pub const fn def(self) -> &'static Def {
        self.def
    }

    /// The name as Kafka writes it.
    pub const fn name(self) -> &'static str {
        self.def.name
    }
}

impl<T: FromValue> Key<T> {
    /// The typed form of a value of this key.
    pub(super) fn read(self, value: &Value) -> T {
        T::from_value(value).expect("the table gives each key the type of its values")
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> std::fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.def.name)
    }
}

/// Declares the keys of one file and scope, `CONST: type "name" = default, Check, Update, Effect, "text";`, and the
/// slice of all of them. A type that begins with `opt_` has no default.
macro_rules! declare {
    ($table:ident: $scope:ident; $(
        $konst:ident: $kind:ident $name:literal $(= $default:literal)?, $check:expr, $update:ident, $effect:ident
            $(, from [$($synonym:expr),*])?, $text:literal;
    )*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $text)]
            pub const $konst: Key<declare!(@rust $kind)> = {
                static DEF: Def = Def {
                    name: $name,
                    scope: Scope::$scope,
                    value_type: declare!(@type $kind),
                    default: declare!(@literal $kind $($default)?),
                    check: $check,
                    update: Update::$update,
                    effect: Effect::$effect,
                    synonyms: &[$($($synonym),*)?],
                    text: $text,
                };
                Key::new(&DEF)
            };
        )*
        /// The keys declared in this file.
        pub(in crate::config) static $table: &[&Def] = &[$($konst.def()),*];
    };
    (@rust boolean) => { bool };
    (@rust int) => { i32 };
    (@rust short) => { i16 };
    (@rust long) => { i64 };
    (@rust double) => { f64 };
    (@rust string) => { String };
    (@rust class) => { String };
    (@rust list) => { Vec<String> };
    (@rust opt_int) => { Option<i32> };
    (@rust opt_long) => { Option<i64> };
    (@rust opt_string) => { Option<String> };
    (@rust opt_class) => { Option<String> };
    (@rust opt_list) => { Option<Vec<String>> };
    (@rust opt_password) => { Option<Secret> };
    (@type boolean) => { ValueType::Boolean };
    (@type int) => { ValueType::Int };
    (@type opt_int) => { ValueType::Int };
    (@type short) => { ValueType::Short };
    (@type long) => { ValueType::Long };
    (@type opt_long) => { ValueType::Long };
    (@type double) => { ValueType::Double };
    (@type string) => { ValueType::String };
    (@type opt_string) => { ValueType::String };
    (@type class) => { ValueType::Class };
    (@type opt_class) => { ValueType::Class };
    (@type list) => { ValueType::List };
    (@type opt_list) => { ValueType::List };
    (@type opt_password) => { ValueType::Password };
    (@literal boolean $default:literal) => { Literal::Boolean($default) };
    (@literal int $default:literal) => { Literal::Int($default) };
    (@literal short $default:literal) => { Literal::Short($default) };
    (@literal long $default:literal) => { Literal::Long($default) };
    (@literal double $default:literal) => { Literal::Double($default) };
    (@literal string $default:literal) => { Literal::Text($default) };
    (@literal class $default:literal) => { Literal::Text($default) };
    (@literal list $default:literal) => { Literal::Text($default) };
    (@literal $kind:ident) => { Literal::Null };
}
pub(super) use declare;
