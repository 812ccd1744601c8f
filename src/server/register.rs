//! Who is connected: limits on how many, and the sweep that closes who is idle or in the way.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::{Limits, Shared, stopped};
use crate::api::Connection;
use crate::config::Config;
use crate::metrics::table::CloseReason;

/// How long a connection may hold memory of requests or answers without moving a byte while others wait for memory.
const STALL_MAX: Duration = Duration::from_secs(10);

/// Bytes of a client id that are kept with its connection.
const CLIENT_ID_KEPT_MAX: usize = 256;

/// The sweep's period lies between these; it walks all connections, which takes some 100 µs for 10,000.
const SWEEP_MIN: Duration = Duration::from_millis(20);
const SWEEP_MAX: Duration = Duration::from_secs(5);

/// All connections.
#[derive(Debug)]
pub(super) struct Register {
    started: Instant,
    next_id: AtomicU64,
    open: Mutex<Open>,
    /// There may be room again.
    freed: Notify,
}

#[derive(Debug)]
struct Open {
    by_id: HashMap<u64, Arc<Live>>,
    by_ip: HashMap<IpAddr, usize>,
    /// Rooms that are given out: connections that are counted, and those about to be.
    taken: usize,
    bounds: Bounds,
}

/// How many connections there may be. Those that are open when a bound is lowered stay.
#[derive(Clone, Debug)]
struct Bounds {
    all_max: usize,
    per_ip_max: usize,
    of_ip_max: HashMap<IpAddr, usize>,
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Self {
        Self {
            all_max: limits.connections_max,
            per_ip_max: limits.connections_per_ip_max,
            of_ip_max: limits.connections_of_ip_max.clone(),
        }
    }
}

/// Room for one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Room(Arc<Register>);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.open().taken -= 1;
        self.0.freed.notify_one();
    }
}

/// What the sweep looks at; written by the connection's task.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) connection: Arc<Connection>,
    started: Instant,
    /// Milliseconds from the register's start to the last byte that moved.
    active_ms: AtomicU64,
    busy: AtomicBool,
    holds_request: AtomicBool,
    holds_answer: AtomicBool,
    task: OnceLock<AbortHandle>,
    client_id: OnceLock<Box<str>>,
}

/// What a connection is at.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    /// A request is being handled: the connection is not idle, however long that takes.
    pub(super) busy: bool,
    /// Part of a frame, or a request whose handler waits, takes up request memory.
    pub(super) holds_request: bool,
    /// An answer, or part of one, waits for its client to take it.
    pub(super) holds_answer: bool,
}

/// What memory connections wait for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) requests: bool,
    pub(super) answers: bool,
}

/// What the sweep does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Stay,
    Idle,
    InTheWay,
}

impl State {
    fn verdict(self, still: Duration, idle_max: Option<Duration>, wanted: Wanted) -> Verdict {
        let holds_wanted =
            wanted.requests && self.holds_request || wanted.answers && self.holds_answer;
        if holds_wanted && still > STALL_MAX {
            Verdict::InTheWay
        } else if !self.busy && idle_max.is_some_and(|max| still > max) {
            Verdict::Idle
        } else {
            Verdict::Stay
        }
    }
}

impl Live {
    /// Bytes have moved.
    pub(super) fn touch(&self) {
        self.active_ms
            .store(ms(self.started.elapsed()), Ordering::Relaxed);
    }

    /// What the connection is at, before its task goes to sleep.
    pub(super) fn set_state(&self, state: State) {
        self.busy.store(state.busy, Ordering::Relaxed);
        self.holds_request
            .store(state.holds_request, Ordering::Relaxed);
        self.holds_answer
            .store(state.holds_answer, Ordering::Relaxed);
    }

    /// How the client calls itself in its first request that says so.
    pub(super) fn name_client(&self, client_id: Option<&str>) {
        if let Some(client_id) = client_id {
            self.client_id.get_or_init(|| {
                let end = client_id.floor_char_boundary(CLIENT_ID_KEPT_MAX);
                client_id[..end].into()
            });
        }
    }

