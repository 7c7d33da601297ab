//! The compressed layer: any bytes as members of ours and as what others packed, in one pass and at random.
#![no_main]

use std::io;

use coffer_archive::{RandomReader, ReadAt, Reader};
use coffer_fuzz::{limits, read_all};
use libfuzzer_sys::fuzz_target;

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

fuzz_target!(|bytes: &[u8]| {
    let ours = read_all(Reader::new(bytes, limits()));
    let plain = read_all(Reader::plain(bytes, limits()));
    assert!(plain || !ours, "what is whole as ours is whole as plain");
    let Ok(random) = RandomReader::open(Bytes(bytes), limits()) else {
        assert!(!ours, "what is whole in one pass can be read at random");
        return;
    };
    let mut entries = Vec::new();
    let listed = random.list(|listed| {
        entries.push(listed);
        Ok(())
    });
    assert!(listed.is_ok() || !ours);
    for entry in entries.into_iter().take(100) {
        if let coffer_archive::Listed::Entry(entry) | coffer_archive::Listed::Void(entry) = entry {
            let read = random.read(&entry, &mut io::sink());
            assert!(read.is_ok() || !ours);
        }
    }
});
