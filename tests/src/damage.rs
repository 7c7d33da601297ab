//! Damage to a file, as disks, networks and hands do it.

use crate::Random;

/// One way to damage a file, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// Bits of a byte are flipped.
    Flip {
        /// Offset of the byte.
        at: usize,
        /// The bits.
        bits: u8,
    },
    /// The file ends early.
    Cut {
        /// How many bytes are left.
        length: usize,
    },
    /// A piece is missing.
    Drop {
        /// Where it was.
        at: usize,
        /// Its bytes.
        length: usize,
    },
    /// A piece stands twice.
    Repeat {
        /// Where it is.
        at: usize,
        /// Its bytes.
        length: usize,
    },
    /// A stretch is zero.
    Blank {
        /// Where it begins.
        at: usize,
        /// Its bytes.
        length: usize,
    },
    /// Something stands behind the end.
    Append {
        /// What it is.
        bytes: Vec<u8>,
    },
    /// Two segments have changed places.
    Swap {
        /// Offset of the first.
        at: usize,
    },
}

/// A segment on the wire.
const SEGMENT_BYTES: usize = 65_536 + 32;

impl Damage {
    /// Any damage to a file of `length` bytes.
    pub fn any(random: &mut Random, length: usize) -> Self {
        let at = random.below(length);
        let short = 1 + random.below(64);
        let piece = if random.below(2) == 0 { short } else { SEGMENT_BYTES };
        match random.below(8) {
            0 => Self::Cut { length: at },
            1 => Self::Drop { at, length: piece },
            2 => Self::Repeat { at, length: piece },
            3 => Self::Blank { at, length: short },
            4 => Self::Append { bytes: random.bytes(short) },
            5 => Self::Swap { at },
            // Where an error is least likely to be seen: the first and the last few hundred bytes.
            6 => Self::Flip { at: random.below(400.min(length)), bits: 1 << random.below(8) },
            _ => Self::Flip { at, bits: 1 << random.below(8) },
        }
    }

    /// The damaged file.
    #[must_use]
    pub fn apply(&self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        let end = |at: usize, length: usize| (at + length).min(whole.len());
        match self {
            Self::Flip { at, bits } => bytes.iter_mut().skip(*at).take(1).for_each(|byte| *byte ^= bits),
            Self::Cut { length } => bytes.truncate(*length),
            Self::Drop { at, length } => drop(bytes.drain(*at..end(*at, *length))),
            Self::Repeat { at, length } => {
                let piece = whole.get(*at..end(*at, *length)).unwrap_or_default().to_vec();
                drop(bytes.splice(at..at, piece));
            }
            Self::Blank { at, length } => bytes.iter_mut().skip(*at).take(*length).for_each(|byte| *byte = 0),
            Self::Append { bytes: more } => bytes.extend_from_slice(more),
            Self::Swap { at } => {
                let second = end(*at, SEGMENT_BYTES);
                if let Some(both) = bytes.get_mut(*at..end(second, SEGMENT_BYTES)) {
                    both.rotate_left(second - at);
                }
            }
        }
        bytes
    }
}
