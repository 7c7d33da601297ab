//! The compressed layer as a stream of pieces of the tar layer: members of ours, or whatever gzip and zstd others wrote.

mod foreign;
mod members;

use std::io::{self, Cursor, ErrorKind, Read};

use bytes::Bytes;

use crate::member::{DETECT_LENGTH, Footer, Layer};
use crate::{Error, Result};
use foreign::Foreign;
use members::Members;

/// Whose layers a reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Members that tell their lengths, and the footer.
    Ours,
    /// Any `.tar.gz` or `.tar.zst` too.
    Any,
}

/// Who wrote a layer, as far as its members show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A writer of this format.
    Ours,
    /// GNU tar, or any other.
    Foreign,
}

/// What has been read of the input, and then the input.
type Source<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// Reads the compressed layer, and finds out at its first bytes what it is made of.
pub(crate) struct LayerReader<R> {
    accepted: Accepted,
    state: State<R>,
}

enum State<R> {
    Unread(R),
    Members(Members<Source<R>>),
    Foreign(Box<Foreign<Source<R>>>),
    Failed,
}

impl<R: Read> LayerReader<R> {
    pub(crate) fn new(input: R, accepted: Accepted) -> Self {
        Self { accepted, state: State::Unread(input) }
    }

    /// The next tar bytes, at most 1 MiB of them; none at the end of the layer, behind which nothing stands.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Bytes>> {
        if let State::Unread(_) = self.state
            && let State::Unread(input) = std::mem::replace(&mut self.state, State::Failed)
        {
            self.state = begin(input, self.accepted)?;
        }
        match &mut self.state {
            State::Members(members) => members.next_piece(),
            State::Foreign(foreign) => foreign.next_piece(),
            State::Unread(_) | State::Failed => Err(Error::NotAnArchive("reading it has failed before".into())),
        }
    }

    /// Who wrote the layer, as far as is known.
    pub(crate) fn dialect(&self) -> Dialect {
        match self.state {
            State::Foreign(_) => Dialect::Foreign,
            _ => Dialect::Ours,
        }
    }

    /// The offset of the member that the last piece came from; 0 in a layer of others.
    pub(crate) fn member(&self) -> u64 {
        match &self.state {
            State::Members(members) => members.member(),
            _ => 0,
        }
    }

    /// How many bytes of the layer have been read.
    pub(crate) fn read_bytes(&self) -> u64 {
        match &self.state {
            State::Members(members) => members.read_bytes(),
            State::Foreign(foreign) => foreign.read_bytes(),
            State::Unread(_) | State::Failed => 0,
        }
    }

    /// The footer, at the end of a layer of ours.
    pub(crate) fn footer(&self) -> Option<Footer> {
        match &self.state {
            State::Members(members) => members.footer(),
            _ => None,
        }
    }

    /// An error that names the place at which the layer is damaged.
    pub(crate) fn damaged(&self, why: &str) -> Error {
        Error::Member { offset: self.member(), why: why.to_owned() }
    }
}

fn begin<R: Read>(mut input: R, accepted: Accepted) -> Result<State<R>> {
    let mut start = vec![0; DETECT_LENGTH];
    let found = read_up_to(&mut input, &mut start)?;
    start.truncate(found);
    let layer = Layer::detect(&start);
    let cut_short = found == 0 || (found < DETECT_LENGTH && Layer::may_begin(&start));
    let input = Cursor::new(start).chain(input);
    match (layer, accepted) {
        _ if cut_short => Err(Error::CutShort { offset: 0, missing: "its first member" }),
        (Some(Layer::Members(kind)), _) => Ok(State::Members(Members::new(input, kind)?)),
        (Some(Layer::ForeignGzip), Accepted::Any) => Ok(State::Foreign(Box::new(Foreign::gzip(input)))),
        (Some(Layer::ForeignZstd), Accepted::Any) => Ok(State::Foreign(Box::new(Foreign::zstd(input)?))),
        (Some(_), Accepted::Ours) => {
            Err(Error::NotAnArchive("its members do not tell their lengths: other programs packed it".into()))
        }
        (None, _) => Err(Error::NotAnArchive("it begins like neither a sealed nor a plain one".into())),
    }
}

/// Fills as much of `space` as the input has.
fn read_up_to(input: &mut impl Read, space: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while let Some(rest) = space.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}
