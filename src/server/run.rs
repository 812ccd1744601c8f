//! The life of a broker process: open the store, load the broker, listen, say so, wait for the signal, stop.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::budgets::log_budgets;
use super::health::Health;
use super::ready::{ReadyFile, ready_line};
use super::{Limits, Listen, ListenError, ServerHandle, http, listen};
use crate::base::SystemClock;
use crate::broker::Broker;
use crate::broker::catalog::CatalogError;
use crate::config::{Config, Listener, ListenersError, keys};
use crate::store::local::{Durability, LocalOptions, LocalStore, OpenError};
use crate::store::memory::MemoryStore;
use crate::store::{Store, StoreError};

/// Threads that the runtime has at least: one that is busy must not keep the others' connections waiting.
const WORKERS_MIN: usize = 2;

/// Checkpoints' worth of rows that may wait in memory while the row store cannot be written.
const OVERLAY_CHECKPOINTS: usize = 8;

/// Why a broker did not start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Listeners(#[from] ListenersError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("cannot load the broker's state: {0}")]
    Load(#[from] CatalogError),
    #[error("the store did not close: {0}")]
    Close(#[from] StoreError),
    #[error("cannot write the ready file {}: {cause}\nhint: name a file in a folder that exists", .path.display())]
    ReadyFile { path: PathBuf, cause: io::Error },
    #[error("the operating system refused what a broker needs: {0}")]
    System(#[from] io::Error),
}

impl RunError {
    /// The exit code of a process that ends with this; `ottla --help` lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            RunError::Close(_) | RunError::System(_) => 1,
            RunError::Listeners(_) | RunError::ReadyFile { .. } => 2,
            RunError::Listen(_) => 3,
            RunError::Load(_) | RunError::Open(_) => 4,
        }
    }
}

/// Runs a broker until SIGTERM or SIGINT. When it returns `Ok` everything acknowledged is kept.
pub fn run(config: Config) -> Result<(), RunError> {
    let runtime = runtime()?;
    let ended = runtime.block_on(serve(Arc::new(config)));
    // What is still running belongs to nobody; waiting for it would only take time.
    runtime.shutdown_background();
    ended
}

/// Threads that handle requests.
pub(super) fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(WORKERS_MIN, usize::from);
    cores.max(WORKERS_MIN)
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(workers())
        .thread_name("ottla")
        .enable_all()
        .build()
}

async fn serve(config: Arc<Config>) -> Result<(), RunError> {
    let mut signals = Signals::register()?;
    let ready_file = ReadyFile::new(config.get(keys::OTTLA_READY_FILE).map(PathBuf::from));
    let listeners = config.listeners()?.broker;
    ready_file.remove()?;
    let health = Health::starting();
    let (_watched, stop_watching) = watch::channel(false);
    watch_over(&config, &health, stop_watching).await?;
    let Some(store) = open_store(&config, &mut signals).await? else {
        return Ok(());
    };
    let started = start(Arc::clone(&config), Arc::clone(&store), listeners).await;
    let ended = match started {
        Ok(server) => {
            health.ready(&server.shared);
            until_stopped(server, &config, &ready_file, &health, &mut signals).await
        }
        Err(error) => Err(error),
    };
    store.close().await?;
    ended
}

/// Listens for scrapers and probes where that is asked for: before the store is open, so that a long start is seen.
async fn watch_over(
    config: &Config,
    health: &Arc<Health>,
    stop: watch::Receiver<bool>,
) -> Result<(), RunError> {
    let Some((host, port)) = config.metrics_listener()? else {
        return Ok(());
    };
    let listen = Listen {
        name: "METRICS".into(),
        host,
        port,
        advertised: None,
    };
    for bound in listen::bind_all(vec![listen], &Limits::from(config)).await? {
        tracing::info!("metrics are on http://{}/metrics", bound.address());
        tokio::spawn(http::serve(
            bound.into_socket(),
            Arc::clone(health),
            stop.clone(),
        ));
    }
    Ok(())
}

