//! gzip members (RFC 1952) with their own length in the extra field.

use libdeflater::{CompressionLvl, Compressor, Decompressor};
use memchr::memmem;

use super::{Footer, MEMBER_MAX_BYTES, PACKED_MAX_BYTES, length_u32, u32_at};
use crate::compression::GzipLevel;

/// Fixed header, length of the extra field, subfield `CF`.
pub(super) const HEADER_LENGTH: usize = 20;
/// An empty member with the subfields `CF` and `CX`.
pub(super) const FOOTER_LENGTH: usize = 46;
const TRAILER_LENGTH: usize = 8;

/// The first bytes of every member, whoever wrote it.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];
const START: [u8; 10] = [0x1f, 0x8b, 0x08, 0x04, 0, 0, 0, 0, 0, 0xff];
const EXTRA_FLAG: u8 = 4;
const STORED_BLOCK_MAX: usize = 65_535;
const PROBE_BYTES: usize = 2_048;
const PROBES: usize = 4;

/// Makes members, reusing its memory.
pub(crate) struct GzipPacker {
    /// Nothing, where all is stored.
    compressor: Option<Compressor>,
    probe: Vec<u8>,
}

impl GzipPacker {
    /// Members deflated where that gains something.
    pub(super) fn deflating(level: GzipLevel) -> Self {
        let level = CompressionLvl::new(level.get()).unwrap_or_default();
        Self { compressor: Some(Compressor::new(level)), probe: Vec::new() }
    }

    /// Members of stored blocks.
    pub(super) fn storing() -> Self {
        Self { compressor: None, probe: Vec::new() }
    }

    /// Appends `plain` as one member to `out`. What does not compress is stored, so that a member is never more than
    /// 28 bytes and five for each 65,535 longer than its content.
    pub(super) fn pack(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&START);
        out.extend_from_slice(&[8, 0, b'C', b'F', 4, 0, 0, 0, 0, 0]);
        let body = out.len();
        if !self.deflate(plain, out) {
            out.truncate(body);
            store(plain, out);
        }
        out.extend_from_slice(&libdeflater::crc32(plain).to_le_bytes());
        out.extend_from_slice(&length_u32(plain.len()).to_le_bytes());
        let length = length_u32(out.len() - start).to_le_bytes();
        if let Some(field) = out.get_mut(start + 16..start + 20) {
            field.copy_from_slice(&length);
        }
    }

    /// Appends `plain` deflated; false where that gains nothing.
    fn deflate(&mut self, plain: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(compressor) = &mut self.compressor else { return false };
        if !seems_compressible(compressor, &mut self.probe, plain) {
            return false;
        }
        let body = out.len();
        out.resize(body + plain.len(), 0);
        let length = out.get_mut(body..).and_then(|space| compressor.deflate_compress(plain, space).ok());
        match length {
            Some(length) if length < plain.len() => {
                out.truncate(body + length);
                true
            }
            _ => false,
        }
    }
}

/// A few samples tell: where they lose less than a thirty-second, the whole is hardly worth the work.
fn seems_compressible(compressor: &mut Compressor, probe: &mut Vec<u8>, plain: &[u8]) -> bool {
    if plain.len() <= PROBES * PROBE_BYTES {
        return true;
    }
    let step = (plain.len() - PROBE_BYTES) / (PROBES - 1);
    probe.resize(compressor.deflate_compress_bound(PROBE_BYTES), 0);
    let total: usize = (0..PROBES)
        .filter_map(|n| plain.get(n * step..n * step + PROBE_BYTES))
        .map(|sample| compressor.deflate_compress(sample, probe).unwrap_or(PROBE_BYTES))
        .sum();
    total < PROBES * PROBE_BYTES * 31 / 32
}

/// Appends `plain` as stored deflate blocks (RFC 1951, 3.2.4).
fn store(plain: &[u8], out: &mut Vec<u8>) {
    let mut blocks = plain.chunks(STORED_BLOCK_MAX).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
}

/// Whether gzip begins here.
pub(super) fn begins(start: &[u8]) -> bool {
    start.starts_with(&MAGIC)
}

/// Whether a member tells its length, be it right or wrong: so begins a layer that a writer of ours made.
pub(super) fn tells_length(start: &[u8]) -> bool {
    start.get(3).is_some_and(|flags| flags & EXTRA_FLAG != 0) && start.get(12..14) == Some(b"CF")
}

/// The length of the member that begins so.
pub(super) fn length(start: &[u8]) -> Result<usize, &'static str> {
    if start.get(..3) != START.get(..3) {
        return Err("no gzip member begins here");
    }
    if start.get(..10) != Some(&START) || start.get(12..16) != Some(&[b'C', b'F', 4, 0]) {
        return Err("its header lacks the length field CF");
    }
    let length = u32_at(start, 16).ok_or("its header is cut short")?;
    let in_bounds = (length_u32(HEADER_LENGTH + TRAILER_LENGTH)..=PACKED_MAX_BYTES).contains(&length);
    in_bounds.then_some(length as usize).ok_or("its length field CF is out of bounds")
}

