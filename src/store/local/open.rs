//! Opening a folder: what it is, what may be believed, where the journal goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::aside;
use super::codec::to_u64;
use super::disk::{Create, Disk};
use super::frame::Point;
use super::journal::Start;
use super::locks::lock;
use super::marks::{self, CheckpointMark, RunMark};
use super::meta::{META, Meta};
use super::options::{LocalOptions, OpenError};
use super::replay::{Replayed, Vouched};
use super::rows::Rows;
use super::segment::{BadHeader, Files, JournalFile, Segment, file_number, read_header};
use super::segments::{SegmentRow, Segments};
use super::shared::{Bell, Shared};
use super::snapshot;
use super::store_rows::Replayer;
use crate::base::Rng;
use crate::store::{Limit, Order};

/// What a folder has of the journal.
pub(super) struct Found {
    /// Segments of this folder by generation.
    pub(super) segments: BTreeMap<u64, Arc<Segment>>,
    /// Journal files without a header.
    blank: Vec<JournalFile>,
    /// The greatest number in a file's name.
    file_max: u64,
}

/// Opens the folder behind `disk`, makes it where it is empty.
pub(super) fn open(
    options: LocalOptions,
    disk: &Arc<dyn Disk>,
    sled_folder: PathBuf,
) -> Result<(Arc<Shared>, Start), OpenError> {
    let names = disk.list().map_err(OpenError::io("data folder"))?;
    let mut rng = options.seed.map_or_else(Rng::from_entropy, Rng::seeded);
    let Some(meta) = Meta::read(disk)? else {
        return make(options, disk, sled_folder, &names, rng);
    };
    if meta.node_id != options.node_id {
        let (found, wanted) = (meta.node_id, options.node_id);
        return Err(OpenError::OtherNode { found, wanted });
    }
    for name in names
        .iter()
        .filter(|name| name.ends_with(marks::UNFINISHED))
    {
        disk.remove(name).map_err(OpenError::io(name))?;
    }
    // Salts must differ from those of earlier runs, whatever the seed.
    let rng = Rng::seeded(rng.next_u64() ^ to_u64(names.len()));
    let shared = share(options, disk, sled_folder, &meta, rng);
    let found = find(&shared.segments.files, &names, &meta)?;
    let newest = snapshot::find(disk, &names, meta.store_id)?;
    if let Some(newest) = &newest {
        snapshot::remove_old(disk, &names, newest);
    }
    *lock(&shared.snapshot) = newest;
    let start = recover(&shared, found, &names)?;
    Ok((shared, start))
}

fn share(
    options: LocalOptions,
    disk: &Arc<dyn Disk>,
    sled_folder: PathBuf,
    meta: &Meta,
    rng: Rng,
) -> Arc<Shared> {
    let files = Files::new(Arc::clone(disk));
    let spares = options.spare_segments_max;
    let segments = Segments::new(files, meta.store_id, meta.segment_size, spares, rng);
    let bell = Arc::new(Bell::default());
    let rows = Rows::new(sled_folder, options.sled_cache_bytes, Arc::clone(&bell));
    let start = Point::start(segments.alignment());
    Arc::new(Shared::new(options, meta, segments, rows, bell, start))
}

/// Makes a folder: the first segment, and last of all the meta file.
fn make(
    options: LocalOptions,
    disk: &Arc<dyn Disk>,
    sled_folder: PathBuf,
    names: &[String],
    mut rng: Rng,
) -> Result<(Arc<Shared>, Start), OpenError> {
    let total = disk.space().map_err(OpenError::io("data folder"))?.total;
    let meta = Meta::new(&options, total, &mut rng)?;
    let shared = share(options, disk, sled_folder, &meta, rng);
    clear(&shared.segments.files, names)?;
    let active = make_files(&shared, &meta)?;
    let point = Point::start(active.header.first_position());
    let segment_bytes = meta.segment_size;
    tracing::info!(segment_bytes, "new data folder made");
    let start = Start {
        active,
        point,
        number: 1,
        must_leave: false,
        to_close: Vec::new(),
    };
    Ok((shared, start))
}

/// Makes a new folder's first segment, its reserve and its meta file.
///
/// All of them are written before any is synced: a journaling file system makes the first sync a sync of all, and each
/// further one costs no more than asking. The meta file gets its name when the others have theirs.
fn make_files(shared: &Shared, meta: &Meta) -> Result<Arc<Segment>, OpenError> {
    let (disk, segments) = (&shared.disk, &shared.segments);
    let (segment, reserve) = segments.first().map_err(|error| OpenError::Io {
        place: "the first journal segment".to_owned(),
        source: std::io::Error::other(error),
    })?;
    meta.write_aside(disk)
        .and_then(|()| segment.file.sync_all())
        .and_then(|()| reserve.sync_all())
        .and_then(|()| disk.sync_folder())
        .and_then(|()| marks::put_in_place(disk, META))
        .and_then(|()| segments.adopt(reserve))
        .map_err(OpenError::io(META))?;
    let active = Arc::new(segment);
    segments.install(Arc::clone(&active));
    shared.active.store(active.generation(), Ordering::Release);
    Ok(active)
}

