//! The header of a sealed archive: no length, envelope or tag in it may cost more than it is, or open to a stranger.
#![no_main]

use std::io::Read;
use std::sync::LazyLock;

use coffer_crypto::{Identity, Locked, Unlock};
use libfuzzer_sys::fuzz_target;

/// The corpus is sealed for the first; anybody may know it.
static UNLOCK: LazyLock<Unlock> = LazyLock::new(|| Unlock {
    identities: Identity::parse_file(include_str!("../identity.txt")).expect("an identity"),
    ..Unlock::default()
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(locked) = Locked::read(bytes) else { return };
    let Ok(mut opener) = locked.unlock(&UNLOCK) else { return };
    let mut plaintext = [0; 4_096];
    while let Ok(read @ 1..) = opener.read(&mut plaintext) {
        assert!(read <= plaintext.len());
    }
});
