//! Requests made from the declared shapes: right in every field, or with one field changed. An API that is new in the
//! table is attacked without a line here; it may want a value in [`Facts::text`] or [`number`] that makes its requests get further.

use std::borrow::Cow;

use kafka_protocol::messages::ApiKey;
use ottla::api::Api;
use ottla::protocol::shape::{Field, Kind};

/// The correlation id of every request.
pub(crate) const CORRELATION_ID: i32 = 0x0700_0007;

/// Elements of an array that is large, but within every limit.
const MANY: usize = 1_000;

/// Bytes of a value that is too long for anything but within its length field.
const LONG: usize = 32_767;

/// What is true of the broker under attack.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) topic: String,
    pub(crate) topic_id: [u8; 16],
    pub(crate) other_topic: String,
    pub(crate) other_topic_id: [u8; 16],
    pub(crate) other_producer_id: i64,
    /// Record batches for whoever takes some.
    pub(crate) records: Vec<u8>,
}

/// One field, counted in the order of writing, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    field: usize,
    pub(crate) name: &'static str,
    pub(crate) how: How,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Zero,
    One,
    /// -1, or 255 in each byte.
    Ones,
    Max,
    Min,
    /// What belongs to somebody else: a topic, a producer.
    Others,
    Null,
    Empty,
    Long,
    NotUtf8,
    /// A length or count of 2147483647, or 32767, without the bytes.
    CountMax,
    CountNegative,
    /// A count that is one too high.
    OneMore,
    Many,
    /// As many elements as one request may have, or nearly; arrays within are null where they may be, which asks for
    /// everything.
    Most(usize),
}

impl How {
    /// All that can be done to a field of this kind.
    fn all(kind: &Kind) -> &'static [How] {
        use How::*;
        match kind {
            Kind::Fixed(1) => &[Zero, One, Ones, Max, Min],
            Kind::Fixed(_) => &[Zero, One, Ones, Max, Min, Others],
            Kind::String => &[Null, Empty, Long, NotUtf8, CountMax, CountNegative, Others],
            Kind::Bytes => &[Null, Empty, Long, CountMax, CountNegative],
            Kind::Values(_) | Kind::Structs(_) => {
                &[Null, Empty, Many, CountMax, CountNegative, OneMore]
            }
            Kind::Struct(_) => &[Null],
        }
    }
}

/// A request that is right, without its length.
pub(crate) fn right(api: &Api, version: i16, facts: &Facts) -> Vec<u8> {
    written(api, version, facts, None).out
}

/// A request with one change, without its length.
pub(crate) fn changed(api: &Api, version: i16, facts: &Facts, change: Change) -> Vec<u8> {
    written(api, version, facts, Some(change)).out
}

/// Every change that can be made to a request.
pub(crate) fn changes(api: &Api, version: i16, facts: &Facts) -> Vec<Change> {
    let fields = written(api, version, facts, None).fields;
    let with = |(field, (name, kind)): (usize, (&'static str, Kind))| {
        let change = move |how: &How| Change {
            field,
            name,
            how: *how,
        };
        How::all(&kind).iter().map(change)
    };
    fields.into_iter().enumerate().flat_map(with).collect()
}

/// For each array of the request: that array with so many elements that `elements` are in the request.
pub(crate) fn largest(api: &Api, version: i16, facts: &Facts, elements: usize) -> Vec<Change> {
    let fields = written(api, version, facts, None).fields;
    let arrays = fields
        .into_iter()
        .enumerate()
        .filter(|(_, (_, kind))| matches!(kind, Kind::Values(_) | Kind::Structs(_)));
    let change = |(field, (name, kind)): (usize, (&'static str, Kind))| Change {
        field,
        name,
        how: How::Most(elements / elements_in(&kind, version)),
    };
    arrays.map(change).collect()
}

/// Whether the request of this version has a field that holds record batches.
pub(crate) fn takes_records(api: &Api, version: i16, facts: &Facts) -> bool {
    let fields = written(api, version, facts, None).fields;
    fields.iter().any(|(name, _)| *name == "records")
}

/// Elements that one more element of an array brings with it, itself included.
fn elements_in(kind: &Kind, version: i16) -> usize {
    let inside = |fields: &[Field]| -> usize {
        let present = fields.iter().filter(|field| field.has(version));
        present.map(|field| elements_of(field, version)).sum()
    };
    match kind {
        Kind::Structs(fields) => 1 + inside(fields),
        _ => 1,
    }
}

/// Elements of a field within an element: of an array one, unless it may be null.
fn elements_of(field: &Field, version: i16) -> usize {
    let tag = usize::from(field.tag_number().is_some());
    match field.kind() {
        Kind::Values(_) | Kind::Structs(_) if field.is_nullable(version) => tag,
        kind @ (Kind::Values(_) | Kind::Structs(_)) => tag + elements_in(kind, version),
        Kind::Struct(_) | Kind::Fixed(_) | Kind::String | Kind::Bytes => tag,
    }
}

fn written<'a>(api: &Api, version: i16, facts: &'a Facts, change: Option<Change>) -> Writer<'a> {
    let facts = facts.seen_by(api.key);
    let mut writer = Writer {
        version,
        flexible: api.request.is_flexible(version),
        facts,
        change,
        within: "",
        brief: false,
        fields: Vec::new(),
        out: Vec::new(),
    };
    writer.out.extend((api.key as i16).to_be_bytes());
    writer.out.extend(version.to_be_bytes());
    writer.out.extend(CORRELATION_ID.to_be_bytes());
    writer.out.extend(*b"\x00\x07hostile");
    if writer.flexible {
        writer.out.push(0);
    }
    writer.fields(api.request.fields());
    writer
}

