//! The index and the summary: any text in their place, in an archive that is else honest. Texts stand behind one another
//! with a byte 0xff between them: blocks, and last the summary.
#![no_main]

use std::io;
use std::sync::LazyLock;

use coffer_archive::{Compression, Listed, RandomReader, ReadAt, Reader};
use coffer_fuzz::{entries, entry, honest, limits, packed, read_all};
use libfuzzer_sys::fuzz_target;

static HONEST: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| entries(&honest(Compression::default())));

struct Bytes(Vec<u8>);

impl ReadAt for &Bytes {
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

fuzz_target!(|texts: &[u8]| {
    let mut tar = Vec::new();
    let simple = |path: &str| path != "summary.json" && !path.starts_with("index/") && !path.starts_with("objects/a");
    HONEST.iter().filter(|(path, _)| simple(path)).for_each(|(path, content)| entry(&mut tar, path, content));
    let texts: Vec<_> = texts.split(|&byte| byte == 0xff).collect();
    let Some((summary, blocks)) = texts.split_last() else { return };
    blocks.iter().enumerate().for_each(|(n, block)| entry(&mut tar, &format!("index/{n:08}.jsonl"), block));
    entry(&mut tar, "summary.json", summary);
    tar.resize(tar.len() + 1_024, 0);
    let layer = Bytes(packed(&tar));
    let whole = read_all(Reader::new(layer.0.as_slice(), limits()));
    let Ok(random) = RandomReader::open(&layer, limits()) else {
        assert!(!whole);
        return;
    };
    let mut paths = Vec::new();
    let listed = random.list(|listed| {
        paths.push(listed.path().to_owned());
        if let Listed::Entry(entry) | Listed::Void(entry) = listed {
            drop(random.read(&entry, &mut io::sink()));
        }
        Ok(())
    });
    assert!(listed.is_ok() || !whole);
    let index = random.check_index(|_| Ok(true));
    let chosen = index.and_then(|index| random.read_chosen(&index, |_| Ok(true), |_| Ok(())));
    assert!(chosen.is_ok() || !whole);
    for path in paths {
        drop(random.find(&path));
    }
    drop(random.find_all_under("objects/", |_| Ok(())));
});
