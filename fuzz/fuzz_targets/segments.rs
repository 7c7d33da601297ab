//! The segments of a sealed archive, edited: what comes out is the beginning of what went in, and all of it where there
//! is no error, in one pass and at random.
#![no_main]

use std::io::{self, Read, Write};
use std::sync::LazyLock;

use coffer_crypto::{Identity, Opener, RandomOpener, ReadAt, Recipients, Sealer, Unlock};
use libfuzzer_sys::fuzz_target;

struct Sealed {
    plaintext: Vec<u8>,
    archive: Vec<u8>,
    /// Another one, of the same key holder.
    other: Vec<u8>,
    header: usize,
    unlock: Unlock,
}

static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let identity = Identity::generate();
    let plaintext: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let seal = |plaintext: &[u8]| {
        let recipients = Recipients::keys(vec![identity.recipient()]).expect("a recipient");
        let mut sealer = Sealer::new(Vec::new(), &recipients).expect("a header");
        sealer.write_all(plaintext).expect("memory");
        sealer.finish().expect("memory")
    };
    let (archive, other) = (seal(&plaintext), seal(&plaintext));
    let header = archive.len() - plaintext.len() - 4 * 32;
    Sealed { plaintext, archive, other, header, unlock: Unlock { identities: vec![identity], ..Unlock::default() } }
});

struct Bytes<'a>(&'a [u8]);

impl ReadAt for Bytes<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = start.checked_add(out.len()).and_then(|end| self.0.get(start..end));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Each five bytes are an edit: what, and where.
fn edited(edits: &[u8]) -> Vec<u8> {
    const STEP: usize = 65_536 + 32;
    let mut archive = SEALED.archive.clone();
    for edit in edits.chunks_exact(5).take(8) {
        let at = u32::from_le_bytes([edit[1], edit[2], edit[3], 0]) as usize;
        let segment = SEALED.header + usize::from(edit[4] % 4) * STEP;
        let other = SEALED.header + usize::from(edit[1] % 4) * STEP;
        match edit[0] % 7 {
            0 => archive.truncate(at),
            1 if at < archive.len() => archive[at] ^= edit[4].max(1),
            2 => archive.extend_from_slice(&edit[1..]),
            3 if at < archive.len() => drop(archive.remove(at)),
            4 if segment + STEP <= archive.len() => drop(archive.drain(segment..segment + STEP)),
            5 if segment + STEP <= archive.len() && other + STEP <= SEALED.other.len() => {
                archive[segment..segment + STEP].copy_from_slice(&SEALED.other[other..other + STEP]);
            }
            6 if segment + STEP <= archive.len() && other + STEP <= archive.len() => {
                let copy = archive[other..other + STEP].to_vec();
                archive[segment..segment + STEP].copy_from_slice(&copy);
            }
            _ => {}
        }
    }
    archive
}

fuzz_target!(|edits: &[u8]| {
    let archive = edited(edits);
    let mut streamed = Vec::new();
    let whole = Opener::new(archive.as_slice(), &SEALED.unlock)
        .is_ok_and(|mut opener| opener.read_to_end(&mut streamed).is_ok());
    assert!(SEALED.plaintext.starts_with(&streamed));
    assert_eq!(whole, archive == SEALED.archive);
    let Ok(random) = RandomOpener::open(Bytes(&archive), &SEALED.unlock) else { return };
    let mut at_random = vec![0; usize::try_from(random.size()).unwrap_or(0)];
    let read = random.read_exact_at(0, &mut at_random).is_ok();
    assert_eq!(read, whole);
    assert!(!read || at_random == SEALED.plaintext);
});
