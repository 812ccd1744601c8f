//! One connection: requests in, answers out, in order.
//!
//! Kafka handles one request of a connection at a time. Here a Produce that waits for the disk does not stop the next
//! Produce: its place in the order of effects is taken when its handler returns [`Answer::Pending`]. Every other
//! request starts only when all earlier ones are answered, so what a client can observe is Kafka's order. One more
//! request is read ahead, which also is how a client that goes away during a long poll is noticed.
//!
//! The loop holds no lock and waits in one place; whatever moves wakes it.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::Shared;
use super::budget::Charge;
use super::end::{About, Cause, End, panic_text};
use super::inbox::{Broken, Inbox};
use super::outbox::Outbox;
use super::register::{Live, State};
use crate::api::{Answer, Reply, Request};
use crate::base::BoxFuture;

/// Produce requests of one connection that may wait for their answers, and their bytes. The bytes are enough for a
/// few group commits; one request may always wait, however large it is.
const PENDING_MAX: usize = 512;
const PENDING_SIZE_MAX: usize = 32 * 1024 * 1024;

/// Bytes that the elements of a request may become uncharged, so that a request like any other never waits behind large
/// ones: 128 elements.
pub(super) const DECODED_FREE: usize = 32 * 1024;

/// While a client has more than this to take, its next request is not started: a connection holds at most this and
/// one answer.
pub(super) const QUEUED_SIZE_MAX: usize = 256 * 1024;

/// How long a parked request goes on after its client has ended its side. A client that only half closed still gets
/// a quick answer; a long poll for nobody is given up.
const ORPHAN_GRACE: Duration = Duration::from_secs(1);

/// The same when the server stops.
const STOP_GRACE: Duration = Duration::from_millis(50);

/// The state of one connection.
pub(super) struct Pipeline<S> {
    stream: S,
    shared: Arc<Shared>,
    live: Arc<Live>,
    inbox: Inbox,
    outbox: Outbox,
    /// Read and checked, not started.
    held: Option<Held>,
    /// Started, its handler has not returned.
    running: Option<Running>,
    /// Produce requests that have their place, in order.
    pending: VecDeque<Pending>,
    pending_size: usize,
    /// Set when no further request will be read; the connection ends when what it has is answered.
    ending: Option<End>,
    /// The client has ended its side while a request is handled and another is held.
    orphaned: bool,
    grace: Option<Pin<Box<Sleep>>>,
    bytes_moved: u64,
}

/// What a request is charged: its frame, and what its elements become.
type Charges = [Charge; 2];

struct Held {
    request: Request,
    charges: Charges,
    /// When it was there as a whole.
    since: Instant,
}

struct Running {
    future: BoxFuture<'static, Answer>,
    about: About,
    charges: Charges,
}

struct Pending {
    reply: Settled,
    about: About,
    charges: Charges,
}

enum Settled {
    Now(Reply),
    Later(BoxFuture<'static, Reply>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pipeline<S> {
    /// A connection that has not received anything.
    pub(super) fn new(stream: S, shared: &Arc<Shared>, live: Arc<Live>) -> Self {
        let inbox = Inbox::new(Arc::clone(&shared.budget), shared.limits.frame_size_max);
        Self {
            stream,
            shared: Arc::clone(shared),
            live,
            inbox,
            outbox: Outbox::default(),
            held: None,
            running: None,
            pending: VecDeque::new(),
            pending_size: 0,
            ending: None,
            orphaned: false,
            grace: None,
            bytes_moved: 0,
        }
    }

    /// Serves until the connection ends. May be dropped and called again.
    pub(super) async fn run(&mut self) -> End {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Reads no further request; what was started is answered if it is quick.
    pub(super) fn stop_reading(&mut self) {
        self.held = None;
        self.ending.get_or_insert(End::Stopped);
        self.grace = Some(Box::pin(tokio::time::sleep(STOP_GRACE)));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let mut moved = self.poll_running(cx);
            moved |= self.poll_pending(cx);
            if let Poll::Ready(Err(error)) = self.outbox.poll_write(cx, &mut self.stream) {
                return Poll::Ready(End::Lost(error));
            }
            moved |= self.start_held(cx);
            match self.poll_input(cx) {
                Ok(input) => moved |= input,
                Err(error) => return Poll::Ready(End::Lost(error)),
            }
            if let Some(end) = self.poll_end(cx) {
                return Poll::Ready(end);
            }
            if !moved {
                self.report();
                return Poll::Pending;
            }
        }
    }

    /// Tells the sweep what this connection is at.
    fn report(&mut self) {
        let bytes_moved = self.inbox.bytes_read() + self.outbox.bytes_written();
        if bytes_moved != self.bytes_moved {
            self.bytes_moved = bytes_moved;
            self.live.touch();
        }
        let busy = self.running.is_some() || !self.pending.is_empty();
        let waits = self.inbox.is_mid_frame() || self.running.is_some() || self.held.is_some();
        self.live.set_state(State {
            busy,
            holds_request: waits && self.pending.is_empty(),
            holds_answer: self.outbox.bytes_queued() > 0,
        });
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(running) = &mut self.running else {
            return false;
        };
        let polled = catch_unwind(AssertUnwindSafe(|| running.future.as_mut().poll(cx)));
        let reply = match polled {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(Answer::Ready(reply))) => Settled::Now(reply),
            Ok(Poll::Ready(Answer::Pending(future))) => Settled::Later(future),
            Err(panic) => {
                self.panicked(panic.as_ref());
                return true;
            }
        };
        if let Some(Running { about, charges, .. }) = self.running.take() {
            self.pending_size += about.size;
            self.pending.push_back(Pending {
                reply,
                about,
                charges,
            });
        }
        true
    }

