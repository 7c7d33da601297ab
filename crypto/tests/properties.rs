//! What holds for archives of any size and content, against programs that are not ours: `age`, `openssl` and Python.
//!
//! Each run has another seed; `COFFER_TESTS_SEED` repeats one that failed.

#![cfg(test)]

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use coffer_crypto::{
    ArchiveId, Error, Identity, Opener, RandomOpener, Recipients, Rewrapped, SEGMENT_SIZE, Sealer, SigningKey, Unlock,
    rewrap_header,
};
use fastrand::Rng;

/// A generator, and its seed on standard output, which the test harness shows where the test fails.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
fn seeded() -> Rng {
    let given = std::env::var("COFFER_TESTS_SEED").ok().map(|seed| seed.parse().unwrap());
    let clock = || u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos());
    let seed = given.unwrap_or_else(clock);
    println!("COFFER_TESTS_SEED={seed}");
    Rng::with_seed(seed)
}

/// Up to some segments, and often just a border of them.
fn any_size(rng: &mut Rng) -> usize {
    let full = rng.usize(0..=3) * SEGMENT_SIZE;
    match rng.u8(0..4) {
        0 => full,
        1 => full + rng.usize(0..40),
        2 => (full + rng.usize(0..40)).saturating_sub(40),
        _ => full + rng.usize(0..SEGMENT_SIZE),
    }
}

fn any_bytes(rng: &mut Rng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill(&mut bytes);
    bytes
}

fn any_people(rng: &mut Rng) -> Vec<Identity> {
    (0..rng.usize(1..=4)).map(|_| Identity::generate()).collect()
}

fn to(people: &[Identity]) -> Recipients {
    Recipients::keys(people.iter().map(Identity::recipient).collect()).unwrap()
}

fn with(identity: &Identity) -> Unlock {
    Unlock { identities: vec![identity.to_secret_text().parse().unwrap()], ..Unlock::default() }
}

/// Written in pieces of any size.
fn seal(rng: &mut Rng, people: &[Identity], plaintext: &[u8]) -> Vec<u8> {
    let mut sealer = Sealer::new(Vec::new(), &to(people)).unwrap();
    let mut rest = plaintext;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rng.usize(1..=rest.len().min(2 * SEGMENT_SIZE)));
        sealer.write_all(piece).unwrap();
        rest = behind;
    }
    sealer.finish().unwrap()
}

/// Read in pieces of any size; what came out before an error, and the error.
fn open(rng: &mut Rng, archive: &[u8], unlock: &Unlock) -> (Vec<u8>, Result<(), Error>) {
    let mut opener = match Opener::new(archive, unlock) {
        Ok(opener) => opener,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut plaintext = Vec::new();
    loop {
        let mut piece = vec![0; rng.usize(1..=2 * SEGMENT_SIZE)];
        match opener.read(&mut piece) {
            Ok(0) => return (plaintext, Ok(())),
            Ok(n) => plaintext.extend_from_slice(&piece[..n]),
            Err(error) => return (plaintext, Err(*error.into_inner().unwrap().downcast().unwrap())),
        }
    }
}

/// What a program prints; none where it fails.
fn output(program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("these tests need the program {program}: {error}"));
    output.status.success().then_some(output.stdout)
}

fn python(script: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/properties")).join(script);
    output("python3", &[&["-B", path.to_str().unwrap()], arguments].concat())
}

#[test]
fn what_we_seal_others_open() {
    let (mut rng, folder) = (seeded(), tempfile::tempdir().unwrap());
    let [archive, key] = ["archive", "key"].map(|name| folder.path().join(name));
    let paths = [archive.to_str().unwrap(), key.to_str().unwrap()];
    for _ in 0..12 {
        let (size, people) = (any_size(&mut rng), any_people(&mut rng));
        let plaintext = any_bytes(&mut rng, size);
        let mut sealed = seal(&mut rng, &people, &plaintext);
        fs::write(&archive, &sealed).unwrap();
        fs::write(&key, rng.choice(&people).unwrap().to_secret_text().as_bytes()).unwrap();
        assert!(python("open.py", &paths).unwrap() == plaintext, "{size} bytes");

        let place = rng.usize(12..sealed.len());
        sealed[place] ^= 1 << rng.u8(0..8);
        fs::write(&archive, &sealed).unwrap();
        assert!(python("open.py", &paths).is_none(), "{size} bytes, byte {place} changed");
    }
}

#[test]
fn what_others_seal_we_open() {
    let (mut rng, folder) = (seeded(), tempfile::tempdir().unwrap());
    let file = folder.path().join("plaintext");
    for _ in 0..12 {
        let (size, people) = (any_size(&mut rng), any_people(&mut rng));
        let plaintext = any_bytes(&mut rng, size);
        fs::write(&file, &plaintext).unwrap();
        let recipients: Vec<_> = people.iter().map(|person| person.recipient().to_string()).collect();
        let recipients = recipients.iter().map(String::as_str);
        let arguments: Vec<_> = [file.to_str().unwrap()].into_iter().chain(recipients).collect();
        let sealed = python("seal.py", &arguments).unwrap();
        let unlock = with(rng.choice(&people).unwrap());
        let (opened, end) = open(&mut rng, &sealed, &unlock);
        end.unwrap();
        assert!(opened == plaintext, "{size} bytes");
    }
}

