//! Replay: follows the journal from a point to its end and tells the end from damage.
//!
//! The next frame lies behind the last one, or at the front of the segment that a closing frame names, or, after a
//! cut, at the front of a later segment, whose first frame names the one that it follows. Where none of these holds a
//! valid frame the journal ends, provided nothing newer knows of the frame that is missing.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use super::codec::to_u64;
use super::frame::{FrameHeader, Point};
use super::frames::{FrameReader, Head};
use super::options::OpenError;
use super::segment::Segment;

/// How far behind an invalid frame valid ones are looked for, in bytes: more than a frame has that is not alone in
/// its segment.
const SEARCH_MAX: u64 = 32 * 1024 * 1024;

/// What a small file knows to be durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vouched {
    pub(super) frame: u64,
    pub(super) by: &'static str,
}

/// Bytes behind the end of the journal that look like a frame of it.
#[derive(Debug)]
pub(super) struct Torn {
    pub(super) segment: Arc<Segment>,
    pub(super) position: u64,
}

/// What a replay found.
#[derive(Debug)]
pub(super) struct Replayed {
    /// Behind the last frame.
    pub(super) point: Point,
    /// The greatest frame number that was seen, valid or not part of the journal any more.
    pub(super) number_max: u64,
    /// Frames at the end that nothing had vouched for.
    pub(super) unvouched: usize,
    pub(super) torn: Vec<Torn>,
    pub(super) frames: u64,
    /// Where the last frame ends in each segment that was read, and the batch bytes up to there.
    pub(super) ends: BTreeMap<u64, (u64, u64)>,
}

/// What is done with frames at the end for which nothing vouches, and whose bodies are sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// They are written again and synced.
    Secure,
    /// They are left as they are: nothing is to be changed.
    Leave,
}

/// Takes the row section of each frame in order.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&Head, &[u8], Point) -> Result<(), OpenError>;

struct Pending {
    segment: Arc<Segment>,
    head: Head,
    rows: Vec<u8>,
    /// Behind it.
    after: Point,
}

struct Replay<'a> {
    segments: &'a BTreeMap<u64, Arc<Segment>>,
    vouched: Vouched,
    point: Point,
    /// Behind the last frame that the sink has.
    taken: Point,
    /// The frame after which to stop.
    until: u64,
    /// The last frame that is known to have been synced.
    synced: u64,
    number_max: u64,
    /// Frames that nothing vouches for yet.
    pending: VecDeque<Pending>,
    frames: u64,
    ends: BTreeMap<u64, (u64, u64)>,
    sink: Sink<'a>,
}

/// Replays from `point`.
///
/// # Errors
/// [`OpenError::Corrupt`] where a frame is missing or damaged that is known to have been durable.
pub(super) fn replay(
    segments: &BTreeMap<u64, Arc<Segment>>,
    vouched: Vouched,
    point: Point,
    ending: Ending,
    sink: Sink<'_>,
) -> Result<Replayed, OpenError> {
    let mut replay = Replay {
        segments,
        vouched,
        point,
        taken: point,
        until: u64::MAX,
        synced: vouched.frame,
        number_max: vouched.frame.max(point.frame),
        pending: VecDeque::new(),
        frames: 0,
        ends: BTreeMap::new(),
        sink,
    };
    replay.follow()?;
    let mut torn = replay.look_behind()?;
    let unvouched = replay.settle(&mut torn, ending)?;
    if replay.vouched.frame > replay.point.frame {
        let Vouched { frame, by } = replay.vouched;
        return Err(replay.damage(&format!("{by} knows of frame {frame}")));
    }
    Ok(Replayed {
        point: replay.point,
        number_max: replay.number_max,
        unvouched,
        torn,
        frames: replay.frames,
        ends: replay.ends,
    })
}

/// Hands the frames from `point` to frame `until` to `sink`: all of them are durable.
///
/// # Errors
/// [`OpenError::Corrupt`] where one of them is not valid.
pub(super) fn walk(
    segments: &BTreeMap<u64, Arc<Segment>>,
    point: Point,
    until: u64,
    sink: Sink<'_>,
) -> Result<(), OpenError> {
    let mut replay = Replay {
        segments,
        vouched: Vouched {
            frame: until,
            by: "the engine",
        },
        point,
        taken: point,
        until,
        synced: until,
        number_max: until,
        pending: VecDeque::new(),
        frames: 0,
        ends: BTreeMap::new(),
        sink,
    };
    replay.follow()?;
    match replay.point.frame == until {
        true => Ok(()),
        false => Err(replay.damage(&format!("frame {until} was written"))),
    }
}

