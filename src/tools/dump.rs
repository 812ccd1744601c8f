//! `ottla storage dump`: what is in a data folder, for people. Journal first, then the logs.

use std::io::{self, Write};

use bytes::Bytes;

use super::StorageError;
use super::folder::{Log, Logs};
use crate::config::{Config, DumpFilter};
use crate::log::{self, Check, Page, RunEntry, RunKind, RunWalk};
use crate::store::Key;
use crate::store::local::inspect::{Bodies, Change, Damage, Frame, Inspection, Met, SegmentFacts};

/// Bytes of a key that are printed.
const KEY_BYTES_MAX: usize = 40;

/// Dumps the data folder of `config`.
pub(super) fn dump(
    config: &Config,
    filter: &DumpFilter,
    out: &mut dyn Write,
) -> Result<(), StorageError> {
    dump_all(&Inspection::open(&config.data_folder())?, filter, out)
}

/// Dumps what the filter lets pass: with a segment only the journal, with a topic only logs.
pub(super) fn dump_all(
    inspection: &Inspection,
    filter: &DumpFilter,
    out: &mut dyn Write,
) -> Result<(), StorageError> {
    let mut damage = Vec::new();
    let facts = inspection.facts(&mut damage);
    let rows = inspection.rows(&mut damage);
    let (node_id, cluster_id, size) = (facts.node_id, facts.cluster_id, facts.segment_size);
    writeln!(
        out,
        "folder: node {node_id}, cluster {cluster_id}, segments of {size} bytes"
    )?;
    for file in &facts.files {
        writeln!(out, "{file}")?;
    }
    writeln!(out, "rows: {} as of frame {}", rows.rows.len(), rows.frame)?;
    if filter.topic.is_none() {
        for segment in inspection.segments(&rows) {
            if filter.segment.is_none_or(|wanted| wanted == segment.blob.0) {
                dump_segment(inspection, &segment, filter, out)?;
            }
        }
    }
    if filter.segment.is_none() {
        let logs = Logs::find(&rows, &mut damage);
        for log in &logs.logs {
            let topic = filter
                .topic
                .as_ref()
                .is_none_or(|wanted| *wanted == log.topic);
            if topic && filter.partition.is_none_or(|wanted| wanted == log.index) {
                let mut dump = LogDump {
                    inspection,
                    logs: &logs,
                    log,
                    left: filter.limit,
                    out,
                };
                dump.log(filter.from_offset)?;
            }
        }
    }
    for Damage { place, reason } in &damage {
        writeln!(out, "damage: {place}: {reason}")?;
    }
    Ok(())
}

fn dump_segment(
    inspection: &Inspection,
    segment: &SegmentFacts,
    filter: &DumpFilter,
    out: &mut dyn Write,
) -> Result<(), StorageError> {
    let SegmentFacts {
        blob, file, size, ..
    } = segment;
    let state = match segment.end {
        Some(end) => format!("frames end at byte {end}"),
        None => "not in use".to_owned(),
    };
    writeln!(out, "\nsegment {}: {file}, {size} bytes, {state}", blob.0)?;
    let mut left = filter.limit;
    let mut visit = |met: Met<'_>| -> io::Result<bool> {
        if left == 0 {
            writeln!(out, "  ... more: raise --limit")?;
            return Ok(false);
        }
        left -= 1;
        match met {
            Met::Frame(frame) => dump_frame(&frame, out)?,
            Met::Damage(Damage { place, reason }) => writeln!(out, "  damage: {place}: {reason}")?,
        }
        Ok(true)
    };
    inspection.frames(segment, Bodies::HopOver, &mut visit)?;
    Ok(())
}