#[test]
fn any_part_is_what_a_stream_gives() {
    let mut rng = seeded();
    for _ in 0..30 {
        let (size, people) = (any_size(&mut rng), any_people(&mut rng));
        let sealed = {
            let plaintext = any_bytes(&mut rng, size);
            seal(&mut rng, &people, &plaintext)
        };
        let unlock = with(&people[0]);
        let (plaintext, end) = open(&mut rng, &sealed, &unlock);
        end.unwrap();
        let opener = RandomOpener::open(sealed.as_slice(), &unlock).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(opener.size(), size as u64);
        for _ in 0..40 {
            let from = rng.usize(0..=size);
            let mut part = vec![0; rng.usize(0..=size - from)];
            opener.read_exact_at(from as u64, &mut part).unwrap();
            assert!(part == plaintext[from..from + part.len()], "{} from {from} of {size}", part.len());
            let mut beyond = vec![0; size - from + rng.usize(1..100)];
            assert!(opener.read_exact_at(from as u64, &mut beyond).is_err(), "{} from {from} of {size}", beyond.len());
        }
    }
}

/// Bytes flipped, cut out, repeated, moved and added, anywhere.
fn damaged(rng: &mut Rng, archive: &[u8]) -> Vec<u8> {
    let mut places = [rng.usize(0..=archive.len()), rng.usize(0..=archive.len())];
    places.sort_unstable();
    let [from, end] = places;
    let (start, middle, rest) = (&archive[..from], &archive[from..end], &archive[end..]);
    match rng.u8(0..6) {
        0 => [start, &middle.iter().map(|byte| !byte).collect::<Vec<_>>(), rest].concat(),
        1 => [start, rest].concat(),
        2 => [start, middle, middle, rest].concat(),
        3 => start.to_vec(),
        4 => [archive, middle].concat(),
        _ => [start, &any_bytes(rng, middle.len()), rest].concat(),
    }
}

#[test]
fn no_damage_goes_unseen_and_none_of_it_comes_out() {
    let mut rng = seeded();
    let mut seen = 0;
    for _ in 0..400 {
        let (size, people) = (any_size(&mut rng), any_people(&mut rng));
        let plaintext = any_bytes(&mut rng, size);
        let sealed = seal(&mut rng, &people, &plaintext);
        let (changed, unlock) = (damaged(&mut rng, &sealed), with(&people[0]));
        if changed == sealed {
            continue;
        }
        seen += 1;
        let (opened, end) = open(&mut rng, &changed, &unlock);
        assert!(end.is_err() && plaintext.starts_with(&opened) && opened.len() % SEGMENT_SIZE == 0);
        if let Ok(opener) = RandomOpener::open(changed.as_slice(), &unlock) {
            let mut all = vec![0; usize::try_from(opener.size()).unwrap()];
            assert!(opener.read_exact_at(0, &mut all).is_err() && all.iter().all(|byte| *byte == 0));
        }
    }
    assert!(seen > 300, "{seen} of 400 were damaged");
}

#[test]
fn rewrapped_again_and_again_it_is_the_same_archive() {
    let mut rng = seeded();
    let size = any_size(&mut rng);
    let (mut people, plaintext) = (any_people(&mut rng), any_bytes(&mut rng, size));
    let mut sealed = seal(&mut rng, &people, &plaintext);
    for _ in 0..10 {
        let new = any_people(&mut rng);
        let (mut input, mut out) = (sealed.as_slice(), Vec::new());
        let unlock = with(rng.choice(&people).unwrap());
        let Rewrapped { old_header_bytes, new_header_bytes, .. } =
            rewrap_header(&mut input, &unlock, &to(&new), &mut out).unwrap();
        assert_eq!(input.len() as u64, sealed.len() as u64 - old_header_bytes);
        assert_eq!(out.len() as u64, new_header_bytes);
        out.extend_from_slice(input);
        assert!(open(&mut rng, &out, &unlock).1.is_err_and(|error| error.is_wrong_key()));
        let unlock = with(rng.choice(&new).unwrap());
        let (opened, end) = open(&mut rng, &out, &unlock);
        end.unwrap();
        assert!(opened == plaintext);
        (people, sealed) = (new, out);
    }
}

/// Keys as openssl takes them: RFC 8410, the 32 bytes behind a fixed beginning.
const PRIVATE: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const PUBLIC: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

fn hex_bytes(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn openssl_and_we_take_each_other_s_signatures() {
    let (mut rng, folder) = (seeded(), tempfile::tempdir().unwrap());
    let [private, public, message, signature] =
        ["private", "public", "message", "signature"].map(|name| folder.path().join(name).display().to_string());
    for _ in 0..8 {
        let key = SigningKey::generate().unwrap();
        let secret = key.to_secret_text();
        fs::write(&private, [&PRIVATE[..], &hex_bytes(&secret["COFFER-SIGNING-KEY-1".len()..])].concat()).unwrap();
        fs::write(&public, [&PUBLIC[..], &hex_bytes(&key.public().to_string())].concat()).unwrap();
        let (id, digest) = (rng.u128(..).to_le_bytes(), [rng.u128(..).to_le_bytes(), [7; 16]].concat());
        let digest: [u8; 32] = digest.try_into().unwrap();
        fs::write(&message, [&b"coffer/1 signature"[..], &id, &digest].concat()).unwrap();
        let id = ArchiveId::from(id);

        let sign = ["pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", &private, "-in", &message];
        let theirs: [u8; 64] = output("openssl", &sign).unwrap().try_into().unwrap();
        key.public().verify(id, &digest, &theirs).unwrap();

        let verify = ["pkeyutl", "-verify", "-pubin", "-rawin", "-keyform", "DER", "-inkey", &public];
        let verify = [&verify[..], &["-in", &message, "-sigfile", &signature]].concat();
        let mut ours = key.sign(id, &digest);
        fs::write(&signature, ours).unwrap();
        assert!(output("openssl", &verify).is_some());
        ours[rng.usize(0..64)] ^= 1;
        fs::write(&signature, ours).unwrap();
        assert!(output("openssl", &verify).is_none());
    }
}
