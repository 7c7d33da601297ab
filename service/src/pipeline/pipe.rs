//! A bounded pipe between two stages, in which an error is a value and the end is an explicit success.
//!
//! A sender that is dropped before [`Sender::finish`] reads as a failure, never as a clean end; a receiver that is
//! dropped tells the sender at its next item.

use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::{Error, Result};

enum Message<T> {
    Item(T),
    Failed(Error),
    End,
}

/// A pipe that holds at most `items` items.
#[must_use]
pub fn pipe<T: Send>(items: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(items);
    (Sender { sender }, Receiver { receiver, ended: false })
}

/// The end that items go into.
pub struct Sender<T> {
    sender: mpsc::Sender<Message<T>>,
}

impl<T: Send> Sender<T> {
    /// Waits for room and sends an item.
    ///
    /// # Errors
    /// [`Error::Left`] where nobody receives any more.
    pub async fn send(&self, item: T) -> Result<()> {
        self.sender.send(Message::Item(item)).await.map_err(|_| receiver_left())
    }

    /// As [`Sender::end`], from a thread.
    pub fn blocking_end(self, how: Result<()>) {
        drop(self.sender.blocking_send(how.map_or_else(Message::Failed, |()| Message::End)));
    }

    /// As [`Sender::send`], from a thread.
    ///
    /// # Errors
    /// [`Error::Left`] where nobody receives any more.
    pub fn blocking_send(&self, item: T) -> Result<()> {
        self.sender.blocking_send(Message::Item(item)).map_err(|_| receiver_left())
    }

    /// Ends the stream: with success, or with the error that ended the stage.
    pub async fn end(self, how: Result<()>) {
        // A receiver that has left needs no word.
        drop(self.sender.send(how.map_or_else(Message::Failed, |()| Message::End)).await);
    }
}

fn receiver_left() -> Error {
    Error::Left("nobody takes its data any more")
}

/// The end that items come out of.
pub struct Receiver<T> {
    receiver: mpsc::Receiver<Message<T>>,
    ended: bool,
}

impl<T: Send> Receiver<T> {
    /// The next item; `None` after an explicit end.
    ///
    /// # Errors
    /// The error that the sender ended with; [`Error::StageLost`] where it ended without a word.
    pub async fn next(&mut self) -> Result<Option<T>> {
        if self.ended {
            return Ok(None);
        }
        let message = self.receiver.recv().await;
        self.take(message)
    }

    /// As [`Receiver::next`], from a thread.
    ///
    /// # Errors
    /// As [`Receiver::next`].
    pub fn blocking_next(&mut self) -> Result<Option<T>> {
        if self.ended {
            return Ok(None);
        }
        let message = self.receiver.blocking_recv();
        self.take(message)
    }

    fn take(&mut self, message: Option<Message<T>>) -> Result<Option<T>> {
        match message {
            Some(Message::Item(item)) => Ok(Some(item)),
            Some(Message::Failed(error)) => Err(error),
            Some(Message::End) => {
                self.ended = true;
                Ok(None)
            }
            None => Err(Error::StageLost),
        }
    }
}

/// Writes bytes into a pipe from a thread, in pieces of a fixed size.
pub struct PipeWriter {
    sender: Sender<Bytes>,
    piece: BytesMut,
    piece_bytes: usize,
    runtime: Handle,
    idle: Duration,
}

impl PipeWriter {
    /// A writer that gives up when a piece has not been taken for `idle`.
    #[must_use]
    pub fn new(sender: Sender<Bytes>, piece_bytes: usize, runtime: Handle, idle: Duration) -> Self {
        Self { sender, piece: BytesMut::with_capacity(piece_bytes), piece_bytes, runtime, idle }
    }

    /// Ends the pipe: with success, after what is left to send, or with the error that ended the stage. `tell` hears
    /// of an error before the receiver does.
    pub fn end(mut self, how: Result<()>, tell: impl FnOnce(&Error)) {
        let how = how.and_then(|()| self.send_piece());
        if let Err(error) = &how {
            tell(error);
        }
        // A receiver that has stalled or left is not waited for once more.
        let worth_telling = !matches!(how, Err(Error::Stalled(_) | Error::Left(_)));
        if worth_telling {
            drop(self.runtime.block_on(timeout(self.idle, self.sender.end(how))));
        }
    }

    fn send_piece(&mut self) -> Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, BytesMut::with_capacity(self.piece_bytes)).freeze();
        let sent = self.runtime.block_on(timeout(self.idle, self.sender.send(piece)));
        sent.unwrap_or_else(|_| Err(Error::Stalled(format!("its receiver took less than 64 KiB in {:?}", self.idle))))
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.piece_bytes - self.piece.len();
        let (head, _) = bytes.split_at(bytes.len().min(room));
        self.piece.extend_from_slice(head);
        if self.piece.len() == self.piece_bytes {
            self.send_piece()?;
        }
        Ok(head.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads bytes out of a pipe in a thread.
pub struct PipeReader {
    receiver: Receiver<Bytes>,
    piece: Bytes,
}

impl PipeReader {
    /// A reader of what comes out of `receiver`.
    #[must_use]
    pub fn new(receiver: Receiver<Bytes>) -> Self {
        Self { receiver, piece: Bytes::new() }
    }
}

impl Read for PipeReader {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_next()? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = space.len().min(self.piece.len());
        let (head, _) = space.split_at_mut(count);
        self.piece.copy_to_slice(head);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sender_that_is_dropped_is_no_end() {
        let (sender, mut receiver) = pipe(2);
        sender.send(1).await.unwrap();
        drop(sender);
        assert_eq!(receiver.next().await.unwrap(), Some(1));
        assert!(matches!(receiver.next().await, Err(Error::StageLost)));
    }

    #[tokio::test]
    async fn an_end_and_an_error_arrive_as_such() {
        let (sender, mut receiver) = pipe::<u8>(1);
        sender.end(Ok(())).await;
        assert!(receiver.next().await.unwrap().is_none());
        let (sender, mut receiver) = pipe::<u8>(1);
        sender.end(Err(Error::Interrupted)).await;
        assert!(matches!(receiver.next().await, Err(Error::Interrupted)));
    }

    #[tokio::test]
    async fn a_receiver_that_stalls_is_given_up() {
        let (sender, receiver) = pipe(1);
        let mut writer = PipeWriter::new(sender, 1, Handle::current(), Duration::from_millis(20));
        let wrote = tokio::task::spawn_blocking(move || writer.write_all(&[0; 10])).await.unwrap();
        assert!(matches!(Error::from(wrote.unwrap_err()), Error::Stalled(_)));
        drop(receiver);
    }
}
