//! What the store is given to do: commits of every shape, several in flight, reads, and blobs that die and are given back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ottla::store::local::disk::Disk;
use ottla::store::{
    BlobName, Commit, Key, Outcome, Place, Row, Space, Store, StoreError, Version, Write,
};

use super::faults::Refusal;
use super::model::{ENTRY_SIZE, Fate, Guard, ModelRow, Placed, Rows, entry, last_step};
use super::world::{World, patiently};
use crate::disk::index;

/// Whether the store still does what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Well,
    /// It refused something with an error that ends its life.
    Broken,
}

/// A commit as it is handed to the engine and as the model knows it.
struct Drawn {
    number: u64,
    commit: Commit,
    /// Where in the commit's body the bodies of its entries lie.
    positions: Vec<(u64, u64)>,
}

impl World {
    /// Works on the store until it breaks or the work is done.
    ///
    /// # Errors
    /// A promise that was broken.
    pub(crate) async fn work(&mut self, store: &dyn Store, batches: u64) -> Result<Health, String> {
        for _ in 0..batches {
            let health = match self.rng.below(20) {
                0..=14 => self.commit_some(store).await?,
                15 | 16 => self.read_some(store).await?,
                _ => self.tidy(store).await?,
            };
            if health == Health::Broken {
                return Ok(health);
            }
        }
        Ok(Health::Well)
    }

    async fn commit_some(&mut self, store: &dyn Store) -> Result<Health, String> {
        let rows = self.model.rows();
        let mut calls = Vec::new();
        for _ in 0..=self.rng.below(4) {
            let drawn = self.draw(&rows);
            let call = store.commit(drawn.commit.clone());
            calls.push((drawn, call));
        }
        if self.rng.one_in(3) {
            self.observe(store).await;
        }
        let mut health = Health::Well;
        for (drawn, call) in calls {
            if !self.refusals && self.rng.one_in(25) {
                drop(call);
            } else if self.answer(&drawn, call.await)? == Health::Broken {
                health = Health::Broken;
            }
        }
        Ok(health)
    }

    /// Reads while commits are in flight: what was seen may not be taken back.
    async fn observe(&mut self, store: &dyn Store) {
        let key = self.any_key();
        if let Ok(rows) = store.get(&[key]).await
            && let Some(value) = &rows[0].value
            && let Some(step) = last_step(value)
        {
            self.floor = self.floor.max(step + 1);
        }
    }

    /// Checks an answer against the model.
    fn answer(
        &mut self,
        drawn: &Drawn,
        answer: Result<Outcome, StoreError>,
    ) -> Result<Health, String> {
        let number = drawn.number;
        let holds = self.model.guards_hold(number);
        match answer {
            Ok(Outcome::Done { version, blob }) => {
                if self.poisoned {
                    return Err(format!(
                        "step {number} was done although the store is poisoned"
                    ));
                }
                if !holds {
                    return Err(format!("step {number} was done against its guards"));
                }
                self.model.step_mut(number).fate = Fate::Done;
                self.check_version(drawn, version)?;
                self.model.versions.insert(number, version);
                self.learn_places(drawn, blob)?;
                self.acknowledged.store(number + 1, Ordering::SeqCst);
            }
            Ok(Outcome::Conflict(actual)) => {
                if holds {
                    return Err(format!(
                        "step {number} was refused although its guards hold"
                    ));
                }
                self.check_conflict(number, &actual)?;
                self.model.step_mut(number).fate = Fate::Conflict;
            }
            Err(StoreError::Full { .. } | StoreError::Unavailable { .. }) if self.refusals => {
                self.model.step_mut(number).fate = Fate::Refused;
            }
            Err(error @ StoreError::Corrupt { .. }) => {
                return Err(format!("step {number}: {error}"));
            }
            Err(error) if self.disk.is_off() || self.refusals => {
                self.poisoned |= matches!(error, StoreError::Poisoned { .. });
                return Ok(Health::Broken);
            }
            Err(error) => return Err(format!("step {number} on a sound disk: {error}")),
        }
        Ok(Health::Well)
    }

