//! The tar layer: any bytes, their header blocks with right checksums, as entries of ours and as other programs' tar.
#![no_main]

use coffer_archive::Reader;
use coffer_fuzz::{limits, packed, read_all, with_checksum};
use libdeflater::{CompressionLvl, Compressor};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut tar = bytes.to_vec();
    tar.resize(tar.len().next_multiple_of(512), 0);
    for block in tar.chunks_mut(512) {
        if block[257..262] == *b"ustar" {
            with_checksum(block);
        }
    }
    read_all(Reader::new(packed(&tar).as_slice(), limits()));
    let mut compressor = Compressor::new(CompressionLvl::fastest());
    let mut gzip = vec![0; compressor.gzip_compress_bound(tar.len())];
    let length = compressor.gzip_compress(&tar, &mut gzip).expect("room");
    read_all(Reader::plain(&gzip[..length], limits()));
});