struct Writer<'a> {
    version: i16,
    flexible: bool,
    facts: Cow<'a, Facts>,
    change: Option<Change>,
    /// The array or struct that is being written.
    within: &'static str,
    /// Whether arrays are null where they may be.
    brief: bool,
    /// Name and kind of each field written, elements of arrays among them.
    fields: Vec<(&'static str, Kind)>,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn fields(&mut self, fields: &[Field]) {
        let (tagged, placed): (Vec<&Field>, Vec<&Field>) = fields
            .iter()
            .filter(|field| field.has(self.version))
            .partition(|field| field.tag_number().is_some());
        for field in placed {
            self.value(field, field.kind(), field.is_nullable(self.version));
        }
        if !self.flexible {
            return;
        }
        self.varint(u32::try_from(tagged.len()).expect("a few"));
        for field in tagged {
            let outer = std::mem::take(&mut self.out);
            self.value(field, field.kind(), field.is_nullable(self.version));
            let value = std::mem::replace(&mut self.out, outer);
            self.varint(field.tag_number().expect("a tagged field"));
            self.varint(u32::try_from(value.len()).expect("below 4 GB"));
            self.out.extend(value);
        }
    }

    fn value(&mut self, field: &Field, kind: &Kind, nullable: bool) {
        let index = self.fields.len();
        self.fields.push((field.name(), *kind));
        let how = self.change.filter(|change| change.field == index);
        let how = how.map(|change| change.how);
        match kind {
            Kind::Fixed(size) => self.fixed(field.name(), *size, how),
            Kind::String => {
                let text = self.facts.text(field.name(), self.within, nullable);
                let others = self.facts.other_topic.as_bytes().to_vec();
                self.sized(how, text.map(String::into_bytes), others, Width::Two);
            }
            Kind::Bytes => {
                let records = self.facts.records.clone();
                self.sized(how, Some(records), Vec::new(), Width::Four);
            }
            Kind::Values(_) | Kind::Structs(_) if self.brief && nullable => {
                self.length(-1, Width::Four);
            }
            Kind::Values(element) => {
                self.array(how, &mut |writer| writer.value(field, element, false));
            }
            Kind::Structs(fields) => {
                let outer = std::mem::replace(&mut self.within, field.name());
                self.array(how, &mut |writer| writer.fields(fields));
                self.within = outer;
            }
            Kind::Struct(fields) => {
                if nullable {
                    let null = how == Some(How::Null);
                    self.out.push(if null { 0xff } else { 1 });
                    if null {
                        return;
                    }
                }
                let outer = std::mem::replace(&mut self.within, field.name());
                self.fields(fields);
                self.within = outer;
            }
        }
    }

    fn fixed(&mut self, name: &str, size: usize, how: Option<How>) {
        let filled = |first, rest| {
            let mut bytes = vec![rest; size];
            bytes[0] = first;
            bytes
        };
        let of_number = |number: i64| match size {
            16 => vec![0; 16],
            _ => number.to_be_bytes()[8 - size..].to_vec(),
        };
        let bytes = match how {
            Some(How::Zero) => filled(0, 0),
            Some(How::One) => of_number(1),
            Some(How::Ones) => filled(0xff, 0xff),
            Some(How::Max) => filled(0x7f, 0xff),
            Some(How::Min) => filled(0x80, 0),
            Some(How::Others) if size == 16 => self.facts.other_topic_id.to_vec(),
            Some(How::Others) => of_number(self.facts.other_producer_id),
            _ if name == "topic_id" => self.facts.topic_id.to_vec(),
            _ => of_number(number(name)),
        };
        self.out.extend(bytes);
    }

    fn sized(&mut self, how: Option<How>, own: Option<Vec<u8>>, others: Vec<u8>, width: Width) {
        let bytes = match how {
            Some(How::Null) => None,
            Some(How::Empty) => Some(Vec::new()),
            Some(How::Long) => Some(vec![b'a'; LONG]),
            Some(How::NotUtf8) => Some(vec![0xc3, 0x28, 0xff]),
            Some(How::Others) => Some(others),
            Some(How::CountMax) => return self.length(width.max(), width),
            Some(How::CountNegative) => return self.length(-2, width),
            _ => own,
        };
        match bytes {
            None => self.length(-1, width),
            Some(bytes) => {
                self.length(i64::try_from(bytes.len()).expect("a length"), width);
                self.out.extend(bytes);
            }
        }
    }

    fn array(&mut self, how: Option<How>, element: &mut dyn FnMut(&mut Self)) {
        let count = match how {
            Some(How::Null) => return self.length(-1, Width::Four),
            Some(How::Empty) => return self.length(0, Width::Four),
            Some(How::CountMax) => i64::from(i32::MAX),
            Some(How::CountNegative) => -2,
            Some(How::OneMore) => 2,
            Some(How::Many) => i64::try_from(MANY).expect("a count"),
            Some(How::Most(count)) => i64::try_from(count).expect("a count"),
            _ => 1,
        };
        self.length(count, Width::Four);
        let begin = self.out.len();
        self.brief |= matches!(how, Some(How::Most(_)));
        element(self);
        let bytes = self.out[begin..].to_vec();
        if let Some(How::Many | How::Most(_)) = how {
            (1..count).for_each(|_| self.out.extend(&bytes));
        }
    }

    /// A length as it is claimed; -1 is null.
    fn length(&mut self, length: i64, width: Width) {
        match (self.flexible, width) {
            // There is no negative compact length: -2 becomes the largest.
            (true, _) => self.varint(u32::try_from(length + 1).unwrap_or(u32::MAX)),
            (false, Width::Two) => self.out.extend(&length.to_be_bytes()[6..]),
            (false, Width::Four) => self.out.extend(&length.to_be_bytes()[4..]),
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.out.push(value.to_le_bytes()[0]);
    }
}

