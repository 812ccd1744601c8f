//! What the table of metrics is made of.

/// Prometheus' types of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many observations lie at or below each bound, their sum and their number.
    Histogram,
}

impl Kind {
    /// The name in a `# TYPE` line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One metric, declared once.
#[derive(Debug)]
pub struct Def {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

impl Def {
    /// The unit, which Prometheus' conventions put at the end of the name: `seconds`, `bytes`, or empty.
    pub fn unit(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        ["seconds", "bytes"]
            .into_iter()
            .find(|unit| name.ends_with(unit))
            .unwrap_or("")
    }

    /// Whole numbers that make one unit: durations are kept in nanoseconds, everything else as it is.
    pub(super) fn per_unit(&self) -> f64 {
        match self.unit() {
            "seconds" => 1e9,
            _ => 1.0,
        }
    }
}

/// What a gauge stands at, from whoever knows.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub def: &'static Def,
    /// The values of its labels.
    pub labels: &'static [&'static str],
    pub value: u64,
}

/// Declares the metrics, and the slice of all of them:
///
/// ```text
/// counter NAME "name_total" [label, ...] "help";       counted where it happens
/// histogram NAME(BOUNDS) "name" [label] "help";        observed where it happens
/// read counter NAME "name_total" [label, ...] "help";  read when a page is made
/// read gauge NAME "name" [label, ...] "help";          read when a page is made
/// ```
///
/// A label of what is counted is an index; [`super::table`] says which names the indices have.
macro_rules! declare {
    (@def $kind:ident $name:literal [$($label:ident),*] $help:literal) => {{
        static DEF: Def = Def {
            name: $name,
            kind: Kind::$kind,
            labels: &[$(stringify!($label)),*],
            help: $help,
        };
        &DEF
    }};
    (@items [$($all:ident)*]) => {
        /// Every metric.
        pub static TABLE: &[&Def] = &[$($all.def()),*];
    };
    (@items [$($all:ident)*] counter $konst:ident $name:literal [] $help:literal; $($rest:tt)*) => {
        #[doc = concat!("`", $name, "`: ", $help)]
        pub static $konst: Counter = Counter::new(declare!(@def Counter $name [] $help));
        declare!(@items [$($all)* $konst] $($rest)*);
    };
    (@items [$($all:ident)*] counter $konst:ident $name:literal [$label:ident] $help:literal; $($rest:tt)*) => {
        #[doc = concat!("`", $name, "`: ", $help)]
        pub static $konst: CounterRow<{ labels::$label }> =
            CounterRow::new(declare!(@def Counter $name [$label] $help));
        declare!(@items [$($all)* $konst] $($rest)*);
    };
    (@items [$($all:ident)*] counter $konst:ident $name:literal [$row:ident, $column:ident] $help:literal; $($rest:tt)*) => {
        #[doc = concat!("`", $name, "`: ", $help)]
        pub static $konst: CounterGrid<{ labels::$row }, { labels::$column }> =
            CounterGrid::new(declare!(@def Counter $name [$row, $column] $help));
        declare!(@items [$($all)* $konst] $($rest)*);
    };
    (@items [$($all:ident)*] histogram $konst:ident($bounds:expr) $name:literal [] $help:literal; $($rest:tt)*) => {
        #[doc = concat!("`", $name, "`: ", $help)]
        pub static $konst: Histogram = Histogram::new(declare!(@def Histogram $name [] $help), $bounds);
        declare!(@items [$($all)* $konst] $($rest)*);
    };
    (@items [$($all:ident)*] histogram $konst:ident($bounds:expr) $name:literal [$label:ident] $help:literal; $($rest:tt)*) => {
        #[doc = concat!("`", $name, "`: ", $help)]
        pub static $konst: HistogramRow<{ labels::$label }> =
            HistogramRow::new(declare!(@def Histogram $name [$label] $help), $bounds);
        declare!(@items [$($all)* $konst] $($rest)*);
    };
    (@items [$($all:ident)*] read counter $konst:ident $name:literal [$($label:ident),*] $help:literal; $($rest:tt)*) => {
        #[doc = concat!("`", $name, "`: ", $help)]
        pub static $konst: Def = Def {
            name: $name,
            kind: Kind::Counter,
            labels: &[$(stringify!($label)),*],
            help: $help,
        };
        declare!(@items [$($all)* $konst] $($rest)*);
    };
    (@items [$($all:ident)*] read gauge $konst:ident $name:literal [$($label:ident),*] $help:literal; $($rest:tt)*) => {
        #[doc = concat!("`", $name, "`: ", $help)]
        pub static $konst: Def = Def {
            name: $name,
            kind: Kind::Gauge,
            labels: &[$(stringify!($label)),*],
            help: $help,
        };
        declare!(@items [$($all)* $konst] $($rest)*);
    };
}
pub(super) use declare;

impl Def {
    /// Itself; instruments have the same method.
    pub const fn def(&'static self) -> &'static Def {
        self
    }
}
