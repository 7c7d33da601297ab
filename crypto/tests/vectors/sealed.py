"""The sealed layer of an archive from section 1 of docs/FORMAT.md, with `openssl` as the cipher."""

import hmac
import struct
import subprocess

from agefile import hkdf

SEGMENT, TAG = 65_536, 32


def mac(key, message):
    return hmac.digest(key, message, "sha256")


class Sealed:
    """An archive in its parts, which a case can put together in any way."""

    def __init__(self, key, archive_id, envelope, size):
        self.key, self.id, self.envelope = key, archive_id, envelope
        self.keys = {
            name: hkdf(key, archive_id, b"coffer/1 " + name) for name in (b"header", b"encrypt", b"authenticate")
        }
        self.ciphertext, self.plaintext = self._content(size)
        pieces = [self.ciphertext[i : i + SEGMENT] for i in range(0, size, SEGMENT)] or [b""]
        self.pieces = pieces
        self.segments = [self.segment(n, n == len(pieces) - 1, piece) for n, piece in enumerate(pieces)]

    def _content(self, size):
        """A ciphertext of a short period, so that vectors compress, and the plaintext that `openssl` makes of it."""
        ciphertext = (self.id + b" is the ciphertext chosen here. ") * (size // 16 + 1)
        ciphertext = ciphertext[:size]
        command = ["openssl", "enc", "-d", "-aes-256-ctr", "-K", self.keys[b"encrypt"].hex(), "-iv", "0" * 32]
        plaintext = subprocess.run(command, input=ciphertext, capture_output=True, check=True).stdout
        return ciphertext, plaintext

    def tag(self, number, final, ciphertext):
        return mac(self.keys[b"authenticate"], struct.pack("<QB", number, final) + ciphertext)

    def segment(self, number, final, ciphertext):
        return ciphertext + self.tag(number, final, ciphertext)

    def start(self, envelope=None, length=None, magic=b"coffer/1"):
        """What the header's tag is over."""
        envelope = self.envelope if envelope is None else envelope
        length = len(envelope) if length is None else length
        return magic + struct.pack("<I", length) + envelope + self.id

    def header(self, **changes):
        start = self.start(**changes)
        return start + mac(self.keys[b"header"], start)

    def bytes(self):
        return self.header() + b"".join(self.segments)
