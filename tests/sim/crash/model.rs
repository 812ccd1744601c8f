//! The plain model beside the engine: a map, the commits that were called since it was last compared, and the bodies.
//!
//! A value is a row of entries, each `place, step, body, length of the body, length of the filler, filler`, so that
//! every byte of every row tells which commit wrote it and which body belongs to it. Places are left out of what is
//! compared (the engine chooses them) and checked apart: the same for ever, and the body's bytes lie there.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use ottla::store::{Key, Place, Row, Version, Write};

/// Bytes of an entry without its filler.
pub(crate) const ENTRY_SIZE: usize = Place::SIZE + 8 + 8 + 4 + 2;

/// A row as the model knows it: its value without places, and the step that wrote it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelRow {
    pub(crate) value: Vec<u8>,
    pub(crate) step: u64,
}

pub(crate) type Rows = BTreeMap<Key, ModelRow>;

/// What a guard asks for.
#[derive(Clone, Debug)]
pub(crate) enum Guard {
    /// The row was last written by this step, or is absent.
    Step(Option<u64>),
    /// A version that the row does not have.
    Wrong,
}

/// What is known of a commit that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// No answer, or one that leaves it open.
    Open,
    Done,
    Conflict,
    /// Refused: nothing was changed.
    Refused,
}

/// One commit.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) number: u64,
    pub(crate) guards: Vec<(Key, Guard)>,
    /// Without places.
    pub(crate) writes: Vec<Write>,
    pub(crate) fate: Fate,
}

/// An entry that has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) body: u64,
    pub(crate) len: u32,
}

/// Where the bodies of a value's entries lie.
pub(crate) type Places = Vec<(Placed, Place)>;

/// What should be in the store.
#[derive(Debug, Default)]
pub(crate) struct Model {
    base: Rows,
    steps: Vec<Step>,
    /// The rows before the step that was answered last: a short cut, nothing more.
    answered: (u64, Rows),
    next_step: u64,
    next_body: u64,
    bodies: HashMap<u64, Bytes>,
    pub(crate) places: HashMap<u64, Place>,
    pub(crate) versions: HashMap<u64, Version>,
    /// The greatest version that ever survived.
    pub(crate) newest: Version,
}

impl Model {
    pub(crate) fn next_step(&self) -> u64 {
        self.next_step
    }

    /// Keeps a body; its id, never 0.
    pub(crate) fn add_body(&mut self, bytes: Bytes) -> u64 {
        self.next_body += 1;
        self.bodies.insert(self.next_body, bytes);
        self.next_body
    }

    pub(crate) fn body(&self, id: u64) -> Bytes {
        self.bodies[&id].clone()
    }

    pub(crate) fn call(&mut self, guards: Vec<(Key, Guard)>, writes: Vec<Write>) -> u64 {
        let number = self.next_step;
        self.next_step += 1;
        let writes = writes.into_iter().map(without_places).collect();
        self.steps.push(Step {
            number,
            guards,
            writes,
            fate: Fate::Open,
        });
        number
    }

    pub(crate) fn step_mut(&mut self, number: u64) -> &mut Step {
        let first = self.next_step - self.steps.len() as u64;
        let index = usize::try_from(number - first).expect("few steps");
        &mut self.steps[index]
    }

    /// The rows as they are when the first steps, up to and without `end`, have taken effect.
    pub(crate) fn rows_at(&self, end: u64) -> Rows {
        let (from, start) = match &self.answered {
            (from, rows) if *from <= end => (*from, rows),
            _ => (0, &self.base),
        };
        let mut rows = start.clone();
        for step in &self.steps {
            if (from..end).contains(&step.number) {
                apply(&mut rows, step);
            }
        }
        rows
    }

    pub(crate) fn rows(&self) -> Rows {
        self.rows_at(self.next_step)
    }