    /// The client's name for the log, if it has one.
    pub(super) fn client_id(&self) -> Option<&str> {
        self.client_id.get().map(|client_id| &**client_id)
    }

    /// The task to abort when the connection must go.
    pub(super) fn set_task(&self, task: AbortHandle) {
        // Set once, by whoever spawned the task.
        let _ = self.task.set(task);
    }

    fn still_for(&self) -> Duration {
        let active = Duration::from_millis(self.active_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(active)
    }

    fn abort(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// A connection's entry: it is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    register: Arc<Register>,
    pub(super) live: Arc<Live>,
    _room: Room,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut open = self.register.open();
        open.by_id.remove(&self.live.connection.id);
        let ip = self.live.connection.peer.ip();
        if let Some(count) = open.by_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                open.by_ip.remove(&ip);
            }
        }
    }
}

impl Register {
    /// Nobody is connected yet.
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            next_id: AtomicU64::new(1),
            open: Mutex::new(Open {
                by_id: HashMap::new(),
                by_ip: HashMap::new(),
                taken: 0,
                bounds: Bounds::from(limits),
            }),
            freed: Notify::new(),
        })
    }

    /// Takes over the limits on connections.
    pub(super) fn set_limits(&self, limits: &Limits) {
        self.open().bounds = Bounds::from(limits);
        self.freed.notify_waiters();
    }

    /// Connections that are open.
    pub(super) fn len(&self) -> usize {
        self.open().by_id.len()
    }

    /// A number for the next connection.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether one more connection from `ip` is allowed.
    pub(super) fn allows(&self, ip: IpAddr) -> bool {
        let open = self.open();
        let bounds = &open.bounds;
        let max = bounds.of_ip_max.get(&ip).unwrap_or(&bounds.per_ip_max);
        open.by_ip.get(&ip).unwrap_or(&0) < max
    }

    /// Room for one more connection, if there is some now.
    pub(super) fn try_room(self: &Arc<Self>) -> Option<Room> {
        let mut open = self.open();
        (open.taken < open.bounds.all_max).then(|| {
            open.taken += 1;
            Room(Arc::clone(self))
        })
    }

    /// Room for one more connection, once there is some.
    pub(super) async fn room(self: &Arc<Self>) -> Room {
        loop {
            // Made before the look: what is freed in between wakes it.
            let freed = self.freed.notified();
            if let Some(room) = self.try_room() {
                return room;
            }
            freed.await;
        }
    }

    /// Counts a connection.
    pub(super) fn enter(self: &Arc<Self>, connection: Arc<Connection>, room: Room) -> Entry {
        let live = Arc::new(Live {
            started: self.started,
            active_ms: AtomicU64::new(ms(self.started.elapsed())),
            busy: AtomicBool::new(false),
            holds_request: AtomicBool::new(false),
            holds_answer: AtomicBool::new(false),
            task: OnceLock::new(),
            client_id: OnceLock::new(),
            connection,
        });
        let mut open = self.open();
        *open.by_ip.entry(live.connection.peer.ip()).or_default() += 1;
        open.by_id.insert(live.connection.id, Arc::clone(&live));
        drop(open);
        Entry {
            register: Arc::clone(self),
            live,
            _room: room,
        }
    }

    /// Cuts every connection off.
    pub(super) fn abort_all(&self) {
        let live: Vec<Arc<Live>> = self.open().by_id.values().cloned().collect();
        for live in live {
            CloseReason::Stopping.count();
            live.abort();
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing that holds this lock can leave the maps half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_still(&self, idle_max: Option<Duration>, wanted: Wanted) {
        let live: Vec<Arc<Live>> = self.open().by_id.values().cloned().collect();
        for live in live {
            let still = live.still_for();
            let state = State {
                busy: live.busy.load(Ordering::Relaxed),
                holds_request: live.holds_request.load(Ordering::Relaxed),
                holds_answer: live.holds_answer.load(Ordering::Relaxed),
            };
            let (id, peer, still_ms) = (live.connection.id, live.connection.peer, ms(still));
            match state.verdict(still, idle_max, wanted) {
                Verdict::Stay => continue,
                Verdict::Idle => {
                    CloseReason::Idle.count();
                    tracing::debug!(
                        connection = id, %peer, client_id = live.client_id(), still_ms,
                        "closed the connection: idle"
                    );
                }
                Verdict::InTheWay => {
                    CloseReason::Memory.count();
                    tracing::warn!(
                        connection = id, %peer, client_id = live.client_id(), still_ms,
                        "closed the connection: it held memory that others wait for"
                    );
                }
            }
            live.abort();
        }
    }
}

/// Lets the limits on connections follow the broker's settings until the server stops.
pub(super) async fn follow(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut settings = shared.broker.config.watch();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            changed = settings.changed() => match changed {
                Ok(()) => {}
                Err(_) => return,
            },
        }
        settings.mark_changed();
        take_over_limits(&shared, &mut settings);
    }
}