/// Removes what is left of an attempt to make the folder; refuses when there is more.
fn clear(files: &Arc<Files>, names: &[String]) -> Result<(), OpenError> {
    let disk = &files.disk;
    for name in names {
        let unfinished = name.ends_with(marks::UNFINISHED);
        let journal = file_number(name).is_some();
        if journal {
            let failed = || OpenError::io(name);
            let file = files.open(name, Create::Existing).map_err(failed())?;
            let header = read_header(&file, disk.alignment()).map_err(failed())?;
            if let Ok(header) = header {
                let segment = Arc::new(Segment::new(file, header));
                let position = segment.header.first_position();
                let reader = super::frames::FrameReader::new(segment).map_err(failed())?;
                let mut reader = reader;
                if reader.head(position).map_err(failed())?.is_some() {
                    return Err(OpenError::corrupt(
                        META,
                        "it is missing, but the journal is there",
                    ));
                }
            }
        }
        if name == marks::CHECKPOINT || name == marks::RUN {
            return Err(OpenError::corrupt(
                META,
                "it is missing, but marks are there",
            ));
        }
        if unfinished || journal {
            disk.remove(name).map_err(OpenError::io(name))?;
        }
    }
    Ok(())
}

/// Opens all journal files and reads their headers.
pub(super) fn find(files: &Arc<Files>, names: &[String], meta: &Meta) -> Result<Found, OpenError> {
    let mut found = Found {
        segments: BTreeMap::new(),
        blank: Vec::new(),
        file_max: 0,
    };
    for name in names {
        let Some(number) = file_number(name) else {
            continue;
        };
        found.file_max = found.file_max.max(number);
        let file = files
            .open(name, Create::Existing)
            .map_err(OpenError::io(name))?;
        let header = read_header(&file, files.disk.alignment()).map_err(OpenError::io(name))?;
        match header {
            Err(BadHeader::Invalid) => found.blank.push(file),
            Err(newer) => return Err(OpenError::bad_header(name, newer)),
            Ok(header) if header.store_id != meta.store_id => {
                tracing::warn!(file = name, "journal file of another folder left alone");
            }
            Ok(header) => {
                let generation = header.generation;
                let segment = Arc::new(Segment::new(file, header));
                if let Some(other) = found.segments.insert(generation, segment) {
                    let reason = format!("{} has the same generation", other.file.name());
                    return Err(OpenError::corrupt(name, reason));
                }
            }
        }
    }
    Ok(found)
}

/// Brings the rows up to date and finds where the journal goes on.
fn recover(shared: &Arc<Shared>, found: Found, names: &[String]) -> Result<Start, OpenError> {
    let run = marks::read(&shared.disk, marks::RUN).map_err(OpenError::io(marks::RUN))?;
    let run = run.and_then(|bytes| RunMark::decode(&bytes));
    let mark =
        marks::read(&shared.disk, marks::CHECKPOINT).map_err(OpenError::io(marks::CHECKPOINT))?;
    let mark = mark.and_then(|bytes| CheckpointMark::decode(&bytes));
    let vouched = vouched_by(shared.snapshot_frame(), run.as_ref(), mark.as_ref());
    let replayer = Replayer { shared };
    let believed = mark.as_ref().filter(|_| !shared.options.rebuild_rows);
    let (base, trust) = replayer.base(believed)?;
    let first = replayer.attempt(base, trust, vouched, &found.segments);
    let mut replayed = match first {
        Err(error) if shared.rows.failure().is_some() => {
            tracing::warn!(%error, "the row cache cannot be used");
            let (base, trust) = replayer.base(None)?;
            replayer.attempt(base, trust, vouched, &found.segments)
        }
        other => other,
    }?;
    settle(shared, &replayed)?;
    let start = resume(shared, &found, &replayed, run.as_ref())?;
    let mark = RunMark {
        point: replayed.point,
        stopped: false,
    };
    let marked = marks::replace(&shared.disk, marks::RUN, &mark.encode());
    marked.map_err(OpenError::io(marks::RUN))?;
    replayed.torn.clear();
    hand_out(shared, found, &replayed, names)?;
    Ok(start)
}

/// The greatest frame that a small file knows to be durable.
pub(super) fn vouched_by(
    snapshot_frame: u64,
    run: Option<&RunMark>,
    mark: Option<&CheckpointMark>,
) -> Vouched {
    let clean = mark.map(|mark| mark.point.frame);
    let dirty = mark.and_then(|mark| mark.dirty.as_ref());
    let known = [
        (run.map(|run| run.point.frame), marks::RUN),
        (clean, marks::CHECKPOINT),
        (dirty.map(|dirty| dirty.target), marks::CHECKPOINT),
        (Some(snapshot_frame), "the row snapshot"),
    ];
    let greatest = known.into_iter().max_by_key(|(frame, _)| *frame);
    let (frame, by) = greatest.unwrap_or((None, ""));
    Vouched {
        frame: frame.unwrap_or(0),
        by,
    }
}

