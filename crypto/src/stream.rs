//! A sealed archive as a stream: a writer that seals and a reader that opens.

mod opener;
mod sealer;

pub use opener::{Locked, Opener};
pub use sealer::Sealer;

use crate::{SEGMENT_SIZE, TAG_SIZE};

/// A full segment on the wire, in bytes.
const SEALED_SIZE: usize = SEGMENT_SIZE + TAG_SIZE;