    /// The rows of a conflict are as they were then, or after some of what was called since.
    fn check_conflict(&self, number: u64, actual: &[Row]) -> Result<(), String> {
        let mut problem = String::new();
        for end in number..=self.model.next_step() {
            let rows = self.model.rows_at(end);
            let checked = actual
                .iter()
                .try_for_each(|row| self.model.check_row(&rows, row));
            match checked {
                Ok(()) => return Ok(()),
                Err(what) => problem = what,
            }
        }
        Err(format!("in the conflict of step {number}: {problem}"))
    }

    fn check_version(&self, drawn: &Drawn, version: Version) -> Result<(), String> {
        let leaves_row = |write: &Write| !matches!(write, Write::Delete { .. });
        if !drawn.commit.writes.iter().any(leaves_row) {
            return Ok(());
        }
        let rows = self.model.rows_at(drawn.number);
        let written = drawn
            .commit
            .writes
            .iter()
            .filter_map(|write| rows.get(write.key()));
        let known = written.filter_map(|row| self.model.versions.get(&row.step));
        match known.chain([&self.model.newest]).max() {
            Some(older) if *older >= version => Err(format!(
                "step {} has {version:?}, which is not above {older:?}",
                drawn.number
            )),
            _ => Ok(()),
        }
    }

    fn learn_places(&mut self, drawn: &Drawn, blob: Option<Place>) -> Result<(), String> {
        for (body, position) in &drawn.positions {
            let base = blob.ok_or_else(|| format!("step {} lost its body", drawn.number))?;
            let position = base.position + position;
            let place = Place { position, ..base };
            self.model.places.insert(*body, place);
        }
        Ok(())
    }

    async fn read_some(&mut self, store: &dyn Store) -> Result<Health, String> {
        if self.settle(store).await? == Health::Broken {
            return Ok(Health::Broken);
        }
        let rows = self.model.rows();
        let keys: Vec<Key> = (0..6).map(|_| self.any_key()).collect();
        let read = match patiently(|| store.get(&keys)).await {
            Ok(read) => read,
            Err(error) => return self.excuse("get", &error),
        };
        for row in &read {
            self.model.check_row(&rows, row)?;
        }
        match self.check_bodies(store, &read).await {
            Err(_) if self.disk.is_off() || self.forgetful => Ok(Health::Broken),
            checked => checked.map(|()| Health::Well),
        }
    }

    /// An error is in order once the disk is gone.
    fn excuse(&self, what: &str, error: &StoreError) -> Result<Health, String> {
        if self.disk.is_off() || self.refusals {
            return Ok(Health::Broken);
        }
        Err(format!("{what} on a sound disk: {error}"))
    }

    /// Waits until every commit that was called has taken effect.
    pub(crate) async fn settle(&mut self, store: &dyn Store) -> Result<Health, String> {
        let number = self.model.call(Vec::new(), Vec::new());
        let drawn = Drawn {
            number,
            commit: Commit::default(),
            positions: Vec::new(),
        };
        let answer = store.commit(Commit::default()).await;
        self.answer(&drawn, answer)
    }

    /// Finds closed blobs, kills what lives in one, and gives the dead ones back.
    pub(crate) async fn tidy(&mut self, store: &dyn Store) -> Result<Health, String> {
        if self.settle(store).await? == Health::Broken {
            return Ok(Health::Broken);
        }
        match self.tidy_settled(store).await {
            Err(_) if self.disk.is_off() || self.forgetful => Ok(Health::Broken),
            other => other,
        }
    }

