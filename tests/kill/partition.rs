//! What one partition must hold: the numbers of its records by offset, and what is in flight.

use std::collections::VecDeque;

use bytes::Bytes;
use kafka_protocol::records::Record;
use ottla::base::Rng;

use crate::client::{Client, ProducerId, record};

/// A batch that was sent and not answered.
#[derive(Clone, Copy, Debug)]
struct Sent {
    first: u64,
    count: u64,
    sequence: i32,
}

/// One partition and its only producer.
#[derive(Debug)]
pub(crate) struct Partition {
    index: i32,
    producer: Option<ProducerId>,
    /// Each record has a number of its own, never sent as a new one twice.
    next_number: u64,
    next_sequence: i32,
    /// The acknowledged records' numbers; the index is the offset.
    numbers: Vec<u64>,
    in_flight: VecDeque<Sent>,
    /// Offsets below it have been read back.
    verified: usize,
}

impl Partition {
    pub(crate) fn new(index: i32, producer: Option<ProducerId>) -> Self {
        Self {
            index,
            producer,
            next_number: 0,
            next_sequence: 0,
            numbers: Vec::new(),
            in_flight: VecDeque::new(),
            verified: 0,
        }
    }

    pub(crate) fn index(&self) -> i32 {
        self.index
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.numbers.len()
    }

    /// Sends a batch of some new records.
    pub(crate) fn send(&mut self, client: &mut Client, rng: &mut Rng) -> std::io::Result<()> {
        let sent = Sent {
            first: self.next_number,
            count: 1 + rng.below(20),
            sequence: self.next_sequence,
        };
        self.next_number += sent.count;
        self.next_sequence += i32::try_from(sent.count).unwrap_or(i32::MAX);
        self.in_flight.push_back(sent);
        self.send_again(client, sent)
    }

    fn send_again(&self, client: &mut Client, sent: Sent) -> std::io::Result<()> {
        let producer = self.producer.map(|id| (id, sent.sequence));
        let numbers = sent.first..sent.first + sent.count;
        let records: Vec<Record> = numbers
            .enumerate()
            .map(|(index, number)| record(producer, index, self.value(number)))
            .collect();
        client.produce(self.index, &records)
    }

    /// Takes the answer to the oldest batch in flight.
    pub(crate) fn answered(&mut self, error_code: i16, base_offset: i64) -> Result<(), String> {
        let (index, expected) = (self.index, self.numbers.len());
        if error_code != 0 {
            return Err(format!(
                "partition {index}: produce answers error {error_code}"
            ));
        }
        if usize::try_from(base_offset) != Ok(expected) {
            return Err(format!(
                "partition {index}: a batch was acknowledged at {base_offset} instead of {expected}"
            ));
        }
        let sent = self.in_flight.pop_front();
        let sent = sent.ok_or_else(|| format!("partition {index}: one answer too many"))?;
        self.numbers.extend(sent.first..sent.first + sent.count);
        Ok(())
    }

    /// After a kill: everything acknowledged is there, and of the rest a first part. An idempotent producer then sends
    /// what was not answered once more, whether it is there or not.
    pub(crate) fn recover(&mut self, client: &mut Client) -> Result<(), String> {
        let there = self.read_back(client)?;
        let acknowledged = self.numbers.len();
        if there.len() < acknowledged {
            let end = there.len();
            return Err(format!(
                "partition {}: {acknowledged} records were acknowledged, {end} are there",
                self.index
            ));
        }
        let rest = &there[acknowledged..];
        let sent = self
            .in_flight
            .iter()
            .flat_map(|sent| sent.first..sent.first + sent.count);
        if !sent.take(rest.len()).eq(rest.iter().copied()) {
            return Err(format!(
                "partition {}: after {acknowledged} acknowledged records stand {rest:?}, in flight was {:?}",
                self.index, self.in_flight
            ));
        }
        if self.producer.is_none() {
            self.numbers = there;
            self.in_flight.clear();
            return Ok(());
        }
        for sent in self.in_flight.clone() {
            let again = self
                .send_again(client, sent)
                .and_then(|()| client.produced());
            let (_, code, offset) = again.map_err(|error| error.to_string())?;
            self.answered(code, offset)?;
        }
        if self.numbers.len() < there.len() {
            return Err(format!("partition {}: a batch was taken half", self.index));
        }
        Ok(())
    }

    /// Reads what has not been read back yet, and everything anew after [`Partition::forget`].
    fn read_back(&mut self, client: &mut Client) -> Result<Vec<u64>, String> {
        let mut there = self.numbers[..self.verified].to_vec();
        loop {
            let offset = i64::try_from(there.len()).map_err(|error| error.to_string())?;
            let fetched = client.fetch(self.index, offset);
            let (records, end) = fetched.map_err(|error| error.to_string())?;
            if records.is_empty() {
                if end != offset {
                    return Err(format!(
                        "partition {}: nothing to read at {offset}, the end is {end}",
                        self.index
                    ));
                }
                break;
            }
            for read in records {
                if usize::try_from(read.offset) != Ok(there.len()) {
                    return Err(format!(
                        "partition {}: offset {} instead of {}",
                        self.index,
                        read.offset,
                        there.len()
                    ));
                }
                let number = number_of(&read.value);
                if number.is_none_or(|number| self.value(number) != read.value) {
                    return Err(format!(
                        "partition {}: the record at {} is not one that was sent",
                        self.index, read.offset
                    ));
                }
                there.extend(number);
            }
        }
        let known = self.numbers.len().min(there.len());
        if let Some(at) = (0..known).find(|at| there[*at] != self.numbers[*at]) {
            return Err(format!(
                "partition {}: record {} stands at {at} instead of {}",
                self.index, there[at], self.numbers[at]
            ));
        }
        self.verified = known;
        Ok(there)
    }

    /// Makes the next recovery read everything.
    pub(crate) fn forget(&mut self) {
        self.verified = 0;
    }

    /// A record's bytes: its number, and more that follows from it.
    fn value(&self, number: u64) -> Bytes {
        let partition = u64::try_from(self.index).unwrap_or_default();
        let mut rng = Rng::seeded(number << 16 | partition);
        let words = 1 + rng.below(if number.is_multiple_of(50) { 2500 } else { 60 });
        let mut value = number.to_be_bytes().to_vec();
        for _ in 0..words {
            value.extend(rng.next_u64().to_be_bytes());
        }
        value.into()
    }
}

fn number_of(value: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(value.get(..8)?.try_into().ok()?))
}