fn dump_frame(frame: &Frame<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Frame {
        number,
        previous,
        synced,
        position,
        length,
        body,
        next,
        changes,
    } = frame;
    write!(
        out,
        "  frame {number}: byte {position}, {length} bytes, follows {previous}, synced {synced}"
    )?;
    if !body.is_empty() {
        write!(out, ", batches at {} to {}", body.start, body.end)?;
    }
    if *next > 0 {
        write!(out, ", segment {next} is next")?;
    }
    writeln!(out)?;
    for Change { kind, key, value } in changes {
        let name = key.get(1..).unwrap_or_default();
        let space = match Key::decode(&Bytes::copy_from_slice(key)) {
            Some(key) => format!("{:?}", key.space).to_lowercase(),
            None => "the engine's".to_owned(),
        };
        let shown = name.get(..KEY_BYTES_MAX).unwrap_or(name).escape_ascii();
        writeln!(out, "    {kind} {space} row {shown}, {} bytes", value.len())?;
    }
    Ok(())
}

/// One log on its way out.
struct LogDump<'a> {
    inspection: &'a Inspection,
    logs: &'a Logs<'a>,
    log: &'a Log,
    /// Batches that may still be printed.
    left: usize,
    out: &'a mut dyn Write,
}

impl LogDump<'_> {
    fn log(&mut self, from_offset: i64) -> io::Result<()> {
        let (name, number) = (self.log.name(), self.log.number.0);
        let head = match self.logs.head(self.log) {
            Ok(head) => head,
            Err(Damage { place, reason }) => {
                return writeln!(self.out, "\ndamage: {place}: {reason}");
            }
        };
        writeln!(
            self.out,
            "\n{name} (log {number}): offsets {} to {}, {} bytes, last stable offset {}",
            head.log_start_offset,
            head.next_offset,
            head.size_bytes,
            head.last_stable_offset()
        )?;
        for (_, value) in self.logs.range(&log::page_keys(self.log.number)) {
            let page = match Page::parse(value.clone()) {
                Ok(page) => page,
                Err(error) => {
                    writeln!(self.out, "  damage: a page: {error}")?;
                    continue;
                }
            };
            for run in page.entries_from(page.find(from_offset)) {
                match run {
                    Ok(_) if self.left == 0 => {
                        return writeln!(self.out, "  ... more: raise --limit");
                    }
                    Ok(run) => self.run(&run)?,
                    Err(error) => writeln!(self.out, "  damage: a run: {error}")?,
                }
            }
        }
        Ok(())
    }

    fn run(&mut self, run: &RunEntry) -> io::Result<()> {
        let (first, last) = (run.base_offset, run.last_offset);
        let place = match run.kind {
            RunKind::Data { place } => place,
            RunKind::Marker {
                outcome, producer, ..
            } => {
                let producer = producer.0;
                return writeln!(
                    self.out,
                    "  marker {first}: {outcome:?} of producer {producer}"
                );
            }
        };
        writeln!(
            self.out,
            "  run {first} to {last}: segment {}, byte {}, {} bytes, largest timestamp {}",
            place.blob.0, place.position, run.size, run.max_timestamp
        )?;
        let end = place.position.saturating_add(run.size.into());
        let bytes = match self.inspection.read(place.blob, place.position..end) {
            Ok(bytes) => bytes,
            Err(Damage { place, reason }) => {
                return writeln!(self.out, "    damage: {place}: {reason}");
            }
        };
        for batch in RunWalk::new(run, run.start(), &bytes, Check::HeadersAndCrc) {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            match batch {
                Ok(batch) => {
                    let header = batch.header;
                    let codec = header.codec().map_or("unknown".to_owned(), |codec| {
                        format!("{codec:?}").to_lowercase()
                    });
                    writeln!(
                        self.out,
                        "    batch {} to {}: {} bytes, {} records, {codec}, {:?} {} to {}, producer {} epoch {} sequence {}",
                        header.base_offset,
                        header.last_offset(),
                        batch.size,
                        header.record_count,
                        header.timestamp_type(),
                        header.base_timestamp,
                        header.max_timestamp,
                        header.producer_id,
                        header.producer_epoch,
                        header.base_sequence,
                    )?;
                }
                Err(error) => {
                    let at = self
                        .inspection
                        .place(place.blob, place.position + error.position);
                    writeln!(self.out, "    damage: {at}: {}", error.reason)?;
                }
            }
        }
        Ok(())
    }
}