/// The empty member that ends the compressed layer.
pub(super) fn footer_bytes(footer: Footer) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FOOTER_LENGTH);
    bytes.extend_from_slice(&START);
    bytes.extend_from_slice(&[24, 0, b'C', b'F', 4, 0, 46, 0, 0, 0, b'C', b'X', 12, 0]);
    bytes.extend_from_slice(&footer.member.to_le_bytes());
    bytes.extend_from_slice(&footer.skip.to_le_bytes());
    bytes.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// The footer that these bytes are, if they are one.
pub(super) fn parse_footer(bytes: &[u8]) -> Option<Footer> {
    let member = u64::from_le_bytes(bytes.get(24..)?.first_chunk().copied()?);
    let footer = Footer { member, skip: u32_at(bytes, 32)? };
    (footer_bytes(footer) == bytes).then_some(footer)
}

/// Unpacks members, reusing its memory.
pub(crate) struct GzipUnpacker(Decompressor);

impl Default for GzipUnpacker {
    fn default() -> Self {
        Self(Decompressor::new())
    }
}

impl GzipUnpacker {
    /// Unpacks a whole member and checks its length and CRC.
    pub(super) fn unpack(&mut self, member: &[u8], plain: &mut Vec<u8>) -> Result<(), &'static str> {
        if member.get(10..12) != Some(&[8, 0]) {
            return Err("its header has fields that no writer makes");
        }
        let cut_short = "it is cut short";
        let trailer = member.len().checked_sub(TRAILER_LENGTH).ok_or(cut_short)?;
        let body = member.get(HEADER_LENGTH..trailer).ok_or(cut_short)?;
        let crc = u32_at(member, trailer).ok_or(cut_short)?;
        let length = u32_at(member, trailer + 4).ok_or(cut_short)? as usize;
        if length == 0 {
            return Err("it is empty, which only the footer may be");
        }
        if length > MEMBER_MAX_BYTES {
            return Err("it holds more than 1 MiB");
        }
        plain.clear();
        plain.resize(length, 0);
        if self.0.gzip_decompress(member, plain) != Ok(length) || libdeflater::crc32(plain) != crc {
            return Err(self.explain(body, crc, plain));
        }
        if self.hides_bytes(member, plain) {
            return Err(HIDDEN);
        }
        Ok(())
    }

    /// Whether the deflate data and its trailer end before the member does. The decompressor found a trailer right
    /// behind the data, and does not tell where that was: where the last bytes stand once before, it is asked again
    /// without the last of them.
    fn hides_bytes(&mut self, member: &[u8], plain: &mut [u8]) -> bool {
        let trailer = member.len().saturating_sub(TRAILER_LENGTH);
        let Some(((_, less), trailer)) = member.split_last().zip(member.get(trailer..)) else { return false };
        memmem::find(less, trailer).is_some() && self.0.gzip_decompress(less, plain) == Ok(plain.len())
    }

    /// What is wrong with a member that does not unpack.
    fn explain(&mut self, body: &[u8], crc: u32, plain: &mut [u8]) -> &'static str {
        if self.0.deflate_decompress(body, plain) != Ok(plain.len()) {
            "its deflate data does not unpack to the length it states"
        } else if libdeflater::crc32(plain) != crc {
            "its CRC does not match"
        } else {
            HIDDEN
        }
    }
}

const HIDDEN: &str = "there are bytes between its deflate data and its end";

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> Vec<u8> {
        let mut member = Vec::new();
        GzipPacker::deflating(GzipLevel::default()).pack(&[7; 5_000], &mut member);
        member
    }

    #[test]
    fn the_trailer_has_one_truth_alone() {
        let (member, mut plain) = (member(), Vec::new());
        for at in member.len() - TRAILER_LENGTH..member.len() {
            let mut other = member.clone();
            other[at] ^= 0x10;
            assert!(GzipUnpacker::default().unpack(&other, &mut plain).is_err(), "byte {at}");
        }
    }

    #[test]
    fn hidden_bytes_are_refused_behind_the_data_and_behind_a_trailer() {
        let member = member();
        let (head, trailer) = member.split_at(member.len() - TRAILER_LENGTH);
        let mut plain = Vec::new();
        for hidden in [&b"x"[..], trailer, &[trailer, b"hidden"].concat(), &[0; 8]] {
            let other = [head, hidden, trailer].concat();
            assert_eq!(GzipUnpacker::default().unpack(&other, &mut plain), Err(HIDDEN), "{hidden:?}");
        }
    }

    #[test]
    fn a_length_out_of_bounds_is_refused() {
        let mut member = member();
        for length in [0_u32, 27, PACKED_MAX_BYTES + 1, u32::MAX] {
            member[16..20].copy_from_slice(&length.to_le_bytes());
            assert!(super::length(&member).is_err(), "{length}");
            assert!(tells_length(&member));
        }
    }
}
