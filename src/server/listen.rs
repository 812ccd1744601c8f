//! Listening sockets: binding them, accepting from them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::complaints::Volume;
use super::pipeline::Pipeline;
use super::register::{self, Entry, Room};
use super::{Limits, Shared, stopped};
use crate::api::Connection;
use crate::metrics::table;

/// Pause after an accept that failed for want of file descriptors or memory: trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TOO_MANY_OF_IP: &str = "refused a connection: max.connections.per.ip is reached";
const TOO_MANY: &str = "max.connections is reached; new connections wait until one closes";

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The listener's name, `PLAINTEXT` unless configured otherwise.
    pub name: Arc<str>,
    /// A name or an address; empty is every address of the machine, IPv6 and IPv4.
    pub host: String,
    /// 0 is any free port.
    pub port: u16,
    /// What clients are told to connect to; port 0 is the port that is listened on.
    pub advertised: Option<(String, u16)>,
}

/// Why a listener cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "`{address}` is in use\nhint: another broker may be running; stop it, or listen on another port"
    )]
    InUse { address: String },
    #[error(
        "may not listen on `{address}`\nhint: ports below 1024 need a privilege; choose a higher one"
    )]
    NotPermitted { address: String },
    #[error(
        "no address of this machine is `{address}`\nhint: listen on 127.0.0.1, or on 0.0.0.0 for all"
    )]
    NotOurs { address: String },
    #[error("the host of `{address}` has no address: {cause}")]
    Unresolved { address: String, cause: io::Error },
    #[error("cannot listen on `{address}`: {cause}")]
    Other { address: String, cause: io::Error },
}

/// A bound listener.
#[derive(Debug)]
pub(super) struct Bound {
    name: Arc<str>,
    advertised: Option<(String, u16)>,
    address: SocketAddr,
    socket: TcpListener,
}

impl Bound {
    /// The address that is listened on.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket, for whoever speaks something else than Kafka's protocol.
    pub(super) fn into_socket(self) -> TcpListener {
        self.socket
    }
}

/// Binds all of them or none.
pub(super) async fn bind_all(
    listeners: Vec<Listen>,
    limits: &Limits,
) -> Result<Vec<Bound>, ListenError> {
    let mut resolved = Vec::with_capacity(listeners.len());
    for listen in listeners {
        let candidates = candidates(&listen).await?;
        resolved.push((listen, candidates));
    }
    // An IPv4 and an IPv6 listener may share a port (KIP-797); then the IPv6 one must not take IPv4 as well.
    let ipv4_ports: Vec<u16> = resolved
        .iter()
        .flat_map(|(_, candidates)| candidates.first())
        .filter(|address| address.is_ipv4() && address.port() != 0)
        .map(SocketAddr::port)
        .collect();
    let mut bound = Vec::with_capacity(resolved.len());
    for (listen, candidates) in resolved {
        bound.push(bind(listen, &candidates, &ipv4_ports, limits)?);
    }
    Ok(bound)
}

/// The addresses to try, best first.
async fn candidates(listen: &Listen) -> Result<Vec<SocketAddr>, ListenError> {
    if listen.host.is_empty() {
        let any: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
        return Ok(any.map(|ip| SocketAddr::new(ip, listen.port)).into());
    }
    let unresolved = |cause| ListenError::Unresolved {
        address: display(listen),
        cause,
    };
    let host = listen.host.trim_start_matches('[').trim_end_matches(']');
    let first = match host.parse::<IpAddr>() {
        Ok(ip) => Some(SocketAddr::new(ip, listen.port)),
        Err(_) => tokio::net::lookup_host((host, listen.port))
            .await
            .map_err(unresolved)?
            .next(),
    };
    first
        .map(|address| vec![address])
        .ok_or_else(|| unresolved(io::ErrorKind::NotFound.into()))
}

fn display(listen: &Listen) -> String {
    match listen.host.contains(':') && !listen.host.starts_with('[') {
        true => format!("[{}]:{}", listen.host, listen.port),
        false => format!("{}:{}", listen.host, listen.port),
    }
}

