//! A connection of a client that keeps no rule.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::request::CORRELATION_ID;

/// After this long without an answer the client ends its side: the broker then gives up whatever waits.
const WAIT_MAX: Duration = Duration::from_millis(300);

/// Longer than anything takes: a wait this long is a failure, never a measurement.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The answer behind its correlation id.
    Answered(Vec<u8>),
    /// The broker closed the connection.
    Refused,
    /// Neither, until the client ended its side: a long poll, or a request that has no answer.
    Silent,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    /// Its own address, as the broker's log names it.
    pub(crate) local: SocketAddr,
    /// The client has ended its side: there may be an answer, but no further request.
    pub(crate) ended: bool,
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        Ok(Self {
            stream,
            local,
            ended: false,
        })
    }

    /// Sends bytes as they are. A broker that has closed the connection is no error: the client sees it when it reads.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends bytes with their length in front.
    pub(crate) fn send_frame(&mut self, frame: &[u8]) {
        self.send(&framed(frame));
    }

    /// Waits until an answer begins, and takes nothing of it.
    pub(crate) fn hears_something(&self) -> Result<(), String> {
        let set = self.stream.set_read_timeout(Some(PATIENCE));
        set.map_err(|error| error.to_string())?;
        match self.stream.peek(&mut [0; 1]) {
            Ok(1) => Ok(()),
            other => Err(format!("no answer begins: {other:?}")),
        }
    }

    /// What comes of a frame that must be answered or refused, however long that takes.
    pub(crate) fn answer(&mut self) -> Result<Outcome, String> {
        let set = self.stream.set_read_timeout(Some(PATIENCE));
        set.map_err(|error| error.to_string())?;
        let mut first = [0; 1];
        match self.stream.read(&mut first) {
            Ok(1) => self.answer_after(first[0]).map(Outcome::Answered),
            Err(error) if is_timeout(&error) => {
                Err(format!("neither an answer nor the end after {PATIENCE:?}"))
            }
            Ok(_) | Err(_) => Ok(Outcome::Refused),
        }
    }

    /// What comes of a frame that was sent.
    pub(crate) fn outcome(&mut self) -> Result<Outcome, String> {
        let set = self.stream.set_read_timeout(Some(WAIT_MAX));
        set.map_err(|error| error.to_string())?;
        let mut first = [0; 1];
        match self.stream.read(&mut first) {
            Ok(0) => return Ok(Outcome::Refused),
            Ok(_) => return self.answer_after(first[0]).map(Outcome::Answered),
            Err(error) if is_timeout(&error) => {}
            Err(_) => return Ok(Outcome::Refused),
        }
        self.ended = true;
        // A broken connection shows when it is read.
        let _ = self.stream.shutdown(Shutdown::Write);
        let set = self.stream.set_read_timeout(Some(PATIENCE));
        set.map_err(|error| error.to_string())?;
        match self.stream.read(&mut first) {
            Ok(0) => Ok(Outcome::Silent),
            Ok(_) => self.answer_after(first[0]).map(Outcome::Answered),
            Err(error) if is_timeout(&error) => {
                Err(format!("neither an answer nor the end after {PATIENCE:?}"))
            }
            Err(_) => Ok(Outcome::Silent),
        }
    }

    fn answer_after(&mut self, first: u8) -> Result<Vec<u8>, String> {
        let broken = |error: io::Error| format!("an answer breaks off: {error}");
        let set = self.stream.set_read_timeout(Some(PATIENCE));
        set.map_err(|error| error.to_string())?;
        let mut length = [first, 0, 0, 0];
        self.stream.read_exact(&mut length[1..]).map_err(broken)?;
        let length = usize::try_from(i32::from_be_bytes(length));
        let length = length.map_err(|_| "an answer of negative length")?;
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).map_err(broken)?;
        let id = answer.first_chunk().copied().map(i32::from_be_bytes);
        match id {
            Some(CORRELATION_ID) => Ok(answer.split_off(4)),
            other => Err(format!("an answer to request {other:?}")),
        }
    }

    /// Waits until the broker closes the connection, whatever it sends before.
    pub(crate) fn drained(&mut self) -> Result<(), String> {
        let set = self.stream.set_read_timeout(Some(PATIENCE));
        set.map_err(|error| error.to_string())?;
        match io::copy(&mut self.stream, &mut io::sink()) {
            Err(error) if is_timeout(&error) => Err(format!("not closed after {PATIENCE:?}")),
            _ => Ok(()),
        }
    }
}

/// The frame with its length in front.
pub(crate) fn framed(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).expect("below 4 GB");
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(frame);
    bytes
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