    async fn tidy_settled(&mut self, store: &dyn Store) -> Result<Health, String> {
        let rows = self.scan_all(store).await?;
        self.check_bodies(store, &rows).await?;
        let mut living = self.living();
        let infos = store.blobs().await.map_err(|error| error.to_string())?;
        let closed = infos
            .iter()
            .filter(|info| info.closed)
            .map(|info| info.name);
        let closed: Vec<BlobName> = closed.collect();
        let victim = closed
            .iter()
            .find(|name| living.contains_key(name))
            .copied();
        if let Some(victim) = victim.filter(|_| !self.rng.one_in(3)) {
            let keys = living[&victim].clone();
            if self.kill(store, keys).await? == Health::Broken {
                return Ok(Health::Broken);
            }
            living = self.living();
        }
        let dead = closed.into_iter().filter(|name| !living.contains_key(name));
        let dead: Vec<BlobName> = dead.filter(|_| !self.rng.one_in(4)).collect();
        if let Err(error) = store.delete(&dead).await {
            return self.excuse("delete", &error);
        }
        for name in dead {
            match store.read(name, &[0..1]).await {
                Err(StoreError::Missing(missing)) if missing == name => {}
                other => return Err(format!("{name:?} was deleted and reads as {other:?}")),
            }
        }
        Ok(Health::Well)
    }

    /// The rows that point into each blob. Every place is known: all rows have just been read.
    fn living(&self) -> BTreeMap<BlobName, BTreeSet<Key>> {
        let mut living: BTreeMap<BlobName, BTreeSet<Key>> = BTreeMap::new();
        for (key, row) in self.model.rows() {
            for body in bodies(&row) {
                if let Some(place) = self.model.places.get(&body) {
                    living.entry(place.blob).or_default().insert(key.clone());
                }
            }
        }
        living
    }

    /// Makes rows point nowhere.
    pub(crate) async fn kill(
        &mut self,
        store: &dyn Store,
        keys: BTreeSet<Key>,
    ) -> Result<Health, String> {
        let drawn = self.draw_killing(keys);
        let answer = store.commit(drawn.commit.clone()).await;
        self.answer(&drawn, answer)
    }

    /// A commit with nothing but a body and its row: how it was refused, if it was.
    pub(crate) async fn commit_one_body(
        &mut self,
        store: &dyn Store,
    ) -> Result<Option<Refusal>, String> {
        let bytes = self.draw_body();
        let placed = Placed {
            body: self.model.add_body(bytes.clone()),
            len: u32::try_from(bytes.len()).expect("small bodies"),
        };
        let number = self.model.next_step();
        let write = Write::Put {
            key: self.any_key(),
            value: entry(0, number, placed, b"").into(),
            place_at: Some(0),
        };
        self.model.call(Vec::new(), vec![write.clone()]);
        let drawn = Drawn {
            number,
            commit: Commit {
                guards: Vec::new(),
                writes: vec![write],
                body: vec![bytes],
            },
            positions: vec![(placed.body, 0)],
        };
        let answer = store.commit(drawn.commit.clone()).await;
        let refusal = answer.as_ref().err().map(Refusal::of);
        self.answer(&drawn, answer)?;
        Ok(refusal)
    }

    fn draw_killing(&mut self, keys: BTreeSet<Key>) -> Drawn {
        let number = self.model.next_step();
        let mut writes = Vec::new();
        for key in keys {
            writes.push(if self.refusals || self.rng.one_in(2) {
                Write::Delete { key }
            } else {
                let value = entry(0, number, Placed { body: 0, len: 0 }, b"killed").into();
                let place_at = None;
                Write::Put {
                    key,
                    value,
                    place_at,
                }
            });
        }
        self.model.call(Vec::new(), writes.clone());
        let commit = Commit {
            writes,
            ..Commit::default()
        };
        Drawn {
            number,
            commit,
            positions: Vec::new(),
        }
    }

    fn any_key(&mut self) -> Key {
        let spaces = [Space::Head, Space::Run, Space::Producer, Space::Cluster];
        let space = spaces[index(self.rng.below(4))];
        let name = u8::try_from(self.rng.below(7)).expect("small");
        Key::new(space, vec![name; usize::from(name)])
    }

