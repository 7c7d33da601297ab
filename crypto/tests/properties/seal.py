"""Seals what stands in a file as somebody does who has no program of ours: `age` for the envelope, `openssl` and `hmac`.

`python3 seal.py PLAINTEXT RECIPIENT…` gives the archive on standard output."""

import hmac
import os
import struct
import subprocess
import sys

SEGMENT = 65_536


def mac(key, message):
    return hmac.digest(key, message, "sha256")


with open(sys.argv[1], "rb") as file:
    plaintext = file.read()
key, archive_id = os.urandom(32), os.urandom(16)
extracted = mac(archive_id, key)
header, encrypt, authenticate = (
    mac(extracted, b"coffer/1 " + name + b"\x01") for name in (b"header", b"encrypt", b"authenticate")
)
to = [argument for recipient in sys.argv[2:] for argument in ("-r", recipient)]
envelope = subprocess.run(["age", *to], input=key, capture_output=True, check=True).stdout
openssl = ["openssl", "enc", "-aes-256-ctr", "-K", encrypt.hex(), "-iv", "0" * 32]
ciphertext = subprocess.run(openssl, input=plaintext, capture_output=True, check=True).stdout

covered = b"coffer/1" + struct.pack("<I", len(envelope)) + envelope + archive_id
sys.stdout.buffer.write(covered + mac(header, covered))
pieces = [ciphertext[i : i + SEGMENT] for i in range(0, len(ciphertext), SEGMENT)] or [b""]
for number, piece in enumerate(pieces):
    place = struct.pack("<QB", number, number == len(pieces) - 1)
    sys.stdout.buffer.write(piece + mac(authenticate, place + piece))
