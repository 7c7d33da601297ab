"""age v1 files (https://c2sp.org/age) from their specification, with nothing but the standard library, so that the same
vectors come out each time and so that files can be made that no program writes."""

import base64
import hashlib
import hmac
import struct

INTRO = b"age-encryption.org/v1\n"
PRIME = 2**255 - 19


def hkdf(key, salt, info):
    """HKDF-SHA-256 for 32 bytes (RFC 5869)."""
    extracted = hmac.digest(salt, key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def x25519(scalar, point=(9).to_bytes(32, "little")):
    """RFC 7748, section 5."""
    k = int.from_bytes(scalar, "little") & ~7 & (2**255 - 1) | 2**254
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for bit in reversed(range(255)):
        if swap != (swap := k >> bit & 1):
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        e, da, cb = a * a - b * b, d * a, c * b
        x3, z3 = (da + cb) ** 2 % PRIME, u * (da - cb) ** 2 % PRIME
        x2, z2 = a * a * b * b % PRIME, e * (a * a + 121_665 * e) % PRIME
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


def chacha20_block(key, counter, nonce):
    """RFC 8439, section 2.3."""
    start = [
        *struct.unpack("<4I", b"expand 32-byte k"),
        *struct.unpack("<8I", key),
        counter,
        *struct.unpack("<3I", nonce),
    ]
    state = start[:]

    def quarter(a, b, c, d):
        for x, y, z, shift in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[x] = (state[x] + state[y]) & 0xFFFFFFFF
            mixed = state[z] ^ state[x]
            state[z] = (mixed << shift | mixed >> 32 - shift) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, start)))


def seal(key, nonce, plaintext):
    """ChaCha20-Poly1305 without additional data (RFC 8439, section 2.8)."""
    stream = b"".join(chacha20_block(key, 1 + i, nonce) for i in range(-(-len(plaintext) // 64)))
    ciphertext = bytes(a ^ b for a, b in zip(plaintext, stream))
    once = chacha20_block(key, 0, nonce)
    r = int.from_bytes(once[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    message = ciphertext + bytes(-len(ciphertext) % 16) + struct.pack("<QQ", 0, len(ciphertext))
    total = 0
    for i in range(0, len(message), 16):
        total = (total + int.from_bytes(message[i : i + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return ciphertext + ((total + int.from_bytes(once[16:32], "little")) % 2**128).to_bytes(16, "little")


def bech32(prefix, data):
    """BIP 173, without its limit on length."""
    number, bits = int.from_bytes(data, "big"), len(data) * 8
    padding = -bits % 5
    number <<= padding
    words = [number >> shift & 31 for shift in range(bits + padding - 5, -1, -5)]

    def polymod(values):
        check = 1
        for value in values:
            top = check >> 25
            check = (check & 0x1FFFFFF) << 5 ^ value
            for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
                check ^= generator if top >> i & 1 else 0
        return check

    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = polymod(expanded + words + [0] * 6) ^ 1
    words += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return prefix + "1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[word] for word in words)


def identity_text(secret):
    return bech32("age-secret-key-", secret).upper()


def b64(data):
    return base64.b64encode(data).rstrip(b"=")


def stanza(arguments, body):
    """Lines of 64 digits, the last one shorter."""
    digits = b64(body)
    lines = [digits[i : i + 64] for i in range(0, len(digits) + 1, 64)]
    return b"-> " + b" ".join(arguments) + b"\n" + b"\n".join(lines) + b"\n"


def x25519_stanza(recipient, ephemeral, file_key):
    share = x25519(ephemeral)
    wrap_key = hkdf(x25519(ephemeral, recipient), share + recipient, b"age-encryption.org/v1/X25519")
    return stanza([b"X25519", b64(share)], seal(wrap_key, bytes(12), file_key))


def scrypt_stanza(passphrase, salt, work_factor, file_key, stated=None):
    """`stated` stands in the place of the work factor that was used."""
    salted = b"age-encryption.org/v1/scrypt" + salt
    wrap_key = hashlib.scrypt(passphrase, salt=salted, n=2**work_factor, r=8, p=1, maxmem=2**30, dklen=32)
    arguments = [b"scrypt", b64(salt), stated or str(work_factor).encode()]
    return stanza(arguments, seal(wrap_key, bytes(12), file_key))


def age_file(stanzas, file_key, nonce, content, intro=INTRO):
    """Content of up to 64 KiB: one chunk."""
    header = intro + b"".join(stanzas) + b"---"
    mac = hmac.digest(hkdf(file_key, b"", b"header"), header, "sha256")
    payload_key = hkdf(file_key, nonce, b"payload")
    return header + b" " + b64(mac) + b"\n" + nonce + seal(payload_key, bytes(11) + b"\x01", content)
