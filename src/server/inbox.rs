//! Frames off a socket, each into a buffer of exactly its size.
//!
//! What a socket has at hand is read into space on the stack first, so an idle connection has no buffer at all, a small
//! request costs one read, and several small ones that came together cost one read too. A frame that is not all there
//! yet gets its own buffer, and the rest of it is read straight into that.

use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::budget::{Budget, Charge};
use crate::protocol::frame::LENGTH_SIZE;

/// Bytes read at most where the length of the next frame is not known yet.
pub(super) const AHEAD_SIZE: usize = 16 * 1024;

/// The receiving side of a connection.
pub(super) struct Inbox {
    budget: Arc<Budget>,
    frame_size_max: usize,
    /// Read, but not yet part of a frame; without an allocation while it is empty.
    ahead: BytesMut,
    arriving: Option<Arriving>,
    bytes_read: u64,
}

struct Arriving {
    buffer: BytesMut,
    length: usize,
    charge: Charge,
}

/// A whole frame without its length, and what it is charged.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) bytes: Bytes,
    pub(super) charge: Charge,
}

/// Why no further frame can come. A client that ends in the middle of a frame is lost, not hostile: its process died.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("a frame of {length} bytes is announced; socket.request.max.bytes allows {max}")]
    Length { length: i32, max: usize },
    #[error("the connection is lost: {0}")]
    Lost(#[from] io::Error),
}

impl Inbox {
    /// Nothing received yet.
    pub(super) fn new(budget: Arc<Budget>, frame_size_max: usize) -> Self {
        Self {
            budget,
            frame_size_max,
            ahead: BytesMut::new(),
            arriving: None,
            bytes_read: 0,
        }
    }

    /// Bytes received since the beginning.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Whether part of a frame is held.
    pub(super) fn is_mid_frame(&self) -> bool {
        self.arriving.is_some() || !self.ahead.is_empty()
    }

    /// The next frame; `None` when the client has ended its side between two frames.
    pub(super) fn poll_frame<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<Option<Frame>, Broken>> {
        loop {
            if self.arriving.is_none() {
                self.begin_frame()?;
            }
            let Some(arriving) = &mut self.arriving else {
                if ready!(self.poll_ahead(cx, stream))? == 0 {
                    let clean = self.ahead.is_empty();
                    return Poll::Ready(if clean { Ok(None) } else { Err(cut_off()) });
                }
                continue;
            };
            ready!(arriving.poll_charge(cx));
            if arriving.buffer.len() < arriving.length {
                let read = ready!(arriving.poll_read(cx, stream))?;
                self.bytes_read += read as u64;
                if read == 0 {
                    return Poll::Ready(Err(cut_off()));
                }
            } else if let Some(Arriving { buffer, charge, .. }) = self.arriving.take() {
                let bytes = buffer.freeze();
                return Poll::Ready(Ok(Some(Frame { bytes, charge })));
            }
        }
    }

    /// Ready when the client has ended its side, which is looked for without taking a frame: up to `AHEAD_SIZE` bytes
    /// are read ahead meanwhile.
    pub(super) fn poll_ended<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<()>> {
        while self.arriving.is_none() && self.ahead.len() < AHEAD_SIZE {
            if ready!(self.poll_ahead(cx, stream))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }

    /// Turns what was read ahead into the next frame if its length is there.
    fn begin_frame(&mut self) -> Result<(), Broken> {
        if self.ahead.len() < LENGTH_SIZE {
            return Ok(());
        }
        let announced = self.ahead.get_i32();
        let length = usize::try_from(announced)
            .ok()
            .filter(|length| *length <= self.frame_size_max)
            .ok_or(Broken::Length {
                length: announced,
                max: self.frame_size_max,
            })?;
        let buffer = if length == self.ahead.len() {
            std::mem::take(&mut self.ahead)
        } else if length < self.ahead.len() {
            // Copied: what a handler keeps of one request must not keep those that came with it.
            let buffer = BytesMut::from(&self.ahead[..length]);
            self.ahead.advance(length);
            buffer
        } else {
            let mut buffer = BytesMut::with_capacity(length);
            buffer.put_slice(&self.ahead);
            self.ahead.clear();
            buffer
        };
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        self.arriving = Some(Arriving {
            buffer,
            length,
            charge: Charge::new(&self.budget),
        });
        Ok(())
    }

    fn poll_ahead<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); AHEAD_SIZE];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(stream).poll_read(cx, &mut read))?;
        self.ahead.extend_from_slice(read.filled());
        self.bytes_read += read.filled().len() as u64;
        Poll::Ready(Ok(read.filled().len()))
    }
}

fn cut_off() -> Broken {
    Broken::Lost(io::ErrorKind::UnexpectedEof.into())
}

impl Arriving {
    /// Ready once the bytes that are there, and one more if the frame has more, are charged.
    fn poll_charge(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let wanted = self.length.min(self.buffer.len() + 1);
        self.charge.poll_cover(cx, wanted, self.length)
    }

    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<usize>> {
        let wanted = self.length.min(self.charge.covers()) - self.buffer.len();
        let mut space = (&mut self.buffer).limit(wanted);
        // A fresh future for each poll: it holds nothing but the two references.
        pin!(stream.read_buf(&mut space)).poll(cx)
    }
}
