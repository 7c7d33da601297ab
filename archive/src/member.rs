//! One gzip member at a time, without I/O: RFC 1952, with the member's own length in its extra field.

use libdeflater::{CompressionLvl, Compressor, Decompressor};

/// Tar bytes in each member that the writer makes but the last.
pub(crate) const MEMBER_SIZE: usize = 256 * 1024;
/// The most tar bytes that a member may hold.
pub(crate) const MEMBER_MAX_BYTES: usize = 1 << 20;
/// The longest member, from header to trailer.
const MEMBER_MAX_LENGTH: u32 = (1 << 20) + 1_024;
/// gzip's fixed header and the length of the extra field.
pub(crate) const PREFIX_LENGTH: usize = 12;
/// The header of a member of ours: prefix, subfield `CF`.
const HEADER_LENGTH: usize = PREFIX_LENGTH + 8;
const TRAILER_LENGTH: usize = 8;
/// The footer's length, and where an archive's last bytes are looked for.
pub(crate) const FOOTER_LENGTH: usize = 46;

/// Level 1 of libdeflate deflates rows nearly as well as zlib's level 6, at several times its speed.
const LEVEL: i32 = 1;
const GZIP_START: [u8; 10] = [0x1f, 0x8b, 0x08, 0x04, 0, 0, 0, 0, 0, 0xff];
const STORED_BLOCK_MAX: usize = 65_535;
const PROBE_BYTES: usize = 2_048;
const PROBES: usize = 4;

/// Makes members, reusing its memory.
pub(crate) struct MemberCompressor {
    compressor: Compressor,
    probe: Vec<u8>,
}

impl MemberCompressor {
    pub(crate) fn new() -> Self {
        let level = CompressionLvl::new(LEVEL).unwrap_or_default();
        Self { compressor: Compressor::new(level), probe: Vec::new() }
    }

    /// Appends `plain` as one member to `out`. What does not compress is stored, so that a member is never more than
    /// 28 bytes and five for each 65,535 longer than its content.
    pub(crate) fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&GZIP_START);
        out.extend_from_slice(&[8, 0, b'C', b'F', 4, 0, 0, 0, 0, 0]);
        let body = out.len();
        if !(self.seems_compressible(plain) && self.deflate(plain, out)) {
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

    /// A few samples tell: where they lose less than a thirty-second, the whole is hardly worth the work.
    fn seems_compressible(&mut self, plain: &[u8]) -> bool {
        if plain.len() <= PROBES * PROBE_BYTES {
            return true;
        }
        let step = (plain.len() - PROBE_BYTES) / (PROBES - 1);
        let bound = self.compressor.deflate_compress_bound(PROBE_BYTES);
        let mut probe = std::mem::take(&mut self.probe);
        probe.resize(bound, 0);
        let total: usize = (0..PROBES)
            .filter_map(|n| plain.get(n * step..n * step + PROBE_BYTES))
            .map(|sample| self.compressor.deflate_compress(sample, &mut probe).unwrap_or(PROBE_BYTES))
            .sum();
        self.probe = probe;
        total < PROBES * PROBE_BYTES * 31 / 32
    }

    /// Appends `plain` deflated; false where that gains nothing.
    fn deflate(&mut self, plain: &[u8], out: &mut Vec<u8>) -> bool {
        let body = out.len();
        out.resize(body + plain.len(), 0);
        let length = out.get_mut(body..).and_then(|space| self.compressor.deflate_compress(plain, space).ok());
        match length {
            Some(length) if length < plain.len() => {
                out.truncate(body + length);
                true
            }
            _ => false,
        }
    }
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

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Where `summary.json` begins: what the footer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Offset in the compressed layer of the member in which the summary's first tar header begins.
    pub(crate) member: u64,
    /// How far into that member's plaintext it begins.
    pub(crate) skip: u32,
}

impl Footer {
    /// The empty member that ends the compressed layer.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER_LENGTH);
        bytes.extend_from_slice(&GZIP_START);
        bytes.extend_from_slice(&[24, 0, b'C', b'F', 4, 0, 46, 0, 0, 0, b'C', b'X', 12, 0]);
        bytes.extend_from_slice(&self.member.to_le_bytes());
        bytes.extend_from_slice(&self.skip.to_le_bytes());
        bytes.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    /// The footer that these bytes are, if they are one.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let member = u64::from_le_bytes(bytes.get(24..32)?.try_into().ok()?);
        let skip = u32::from_le_bytes(bytes.get(32..36)?.try_into().ok()?);
        let footer = Self { member, skip };
        (footer.to_bytes() == bytes).then_some(footer)
    }
}

/// What the first 20 bytes of a member tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemberLength(usize);

