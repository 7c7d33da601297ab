"""Archives whose header is wrong, or is not for this reader."""

import base64

import agefile
from cases import ANNA, BEN, CARL, FILE_KEY, PASSPHRASE, WORK, archive, envelope, flip, scrypt
from sealed import mac


def header_ones(vectors):
    sealed, other = archive("header", 20), archive("other header", 20)
    start, segment = sealed.start(), sealed.segments[0]
    tag, body = mac(sealed.keys[b"header"], start), sealed.bytes()
    for name, header in [
        ("first_bit", flip(start + tag, len(start), 0x80)),
        ("last_bit", flip(start + tag, len(start) + 31)),
        ("zeros", start + bytes(32)),
        ("half_right", start + tag[:16] + bytes(16)),
        ("of_other_key", start + mac(sealed.keys[b"authenticate"], start)),
        ("without_magic", start + mac(sealed.keys[b"header"], start[8:])),
        ("without_id", start + mac(sealed.keys[b"header"], start[:-16])),
        ("id_flipped", flip(start, len(start) - 16) + tag),
        ("id_of_other", start[:-16] + other.id + tag),
        ("envelope_of_other", sealed.start(envelope=other.envelope) + tag),
    ]:
        vectors.add(f"header_{name}", header + segment, "HeaderTag", "a header that its tag does not fit")
    vectors.add(
        "header_of_other", other.header() + segment, "SegmentTag", "the whole header of another archive", segment=0
    )
    for length in (65_537, 65_538, 2**31, 2**32 - 1):
        header = sealed.start(length=length)
        vectors.add(
            f"envelope_length_{length}",
            header + segment,
            "EnvelopeTooLong",
            "more than a reader may allocate",
            length=length,
        )
    too_long = sealed.header(envelope=bytes(65_537)) + segment
    vectors.add(
        "envelope_of_65537", too_long, "EnvelopeTooLong", "the bytes are there, and one too many", length=65_537
    )
    for version in (b"0", b"2", b"\n"):
        magic = b"coffer/" + version
        vectors.add(
            f"version_{version.hex()}",
            sealed.header(magic=magic) + segment,
            "UnsupportedVersion",
            "of another version",
            version=version[0],
        )
    for name, other_file in [
        ("gzip", b"\x1f\x8b\x08\x04" + bytes(40)),
        ("age", sealed.envelope),
        ("capitals", b"COFFER/1" + body[8:]),
        ("letter", flip(body, 0)),
        ("slash", flip(body, 6)),
        ("short", b"\x1f\x8b"),
        ("shorter", b"x"),
        ("byte_before", b"\0" + body),
        ("zeros", bytes(200)),
    ]:
        vectors.add(f"not_ours_{name}", other_file, "NotSealed", "no sealed archive")


def key_ones(vectors):
    sealed, by_passphrase = archive("keys", 20).bytes(), archive("keys by passphrase", 20, scrypt()).bytes()
    for name, body, wrong, with_what in [
        ("identity_wrong", sealed, "Identities", dict(identities=[BEN, CARL])),
        ("identity_missing", sealed, "NeedsIdentity", dict(identities=[])),
        ("identity_missing_passphrase_given", sealed, "NeedsIdentity", dict(identities=[], passphrase=PASSPHRASE)),
        (
            "passphrase_wrong",
            by_passphrase,
            "Passphrase",
            dict(identities=[], passphrase="correct horse battery stable"),
        ),
        ("passphrase_with_space", by_passphrase, "Passphrase", dict(identities=[], passphrase=PASSPHRASE + "  x")),
        ("passphrase_missing", by_passphrase, "NeedsPassphrase", dict(identities=[])),
        ("passphrase_missing_identity_given", by_passphrase, "NeedsPassphrase", dict(identities=[ANNA])),
    ]:
        vectors.add(name, body, "WrongKey", "it is not what opens the archive", wrong_key=wrong, **with_what)
    for stated, limit in [(17, 16), (20, 16), (60, 16), (WORK, WORK - 1)]:
        body = archive("work", 20, scrypt(stated=str(stated).encode())).bytes()
        comment = "refused before it is computed"
        with_what = dict(identities=[], passphrase=PASSPHRASE, work=limit)
        vectors.add(f"work_of_{stated}", body, "ExcessiveWork", comment, required=stated, max=limit, **with_what)
    nobody = archive("grease alone", 20, agefile.stanza([b"-grease"], b"x")).bytes()
    vectors.add("recipient_none", nobody, "WrongKey", "grease and no recipient", wrong_key="Identities")


def envelope_ones(vectors):
    sealed = archive("envelope", 20)
    segment, key, anna = sealed.segments[0], sealed.key, ANNA.stanza(FILE_KEY)
    right = envelope(anna, content=key)
    for length in (0, 16, 31, 33, 64):
        content = (key * 2)[:length]
        body = sealed.header(envelope=envelope(anna, content=content)) + segment
        vectors.add(f"envelope_holds_{length}", body, "KeyLength", f"{length} bytes in place of a key")
    digits = base64.b64encode(right)
    lines = [digits[i : i + 64] for i in range(0, len(digits), 64)]
    armored = b"\n".join([b"-----BEGIN AGE ENCRYPTED FILE-----", *lines, b"-----END AGE ENCRYPTED FILE-----", b""])
    mac_start = right.index(b"\n--- ") + 5
    low_order = agefile.stanza([b"X25519", agefile.b64(bytes(32))], agefile.seal(bytes(32), bytes(12), FILE_KEY))
    for name, wrong in [
        ("of_nothing", b""),
        ("of_zeros", bytes(300)),
        ("armored", armored),
        ("of_age_2", envelope(anna, content=key, intro=b"age-encryption.org/v2\n")),
        ("of_ssh", b"-----BEGIN OPENSSH PRIVATE KEY-----\n"),
        ("cut", right[:-1]),
        ("longer", right + b"\0"),
        ("without_payload", right[:-64]),
        ("without_end", right[: mac_start - 5]),
        ("mac_flipped", flip(right, mac_start)),
        ("nonce_flipped", flip(right, len(right) - 64)),
        ("key_flipped", flip(right, len(right) - 48)),
        ("payload_tag_flipped", flip(right, len(right) - 1)),
        ("without_stanza", envelope(content=key)),
        ("crlf", right.replace(b"\n", b"\r\n", 3)),
        ("scrypt_and_x25519", envelope(scrypt(), anna, content=key)),
        ("x25519_and_scrypt", envelope(anna, scrypt(), content=key)),
        ("scrypt_twice", envelope(scrypt(), scrypt(), content=key)),
        ("low_order", envelope(low_order, content=key)),
        ("work_of_0", envelope(scrypt(stated=b"0"), content=key)),
        ("work_with_zero", envelope(scrypt(stated=b"04"), content=key)),
        ("work_with_sign", envelope(scrypt(stated=b"+4"), content=key)),
        ("work_of_letters", envelope(scrypt(stated=b"four"), content=key)),
    ]:
        body = sealed.header(envelope=wrong) + segment
        vectors.add(
            f"envelope_{name}",
            body,
            "EnvelopeDamaged",
            "the envelope is no age file as it must be",
            passphrase=PASSPHRASE,
        )
    for name, by in [("less", -1), ("more", 1)]:
        body = sealed.start(length=len(sealed.envelope) + by) + bytes(64) + segment
        vectors.add(f"envelope_length_{name}", body, "EnvelopeDamaged", "a length that does not fit the envelope")


def make(vectors):
    header_ones(vectors)
    key_ones(vectors)
    envelope_ones(vectors)
