//! A broker in this process, on a port of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use ottla::base::SystemClock;
use ottla::broker::Broker;
use ottla::config::Config;
use ottla::server::{self, Listen, ListenError, ServerHandle};
use ottla::store::Store;
use ottla::store::memory::MemoryStore;

/// A running broker over a memory store.
pub(crate) struct TestBroker {
    handle: ServerHandle,
}

/// A listener on a free port of 127.0.0.1.
pub(crate) fn loopback() -> Listen {
    Listen {
        name: "PLAINTEXT".into(),
        host: "127.0.0.1".to_owned(),
        port: 0,
        advertised: None,
    }
}

/// A broker over a new memory store, with these settings.
async fn broker(settings: &[(&str, &str)]) -> Arc<Broker> {
    let config = Config::from_pairs(settings.iter().copied()).expect("valid settings");
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    Broker::start(Arc::new(config), store, Arc::new(SystemClock))
        .await
        .expect("an empty store loads")
}

impl TestBroker {
    /// Starts a broker with default settings.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts a broker with these settings.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        Self::listening(vec![loopback()], settings)
            .await
            .expect("a free port can be listened on")
    }

    /// Starts a broker with these listeners, which may not be free, and settings.
    pub(crate) async fn listening(
        listeners: Vec<Listen>,
        settings: &[(&str, &str)],
    ) -> Result<Self, ListenError> {
        let handle = server::start(broker(settings).await, listeners).await?;
        Ok(Self { handle })
    }

    /// The address of the first listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    /// The addresses of all listeners.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        self.handle.addresses()
    }

    /// Waits until exactly `count` connections are open.
    pub(crate) async fn until_connections(&self, count: usize) {
        while self.handle.connections() != count {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// Stops it.
    pub(crate) async fn stop(self) {
        self.handle.stop().await;
    }
}