impl MemberLength {
    /// How many bytes of a member [`MemberLength::parse`] needs.
    pub(crate) const NEEDS: usize = HEADER_LENGTH;

    /// The length of the member that begins so, checked against the format's bounds.
    pub(crate) fn parse(start: &[u8]) -> Result<Self, &'static str> {
        let field = |range| start.get(range).ok_or("its header is cut short");
        if field(0..3)? != [0x1f, 0x8b, 0x08] {
            return Err("no gzip member begins here");
        }
        if field(0..10)? != GZIP_START || field(12..16)? != [b'C', b'F', 4, 0] {
            return Err("its header lacks the length field CF");
        }
        let length: [u8; 4] = field(16..20)?.try_into().map_err(|_| "its header is cut short")?;
        let length = u32::from_le_bytes(length);
        let in_bounds = (length_u32(HEADER_LENGTH + TRAILER_LENGTH)..=MEMBER_MAX_LENGTH).contains(&length);
        in_bounds.then_some(Self(length as usize)).ok_or("its length field CF is out of bounds")
    }

    /// Bytes from header to trailer.
    pub(crate) fn bytes(self) -> usize {
        self.0
    }
}

/// Unpacks a whole member into `plain`, replacing what was there, and checks its length and CRC.
pub(crate) fn inflate(inflater: &mut Decompressor, member: &[u8], plain: &mut Vec<u8>) -> Result<(), &'static str> {
    if member.get(10..12) != Some(&[8, 0]) {
        return Err("its header has fields that no writer makes");
    }
    let trailer = member.len().checked_sub(TRAILER_LENGTH).ok_or("it is cut short")?;
    let (head, trailer) = member.split_at_checked(trailer).ok_or("it is cut short")?;
    let body = head.get(HEADER_LENGTH..).ok_or("it is cut short")?;
    let word = |range| trailer.get(range).and_then(|b: &[u8]| b.try_into().ok()).map(u32::from_le_bytes);
    let (Some(crc), Some(length)) = (word(0..4), word(4..8)) else { return Err("it is cut short") };
    let length = length as usize;
    if length == 0 {
        return Err("it is empty, which only the footer may be");
    }
    if length > MEMBER_MAX_BYTES {
        return Err("it holds more than 1 MiB");
    }
    plain.clear();
    plain.resize(length, 0);
    if inflater.deflate_decompress(body, plain) != Ok(length) {
        return Err("its deflate data does not unpack to the length it states");
    }
    if libdeflater::crc32(plain) != crc {
        return Err("its CRC does not match");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
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

    fn round_trip(plain: &[u8]) -> usize {
        let mut member = Vec::new();
        MemberCompressor::new().compress(plain, &mut member);
        assert_eq!(MemberLength::parse(&member).unwrap().bytes(), member.len());
        let mut back = Vec::new();
        inflate(&mut Decompressor::new(), &member, &mut back).unwrap();
        assert_eq!(back, plain);
        member.len()
    }

    #[test]
    fn members_come_back() {
        for length in [1, 511, 512, 65_535, 65_536, MEMBER_SIZE, MEMBER_MAX_BYTES] {
            assert!(round_trip(&vec![b'x'; length]) < 100 + length / 20);
            let stored = round_trip(&noise(length));
            assert!(stored <= length + 28 + 5 * length.div_ceil(65_535), "{length}: {stored}");
        }
    }

    #[test]
    fn a_footer_is_known_by_every_byte() {
        let footer = Footer { member: 0x0102_0304_0506, skip: 77 };
        let bytes = footer.to_bytes();
        assert_eq!(bytes.len(), FOOTER_LENGTH);
        assert_eq!(Footer::parse(&bytes), Some(footer));
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(Footer::parse(&other), Some(footer), "byte {at}");
        }
        assert_eq!(Footer::parse(&bytes[1..]), None);
    }

    #[test]
    fn lies_are_refused() {
        let mut member = Vec::new();
        MemberCompressor::new().compress(&[7; 5000], &mut member);
        let mut plain = Vec::new();
        for at in 20..member.len() {
            let mut other = member.clone();
            other[at] ^= 0x10;
            if inflate(&mut Decompressor::new(), &other, &mut plain).is_ok() {
                assert_eq!(plain, [7; 5000]);
            }
        }
        // The trailer, CRC and length, has one truth alone.
        for at in member.len() - TRAILER_LENGTH..member.len() {
            let mut other = member.clone();
            other[at] ^= 0x10;
            assert!(inflate(&mut Decompressor::new(), &other, &mut plain).is_err(), "byte {at}");
        }
        for length in [0_u32, 27, MEMBER_MAX_LENGTH + 1, u32::MAX] {
            member[16..20].copy_from_slice(&length.to_le_bytes());
            assert!(MemberLength::parse(&member).is_err(), "{length}");
        }
    }
}
