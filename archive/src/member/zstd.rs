//! zstd frames (RFC 8878), each behind a skippable frame that tells its length.

use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::compress_bound;
use zstd::zstd_safe::{CParameter, find_frame_compressed_size};

use super::{Footer, MEMBER_MAX_BYTES, PACKED_MAX_BYTES, length_u32, u32_at};
use crate::compression::ZstdLevel;

/// The skippable frame: magic, the length of its content, and as content the length of the frame behind it.
pub(super) const PREFIX_LENGTH: usize = 12;
/// The skippable frame that ends the layer.
pub(super) const FOOTER_LENGTH: usize = 20;
const PREFIX_MAGIC: [u8; 4] = 0x184D_2A50_u32.to_le_bytes();
const FOOTER_MAGIC: [u8; 4] = 0x184D_2A51_u32.to_le_bytes();
const FRAME_MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
/// Magic, descriptor and a content size of one byte: no frame is shorter with its first block.
const FRAME_MIN_BYTES: u32 = 9;

/// Makes frames, reusing its memory.
pub(crate) struct ZstdPacker(Compressor<'static>);

impl ZstdPacker {
    pub(super) fn new(level: ZstdLevel) -> io::Result<Self> {
        let mut compressor = Compressor::new(level.get())?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
        Ok(Self(compressor))
    }

    /// Appends `plain` as one frame to `out`, with its content size and checksum.
    pub(super) fn pack(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(&PREFIX_MAGIC);
        out.extend_from_slice(&4_u32.to_le_bytes());
        let field = out.len();
        let frame = field + 4;
        out.resize(frame + compress_bound(plain.len()), 0);
        let space = out.get_mut(frame..).unwrap_or_default();
        let length = self.0.compress_to_buffer(plain, space)?;
        out.truncate(frame + length);
        if let Some(field) = out.get_mut(field..frame) {
            field.copy_from_slice(&length_u32(length).to_le_bytes());
        }
        Ok(())
    }
}

/// Whether a frame as anybody writes it begins here.
pub(super) fn frame_begins(start: &[u8]) -> bool {
    start.starts_with(&FRAME_MAGIC)
}

/// Whether a frame that a writer of ours made begins here, or an archive without any.
pub(super) fn prefix_begins(start: &[u8]) -> bool {
    start.starts_with(&PREFIX_MAGIC) || start.starts_with(&FOOTER_MAGIC)
}

/// Whether so few bytes may be the beginning of one of these.
pub(super) fn magic_starts_with(start: &[u8]) -> bool {
    [PREFIX_MAGIC, FOOTER_MAGIC, FRAME_MAGIC].iter().any(|magic| magic.starts_with(start))
}

/// The length of the two frames that begin so, or of the footer.
pub(super) fn length(start: &[u8]) -> Result<usize, &'static str> {
    if start.starts_with(&FOOTER_MAGIC) && u32_at(start, 4) == Some(12) {
        return Ok(FOOTER_LENGTH);
    }
    if !start.starts_with(&PREFIX_MAGIC) || u32_at(start, 4) != Some(4) {
        return Err("no frame with its length before it begins here");
    }
    let length = u32_at(start, 8).ok_or("its length is cut short")?;
    let in_bounds = (FRAME_MIN_BYTES..=PACKED_MAX_BYTES).contains(&length);
    in_bounds.then_some(PREFIX_LENGTH + length as usize).ok_or("the length before it is out of bounds")
}

/// The skippable frame that ends the compressed layer.
pub(super) fn footer_bytes(footer: Footer) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FOOTER_LENGTH);
    bytes.extend_from_slice(&FOOTER_MAGIC);
    bytes.extend_from_slice(&12_u32.to_le_bytes());
    bytes.extend_from_slice(&footer.member.to_le_bytes());
    bytes.extend_from_slice(&footer.skip.to_le_bytes());
    bytes
}

/// The footer that these bytes are, if they are one.
pub(super) fn parse_footer(bytes: &[u8]) -> Option<Footer> {
    let member = u64::from_le_bytes(bytes.get(8..)?.first_chunk().copied()?);
    let footer = Footer { member, skip: u32_at(bytes, 16)? };
    (footer_bytes(footer) == bytes).then_some(footer)
}