/// Opens the store, or returns `None` when a signal came first: after a crash there may be much to read.
async fn open_store(
    config: &Arc<Config>,
    signals: &mut Signals,
) -> Result<Option<Arc<dyn Store>>, RunError> {
    if config.get(keys::OTTLA_STORE) == "memory" {
        let asked = config.get(keys::OTTLA_CLUSTER_ID);
        let store = asked.map_or_else(MemoryStore::new, MemoryStore::of_cluster);
        return Ok(Some(Arc::new(store)));
    }
    let config = Arc::clone(config);
    let opening = tokio::task::spawn_blocking(move || {
        LocalStore::open_folder(&config.data_folder(), local_options(&config))
    });
    tokio::select! {
        opened = opening => Ok(Some(Arc::new(opened.map_err(io::Error::from)??))),
        signal = signals.next() => {
            tracing::info!(signal, "stopping before the store is open");
            Ok(None)
        }
    }
}

/// What the local engine is told.
pub(super) fn local_options(config: &Config) -> LocalOptions {
    let defaults = LocalOptions::default();
    let bytes = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
    let overlay_bytes = config.get(keys::OTTLA_CHECKPOINT_OVERLAY_BYTES);
    let overlay_bytes = usize::try_from(overlay_bytes).unwrap_or(usize::MAX);
    let interval_ms = config.get(keys::OTTLA_SYNC_INTERVAL_MS);
    LocalOptions {
        node_id: config.get(keys::NODE_ID),
        cluster_id: config.get(keys::OTTLA_CLUSTER_ID),
        durability: match config.get(keys::OTTLA_DURABILITY).as_str() {
            "os" => Durability::Os,
            _ => Durability::Fsync,
        },
        os_sync_interval: Duration::from_millis(u64::from(interval_ms.unsigned_abs())),
        segment_size: config.get(keys::OTTLA_JOURNAL_SEGMENT_BYTES).map(bytes),
        checkpoint_overlay_bytes: overlay_bytes,
        checkpoint_journal_bytes: bytes(config.get(keys::OTTLA_CHECKPOINT_JOURNAL_BYTES)),
        overlay_bytes_max: overlay_bytes
            .saturating_mul(OVERLAY_CHECKPOINTS)
            .max(defaults.overlay_bytes_max),
        snapshot_row_bytes_min: bytes(config.get(keys::OTTLA_SNAPSHOT_BYTES)),
        sled_cache_bytes: bytes(config.get(keys::OTTLA_STORE_CACHE_BYTES)),
        ..defaults
    }
}

async fn start(
    config: Arc<Config>,
    store: Arc<dyn Store>,
    listeners: Vec<Listener>,
) -> Result<ServerHandle, RunError> {
    let broker = Broker::start(config, store, Arc::new(SystemClock)).await?;
    let listen = |listener: Listener| Listen {
        name: listener.name.into(),
        host: listener.host,
        port: listener.port,
        advertised: listener.advertised,
    };
    let listeners = listeners.into_iter().map(listen).collect();
    Ok(super::start(broker, listeners).await?)
}

async fn until_stopped(
    server: ServerHandle,
    config: &Config,
    ready_file: &ReadyFile,
    health: &Health,
    signals: &mut Signals,
) -> Result<(), RunError> {
    warn_beyond_loopback(&server);
    let written = ready_file.write(server.addresses());
    if written.is_ok() {
        // A broker serves on where nobody reads what it prints.
        let _ = ready_line(config, server.addresses());
        log_budgets(config);
        let signal = signals.next().await;
        tracing::info!(signal, connections = server.connections(), "stopping");
    }
    health.stopping();
    server.stop().await;
    ready_file.remove()?;
    written
}

fn warn_beyond_loopback(server: &ServerHandle) {
    let open: Vec<_> = server
        .addresses()
        .iter()
        .filter(|address| !address.ip().to_canonical().is_loopback())
        .map(ToString::to_string)
        .collect();
    if !open.is_empty() {
        tracing::warn!(
            "anyone who reaches {} can read and write everything: TLS and SASL are not there yet; keep it on a \
             trusted network",
            open.join(", ")
        );
    }
}

/// The signals that ask a broker to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn register() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
