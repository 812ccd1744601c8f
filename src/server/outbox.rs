//! Answers on their way to a socket, in pieces that are never copied together.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// Pieces given to one write.
const PIECES_PER_WRITE: usize = 64;

/// Room for pieces that an idle connection may keep.
const IDLE_PIECES_MAX: usize = 64;

/// The sending side of a connection.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Bytes>,
    bytes_queued: usize,
    bytes_written: u64,
}

impl Outbox {
    /// Queues an answer.
    pub(super) fn push(&mut self, frame: Vec<Bytes>) {
        self.bytes_queued += frame.iter().map(Bytes::len).sum::<usize>();
        self.pieces
            .extend(frame.into_iter().filter(|piece| !piece.is_empty()));
    }

    /// Bytes that the client has not taken yet.
    pub(super) fn bytes_queued(&self) -> usize {
        self.bytes_queued
    }

    /// Bytes written since the beginning.
    pub(super) fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Writes until everything is written or the socket is full.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<()>> {
        while !self.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES_PER_WRITE];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        if self.pieces.capacity() > IDLE_PIECES_MAX {
            self.pieces = VecDeque::new();
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, written: usize) {
        self.bytes_queued -= written;
        self.bytes_written += written as u64;
        let mut left = written;
        while let Some(piece) = self.pieces.front_mut() {
            if left < piece.len() {
                piece.advance(left);
                return;
            }
            left -= piece.len();
            self.pieces.pop_front();
        }
    }
}