    /// Whether the guards of a step hold. All steps before it have been answered, as far as they will be.
    pub(crate) fn guards_hold(&mut self, number: u64) -> bool {
        for step in &self.steps {
            if (self.answered.0..number).contains(&step.number) {
                apply(&mut self.answered.1, step);
            }
        }
        self.answered.0 = number;
        let first = self.next_step - self.steps.len() as u64;
        let index = usize::try_from(number - first).expect("few steps");
        hold(&self.answered.1, &self.steps[index])
    }

    /// Finds the state that a store has come back with: all steps up to some number between `floor` and the last.
    ///
    /// # Errors
    /// What differs from the state that is nearest.
    pub(crate) fn recover(&mut self, actual: &[Row], floor: u64) -> Result<u64, String> {
        let mut seen = BTreeMap::new();
        for row in actual {
            let value = row.value.as_ref().ok_or("a scan returned an absent row")?;
            let (value, _) = normalize(value)?;
            seen.insert(row.key.clone(), (row.version, value));
        }
        let mut nearest: Option<Vec<String>> = None;
        for end in (floor..=self.next_step).rev() {
            let differences = self.differences(&self.rows_at(end), &seen);
            if differences.is_empty() {
                self.adopt(end, &seen)?;
                return Ok(end);
            }
            if nearest
                .as_ref()
                .is_none_or(|best| best.len() >= differences.len())
            {
                nearest = Some(differences);
            }
        }
        let last = self.next_step;
        let differences = nearest.unwrap_or_default().join("\n  ");
        Err(format!(
            "no state between step {floor} and {last} fits; the nearest differs in:\n  {differences}"
        ))
    }

    fn differences(&self, rows: &Rows, seen: &BTreeMap<Key, (Version, Vec<u8>)>) -> Vec<String> {
        let mut found = Vec::new();
        for (key, row) in rows {
            match seen.get(key) {
                None => found.push(format!("{key:?} (step {}) is not there", row.step)),
                Some((_, value)) if *value != row.value => found.push(format!(
                    "{key:?} should end with step {}: {} but is {}",
                    row.step,
                    describe(&row.value),
                    describe(value)
                )),
                Some((version, _)) => {
                    let known = self.versions.get(&row.step);
                    if let Some(known) = known.filter(|known| *known != version) {
                        found.push(format!("{key:?} had {known:?} and has {version:?}"));
                    }
                }
            }
        }
        let unexpected = seen.keys().filter(|key| !rows.contains_key(*key));
        found.extend(unexpected.map(|key| format!("{key:?} should not be there")));
        found
    }

    /// Takes over what the store came back with.
    fn adopt(&mut self, end: u64, seen: &BTreeMap<Key, (Version, Vec<u8>)>) -> Result<(), String> {
        self.base = self.rows_at(end);
        self.answered = (self.next_step, self.base.clone());
        self.steps.clear();
        for (key, row) in &self.base {
            let version = seen[key].0;
            let known = *self.versions.entry(row.step).or_insert(version);
            if known != version {
                return Err(format!(
                    "rows of step {} have {known:?} and {version:?}",
                    row.step
                ));
            }
            self.newest = self.newest.max(version);
        }
        Ok(())
    }

    /// Checks a row against the model's.
    ///
    /// # Errors
    /// What differs.
    pub(crate) fn check_row(&self, rows: &Rows, actual: &Row) -> Result<(), String> {
        let Some(expected) = rows.get(&actual.key) else {
            return match actual.value {
                None => Ok(()),
                Some(_) => Err(format!("{:?} should not be there", actual.key)),
            };
        };
        let value = actual.value.as_ref();
        let value = value.ok_or_else(|| format!("{:?} is not there", actual.key))?;
        let (value, _) = normalize(value)?;
        let seen = BTreeMap::from([(actual.key.clone(), (actual.version, value))]);
        let one = BTreeMap::from([(actual.key.clone(), expected.clone())]);
        let differences = self.differences(&one, &seen);
        if differences.is_empty() {
            Ok(())
        } else {
            Err(differences.join("; "))
        }
    }
}

