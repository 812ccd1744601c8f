//! `ottla health`: asks a broker, as a client would, whether it serves.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::config::{Config, Listener, ListenersError};
use crate::protocol::Malformed;
use crate::protocol::cursor::Cursor;

/// The whole conversation's time. A container's health check has to end well before its own limit.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of an answer: a broker says which requests it knows in less than a kilobyte, and who it is in less than that.
const ANSWER_SIZE_MAX: usize = 65_536;

/// ApiVersions and Metadata, in versions that every broker since Kafka 0.10.1 has.
const API_VERSIONS: (i16, i16) = (18, 0);
const METADATA: (i16, i16) = (3, 2);

/// The length of a client id that is null.
const NO_CLIENT_ID: i16 = -1;

/// Why a broker is not healthy, or cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    #[error("{address} is not healthy: {cause}")]
    Sick { address: String, cause: Sick },
    #[error("cannot read `{0}`\nhint: write HOST:PORT, such as 127.0.0.1:9092 or [::1]:9092")]
    Address(String),
    #[error(transparent)]
    Listeners(#[from] ListenersError),
    #[error(
        "listener `{name}` has no port before the broker starts\nhint: name the address, ottla health HOST:PORT"
    )]
    AnyPort { name: String },
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

/// What is wrong with a broker.
#[derive(Debug, thiserror::Error)]
pub enum Sick {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    #[error("what answers is no Kafka broker: {0}")]
    Malformed(#[from] Malformed),
    #[error("what answers is no Kafka broker: an answer of {0} bytes")]
    Length(i32),
    #[error("what answers is no Kafka broker: correlation id {0}")]
    Correlation(i32),
    #[error("ApiVersions failed with error {0}")]
    Refused(i16),
    #[error("no broker is in its cluster")]
    Nobody,
}

impl HealthError {
    /// The exit code of a process that ends with this; `ottla health --help` lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            HealthError::Sick { .. } | HealthError::Output(_) => 1,
            HealthError::Address(_) | HealthError::Listeners(_) | HealthError::AnyPort { .. } => 2,
        }
    }
}

/// Asks the broker at `address`, or else the one that `config` would start, and says in one line on `out` that it is
/// healthy.
pub fn health(
    address: Option<&str>,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), HealthError> {
    let address = match address {
        Some(address) => address.to_owned(),
        None => own_address(config.listeners()?.broker)?,
    };
    match ask(&address) {
        Err(Sick::Io(cause)) if cause.kind() == io::ErrorKind::InvalidInput => {
            Err(HealthError::Address(address))
        }
        Ok(line) => writeln!(out, "{address} is healthy: {line}").map_err(HealthError::Output),
        Err(cause) => Err(HealthError::Sick { address, cause }),
    }
}

/// Where the first listener is reached from this machine.
fn own_address(listeners: Vec<Listener>) -> Result<String, HealthError> {
    let first = listeners.into_iter().next().ok_or(ListenersError::None)?;
    let Listener {
        name, host, port, ..
    } = first;
    match (host.as_str(), port) {
        (_, 0) => Err(HealthError::AnyPort { name }),
        ("" | "0.0.0.0", port) => Ok(format!("127.0.0.1:{port}")),
        ("::", port) => Ok(format!("[::1]:{port}")),
        (host, port) if host.contains(':') => Ok(format!("[{host}]:{port}")),
        (host, port) => Ok(format!("{host}:{port}")),
    }
}

fn ask(address: &str) -> Result<String, Sick> {
    let mut client = Client::connect(address)?;
    let apis = apis(&client.ask(API_VERSIONS, &[])?)?;
    // A count of 0: no topics.
    let (brokers, cluster) = members(&client.ask(METADATA, &0_i32.to_be_bytes())?)?;
    if brokers == 0 {
        return Err(Sick::Nobody);
    }
    let cluster = cluster.unwrap_or_else(|| "without an id".to_owned());
    let members = if brokers == 1 { "broker" } else { "brokers" };
    Ok(format!(
        "{apis} APIs, {brokers} {members} in cluster {cluster}"
    ))
}

/// The number of APIs that an ApiVersions answer names.
fn apis(answer: &[u8]) -> Result<usize, Sick> {
    let mut cursor = Cursor::new(answer);
    match cursor.i16("error_code")? {
        0 => {}
        code => return Err(Sick::Refused(code)),
    }
    let count = cursor.length_i32("api_keys")?.unwrap_or(0);
    cursor.skip(count.saturating_mul(6), "api_keys")?;
    Ok(count)
}

/// The number of brokers and the cluster id of a Metadata answer.
fn members(answer: &[u8]) -> Result<(usize, Option<String>), Sick> {
    let mut cursor = Cursor::new(answer);
    let count = cursor.length_i32("brokers")?.unwrap_or(0);
    for _ in 0..count {
        cursor.skip(4, "node_id")?;
        string(&mut cursor, "host")?;
        cursor.skip(4, "port")?;
        string(&mut cursor, "rack")?;
    }
    Ok((count, string(&mut cursor, "cluster_id")?))
}