/// Unpacks frames, reusing its memory.
pub(crate) struct ZstdUnpacker(Decompressor<'static>);

impl ZstdUnpacker {
    pub(super) fn new() -> io::Result<Self> {
        Decompressor::new().map(Self)
    }

    /// Unpacks a frame behind its prefix, and checks the length that it states and its checksum, where it has one.
    pub(super) fn unpack(&mut self, member: &[u8], plain: &mut Vec<u8>) -> Result<(), &'static str> {
        let frame = member.get(PREFIX_LENGTH..).ok_or("it is cut short")?;
        let length = content_size(frame)?;
        if length == 0 {
            return Err("it is empty");
        }
        if length > MEMBER_MAX_BYTES as u64 {
            return Err("it holds more than 1 MiB");
        }
        if find_frame_compressed_size(frame) != Ok(frame.len()) {
            return Err("its frame has another length than stands before it");
        }
        let length = usize::try_from(length).map_err(|_| "it holds more than 1 MiB")?;
        plain.clear();
        plain.resize(length, 0);
        match self.0.decompress_to_buffer(frame, plain.as_mut_slice()) {
            Ok(unpacked) if unpacked == length => Ok(()),
            _ => Err("its frame does not unpack to the length and checksum it states"),
        }
    }
}

/// The content size that a frame states (RFC 8878, 3.1.1.1), which must be there, and a dictionary must not.
fn content_size(frame: &[u8]) -> Result<u64, &'static str> {
    let cut_short = "its frame's header is cut short";
    if !frame_begins(frame) {
        return Err("no zstd frame begins behind its length");
    }
    let descriptor = *frame.get(4).ok_or(cut_short)?;
    if descriptor & 0b11 != 0 {
        return Err("its frame needs a dictionary");
    }
    let single_segment = descriptor & 0b10_0000 != 0;
    let field = frame.get(if single_segment { 5 } else { 6 }..).ok_or(cut_short)?;
    let size = match (descriptor >> 6, single_segment) {
        (0, false) => return Err("its frame does not state the size of its content"),
        (0, true) => field.first().map(|&byte| u64::from(byte)),
        (1, _) => field.first_chunk().map(|&bytes| u64::from(u16::from_le_bytes(bytes)) + 256),
        (2, _) => u32_at(field, 0).map(u64::from),
        _ => field.first_chunk().map(|&bytes| u64::from_le_bytes(bytes)),
    };
    size.ok_or(cut_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        ZstdPacker::new(ZstdLevel::default()).unwrap().pack(plain, &mut out).unwrap();
        out
    }

    #[test]
    fn the_content_size_is_read_at_each_width() {
        for length in [1, 255, 256, 65_791, 65_792, MEMBER_MAX_BYTES] {
            let frame = packed(&vec![7; length]);
            assert_eq!(content_size(&frame[PREFIX_LENGTH..]), Ok(length as u64));
        }
    }

    #[test]
    fn two_frames_behind_one_length_are_refused() {
        let (one, two) = (packed(b"one"), packed(b"two"));
        let both = [&one[..], &two[PREFIX_LENGTH..]].concat();
        assert!(ZstdUnpacker::new().unwrap().unpack(&both, &mut Vec::new()).is_err());
    }

    #[test]
    fn a_frame_that_says_less_of_itself_is_refused() {
        let unstated = {
            let mut compressor = Compressor::new(3).unwrap();
            compressor.set_parameter(CParameter::ContentSizeFlag(false)).unwrap();
            [&[0; PREFIX_LENGTH][..], &compressor.compress(&[7; 100]).unwrap()].concat()
        };
        let too_much = packed(&vec![7; MEMBER_MAX_BYTES + 1]);
        let mut with_dictionary = packed(b"one");
        with_dictionary[PREFIX_LENGTH + 4] |= 1;
        for frame in [unstated, too_much, with_dictionary, packed(b"")] {
            assert!(ZstdUnpacker::new().unwrap().unpack(&frame, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn a_length_out_of_bounds_is_refused() {
        let mut frame = packed(b"one");
        for length in [0, 8, PACKED_MAX_BYTES + 1, u32::MAX] {
            frame[8..12].copy_from_slice(&length.to_le_bytes());
            assert!(super::length(&frame).is_err(), "{length}");
        }
    }
}
