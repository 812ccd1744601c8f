//! What goes into a frame, whether it finds room, and who is answered what.

use super::super::assemble::{Added, Assembly, Before, gives_space_back};
use super::super::codec::to_u64;
use super::super::frame::{FrameHeader, frame_length};
use super::super::ops::OP_OVERHEAD;
use super::super::segments::{NoSegment, Purpose};
use super::super::shared::{Job, Reply};
use super::Writer;
use crate::store::{BlobName, Commit, Outcome, Place, Row, StoreError, Version, Write};

/// Room left for the engine's own rows when a frame is measured, in bytes.
const OWN_ROWS_ROOM: u64 = 1024;

/// Whom to answer once the frame is durable.
pub(super) enum Answer {
    Done {
        reply: Reply<Outcome>,
        body: Option<u64>,
    },
    Conflict {
        reply: Reply<Outcome>,
        commit: Commit,
    },
    Deleted {
        reply: Reply<()>,
        names: Vec<u64>,
    },
}

impl Writer {
    /// Adds a commit to the frame; gives it back when it must wait for the next one.
    pub(super) fn gather(
        &mut self,
        assembly: &mut Assembly,
        answers: &mut Vec<Answer>,
        commit: Commit,
        reply: Reply<Outcome>,
    ) -> Option<Job> {
        let (rows, body) = measure(&commit);
        let frame_max = to_u64(self.shared.options.frame_bytes_max);
        let begun = !answers.is_empty();
        if begun && assembly.body_length().saturating_add(body) > frame_max {
            return Some(Job::Commit { commit, reply });
        }
        let purpose = match gives_space_back(&commit) {
            true => Purpose::Deletion,
            false => Purpose::Data,
        };
        let room = self.make_room(assembly, rows, body, purpose);
        let added = match room {
            Room::Enough => {
                let (overlay, rows) = (&self.shared.overlay, &self.shared.rows);
                assembly.add(&commit, Before { overlay, rows })
            }
            Room::NotInThisFrame if begun => Added::NotInThisFrame,
            Room::NotInThisFrame => Added::Refused(StoreError::Full {
                reason: "the commit does not fit into the journal".to_owned(),
            }),
            Room::Refused(error) => Added::Refused(error),
        };
        match added {
            Added::Taken { body } => answers.push(Answer::Done { reply, body }),
            Added::Conflict => answers.push(Answer::Conflict { reply, commit }),
            Added::NotInThisFrame => return Some(Job::Commit { commit, reply }),
            Added::Refused(error) => drop(reply.send(Err(error))),
        }
        None
    }

    pub(super) fn gather_delete(
        &mut self,
        assembly: &mut Assembly,
        answers: &mut Vec<Answer>,
        names: Vec<u64>,
        reply: Reply<()>,
    ) -> Option<Job> {
        if let Some(name) = names.iter().find(|name| **name == self.active.generation()) {
            let reason = format!("blob {name} is still being written and cannot be deleted");
            let _ = reply.send(Err(StoreError::Unavailable { reason }));
            return None;
        }
        let rows = to_u64(names.len()).saturating_mul(64);
        match self.make_room(assembly, rows, 0, Purpose::Deletion) {
            Room::Enough => {}
            Room::NotInThisFrame if !answers.is_empty() => {
                return Some(Job::Delete { names, reply });
            }
            Room::NotInThisFrame => {
                let reason = "the deletion does not fit into the journal".to_owned();
                let _ = reply.send(Err(StoreError::Full { reason }));
                return None;
            }
            Room::Refused(error) => {
                let _ = reply.send(Err(error));
                return None;
            }
        }
        let is_live = |name: &u64| self.shared.segments.pin(*name).is_some();
        let names: Vec<u64> = names.into_iter().filter(is_live).collect();
        for name in &names {
            assembly.put_segment(*name, None);
        }
        answers.push(Answer::Deleted { reply, names });
        None
    }

    /// Sees to it that the frame with so much more in it finds room: in the active segment or in the next one.
    fn make_room(&mut self, assembly: &Assembly, rows: u64, body: u64, purpose: Purpose) -> Room {
        let ended = self.ended.then_some(StoreError::Closed);
        if let Some(error) = ended.or_else(|| self.shared.poisoned()) {
            return Room::Refused(error);
        }
        let overlay_bytes = self.shared.overlay.bytes();
        if purpose == Purpose::Data && overlay_bytes > self.shared.options.overlay_bytes_max {
            let reason = "rows cannot be moved out of memory (see the log)".to_owned();
            self.shared.bell.ring();
            return Room::Refused(StoreError::Full { reason });
        }
        if purpose == Purpose::Data
            && let Err(none) = self.shared.segments.prepare_reserve()
        {
            return self.no_room(none);
        }
        let alignment = self.shared.segments.alignment();
        let rows = assembly.rows_length() + rows + OWN_ROWS_ROOM;
        let body = assembly.body_length() + body;
        // Each segment keeps room for the frame that closes it.
        let needed = frame_length(rows, body, alignment) + alignment;
        if self.leaving {
            return self.fits_next(needed + alignment, purpose);
        }
        let left = self.active.header.size.saturating_sub(self.point.position);
        let may_stay =
            !self.must_leave && (!self.active_is_reserve || purpose == Purpose::Deletion);
        if may_stay && needed <= left {
            return Room::Enough;
        }
        if !assembly.is_empty() {
            return Room::NotInThisFrame;
        }
        let room = self.make_next(needed + alignment, purpose);
        self.leaving = matches!(room, Room::Enough);
        room
    }