fn string(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Option<String>, Malformed> {
    let Some(length) = cursor.length_i16(field)? else {
        return Ok(None);
    };
    let bytes = cursor.take(length, field)?;
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed::Utf8 { field })?;
    Ok(Some(text.to_owned()))
}

struct Client {
    stream: TcpStream,
    until: Instant,
    correlation_id: i32,
}

impl Client {
    fn connect(address: &str) -> Result<Self, Sick> {
        let until = Instant::now() + PATIENCE;
        let mut failure = None;
        for address in address.to_socket_addrs()? {
            match connect_to(address, until) {
                Ok(stream) => {
                    return Ok(Self {
                        stream,
                        until,
                        correlation_id: 0,
                    });
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound).into()))
    }

    /// Sends a request and returns the body of its answer.
    fn ask(&mut self, (key, version): (i16, i16), body: &[u8]) -> Result<Vec<u8>, Sick> {
        self.correlation_id += 1;
        let mut request = Vec::new();
        request.extend(key.to_be_bytes());
        request.extend(version.to_be_bytes());
        request.extend(self.correlation_id.to_be_bytes());
        request.extend(NO_CLIENT_ID.to_be_bytes());
        request.extend(body);
        let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
        let frame = [&length.to_be_bytes()[..], &request].concat();
        self.stream.set_write_timeout(Some(left(self.until)?))?;
        self.stream.write_all(&frame).map_err(late_or)?;

        let length = i32::from_be_bytes(self.read::<4>()?);
        let size = usize::try_from(length)
            .ok()
            .filter(|size| (4..=ANSWER_SIZE_MAX).contains(size))
            .ok_or(Sick::Length(length))?;
        match i32::from_be_bytes(self.read::<4>()?) {
            id if id == self.correlation_id => {}
            id => return Err(Sick::Correlation(id)),
        }
        let mut answer = vec![0; size - 4];
        self.read_into(&mut answer)?;
        Ok(answer)
    }

    fn read<const N: usize>(&mut self) -> Result<[u8; N], Sick> {
        let mut bytes = [0; N];
        self.read_into(&mut bytes)?;
        Ok(bytes)
    }

    fn read_into(&mut self, mut rest: &mut [u8]) -> Result<(), Sick> {
        while !rest.is_empty() {
            self.stream.set_read_timeout(Some(left(self.until)?))?;
            match self.stream.read(rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(read) => rest = &mut rest[read..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(late_or(error)),
            }
        }
        Ok(())
    }
}

fn connect_to(address: SocketAddr, until: Instant) -> Result<TcpStream, Sick> {
    TcpStream::connect_timeout(&address, left(until)?).map_err(late_or)
}

/// The time left.
fn left(until: Instant) -> Result<Duration, Sick> {
    match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(Sick::Late),
        left => Ok(left),
    }
}

fn late_or(error: io::Error) -> Sick {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Sick::Late,
        _ => Sick::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(listeners: &str) -> Result<String, HealthError> {
        let map = "listener.security.protocol.map";
        let pairs = [
            ("listeners", listeners),
            (map, "PLAINTEXT:PLAINTEXT,A:PLAINTEXT"),
        ];
        let config = Config::from_pairs(pairs).unwrap();
        own_address(config.listeners().unwrap().broker)
    }

    #[test]
    fn without_an_address_the_first_listener_is_asked() {
        for (listeners, address) in [
            ("PLAINTEXT://:9092", "127.0.0.1:9092"),
            ("A://0.0.0.0:1,PLAINTEXT://:2", "127.0.0.1:1"),
            ("PLAINTEXT://[::]:3", "[::1]:3"),
            ("PLAINTEXT://[2001:db8::1]:3", "[2001:db8::1]:3"),
            ("PLAINTEXT://broker:4", "broker:4"),
        ] {
            assert_eq!(own(listeners).unwrap(), address);
        }
        let error = own("A://:0").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("`A`"), "{error}");
    }

    #[test]
    fn answers_are_read_as_the_protocol_has_them() {
        let versions = [&[0, 0, 0, 0, 0, 2][..], &[0; 12]].concat();
        assert_eq!(apis(&versions).unwrap(), 2);
        assert!(matches!(apis(&versions[..17]), Err(Sick::Malformed(_))));
        assert!(matches!(apis(&[0, 35]), Err(Sick::Refused(35))));
        assert!(matches!(
            apis(&[0, 0, 0x7f, 0xff, 0xff, 0xff]),
            Err(Sick::Malformed(_))
        ));

        let broker = b"\0\0\0\x01\0\x01h\0\0\x23\x84\xff\xff";
        let metadata = [b"\0\0\0\x02", &broker[..], broker, b"\0\x02id"].concat();
        assert_eq!(members(&metadata).unwrap(), (2, Some("id".to_owned())));
        assert_eq!(members(b"\0\0\0\0\xff\xff").unwrap(), (0, None));
        let short = &metadata[..metadata.len() - 1];
        assert!(matches!(members(short), Err(Sick::Malformed(_))));
    }
}
