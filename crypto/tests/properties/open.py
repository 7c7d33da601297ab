"""Opens a sealed archive as a person does by hand: `age` for the key, Python's `hmac` for every tag, `openssl` for the rest.

`python3 open.py ARCHIVE IDENTITY_FILE` gives the plaintext on standard output, and nothing where a tag does not hold.
"""

import hmac
import struct
import subprocess
import sys

SEGMENT, TAG = 65_536, 32


def mac(key, message):
    return hmac.digest(key, message, "sha256")


def check(expected, tag, what):
    if not hmac.compare_digest(expected, tag):
        sys.exit(f"the tag of {what} does not hold")


with open(sys.argv[1], "rb") as file:
    archive = file.read()
(length,) = struct.unpack("<I", archive[8:12])
envelope, covered = archive[12 : 12 + length], archive[: 28 + length]
age = subprocess.run(["age", "-d", "-i", sys.argv[2]], input=envelope, capture_output=True, check=True)
extracted = mac(covered[-16:], age.stdout)
header, encrypt, authenticate = (
    mac(extracted, b"coffer/1 " + name + b"\x01") for name in (b"header", b"encrypt", b"authenticate")
)
check(mac(header, covered), archive[28 + length : 60 + length], "the header")

body, ciphertext = archive[60 + length :], b""
pieces = [body[i : i + SEGMENT + TAG] for i in range(0, len(body), SEGMENT + TAG)]
for number, piece in enumerate(pieces):
    place = struct.pack("<QB", number, number == len(pieces) - 1)
    check(mac(authenticate, place + piece[:-TAG]), piece[-TAG:], f"segment {number}")
    ciphertext += piece[:-TAG]
openssl = ["openssl", "enc", "-d", "-aes-256-ctr", "-K", encrypt.hex(), "-iv", "0" * 32]
sys.stdout.buffer.write(subprocess.run(openssl, input=ciphertext, capture_output=True, check=True).stdout)