/// Bytes of a classic length.
#[derive(Clone, Copy)]
enum Width {
    Two,
    Four,
}

impl Width {
    fn max(self) -> i64 {
        match self {
            Width::Two => i64::from(i16::MAX),
            Width::Four => i64::from(i32::MAX),
        }
    }
}

impl Facts {
    /// What is true for requests of this API: what one makes and another destroys are topics of their own, or soon
    /// nothing would be left to attack.
    fn seen_by(&self, key: ApiKey) -> Cow<'_, Self> {
        match key {
            ApiKey::CreateTopics | ApiKey::DeleteTopics => Cow::Owned(Self {
                topic: "hostile-brief".to_owned(),
                topic_id: [7; 16],
                other_topic: "hostile-briefer".to_owned(),
                other_topic_id: [9; 16],
                ..self.clone()
            }),
            _ => Cow::Borrowed(self),
        }
    }

    fn text(&self, name: &str, within: &str, nullable: bool) -> Option<String> {
        let text = match name {
            "name" | "config_name" if within == "configs" => "retention.ms",
            "value" | "config_value" => "86400000",
            "configuration_keys" => "retention.ms",
            "name" | "topic" | "topic_name" | "topic_names" | "resource_name" => &self.topic,
            _ if nullable => return None,
            _ => "hostile",
        };
        Some(text.to_owned())
    }
}

/// A number that gets a request far.
fn number(name: &str) -> i64 {
    match name {
        "acks" | "session_epoch" | "current_leader_epoch" | "last_fetched_epoch" => -1,
        "num_partitions" | "replication_factor" | "producer_id" | "producer_epoch" => -1,
        "timestamp" | "replica_id" | "replica_epoch" | "high_watermark" => -1,
        "broker_ids" | "max_wait_ms" | "min_bytes" | "endpoint_type" | "max_num_offsets" => 1,
        "resource_type" => 2,
        "max_bytes" | "partition_max_bytes" => 65_536,
        "timeout_ms" | "transaction_timeout_ms" => 10_000,
        _ => 0,
    }
}
