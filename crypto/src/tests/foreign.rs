//! Key envelopes that others wrote, and what others make of ours.

use std::process::{Command, Stdio};

use age::{Encryptor, scrypt};

use super::*;
use crate::MAGIC;

/// An age file that holds `content`.
fn envelope(recipient: &dyn age::Recipient, content: &[u8]) -> Vec<u8> {
    let mut file = Encryptor::with_recipients([recipient].into_iter()).unwrap().wrap_output(Vec::new()).unwrap();
    file.write_all(content).unwrap();
    file.finish().unwrap()
}

/// An empty archive of key 5a…5a with this envelope.
fn archive(envelope: &[u8]) -> Vec<u8> {
    let (key, id) = (ArchiveKey::from([0x5a; 32]), ArchiveId::from([0xc3; 16]));
    let length = u32::try_from(envelope.len()).unwrap().to_le_bytes();
    let header = [&MAGIC, &length[..], envelope, id.as_bytes()].concat();
    let tag = key.header_key(id).tag(&header);
    [&header[..], &tag, &independent::tag(&key, id, 0, 1, &[])].concat()
}

#[test]
fn opens_what_the_age_library_wrapped() {
    let identity = Identity::generate();
    let sealed = archive(&envelope(identity.recipient().as_age(), &[0x5a; 32]));
    open(sealed.as_slice(), &with(&identity)).1.unwrap();
}

#[test]
fn refuses_anything_but_32_bytes_as_a_key() {
    let identity = Identity::generate();
    for length in [0, 1, 31, 33, 48, 20_000] {
        let sealed = archive(&envelope(identity.recipient().as_age(), &vec![0x5a; length]));
        let result = open(sealed.as_slice(), &with(&identity)).1;
        assert!(matches!(result, Err(Error::KeyLength)), "{length}: {result:?}");
    }
}

#[test]
fn refuses_an_excessive_work_factor_of_the_age_library() {
    let mut recipient = scrypt::Recipient::new("open sesame".to_owned().into());
    recipient.set_work_factor(12);
    let sealed = archive(&envelope(&recipient, &[0x5a; 32]));
    let mut unlock = with_passphrase("open sesame");
    unlock.max_work_factor = WorkFactor::new(10).unwrap();
    assert!(matches!(open(sealed.as_slice(), &unlock).1, Err(Error::ExcessiveWork { required: 12, .. })));
}

#[test]
fn refuses_envelopes_that_are_no_age_file() {
    let identity = Identity::generate();
    let whole = envelope(identity.recipient().as_age(), &[0x5a; 32]);
    let longer = [&whole[..], b"x"].concat();
    let shorter = &whole[..whole.len() - 1];
    let many_stanzas = [&b"age-encryption.org/v1\n"[..], &b"-> a\n\n".repeat(10_000), b"--- x\n"].concat();
    let endless_header = [&b"age-encryption.org/v1\n"[..], &b"-> a\n\n".repeat(10_000)].concat();
    for bad in
        [&b""[..], b"\n", b"age-encryption.org/v2\nx", b"---\n", &longer, shorter, &many_stanzas, &endless_header]
    {
        let result = open(archive(bad).as_slice(), &with(&identity)).1;
        assert!(matches!(result, Err(Error::EnvelopeDamaged)), "{result:?}");
    }
}

/// Runs `age` and gives its standard output. Identities and recipients go by files in a folder that is gone afterwards.
fn age(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let age = Command::new("age").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut age = age.expect("these tests need the program age; `./run ci` installs it");
    age.stdin.take().unwrap().write_all(input).unwrap();
    let output = age.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn the_age_program_and_we_open_each_other_s_envelopes() {
    let (identity, other) = (Identity::generate(), Identity::generate());
    let file = std::env::temp_dir().join(format!("coffer-crypto-identity-{}", std::process::id()));
    std::fs::write(&file, identity.to_secret_text().as_bytes()).unwrap();

    let (key, id) = (ArchiveKey::from([0x5a; 32]), ArchiveId::from([0xc3; 16]));
    let sealed = Sealer::with_key(Vec::new(), &to(&[&other, &identity]), &key, id).unwrap().finish().unwrap();
    let ours = &sealed[12..header_length(&sealed) - 48];
    assert_eq!(age(&["-d", "-i", file.to_str().unwrap()], ours), [0x5a; 32]);
    std::fs::remove_file(&file).unwrap();

    let [first, second] = [&other, &identity].map(|identity| identity.recipient().to_string());
    let theirs = age(&["-r", &first, "-r", &second], &[0x5a; 32]);
    for identity in [&identity, &other] {
        open(archive(&theirs).as_slice(), &with(identity)).1.unwrap();
    }
}