/// Puts aside what is behind the end of the journal.
fn settle(shared: &Shared, replayed: &Replayed) -> Result<(), OpenError> {
    let point = replayed.point;
    shared.synced.store(point.frame, Ordering::Release);
    for torn in &replayed.torn {
        aside::keep(&shared.disk, torn).map_err(OpenError::io("a cut frame"))?;
    }
    let (frames, frame) = (replayed.frames, point.frame);
    let unvouched = replayed.unvouched;
    tracing::info!(frames, frame, unvouched, "journal replayed");
    Ok(())
}

/// Where writing goes on: in place after a stop in good order, else in a new segment.
fn resume(
    shared: &Shared,
    found: &Found,
    replayed: &Replayed,
    run: Option<&RunMark>,
) -> Result<Start, OpenError> {
    let point = replayed.point;
    let Some(active) = found.segments.get(&point.generation) else {
        let place = format!("journal generation {}", point.generation);
        return Err(OpenError::corrupt(place, "it is not there"));
    };
    let place = || OpenError::io(active.file.name());
    let length = active.file.length().map_err(place())?;
    let in_order = run.is_some_and(|run| run.stopped && run.point == point)
        && replayed.torn.is_empty()
        && length == active.header.size
        && active.alignment() == shared.segments.alignment();
    if !in_order && length > point.position {
        // What is behind the end must never be taken for frames again, and its room is of use.
        let cut = active.file.cut(point.position);
        cut.and_then(|()| active.file.sync_all()).map_err(place())?;
    }
    if !in_order {
        let (frame, generation) = (point.frame, point.generation);
        let torn = replayed.torn.len();
        tracing::info!(
            frame,
            generation,
            torn,
            "no stop in good order: going on in a new segment"
        );
    }
    let mut to_close = Vec::new();
    for (generation, row) in segment_rows(shared)? {
        let Some(segment) = found.segments.get(&generation) else {
            let place = format!("journal generation {generation}");
            return Err(OpenError::corrupt(place, "its segment is not there"));
        };
        let is_last = generation == point.generation;
        // Of a segment that was closed before the replay began only its size is known.
        let whole = (segment.header.size, segment.header.size);
        let (end, body) = match row.end {
            0 if is_last => (point.position, point.body_before),
            0 => replayed.ends.get(&generation).copied().unwrap_or(whole),
            end => (end, row.body),
        };
        segment.set_end(end);
        if row.end == 0 && !(is_last && in_order) {
            let size = row.size;
            to_close.push((generation, SegmentRow { size, end, body }));
        }
        shared.segments.install(Arc::clone(segment));
    }
    active.set_end(point.position);
    shared.segments.install(Arc::clone(active));
    shared.active.store(point.generation, Ordering::Release);
    Ok(Start {
        active: Arc::clone(active),
        point,
        number: replayed.number_max + 1,
        must_leave: !in_order,
        to_close,
    })
}

/// The engine's own rows.
fn segment_rows(shared: &Shared) -> Result<Vec<(u64, SegmentRow)>, OpenError> {
    let start = SegmentRow::key(0);
    let end = SegmentRow::key(u64::MAX);
    let limit = Limit {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
    let mut rows = Vec::new();
    let mut damaged = false;
    let take = |key: bytes::Bytes, _, value: bytes::Bytes| {
        let row = SegmentRow::generation(&key).zip(SegmentRow::decode(&value));
        damaged |= row.is_none();
        rows.extend(row);
        true
    };
    let read = shared.merged((&start, &end), Order::Ascending, limit, take);
    read.map_err(|failure| OpenError::Io {
        place: "the row cache".to_owned(),
        source: std::io::Error::other(failure),
    })?;
    match damaged {
        true => Err(OpenError::corrupt(
            "the list of segments",
            "it cannot be read",
        )),
        false => Ok(rows),
    }
}

/// Gives every journal file that holds nothing readable a place: kept for a replay, used again, or removed.
fn hand_out(
    shared: &Shared,
    found: Found,
    replayed: &Replayed,
    names: &[String],
) -> Result<(), OpenError> {
    let last = found.segments.keys().next_back().copied().unwrap_or(0);
    shared
        .segments
        .skip(last.max(replayed.point.generation), found.file_max);
    let needed = shared.snapshot_point().generation..=replayed.point.generation;
    for (generation, segment) in found.segments {
        if shared.segments.pin(generation).is_some() {
            continue;
        }
        if needed.contains(&generation) {
            shared.segments.install_dead(segment);
        } else if let Some(segment) = Arc::into_inner(segment) {
            let adopted = shared.segments.adopt(segment.file);
            adopted.map_err(OpenError::io("an unused journal file"))?;
        }
    }
    for file in found.blank {
        let adopted = shared.segments.adopt(file);
        adopted.map_err(OpenError::io("an unused journal file"))?;
    }
    aside::forget_old(&shared.disk, names);
    Ok(())
}