    /// Moves answers to the outbox, in order. Those behind an unfinished one are not looked at.
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let Some(front) = self.pending.front_mut() {
            if let Settled::Later(future) = &mut front.reply {
                match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                    Ok(Poll::Pending) => break,
                    Ok(Poll::Ready(reply)) => front.reply = Settled::Now(reply),
                    Err(panic) => {
                        self.panicked(panic.as_ref());
                        return true;
                    }
                }
            }
            moved = true;
            let Some(done) = self.pending.pop_front() else {
                break;
            };
            self.pending_size -= done.about.size;
            drop(done.charges);
            match done.reply {
                Settled::Now(Reply::Frame(frame)) => {
                    let queued = self.outbox.bytes_queued();
                    self.outbox.push(frame);
                    done.about
                        .count_answered(self.outbox.bytes_queued() - queued);
                }
                Settled::Now(Reply::Nothing) => done.about.count_answered(0),
                Settled::Later(_) => {}
                Settled::Now(Reply::Close(reason)) => {
                    self.cut_short(End::Refused(Cause::of(done.about, reason)));
                    break;
                }
            }
        }
        moved
    }

    /// Drops everything that is not answered yet; what is in the outbox still goes out.
    fn cut_short(&mut self, end: End) {
        self.held = None;
        self.running = None;
        self.pending.clear();
        self.pending_size = 0;
        self.ending = Some(end);
    }

    fn panicked(&mut self, panic: &(dyn Any + Send)) {
        let about = match (&self.running, self.pending.front()) {
            (Some(running), _) => Some(running.about.clone()),
            (None, pending) => pending.map(|pending| pending.about.clone()),
        };
        self.panicked_at(about, panic);
    }

    fn panicked_at(&mut self, about: Option<About>, panic: &(dyn Any + Send)) {
        let text = panic_text(panic);
        let cause = match about {
            Some(about) => Cause::of(about, text),
            None => Cause::unknown(text),
        };
        self.cut_short(End::Panicked(cause));
    }

    /// Starts the request that was read if it is its turn.
    fn start_held(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(held) = &mut self.held else {
            return false;
        };
        let room = if held.request.api.may_overlap() {
            self.pending.is_empty()
                || (self.pending.len() < PENDING_MAX && self.pending_size < PENDING_SIZE_MAX)
        } else {
            self.pending.is_empty()
        };
        if !room || self.running.is_some() || self.outbox.bytes_queued() > QUEUED_SIZE_MAX {
            return false;
        }
        // The handler decodes: from here on the request takes more memory than its frame.
        let size = held.request.decoded_size();
        let [_, decoded] = &mut held.charges;
        if size > DECODED_FREE && decoded.poll_cover(cx, size, size).is_pending() {
            return false;
        }
        let Some(Held {
            request,
            charges,
            since,
        }) = self.held.take()
        else {
            return false;
        };
        let Request { api, call, .. } = request;
        let about = About {
            api: api.key,
            version: call.version,
            client_id: call.client_id.clone(),
            size: call.body.len(),
            since,
        };
        about.count_begun();
        self.live.name_client(about.client_id.as_deref());
        match catch_unwind(AssertUnwindSafe(|| (api.handle)(call))) {
            Ok(future) => {
                self.running = Some(Running {
                    future,
                    about,
                    charges,
                });
            }
            Err(panic) => self.panicked_at(Some(about), panic.as_ref()),
        }
        true
    }

    /// Reads one request ahead. An error means that the socket is lost.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.ending.is_some() {
            return Ok(false);
        }
        if self.held.is_some() {
            return self.poll_orphaned(cx);
        }
        if self.outbox.bytes_queued() > QUEUED_SIZE_MAX {
            return Ok(false);
        }
        let frame = match self.inbox.poll_frame(cx, &mut self.stream) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(Some(frame))) => frame,
            Poll::Ready(Ok(None)) => {
                self.ending = Some(End::Client);
                return Ok(true);
            }
            Poll::Ready(Err(Broken::Lost(error))) => return Err(error),
            Poll::Ready(Err(broken @ Broken::Length { .. })) => {
                self.ending = Some(End::Refused(Cause::unknown(broken.to_string())));
                return Ok(true);
            }
        };
        match Request::read(
            self.shared.apis,
            &self.shared.broker,
            &self.live.connection,
            frame.bytes,
        ) {
            Ok(request) => {
                self.held = Some(Held {
                    request,
                    charges: [frame.charge, Charge::new(&self.shared.decoded)],
                    since: Instant::now(),
                });
            }
            Err(refusal) => self.ending = Some(End::Refused(refusal.into())),
        }
        Ok(true)
    }

    /// Notices a client that goes away while one request is handled and the next is held.
    fn poll_orphaned(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.running.is_none() || self.orphaned {
            return Ok(false);
        }
        match self.inbox.poll_ended(cx, &mut self.stream) {
            Poll::Pending => return Ok(false),
            Poll::Ready(ended) => ended?,
        }
        self.orphaned = true;
        Ok(true)
    }

    /// The end, once it was decided on and nothing is left to do.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Option<End> {
        if self.running.is_some() && (self.orphaned || self.ending.is_some()) {
            let grace = self
                .grace
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(ORPHAN_GRACE)));
            if grace.as_mut().poll(cx).is_pending() {
                return None;
            }
            self.running = None;
            self.held = None;
            self.ending.get_or_insert(End::Client);
        }
        self.ending.as_ref()?;
        let done =
            self.held.is_none() && self.pending.is_empty() && self.outbox.bytes_queued() == 0;
        if done { self.ending.take() } else { None }
    }

    /// Counts the end, and writes one line for whoever looks for the connection later.
    pub(super) fn log_end(&self, end: &End) {
        end.reason().count();
        end.log(&self.live, &self.shared.complaints);
    }
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
