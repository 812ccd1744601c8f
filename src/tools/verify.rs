//! `ottla storage verify`: reads everything again and tells what is not as it was written.
//!
//! Marks, snapshot, every frame with its batch bytes; then from the rows every run of every log against its batches, the
//! tiling of each log, and what is remembered of producers. Rows are held in memory: a few hundred bytes for each run
//! of 256, producer and partition.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

use super::StorageError;
use super::folder::{Log, Logs, row_damage};
use crate::config::Config;
use crate::log::{self, Check, Head, Page, ProducerState, RunEntry, RunKind, RunWalk};
use crate::store::local::inspect::{Bodies, Damage, Inspection, Met};

/// The time between two lines that tell how far a long work has come.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Verifies the data folder of `config`: a line for each damage, and one that sums up.
pub(super) fn verify(config: &Config, out: &mut dyn Write) -> Result<(), StorageError> {
    let folder = config.data_folder();
    let inspection = Inspection::open(&folder)?;
    let (counts, damage) = verify_all(&inspection)?;
    for Damage { place, reason } in &damage {
        writeln!(out, "damage: {place}: {reason}")?;
    }
    let place = folder.display().to_string();
    if !damage.is_empty() {
        let count = damage.len();
        return Err(StorageError::Damaged { place, count });
    }
    let Counts {
        frames,
        logs,
        runs,
        bytes,
        ..
    } = counts;
    writeln!(
        out,
        "{place} is sound: {frames} frames, {logs} logs, {runs} runs, {bytes} bytes of batches"
    )?;
    Ok(())
}

/// What was read.
#[derive(Debug)]
pub(super) struct Counts {
    frames: u64,
    logs: u64,
    runs: u64,
    bytes: u64,
    next_progress: Instant,
}

impl Counts {
    fn tell(&mut self) {
        if Instant::now() >= self.next_progress {
            let Self {
                frames,
                logs,
                runs,
                bytes,
                ..
            } = self;
            tracing::info!(frames, logs, runs, bytes, "verifying");
            self.next_progress = Instant::now() + PROGRESS_EVERY;
        }
    }
}

/// Everything of a folder.
pub(super) fn verify_all(inspection: &Inspection) -> Result<(Counts, Vec<Damage>), StorageError> {
    let mut damage = Vec::new();
    let mut counts = Counts {
        frames: 0,
        logs: 0,
        runs: 0,
        bytes: 0,
        next_progress: Instant::now() + PROGRESS_EVERY,
    };
    inspection.facts(&mut damage);
    let rows = inspection.rows(&mut damage);
    for segment in inspection.segments(&rows) {
        let mut visit = |met: Met<'_>| {
            match met {
                Met::Frame(_) => counts.frames += 1,
                Met::Damage(found) => damage.push(found),
            }
            counts.tell();
            Ok(true)
        };
        inspection.frames(&segment, Bodies::Check, &mut visit)?;
    }
    let logs = Logs::find(&rows, &mut damage);
    for log in &logs.logs {
        let mut verifier = Verifier {
            inspection,
            logs: &logs,
            log,
            counts: &mut counts,
            damage: &mut damage,
        };
        verifier.log();
    }
    // The replay and the walk over its segment may have met the same.
    let mut told = BTreeSet::new();
    damage.retain(|found| told.insert(found.clone()));
    Ok((counts, damage))
}

/// One log.
struct Verifier<'a> {
    inspection: &'a Inspection,
    logs: &'a Logs<'a>,
    log: &'a Log,
    counts: &'a mut Counts,
    damage: &'a mut Vec<Damage>,
}

