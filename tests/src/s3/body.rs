//! A body on its way through the proxy: counted, broken where a rule says so, and never held.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use super::connections::Body;
use super::proxy::Shared;
use super::rule::Call;
use super::seen::Record;

/// What was sent before is on its way by then.
const FLUSHED: Duration = Duration::from_millis(20);

/// Something that happens at a byte of a body.
pub(super) enum Fault {
    /// The body ends there, as if it were whole.
    End(u64),
    /// The connection is closed there.
    Close(u64),
    /// Nothing more comes.
    Stall(u64),
    /// The test is called.
    Call(u64, Call),
    /// One bit of this byte is turned.
    Flip(u64),
}

impl Fault {
    fn at(&self) -> u64 {
        match self {
            Self::End(at) | Self::Close(at) | Self::Stall(at) | Self::Call(at, _) | Self::Flip(at) => *at,
        }
    }

    fn is_flip(&self) -> bool {
        matches!(self, Self::Flip(_))
    }
}

/// Which body of a request it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// A body and where it is.
pub(super) struct Flow {
    pub(super) source: Body,
    pub(super) faults: Vec<Fault>,
    pub(super) record: Arc<Record>,
    pub(super) side: Side,
    pub(super) shared: Arc<Shared>,
    /// How long it is told to be.
    pub(super) length: Option<u64>,
    /// Done when the last byte goes on, before anybody can see that it came.
    pub(super) at_end: Option<Box<dyn FnOnce() + Send>>,
    pub(super) at: u64,
    pub(super) left: Bytes,
}

impl Flow {
    pub(super) fn into_body(mut self) -> Body {
        if self.length == Some(0) {
            self.end();
        }
        let pieces = stream::try_unfold(self, |mut flow| async move {
            Ok(flow.next().await?.map(|piece| (Frame::data(piece), flow)))
        });
        StreamBody::new(pieces).boxed_unsync()
    }

    /// The next piece; none at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(due) = self.faults.iter().position(|fault| fault.at() == self.at && !fault.is_flip()) {
                let fault = self.faults.swap_remove(due);
                self.record.mark_broken();
                match fault {
                    Fault::Call(_, call) => self.shared.call(call).await?,
                    Fault::End(_) => return self.finish(),
                    Fault::Stall(_) => std::future::pending().await,
                    Fault::Close(_) | Fault::Flip(_) => return Err(closed().await),
                }
            } else if !self.left.is_empty() {
                let piece = self.take_piece();
                return Ok(Some(piece));
            } else {
                match self.source.frame().await.transpose()?.map(Frame::into_data) {
                    Some(Ok(data)) => self.left = data,
                    // Trailers: S3 has none that matter here.
                    Some(Err(_)) => {}
                    None => return self.finish(),
                }
            }
        }
    }

    /// What is left, up to the next fault.
    fn take_piece(&mut self) -> Bytes {
        let stops = self.faults.iter().filter(|fault| !fault.is_flip()).map(Fault::at);
        let most = stops.filter(|&stop| stop > self.at).min().map_or(u64::MAX, |stop| stop - self.at);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut piece = self.left.split_to(most.min(self.left.len()));
        for fault in &self.faults {
            let byte = fault.at().checked_sub(self.at).and_then(|byte| usize::try_from(byte).ok());
            if let (Fault::Flip(_), Some(byte)) = (fault, byte.filter(|&byte| byte < piece.len())) {
                piece = flipped(&piece, byte);
                self.record.mark_broken();
            }
        }
        self.count(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        piece
    }

    fn count(&mut self, bytes: u64) {
        self.at += bytes;
        let counter: &AtomicU64 = match self.side {
            Side::Request => &self.record.request_bytes,
            Side::Response => &self.record.response_bytes,
        };
        counter.fetch_add(bytes, Ordering::Relaxed);
        if self.length == Some(self.at) {
            self.end();
        }
    }

    fn finish(&mut self) -> io::Result<Option<Bytes>> {
        self.end();
        Ok(None)
    }

    fn end(&mut self) {
        if let Some(at_end) = self.at_end.take() {
            at_end();
        }
    }
}

async fn closed() -> io::Error {
    tokio::time::sleep(FLUSHED).await;
    io::Error::new(io::ErrorKind::ConnectionAborted, "a rule of the test closes this connection")
}

fn flipped(piece: &Bytes, at: usize) -> Bytes {
    let mut piece = BytesMut::from(piece.as_ref());
    if let Some(byte) = piece.get_mut(at) {
        *byte ^= 1;
    }
    piece.freeze()
}
