//! gzip and zstd as others write them: one stream, or several, without lengths and without our footer.

use std::io::{self, BufReader, ErrorKind, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::member::MEMBER_SIZE;
use crate::{Error, Result};

/// The largest window of a zstd frame, as a power of two: what `zstd -19` uses, 8 MiB.
const WINDOW_LOG_MAX: u32 = 23;

/// Reads a stream in fixed memory.
pub(super) struct Foreign<R> {
    decoder: Decoder<R>,
    ended: bool,
}

enum Decoder<R> {
    Gzip(MultiGzDecoder<BufReader<Watched<R>>>),
    Zstd(ZstdDecoder<'static, BufReader<Watched<R>>>),
}

impl<R: Read> Foreign<R> {
    pub(super) fn gzip(input: R) -> Self {
        Self { decoder: Decoder::Gzip(MultiGzDecoder::new(Watched::buffered(input))), ended: false }
    }

    pub(super) fn zstd(input: R) -> Result<Self> {
        let mut decoder = ZstdDecoder::with_buffer(Watched::buffered(input))?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Ok(Self { decoder: Decoder::Zstd(decoder), ended: false })
    }

    /// How many bytes have been read.
    pub(super) fn read_bytes(&self) -> u64 {
        self.watched().read
    }

    /// The next bytes, at most 256 KiB; none at the end, where the stream's own checksum has been found right.
    pub(super) fn next_piece(&mut self) -> Result<Option<Bytes>> {
        let mut plain = vec![0; MEMBER_SIZE];
        let mut filled = 0;
        while let Some(space) = plain.get_mut(filled..).filter(|space| !space.is_empty() && !self.ended) {
            match self.decoder.read(space) {
                Ok(0) => self.ended = true,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(&error)),
            }
        }
        plain.truncate(filled);
        Ok((filled > 0).then(|| Bytes::from(plain)))
    }

    /// Tells a failure of the input from a stream that is damaged.
    fn explain(&mut self, error: &io::Error) -> Error {
        let watched = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.get_mut().get_mut(),
            Decoder::Zstd(decoder) => decoder.get_mut().get_mut(),
        };
        match watched.failed.take() {
            Some(failure) => Error::Io(failure),
            None if error.kind() == ErrorKind::UnexpectedEof => {
                Error::CutShort { offset: watched.read, missing: "the rest of its compressed stream" }
            }
            None => Error::Member { offset: 0, why: format!("it does not unpack: {error}") },
        }
    }

    fn watched(&self) -> &Watched<R> {
        match &self.decoder {
            Decoder::Gzip(decoder) => decoder.get_ref().get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref().get_ref(),
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(space),
            Self::Zstd(decoder) => decoder.read(space),
        }
    }
}

/// An input that is counted, and whose failure is kept: decoders give theirs and its as one kind.
struct Watched<R> {
    input: R,
    read: u64,
    failed: Option<io::Error>,
}

impl<R: Read> Watched<R> {
    fn buffered(input: R) -> BufReader<Self> {
        BufReader::with_capacity(64 << 10, Self { input, read: 0, failed: None })
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self.input.read(space) {
            Ok(read) => {
                self.read += read as u64;
                Ok(read)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let told = io::Error::new(error.kind(), "its input failed");
                self.failed = Some(error);
                Err(told)
            }
        }
    }
}
