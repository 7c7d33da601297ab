"""What the cases are made of: people with keys, archives for them, and files with what must come of them."""

import hashlib
import struct
import subprocess
import tempfile
import zlib

import agefile
from sealed import Sealed

DEFAULT_WORK = 16
WORK = 4


def made_up(label, length=32):
    """Bytes that look random and come again."""
    return hashlib.shake_256(b"coffer vectors: " + label.encode()).digest(length)


def flip(data, place, mask=1):
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


class Person:
    def __init__(self, name):
        self.secret = made_up(name)
        self.recipient = agefile.x25519(self.secret)
        self.identity = agefile.identity_text(self.secret)

    def stanza(self, file_key):
        return agefile.x25519_stanza(self.recipient, made_up("ephemeral" + self.identity + file_key.hex()), file_key)


ANNA, BEN, CARL = Person("anna"), Person("ben"), Person("carl")
PASSPHRASE = "correct horse battery staple"
FILE_KEY = made_up("file key", 16)


def scrypt(work=WORK, stated=None, passphrase=PASSPHRASE, file_key=FILE_KEY):
    return agefile.scrypt_stanza(passphrase.encode(), made_up("salt", 16), work, file_key, stated)


def envelope(*stanzas, content, file_key=FILE_KEY, **more):
    return agefile.age_file(stanzas, file_key, made_up("nonce" + file_key.hex(), 16), content, **more)


def archive(label, size, *stanzas):
    """An archive of its own key, for Anna where no stanzas are given."""
    key, file_key = made_up("key " + label), made_up("file key " + label, 16)
    if not stanzas:
        return Sealed(
            key, made_up("id " + label, 16), envelope(ANNA.stanza(file_key), content=key, file_key=file_key), size
        )
    return Sealed(key, made_up("id " + label, 16), envelope(*stanzas, content=key), size)


def opened_by_age(body, identities):
    """What the program `age` finds in the envelope of an archive."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(person.identity for person in identities))
        file.flush()
        (length,) = struct.unpack("<I", body[8:12])
        command = ["age", "-d", "-i", file.name]
        return subprocess.run(command, input=body[12 : 12 + length], capture_output=True, check=True).stdout


class Vectors:
    def __init__(self, folder):
        self.folder, self.names = folder, set()

    def add(
        self,
        name,
        body,
        expect,
        comment,
        released=b"",
        identities=(ANNA,),
        passphrase=None,
        work=DEFAULT_WORK,
        **fields,
    ):
        """One file. `released` is what a reader gives out before the error, and the whole plaintext where there is none."""
        assert name not in self.names, name
        self.names.add(name)
        head = [f"comment: {comment}", f"expect: {expect}"]
        head += [f"{field.replace('_', '-')}: {value}" for field, value in fields.items()]
        head += [f"released-bytes: {len(released)}", f"released-sha256: {hashlib.sha256(released).hexdigest()}"]
        head += [f"identity: {person.identity}" for person in identities]
        head += [f"passphrase: {passphrase}"] if passphrase else []
        head += [f"max-work-factor: {work}", f"size-bytes: {len(body)}"]
        packed = zlib.compress(body, 9)
        if len(packed) < len(body) // 2:
            head, body = [*head, "compressed: zlib"], packed
        (self.folder / f"{name}.vector").write_bytes("\n".join([*head, "", ""]).encode() + body)

    def good(self, name, sealed, comment, body=None, **with_what):
        body = sealed.bytes() if body is None else body
        if not with_what.get("passphrase"):
            assert opened_by_age(body, with_what.get("identities", (ANNA,))) == sealed.key, name
        self.add(name, body, "success", comment, released=sealed.plaintext, archive_id=sealed.id.hex(), **with_what)