fn failed(segment: &Segment, position: u64) -> impl FnOnce(io::Error) -> OpenError + use<> {
    OpenError::io(&segment.place(position))
}

impl Replay<'_> {
    fn damage(&self, knows: &str) -> OpenError {
        let Point {
            frame,
            generation,
            position,
            ..
        } = self.point;
        let place = match self.segments.get(&generation) {
            Some(segment) => segment.place(position),
            None => format!("journal generation {generation}, byte {position}"),
        };
        let reason = format!("the frame after frame {frame} is not what was written, but {knows}");
        OpenError::corrupt(place, reason)
    }

    /// Follows the frames to the first that is not valid.
    fn follow(&mut self) -> Result<(), OpenError> {
        let mut reader: Option<FrameReader> = None;
        while self.point.frame < self.until {
            let generation = self.point.generation;
            if reader.as_ref().map(|reader| reader.segment.generation()) != Some(generation) {
                reader = self.reader(generation)?;
            }
            let position = self.point.position;
            let head = match &mut reader {
                None => None,
                Some(reader) => {
                    let segment = Arc::clone(&reader.segment);
                    let head = reader.head(position).map_err(failed(&segment, position))?;
                    head.filter(|head| self.follows(&head.header))
                }
            };
            match (head, &mut reader) {
                (Some(head), Some(reader)) => self.accept(head, reader)?,
                (_, reader) => {
                    if let Some((generation, position)) = self.find_link()? {
                        self.point.generation = generation;
                        self.point.position = position;
                        self.point.body_before = 0;
                    } else if reader.is_none() {
                        return Err(self.damage("its segment was made and is not there"));
                    } else {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn reader(&self, generation: u64) -> Result<Option<FrameReader>, OpenError> {
        let Some(segment) = self.segments.get(&generation) else {
            return Ok(None);
        };
        let reader = FrameReader::new(Arc::clone(segment));
        reader.map(Some).map_err(failed(segment, 0))
    }

    /// Whether this is the frame after the point.
    fn follows(&self, header: &FrameHeader) -> bool {
        let Point { frame, crc, .. } = self.point;
        header.previous == frame && header.previous_crc == crc && header.number > frame
    }

    fn accept(&mut self, head: Head, reader: &mut FrameReader) -> Result<(), OpenError> {
        let segment = Arc::clone(&reader.segment);
        let position = head.header.position;
        let rows = reader.rows(&head).map_err(failed(&segment, position))?;
        let next = self.segments.get(&head.header.next_generation);
        let next_first = next.map_or(0, |next| next.header.first_position());
        let alignment = segment.alignment();
        self.point = Point::after(&head.header, head.crc, alignment, next_first);
        self.number_max = self.number_max.max(head.header.number);
        self.synced = self.synced.max(head.header.synced);
        self.frames += 1;
        let end = position + head.header.length(alignment);
        let body = head.header.body_before + head.header.body_length;
        self.ends.insert(segment.generation(), (end, body));
        self.pending.push_back(Pending {
            segment,
            head,
            rows: rows.to_vec(),
            after: self.point,
        });
        while let Some(first) = self.pending.front() {
            if first.head.header.number > self.synced {
                break;
            }
            if let Some(first) = self.pending.pop_front() {
                (self.sink)(&first.head, &first.rows, first.after)?;
                self.taken = first.after;
            }
        }
        Ok(())
    }

    /// The segment whose first frame says that it follows the point after a cut: the newest one.
    fn find_link(&self) -> Result<Option<(u64, u64)>, OpenError> {
        for (generation, segment) in self.segments.range(self.point.generation + 1..).rev() {
            let position = segment.header.first_position();
            let mut reader =
                FrameReader::new(Arc::clone(segment)).map_err(failed(segment, position))?;
            let head = reader.head(position).map_err(failed(segment, position))?;
            if head.is_some_and(|head| self.follows(&head.header)) {
                return Ok(Some((*generation, position)));
            }
        }
        Ok(None)
    }

    /// Looks at what lies behind the end: frames that were not synced, or a sign that the end is none.
    fn look_behind(&mut self) -> Result<Vec<Torn>, OpenError> {
        let mut torn = Vec::new();
        for (generation, segment) in self.segments.range(self.point.generation..) {
            let from = match *generation == self.point.generation {
                true => self.point.position,
                false => segment.header.first_position(),
            };
            let seen = search(segment, from).map_err(failed(segment, from))?;
            self.number_max = self.number_max.max(seen.number_max);
            if seen.synced_max > self.point.frame {
                let knows = format!(
                    "a later frame knows that frame {} was synced",
                    seen.synced_max
                );
                return Err(self.damage(&knows));
            }
            if seen.anything {
                torn.push(Torn {
                    segment: Arc::clone(segment),
                    position: from,
                });
            }
        }
        Ok(torn)
    }

    /// Checks the bodies of the frames that nothing vouches for, and makes them durable if asked to: the journal ends before the
    /// first that is not whole. Tells how many there are.
    fn settle(&mut self, torn: &mut Vec<Torn>, ending: Ending) -> Result<usize, OpenError> {
        let mut sound = Vec::new();
        for pending in std::mem::take(&mut self.pending) {
            let Pending { segment, head, .. } = &pending;
            let position = head.header.position;
            let reader = FrameReader::new(Arc::clone(segment));
            let whole = reader.and_then(|mut reader| reader.body_is_sound(&head.header));
            if !whole.map_err(failed(segment, position))? {
                torn.clear();
                torn.push(Torn {
                    segment: Arc::clone(segment),
                    position,
                });
                self.point = self.taken;
                break;
            }
            self.taken = pending.after;
            sound.push(pending);
        }
        let frames: Vec<_> = sound
            .iter()
            .map(|pending| (Arc::clone(&pending.segment), pending.head.header))
            .collect();
        if ending == Ending::Secure {
            rewrite(&frames).map_err(OpenError::io("the end of the journal"))?;
        }
        for pending in &sound {
            (self.sink)(&pending.head, &pending.rows, pending.after)?;
        }
        Ok(sound.len())
    }
}

/// What lies behind a place.
#[derive(Debug, Default)]
struct Seen {
    /// Whether any of it looks like a frame of this generation.
    anything: bool,
    number_max: u64,
    synced_max: u64,
}

/// Looks for frames of a segment's generation from a place on, at every place where one could be.
fn search(segment: &Arc<Segment>, from: u64) -> io::Result<Seen> {
    let mut reader = FrameReader::new(Arc::clone(segment))?;
    let mut seen = Seen::default();
    let mut position = from;
    let mut end = from.saturating_add(SEARCH_MAX).min(reader.limit());
    while position < end {
        let Some(glimpsed) = reader.glimpse(position)? else {
            position += segment.alignment();
            continue;
        };
        seen.anything = true;
        let Some(head) = reader.head(position)? else {
            position += segment.alignment();
            continue;
        };
        debug_assert_eq!(head.header, glimpsed, "the same bytes");
        seen.number_max = seen.number_max.max(head.header.number);
        seen.synced_max = seen.synced_max.max(head.header.synced);
        position += head.header.length(segment.alignment());
        // Frames follow each other: look as far behind the last one again.
        end = position.saturating_add(SEARCH_MAX).min(reader.limit());
    }
    Ok(seen)
}

/// Writes frames again where they stand, and syncs them: after a sync that failed a page may look written and not be,
/// and only a new write makes the next sync mean something.
fn rewrite(frames: &[(Arc<Segment>, FrameHeader)]) -> io::Result<()> {
    const CHUNK: u64 = 1024 * 1024;
    for (segment, header) in frames {
        let end = header.position + header.length(segment.alignment());
        let chunk = CHUNK.min(end - header.position);
        let size = usize::try_from(chunk).unwrap_or(usize::MAX);
        let mut buffer = super::aligned::AlignedBuffer::new(size, segment.file.alignment());
        let mut position = header.position;
        while position < end {
            let length = size.min(usize::try_from(end - position).unwrap_or(usize::MAX));
            segment.file.read(buffer.bytes_mut(length), position)?;
            segment.file.write(buffer.bytes(length), position)?;
            position += to_u64(length);
        }
    }
    let mut last = None;
    for (segment, _) in frames {
        if last != Some(segment.generation()) {
            segment.file.sync_data()?;
            last = Some(segment.generation());
        }
    }
    Ok(())
}
