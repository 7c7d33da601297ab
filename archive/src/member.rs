//! One member of the compressed layer at a time, without I/O: packed, cut out by its own length, unpacked.
//!
//! A member is a gzip member or a zstd frame, and tells its length before its data begins.

mod gzip;
mod zstd;

use std::io;

use gzip::{GzipPacker, GzipUnpacker};
use zstd::{ZstdPacker, ZstdUnpacker};

use crate::Compression;

/// Tar bytes in each member that the writer makes but the last.
pub(crate) const MEMBER_SIZE: usize = 256 * 1024;
/// The most tar bytes that a member may hold.
pub(crate) const MEMBER_MAX_BYTES: usize = 1 << 20;
/// The longest gzip member, from header to trailer, and the longest zstd frame.
const PACKED_MAX_BYTES: u32 = (1 << 20) + 1_024;

/// What members are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// gzip members that tell their length.
    Gzip,
    /// zstd frames, each behind a skippable one that tells its length.
    Zstd,
}

impl Kind {
    /// How many bytes of a member tell its length.
    pub(crate) const fn start_length(self) -> usize {
        match self {
            Self::Gzip => gzip::HEADER_LENGTH,
            Self::Zstd => zstd::PREFIX_LENGTH,
        }
    }

    /// The length in bytes of the member or footer that begins so, checked against the format's bounds.
    pub(crate) fn length(self, start: &[u8]) -> Result<usize, &'static str> {
        match self {
            Self::Gzip => gzip::length(start),
            Self::Zstd => zstd::length(start),
        }
    }

    /// The footer's length in bytes.
    pub(crate) const fn footer_length(self) -> usize {
        match self {
            Self::Gzip => gzip::FOOTER_LENGTH,
            Self::Zstd => zstd::FOOTER_LENGTH,
        }
    }

    /// The footer that these bytes are, if they are one.
    pub(crate) fn footer(self, bytes: &[u8]) -> Option<Footer> {
        match self {
            Self::Gzip => gzip::parse_footer(bytes),
            Self::Zstd => zstd::parse_footer(bytes),
        }
    }
}

/// The footer that a compressed layer ends with, by its last bytes, and what the layer is made of.
pub(crate) fn last_footer(tail: &[u8]) -> Option<(Kind, Footer)> {
    [Kind::Gzip, Kind::Zstd].into_iter().find_map(|kind| {
        let start = tail.len().checked_sub(kind.footer_length())?;
        Some((kind, kind.footer(tail.get(start..)?)?))
    })
}

/// Where `summary.json` begins: what the footer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Offset in the compressed layer of the member in which the summary's first tar header begins.
    pub(crate) member: u64,
    /// How far into that member's plaintext it begins.
    pub(crate) skip: u32,
}

/// What the first bytes of a compressed layer show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// Members that tell their lengths.
    Members(Kind),
    /// gzip as anybody writes it.
    ForeignGzip,
    /// zstd as anybody writes it.
    ForeignZstd,
}

/// How many bytes [`Layer::detect`] asks for.
pub(crate) const DETECT_LENGTH: usize = gzip::HEADER_LENGTH;

impl Layer {
    /// Tells by the first bytes of a layer; `None` where they are neither gzip nor zstd.
    pub(crate) fn detect(start: &[u8]) -> Option<Self> {
        if gzip::begins(start) {
            return Some(if gzip::tells_length(start) { Self::Members(Kind::Gzip) } else { Self::ForeignGzip });
        }
        if zstd::prefix_begins(start) {
            return Some(Self::Members(Kind::Zstd));
        }
        zstd::frame_begins(start).then_some(Self::ForeignZstd)
    }

    /// Whether so few bytes may be the beginning of a layer that was cut off.
    pub(crate) fn may_begin(start: &[u8]) -> bool {
        Self::detect(start).is_some() || gzip::MAGIC.starts_with(start) || zstd::magic_starts_with(start)
    }
}

/// Makes members, reusing its memory.
pub(crate) enum Packer {
    /// Deflated or stored.
    Gzip(Box<GzipPacker>),
    /// zstd frames.
    Zstd(Box<ZstdPacker>),
}

impl Packer {
    pub(crate) fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gzip(level) => Self::Gzip(Box::new(GzipPacker::deflating(level))),
            Compression::None => Self::Gzip(Box::new(GzipPacker::storing())),
            Compression::Zstd(level) => Self::Zstd(Box::new(ZstdPacker::new(level)?)),
        })
    }

    /// Appends `plain`, which is not empty and at most [`MEMBER_MAX_BYTES`], as one member to `out`.
    pub(crate) fn pack(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Gzip(packer) => {
                packer.pack(plain, out);
                Ok(())
            }
            Self::Zstd(packer) => packer.pack(plain, out),
        }
    }

    /// Appends the footer.
    pub(crate) fn footer(&self, footer: Footer, out: &mut Vec<u8>) {
        match self {
            Self::Gzip(_) => out.extend_from_slice(&gzip::footer_bytes(footer)),
            Self::Zstd(_) => out.extend_from_slice(&zstd::footer_bytes(footer)),
        }
    }
}