fn bind(
    listen: Listen,
    candidates: &[SocketAddr],
    ipv4_ports: &[u16],
    limits: &Limits,
) -> Result<Bound, ListenError> {
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for candidate in candidates {
        let v6_only = ipv4_ports.contains(&candidate.port());
        match open(*candidate, v6_only, limits) {
            Ok((socket, address)) => {
                let advertised = listen.advertised.map(|(host, port)| {
                    let port = if port == 0 { address.port() } else { port };
                    (host, port)
                });
                return Ok(Bound {
                    name: listen.name,
                    advertised,
                    address,
                    socket,
                });
            }
            Err(error) => failure = error,
        }
        if failure.kind() == io::ErrorKind::AddrInUse {
            break;
        }
    }
    let address = display(&listen);
    Err(match failure.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address },
        io::ErrorKind::PermissionDenied => ListenError::NotPermitted { address },
        io::ErrorKind::AddrNotAvailable => ListenError::NotOurs { address },
        _ => ListenError::Other {
            address,
            cause: failure,
        },
    })
}

fn open(
    address: SocketAddr,
    v6_only: bool,
    limits: &Limits,
) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(v6_only)?;
    }
    // A broker that is started again must get its port although old connections linger.
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit the sizes, and the window is agreed on when a connection is made.
    if let Some(size) = limits.send_buffer_size {
        socket.set_send_buffer_size(size)?;
    }
    if let Some(size) = limits.receive_buffer_size {
        socket.set_recv_buffer_size(size)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits.backlog_size)?;
    let socket = TcpListener::from_std(socket.into())?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// Accepts connections until the server stops.
pub(super) async fn accept(bound: Bound, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let stop_connections = stop.clone();
    let mut settings = shared.broker.config.watch();
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => return,
            accepted = bound.socket.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The client gave up while it was in the queue.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                if !failing {
                    tracing::error!(
                        address = %bound.address, %error,
                        "cannot accept connections; hint: is the limit on open files too low?"
                    );
                }
                failing = true;
                tokio::select! {
                    () = stopped(&mut stop) => return,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => continue,
                }
            }
        };
        failing = false;
        // Who connects after a change of the limits was answered must meet the new ones.
        register::take_over_limits(&shared, &mut settings);
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if !shared.register.allows(peer.ip()) {
            table::CONNECTIONS_TURNED_AWAY.add(1);
            match shared.complaints.volume(peer.ip(), Instant::now()) {
                Volume::Warn => tracing::warn!(%peer, "{TOO_MANY_OF_IP}"),
                Volume::Debug => tracing::debug!(%peer, "{TOO_MANY_OF_IP}"),
            }
            continue;
        }
        let room = tokio::select! {
            () = stopped(&mut stop) => return,
            room = room(&shared, peer.ip()) => room,
        };
        if let Err(error) = serve(
            &bound,
            &shared,
            stream,
            peer,
            room,
            stop_connections.clone(),
        ) {
            tracing::debug!(%peer, %error, "the client was gone before it was served");
        }
    }
}

/// Waits for room under `max.connections`, as Kafka does: new clients queue until one leaves.
async fn room(shared: &Shared, ip: IpAddr) -> Room {
    if let Some(room) = shared.register.try_room() {
        return room;
    }
    match shared.complaints.volume(ip, Instant::now()) {
        Volume::Warn => tracing::warn!(%ip, "{TOO_MANY}"),
        Volume::Debug => tracing::debug!(%ip, "{TOO_MANY}"),
    }
    shared.register.room().await
}

fn serve(
    bound: &Bound,
    shared: &Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    room: Room,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    // librdkafka leaves Nagle's algorithm on: an answer that is held back here would cost it 40 ms.
    let socket = SockRef::from(&stream);
    socket.set_tcp_nodelay(true)?;
    // As Kafka does: a client whose machine is gone is noticed although it never says so.
    socket.set_keepalive(true)?;
    let local = stream.local_addr()?;
    let connection = Arc::new(Connection {
        id: shared.register.next_id(),
        peer,
        local: SocketAddr::new(local.ip().to_canonical(), local.port()),
        listener: Arc::clone(&bound.name),
        advertised: bound.advertised.clone(),
    });
    let entry = shared.register.enter(connection, room);
    table::CONNECTIONS_ACCEPTED.add(1);
    let live = Arc::clone(&entry.live);
    let pipeline = Pipeline::new(stream, shared, Arc::clone(&live));
    let task = tokio::spawn(run(pipeline, entry, stop));
    live.set_task(task.abort_handle());
    Ok(())
}

/// The life of one connection.
async fn run(mut pipeline: Pipeline<TcpStream>, entry: Entry, mut stop: watch::Receiver<bool>) {
    let end = tokio::select! {
        biased;
        end = pipeline.run() => end,
        () = stopped(&mut stop) => {
            pipeline.stop_reading();
            pipeline.run().await
        }
    };
    pipeline.log_end(&end);
    // The socket closes before the connection stops being counted.
    drop(pipeline);
    drop(entry);
}