    /// Whether the next segment will do for a frame that takes `size` bytes of it, header included.
    fn fits_next(&self, size: u64, purpose: Purpose) -> Room {
        let fits = self.next.as_ref().is_some_and(|(next, kind)| {
            let may_use = *kind == Purpose::Data || purpose == Purpose::Deletion;
            may_use && size <= next.header.size
        });
        match fits {
            true => Room::Enough,
            false => Room::NotInThisFrame,
        }
    }

    /// Sees to it that there is a next segment that will do.
    fn make_next(&mut self, size: u64, purpose: Purpose) -> Room {
        if matches!(self.fits_next(size, purpose), Room::Enough) {
            return Room::Enough;
        }
        match self.shared.segments.next(size, purpose) {
            Ok((segment, kind)) => {
                if self.was_full {
                    tracing::info!("the journal has room again");
                }
                self.was_full = false;
                if let Some((unused, _)) = self.next.replace((segment, kind)) {
                    let adopted = self.shared.segments.adopt(unused.file);
                    if let Err(error) = adopted {
                        tracing::warn!(%error, "unused journal segment could not be kept");
                    }
                }
                Room::Enough
            }
            Err(none) => self.no_room(none),
        }
    }

    /// What it means that there is no segment.
    fn no_room(&mut self, none: NoSegment) -> Room {
        match none {
            NoSegment::Full(reason) => {
                if !self.was_full {
                    tracing::warn!(
                        reason,
                        "no room for the journal: writes are refused, reads and deletions go on"
                    );
                }
                self.was_full = true;
                self.shared.bell.ring();
                Room::Refused(StoreError::Full { reason })
            }
            NoSegment::Io(error) => {
                let reason = format!("a new journal segment could not be made: {error}");
                self.shared.poison(&reason);
                Room::Refused(StoreError::Poisoned { reason })
            }
        }
    }

    pub(super) fn answer(&self, answers: Vec<Answer>, header: Option<FrameHeader>) {
        // No frame was written where nothing was to be changed: then the version is that of the last one.
        let version = Version(self.point.frame);
        let body_at = header.map_or(0, |header| header.body_position());
        for answer in answers {
            match answer {
                Answer::Done { reply, body } => {
                    let blob = body.map(|body| Place {
                        blob: BlobName(self.active.generation()),
                        position: body_at + body,
                    });
                    let _ = reply.send(Ok(Outcome::Done { version, blob }));
                }
                Answer::Conflict { reply, commit } => {
                    let _ = reply.send(self.current(&commit).map(Outcome::Conflict));
                }
                Answer::Deleted { reply, names } => {
                    self.shared.segments.retire(&names);
                    self.shared.bell.ring();
                    let _ = reply.send(Ok(()));
                }
            }
        }
    }

    /// The rows of a commit's guards.
    fn current(&self, commit: &Commit) -> Result<Vec<Row>, StoreError> {
        let row = |(key, _): &(_, Version)| self.shared.row(key);
        commit.guards.iter().map(row).collect()
    }
}

/// Whether a frame finds room.
#[derive(Debug)]
enum Room {
    Enough,
    /// Only by itself, or not at all.
    NotInThisFrame,
    Refused(StoreError),
}

impl Answer {
    /// Whether it is the deletion of this segment.
    pub(super) fn deletes(&self, generation: u64) -> bool {
        matches!(self, Answer::Deleted { names, .. } if names.contains(&generation))
    }

    /// Tells that nobody knows what became of it.
    pub(super) fn fail(self, reason: &str) {
        let unknown = || StoreError::Unknown {
            reason: reason.to_owned(),
        };
        match self {
            Answer::Done { reply, .. } | Answer::Conflict { reply, .. } => {
                drop(reply.send(Err(unknown())));
            }
            Answer::Deleted { reply, .. } => drop(reply.send(Err(unknown()))),
        }
    }
}

/// Bytes of row section and body that a commit adds to a frame.
fn measure(commit: &Commit) -> (u64, u64) {
    let row = |write: &Write| {
        let value = match write {
            Write::Put { value, .. } => value.len(),
            Write::Append { bytes, .. } => bytes.len(),
            Write::Delete { .. } => 0,
        };
        OP_OVERHEAD + 1 + write.key().bytes.len() + value
    };
    let rows = commit.writes.iter().map(row).map(to_u64).sum();
    let body = commit.body.iter().map(|part| to_u64(part.len())).sum();
    (rows, body)
}