fn hold(rows: &Rows, step: &Step) -> bool {
    step.guards.iter().all(|(key, guard)| match guard {
        Guard::Step(wanted) => rows.get(key).map(|row| row.step) == *wanted,
        Guard::Wrong => false,
    })
}

fn apply(rows: &mut Rows, step: &Step) {
    if step.fate == Fate::Refused || !hold(rows, step) {
        return;
    }
    for write in &step.writes {
        match write {
            Write::Delete { key } => {
                rows.remove(key);
            }
            Write::Put { key, value, .. } => {
                let (value, step) = (value.to_vec(), step.number);
                rows.insert(key.clone(), ModelRow { value, step });
            }
            Write::Append { key, bytes, .. } => {
                let row = rows.entry(key.clone()).or_insert(ModelRow {
                    value: Vec::new(),
                    step: step.number,
                });
                row.value.extend(bytes);
                row.step = step.number;
            }
        }
    }
}

fn without_places(mut write: Write) -> Write {
    if let Write::Put { value: bytes, .. } | Write::Append { bytes, .. } = &mut write {
        let (plain, _) = normalize(bytes).expect("the model writes whole entries");
        *bytes = plain.into();
    }
    write
}

/// An entry's bytes.
pub(crate) fn entry(position: u64, step: u64, placed: Placed, filler: &[u8]) -> Vec<u8> {
    let blob = ottla::store::BlobName(0);
    let mut bytes = Place { blob, position }.encode().to_vec();
    bytes.extend(step.to_be_bytes());
    bytes.extend(placed.body.to_be_bytes());
    bytes.extend(placed.len.to_be_bytes());
    let len = u16::try_from(filler.len()).expect("fillers are short");
    bytes.extend(len.to_be_bytes());
    bytes.extend(filler);
    bytes
}

/// A value without its places, and the places of the entries that have bodies.
///
/// # Errors
/// When the value is not made of entries.
pub(crate) fn normalize(value: &[u8]) -> Result<(Vec<u8>, Places), String> {
    let mut plain = value.to_vec();
    let mut placed = Vec::new();
    let mut at = 0;
    while at < value.len() {
        let broken = || format!("a value of {} bytes breaks off at {at}", value.len());
        let fixed = value.get(at..at + ENTRY_SIZE).ok_or_else(broken)?;
        let number = |from: usize| u64::from_be_bytes(fixed[from..from + 8].try_into().expect("8"));
        let body = number(Place::SIZE + 8);
        let len = u32::from_be_bytes(fixed[32..36].try_into().expect("4 bytes"));
        let filler = u16::from_be_bytes(fixed[36..38].try_into().expect("2 bytes"));
        if body != 0 {
            let place = Place::decode(fixed[..Place::SIZE].try_into().expect("16 bytes"));
            placed.push((Placed { body, len }, place));
        }
        plain[at..at + Place::SIZE].fill(0);
        at += ENTRY_SIZE + usize::from(filler);
    }
    if at != value.len() {
        return Err(format!(
            "a value of {} bytes ends within an entry",
            value.len()
        ));
    }
    Ok((plain, placed))
}

/// The step that wrote the last entry of a value.
pub(crate) fn last_step(value: &[u8]) -> Option<u64> {
    steps(value).last().copied()
}

fn steps(value: &[u8]) -> Vec<u64> {
    let mut steps = Vec::new();
    let mut at = 0;
    while let Some(fixed) = value.get(at..at + ENTRY_SIZE) {
        steps.push(u64::from_be_bytes(
            fixed[16..24].try_into().expect("8 bytes"),
        ));
        let filler = u16::from_be_bytes(fixed[36..38].try_into().expect("2 bytes"));
        at += ENTRY_SIZE + usize::from(filler);
    }
    steps
}

fn describe(value: &[u8]) -> String {
    format!("{} bytes of steps {:?}", value.len(), steps(value))
}