/// Takes over the limits on connections, if the settings have changed.
pub(super) fn take_over_limits(shared: &Shared, settings: &mut watch::Receiver<Arc<Config>>) {
    if settings.has_changed().unwrap_or(false) {
        let config = settings.borrow_and_update().clone();
        shared.register.set_limits(&Limits::from(&*config));
    }
}

/// Closes idle connections and those that hold memory which others wait for, and gives back what the block cache keeps
/// for nobody, until the server stops.
pub(super) async fn sweep(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let idle_max = shared.limits.idle_max;
    let period = idle_max.map_or(SWEEP_MAX, |idle| (idle / 4).clamp(SWEEP_MIN, SWEEP_MAX));
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            _ = tick.tick() => {}
        }
        shared.register.close_still(idle_max, shared.wanted());
        let now = Instant::now();
        shared.broker.reader.trim_cache(now);
        for (ip, lines) in shared.complaints.end_periods(now) {
            tracing::warn!(%ip, lines, "left out lines about this address; the log has them at level debug");
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweep_closes_who_is_idle_or_in_the_way() {
        let second = Duration::from_secs(1);
        let verdict = |busy, holds_request, still, requests| {
            let state = State {
                busy,
                holds_request,
                holds_answer: false,
            };
            let wanted = Wanted {
                requests,
                answers: true,
            };
            state.verdict(second * still, Some(second * 60), wanted)
        };
        assert_eq!(verdict(false, false, 59, true), Verdict::Stay);
        assert_eq!(verdict(false, false, 61, false), Verdict::Idle);
        assert_eq!(verdict(true, false, 61, true), Verdict::Stay, "a long poll");
        assert_eq!(verdict(false, true, 11, true), Verdict::InTheWay);
        assert_eq!(verdict(true, true, 11, true), Verdict::InTheWay);
        assert_eq!(verdict(true, true, 9, true), Verdict::Stay);
        assert_eq!(
            verdict(true, true, 11, false),
            Verdict::Stay,
            "memory for all"
        );
        let idle = State {
            busy: false,
            holds_request: false,
            holds_answer: false,
        };
        let all = Wanted {
            requests: true,
            answers: true,
        };
        assert_eq!(idle.verdict(second * 9999, None, all), Verdict::Stay);
        let deaf = State {
            holds_answer: true,
            ..idle
        };
        let none = Wanted {
            requests: true,
            answers: false,
        };
        assert_eq!(deaf.verdict(second * 11, None, all), Verdict::InTheWay);
        assert_eq!(deaf.verdict(second * 9, None, all), Verdict::Stay);
        assert_eq!(deaf.verdict(second * 11, None, none), Verdict::Stay);
    }
}