impl Verifier<'_> {
    fn log(&mut self) {
        self.counts.logs += 1;
        match self.logs.head(self.log) {
            Ok(head) => {
                self.pages(&head);
                self.producers(&head);
            }
            Err(found) => self.damage.push(found),
        }
    }

    fn row(&mut self, what: &str, reason: &dyn std::fmt::Display) {
        let place = format!("{what} of {}", self.log.name());
        self.damage.push(row_damage(&place, reason));
    }

    /// The runs tile the log, and each is as its row says.
    fn pages(&mut self, head: &Head) {
        let mut next: Option<i64> = None;
        let (mut size, mut open_page) = (0, (-1, 0));
        for (key, value) in self.logs.range(&log::page_keys(self.log.number)) {
            let page = match Page::parse(value.clone()) {
                Ok(page) => page,
                Err(error) => return self.row("a page", &error),
            };
            for run in page.entries_from(0) {
                let run = match run {
                    Ok(run) => run,
                    Err(error) => return self.row("a page", &error),
                };
                if next.is_some_and(|next| next != run.base_offset) {
                    let reason = format!("a run begins at {}, not at {next:?}", run.base_offset);
                    self.row("a page", &reason);
                }
                if next.is_none() && run.base_offset > head.log_start_offset {
                    self.row("the first page", &"it begins behind the log start");
                }
                next = Some(run.last_offset + 1);
                size += u64::from(run.size);
                self.run(&run);
            }
            if *key == log::page_key(self.log.number, head.page_base_offset) {
                open_page = (head.page_base_offset, page.len());
            }
        }
        let end = next.unwrap_or(head.log_start_offset);
        if end != head.next_offset {
            let reason = format!("it ends at {}, its runs at {end}", head.next_offset);
            self.row("the head", &reason);
        }
        if size != head.size_bytes {
            let reason = format!("it counts {} bytes, its runs have {size}", head.size_bytes);
            self.row("the head", &reason);
        }
        let entries = usize::try_from(head.page_entries).unwrap_or(usize::MAX);
        if head.page_base_offset >= 0 && open_page != (head.page_base_offset, entries) {
            self.row("the head", &"the page that grows is not as it says");
        }
    }

    /// A run against its batches.
    fn run(&mut self, run: &RunEntry) {
        self.counts.runs += 1;
        self.counts.tell();
        let RunKind::Data { place } = run.kind else {
            return;
        };
        let whose = format!(
            "{}, offsets {} to {}",
            self.log.name(),
            run.base_offset,
            run.last_offset
        );
        let end = place.position.saturating_add(run.size.into());
        let bytes = match self.inspection.read(place.blob, place.position..end) {
            Ok(bytes) => bytes,
            Err(Damage { place, reason }) => {
                let reason = format!("{reason}; {whose}");
                return self.damage.push(Damage { place, reason });
            }
        };
        self.counts.bytes += u64::from(run.size);
        let mut walk = RunWalk::new(run, run.start(), &bytes, Check::HeadersAndCrc);
        let (mut batches, mut max_timestamp) = (0, -1);
        let mut found = None;
        for batch in walk.by_ref() {
            match batch {
                Ok(batch) => {
                    batches += 1;
                    max_timestamp = batch.header.max_timestamp.max(max_timestamp);
                }
                Err(error) => found = Some((error.position, error.reason.to_owned())),
            }
        }
        let at = walk.next_position().position;
        if found.is_none() && !walk.is_at_end() {
            found = Some((at, "the bytes end before the run does".to_owned()));
        }
        if found.is_none() && (batches, max_timestamp) != (run.batch_count, run.max_timestamp) {
            found = Some((0, "its row counts other batches or another time".to_owned()));
        }
        if let Some((position, reason)) = found {
            let place = self.inspection.place(place.blob, place.position + position);
            let reason = format!("a batch: {reason}; {whose}");
            self.damage.push(Damage { place, reason });
        }
    }

    /// What is remembered of producers points into the log.
    fn producers(&mut self, head: &Head) {
        for (_, value) in self.logs.range(&log::producer_keys(self.log.number)) {
            match ProducerState::decode(value) {
                Ok(state) => {
                    let mut ends = (state.marks().iter()).map(|mark| {
                        mark.base_offset
                            .saturating_add(mark.last_offset_delta.into())
                    });
                    if ends.any(|last| last >= head.next_offset) {
                        self.row("a producer", &"it wrote behind the end of the log");
                    }
                }
                Err(error) => self.row("a producer", &error),
            }
        }
    }
}
