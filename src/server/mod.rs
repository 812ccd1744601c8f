//! Listeners, connections, shutdown.
//!
//! Each connection is one task around one loop ([`pipeline`]); what they share is a budget for request memory
//! ([`budget`]) and a register of who is connected ([`register`]), which an idle sweep walks. Beside them [`http`]
//! answers scrapers and probes. [`budgets`] lists what bounds the memory of the whole broker.

mod budget;
mod budgets;
mod complaints;
mod end;
mod health;
mod http;
mod inbox;
mod limits;
mod listen;
mod logging;
mod outbox;
mod pipeline;
mod ready;
mod register;
mod run;
mod scrape;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::api::{APIS, Api};
use crate::broker::Broker;
use budget::Budget;
use complaints::Complaints;
use register::{Register, Wanted};

pub use budgets::print_budgets;
use limits::Limits;
pub use listen::{Listen, ListenError};
pub use logging::{BadFilter, log_notices, start_log};
pub use run::{RunError, run};

/// How long connections may take to finish what they are at when the server stops.
const DRAIN_MAX: Duration = Duration::from_millis(100);

/// How long connections that were cut off may take to be gone.
const ABORT_MAX: Duration = Duration::from_millis(50);

/// What every listener and connection is given.
#[derive(Debug)]
struct Shared {
    apis: &'static [Api],
    broker: Arc<Broker>,
    limits: Limits,
    /// For frames.
    budget: Arc<Budget>,
    /// For what their elements become, as much again. A budget of its own: a request that waits here, or is handled
    /// for long, must not keep the frames of others waiting.
    decoded: Arc<Budget>,
    register: Arc<Register>,
    complaints: Complaints,
}

impl Shared {
    /// What memory connections wait for.
    fn wanted(&self) -> Wanted {
        Wanted {
            requests: self.budget.waiting() + self.decoded.waiting() > 0,
            answers: self.broker.answer_memory.waiting() > 0,
        }
    }
}

/// A running server. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct ServerHandle {
    addresses: Vec<SocketAddr>,
    stopping: watch::Sender<bool>,
    shared: Arc<Shared>,
}

/// Binds every listener and serves, within the limits that the broker's configuration sets. If one listener cannot
/// be bound none is.
pub async fn start(
    broker: Arc<Broker>,
    listeners: Vec<Listen>,
) -> Result<ServerHandle, ListenError> {
    let limits = Limits::from(&*broker.config.now());
    let bound = listen::bind_all(listeners, &limits).await?;
    let addresses = bound.iter().map(listen::Bound::address).collect();
    let shared = Arc::new(Shared {
        apis: APIS,
        broker,
        budget: Budget::new(limits.request_memory_size),
        decoded: Budget::new(limits.request_memory_size),
        register: Register::new(&limits),
        complaints: Complaints::default(),
        limits,
    });
    let (stopping, stop) = watch::channel(false);
    for listener in bound {
        tokio::spawn(listen::accept(listener, Arc::clone(&shared), stop.clone()));
    }
    tokio::spawn(register::follow(Arc::clone(&shared), stop.clone()));
    tokio::spawn(register::sweep(Arc::clone(&shared), stop));
    Ok(ServerHandle {
        addresses,
        stopping,
        shared,
    })
}

/// Returns when the server stops, or is dropped.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

impl ServerHandle {
    /// The addresses that are listened on, in the order of the listeners; real ports where port 0 was asked for.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.shared.register.len()
    }

    /// Stops: nothing is accepted or read any more, what is being committed is still answered, and after at most
    /// 150 ms all connections are closed.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        // The sender is closed once every task that holds a receiver has ended.
        if tokio::time::timeout(DRAIN_MAX, self.stopping.closed())
            .await
            .is_err()
        {
            self.shared.register.abort_all();
            let gone = tokio::time::timeout(ABORT_MAX, self.stopping.closed()).await;
            if gone.is_err() {
                tracing::warn!("connections were still open when the server stopped");
            }
        }
    }
}