    fn draw(&mut self, rows: &Rows) -> Drawn {
        let number = self.model.next_step();
        let drawn = self.draw_guards(rows);
        let guards = drawn
            .iter()
            .map(|(key, guard, _)| (key.clone(), guard.clone()));
        let guards = guards.collect();
        let versions = drawn.into_iter().map(|(key, _, version)| (key, version));
        let has_body = !self.rng.one_in(3);
        let (mut writes, mut body, mut positions) = (Vec::new(), Vec::new(), Vec::new());
        let mut length = 0;
        let count = if self.rng.one_in(12) {
            12
        } else {
            self.rng.below(4)
        };
        let keys: BTreeSet<Key> = (0..=count).map(|_| self.any_key()).collect();
        for key in keys {
            let row = rows.get(&key);
            if self.rng.below(100) < 15 {
                writes.push(Write::Delete { key });
                continue;
            }
            let mut placed = Placed { body: 0, len: 0 };
            let position = length;
            if has_body && !self.rng.one_in(3) {
                let bytes = self.draw_body();
                placed.len = u32::try_from(bytes.len()).expect("small bodies");
                placed.body = self.model.add_body(bytes.clone());
                positions.push((placed.body, position));
                length += bytes.len() as u64;
                body.push(bytes);
            }
            let (value, place_at) = self.draw_value(number, position, placed);
            let long = row.is_some_and(|row| row.value.len() > 3000);
            writes.push(if long || self.rng.one_in(2) {
                Write::Put {
                    key,
                    value,
                    place_at,
                }
            } else {
                Write::Append {
                    key,
                    bytes: value,
                    place_at,
                }
            });
        }
        self.model.call(guards, writes.clone());
        let commit = Commit {
            guards: versions.collect(),
            writes,
            body,
        };
        Drawn {
            number,
            commit,
            positions,
        }
    }

    fn draw_value(&mut self, step: u64, position: u64, placed: Placed) -> (Bytes, Option<u32>) {
        let filler = if self.rng.one_in(30) {
            2000
        } else {
            self.rng.below(60)
        };
        let filler = vec![b'f'; index(filler)];
        let mut value = Vec::new();
        if self.rng.one_in(5) {
            value = entry(0, step, Placed { body: 0, len: 0 }, b"first");
        }
        let place_at = u32::try_from(value.len()).expect("small values");
        value.extend(entry(position, step, placed, &filler));
        (value.into(), (placed.body != 0).then_some(place_at))
    }

    /// Bodies of every size, and now and then a copy of a file of the engine's own.
    fn draw_body(&mut self) -> Bytes {
        if self.rng.one_in(30)
            && let Ok(names) = self.disk.list()
            && !names.is_empty()
        {
            let name = &names[index(self.rng.below(names.len() as u64))];
            let mut copy = self.disk.content(name).unwrap_or_default();
            copy.truncate(64 * 1024);
            if !copy.is_empty() {
                return copy.into();
            }
        }
        let size = match self.rng.below(40) {
            0 => 60_000 + self.rng.below(100_000),
            1..=9 => 4000 + self.rng.below(16_000),
            _ => 1 + self.rng.below(600),
        };
        let mut bytes = vec![0; index(size)];
        for chunk in bytes.chunks_mut(8) {
            let word = self.rng.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        bytes.into()
    }

    /// Guards as the model knows them and as the engine is given them.
    fn draw_guards(&mut self, rows: &Rows) -> Vec<(Key, Guard, Version)> {
        let mut guards = Vec::new();
        if !self.rng.one_in(3) {
            return guards;
        }
        for _ in 0..=self.rng.below(2) {
            let key = self.any_key();
            let row = rows.get(&key);
            let known = row.map(|row| self.model.versions.get(&row.step).copied());
            let (guard, version) = match known {
                _ if self.rng.one_in(10) => (Guard::Wrong, Version(u64::MAX)),
                None => (Guard::Step(None), Version::ABSENT),
                Some(Some(version)) => (Guard::Step(row.map(|row| row.step)), version),
                Some(None) => continue,
            };
            guards.push((key, guard, version));
        }
        guards
    }
}

/// The bodies that a model row's entries have.
fn bodies(row: &ModelRow) -> Vec<u64> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(fixed) = row.value.get(at..at + ENTRY_SIZE) {
        let body = u64::from_be_bytes(fixed[24..32].try_into().expect("8 bytes"));
        if body != 0 {
            found.push(body);
        }
        let filler = u16::from_be_bytes(fixed[36..38].try_into().expect("2 bytes"));
        at += ENTRY_SIZE + usize::from(filler);
    }
    found
}