/// Unpacks members, reusing its memory.
pub(crate) enum Unpacker {
    /// gzip members.
    Gzip(Box<GzipUnpacker>),
    /// zstd frames behind their skippable ones.
    Zstd(Box<ZstdUnpacker>),
}

impl Unpacker {
    pub(crate) fn new(kind: Kind) -> io::Result<Self> {
        Ok(match kind {
            Kind::Gzip => Self::Gzip(Box::default()),
            Kind::Zstd => Self::Zstd(Box::new(ZstdUnpacker::new()?)),
        })
    }

    /// Unpacks a whole member into `plain`, replacing what was there, and checks what it says of itself.
    pub(crate) fn unpack(&mut self, member: &[u8], plain: &mut Vec<u8>) -> Result<(), &'static str> {
        match self {
            Self::Gzip(unpacker) => unpacker.unpack(member, plain),
            Self::Zstd(unpacker) => unpacker.unpack(member, plain),
        }
    }
}

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The little-endian u32 at `at`.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[4]
            })
            .collect()
    }

    const ALL: [&str; 3] = ["gzip", "zstd", "none"];

    fn kind(packed: &[u8]) -> Kind {
        match Layer::detect(packed) {
            Some(Layer::Members(kind)) => kind,
            other => panic!("{other:?}"),
        }
    }

    fn round_trip(compression: Compression, plain: &[u8]) -> usize {
        let mut member = Vec::new();
        Packer::new(compression).unwrap().pack(plain, &mut member).unwrap();
        let kind = kind(&member);
        assert_eq!(kind.length(&member[..kind.start_length()]), Ok(member.len()));
        let mut back = Vec::new();
        Unpacker::new(kind).unwrap().unpack(&member, &mut back).unwrap();
        assert_eq!(back, plain);
        member.len()
    }

    #[test]
    fn members_come_back() {
        for length in [1, 511, 512, 65_535, 65_536, MEMBER_SIZE, MEMBER_MAX_BYTES] {
            for name in ALL {
                let compression: Compression = name.parse().unwrap();
                let even = round_trip(compression, &vec![b'x'; length]);
                assert!(name == "none" || even < 100 + length / 20, "{name}: {even}");
                let stored = round_trip(compression, &noise(length));
                assert!(stored <= length + 40 + 5 * length.div_ceil(65_535), "{name}, {length}: {stored}");
                assert!(stored <= PACKED_MAX_BYTES as usize + zstd::PREFIX_LENGTH);
            }
        }
    }

    #[test]
    fn every_level_writes_what_comes_back() {
        let text = "rows of a table, one like the other; ".repeat(4_000);
        for (name, levels) in [("gzip", 12), ("zstd", 19)] {
            let compression: Compression = name.parse().unwrap();
            let sizes: Vec<_> =
                (1..=levels).map(|level| round_trip(compression.at_level(level).unwrap(), text.as_bytes())).collect();
            assert!(sizes.iter().all(|size| *size < text.len() / 50), "{name}: {sizes:?}");
        }
    }

    #[test]
    fn a_footer_is_known_by_every_byte() {
        let footer = Footer { member: 0x0102_0304_0506, skip: 77 };
        for name in ["gzip", "zstd"] {
            let mut bytes = Vec::new();
            let packer = Packer::new(name.parse().unwrap()).unwrap();
            packer.footer(footer, &mut bytes);
            let kind = last_footer(&bytes).unwrap().0;
            assert_eq!(bytes.len(), kind.footer_length());
            assert_eq!(kind.length(&bytes[..kind.start_length()]), Ok(bytes.len()));
            assert_eq!(last_footer(&bytes), Some((kind, footer)));
            assert_eq!(last_footer(&[b"before", &bytes[..]].concat()), Some((kind, footer)));
            for at in 0..bytes.len() {
                let mut other = bytes.clone();
                other[at] ^= 1;
                assert_ne!(last_footer(&other), Some((kind, footer)), "{name} byte {at}");
            }
            assert_eq!(last_footer(&bytes[1..]), None);
        }
    }

    #[test]
    fn lies_are_refused() {
        for name in ALL {
            let mut member = Vec::new();
            Packer::new(name.parse().unwrap()).unwrap().pack(&noise(5_000), &mut member).unwrap();
            let kind = kind(&member);
            let (mut unpacker, mut plain) = (Unpacker::new(kind).unwrap(), Vec::new());
            for at in kind.start_length()..member.len() {
                let mut other = member.clone();
                other[at] ^= 0x10;
                if unpacker.unpack(&other, &mut plain).is_ok() {
                    assert_eq!(plain, noise(5_000), "{name} byte {at}");
                }
            }
            assert!(unpacker.unpack(&member, &mut plain).is_ok());
            assert!(unpacker.unpack(&[&member[..], b"x"].concat(), &mut plain).is_err());
            assert!(unpacker.unpack(&member[..member.len() - 1], &mut plain).is_err());
        }
    }
}
