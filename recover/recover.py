#!/usr/bin/env python3
"""Brings a Coffer archive back without Coffer.

Python's standard library, the program `age` and OpenSSL are all it takes to open the seal, which is this file; what is
within is the work of unpack.py, or of `gzip` (or `zstd`) and `tar`. docs/FORMAT.md is the law that it follows,
docs/RECOVERY.md tells how to use it. Begin at `run`, which is the whole of what it does.

Memory does not grow with the archive, which is read once, from its beginning to its end.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import ctypes.util
import hashlib
import hmac
import itertools
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from typing import Any, BinaryIO, Callable, Iterator, NamedTuple

sys.dont_write_bytecode = True  # leaves nothing beside the scripts
try:
    import unpack
except ImportError:
    unpack = None

DONE, FAILED, NOT_FOUND, WRONG_KEY, DAMAGED, INTERRUPTED = 0, 1, 10, 12, 13, 130
SEGMENT, TAG, BLOCK = 65_536, 32, 16
BATCH = 64  # segments that are decrypted at once: 4 MiB

Decrypt = Callable[[bytes, int, bytes], bytes]  # key, number of the first 16-byte block, ciphertext


class Failure(Exception):
    """What went wrong, for people, and the exit code for it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def damaged(what: str) -> Failure:
    return Failure(DAMAGED, f"{what}: the archive is damaged or cut short; take another copy of it")


def say(message: str) -> None:
    print(f"recover: {message}", file=sys.stderr)


# --- The sealed layer -------------------------------------------------------------------------------------------------


class Keys(NamedTuple):
    header: bytes
    encrypt: bytes
    authenticate: bytes


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def derive(archive_key: bytes, archive_id: bytes) -> Keys:
    """HKDF-SHA-256 (RFC 5869): extract, then expand to one block for each name."""
    extracted = mac(archive_id, archive_key)
    return Keys(*(mac(extracted, b"coffer/1 " + name.encode() + b"\x01") for name in Keys._fields))


def unwrap(envelope: bytes, identities: list[str], stdin_is_free: bool) -> bytes:
    """The archive key: `age` opens the envelope, with the identities or by asking for the passphrase."""
    passphrase = re.search(rb"^-> scrypt \S+ ([0-9]+)$", envelope.partition(b"\n---")[0], re.MULTILINE)
    if not envelope.startswith(b"age-encryption.org/v1\n"):
        raise damaged("its key envelope is no file of age")
    if passphrase and int(passphrase[1][:4]) > 20:  # 4 GiB of memory and more, which no archive of ours asks for
        raise damaged("its passphrase asks for more work than any writer does")
    if not passphrase and not identities:
        raise Failure(WRONG_KEY, "it is sealed to recipients, not with a passphrase: name an identity with -i FILE")
    for identity in identities:
        if identity != "-" and not os.access(identity, os.R_OK):
            raise Failure(FAILED, f"the identity {identity} can't be read")
    flags = [] if passphrase else [word for identity in identities for word in ("-i", identity)]
    with tempfile.TemporaryFile() as file:  # the envelope is no secret, and age's standard input stays the terminal
        file.write(envelope)
        file.seek(0)
        command = ["age", "-d", *flags, f"/dev/fd/{file.fileno()}"]
        stdin = None if stdin_is_free else subprocess.DEVNULL
        try:
            age = subprocess.run(command, stdin=stdin, stdout=subprocess.PIPE, pass_fds=[file.fileno()], check=False)
        except FileNotFoundError:
            raise Failure(FAILED, "the program age is not here: apt install age") from None
    if age.returncode != 0:
        raise Failure(WRONG_KEY, "age could not open the archive's key, and says why above: another identity?")
    if len(age.stdout) != 32:
        raise damaged(f"the key envelope holds {len(age.stdout)} bytes in place of 32")
    return age.stdout


def verified(file: BinaryIO, key: bytes) -> Iterator[bytes]:
    """The ciphertext of each segment, its tag checked."""

    def genuine(number: int, final: bool, sealed: bytes) -> bool:
        return hmac.compare_digest(mac(key, struct.pack("<QB", number, final) + sealed[:-TAG]), sealed[-TAG:])

    sealed = file.read(SEGMENT + TAG)
    for number in itertools.count():
        following = file.read(SEGMENT + TAG)
        final = not following
        if not genuine(number, final, sealed):
            if genuine(number, not final, sealed):
                raise damaged(f"it ends early, after segment {number}" if final else "something stands behind its end")
            raise damaged(f"segment {number} is not as it was written")
        if len(sealed) == TAG and number > 0:
            raise damaged(f"segment {number} is empty")
        yield sealed[:-TAG]
        if final:
            return
        sealed = following


def opened(file: BinaryIO, keys: Keys, decrypt: Decrypt) -> Iterator[bytes]:
    """The plaintext in pieces of a segment: only of segments whose tags were checked."""
    segments = verified(file, keys.authenticate)
    for first in itertools.count(0, BATCH * SEGMENT // BLOCK):
        ciphertext = b"".join(itertools.islice(segments, BATCH))
        if not ciphertext:
            return
        plaintext = memoryview(decrypt(keys.encrypt, first, ciphertext))
        for at in range(0, len(plaintext), SEGMENT):
            yield bytes(plaintext[at : at + SEGMENT])


def library_decrypt() -> Decrypt:
    """AES-256-CTR by OpenSSL's library, which stands beside its program: no other process sees the key."""
    for name in ("libcrypto.so.3", "libcrypto.so.1.1", ctypes.util.find_library("crypto")):
        with contextlib.suppress(OSError, AttributeError):
            if name and sys.platform != "darwin":  # macOS ends a process that loads its own libcrypto
                crypto = ctypes.CDLL(name)
                crypto.EVP_CIPHER_CTX_new.restype = crypto.EVP_aes_256_ctr.restype = ctypes.c_void_p
                break
    else:
        raise Failure(FAILED, "OpenSSL's library can't be loaded: apt install openssl. Else, on a machine of your own, "
                      "--key-on-command-line runs the program openssl, with the key where other users' ps sees it")

    def decrypt(key: bytes, first: int, ciphertext: bytes) -> bytes:
        out, length = ctypes.create_string_buffer(len(ciphertext)), ctypes.c_int()
        context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
        cipher, counter = ctypes.c_void_p(crypto.EVP_aes_256_ctr()), first.to_bytes(BLOCK, "big")
        ready = context and crypto.EVP_DecryptInit_ex(context, cipher, None, key, counter)
        worked = ready and crypto.EVP_DecryptUpdate(context, out, ctypes.byref(length), ciphertext, len(ciphertext))
        crypto.EVP_CIPHER_CTX_free(context)
        if not worked or length.value != len(ciphertext):
            raise Failure(FAILED, "OpenSSL's library does not decrypt")
        return out.raw

    return decrypt


def program_decrypt(key: bytes, first: int, ciphertext: bytes) -> bytes:
    """The same by the program. It takes a key nowhere but in its arguments, which `ps` shows to every user."""
    command = ["openssl", "enc", "-d", "-aes-256-ctr", "-K", key.hex(), "-iv", f"{first:032x}"]
    openssl = subprocess.run(command, input=ciphertext, stdout=subprocess.PIPE, check=False)
    if openssl.returncode != 0:
        raise Failure(FAILED, "openssl failed, and says why above")
    return openssl.stdout


def tried(decrypt: Decrypt) -> Decrypt:
    """The cipher, once it has passed NIST's example (SP 800-38A, F.5.6)."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    ciphertext = bytes.fromhex("601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5")
    plaintext = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    if decrypt(key, 0xF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF, ciphertext).hex() != plaintext:
        raise Failure(FAILED, "this machine's OpenSSL does not decrypt NIST's example: use another machine")
    return decrypt


# --- What comes of it -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def arriving(place: str, folder: bool) -> Iterator[str]:
    """Lends a place beside the one asked for, and renames it when all went well: what has the name is whole."""
    part = place + ".part"
    if os.path.lexists(place) and not (folder and os.path.isdir(place) and not os.listdir(place)):
        raise Failure(FAILED, f"{place} is there already: name another place, or move it away")
    try:
        if folder:
            os.mkdir(part)
        else:
            open(part, "xb").close()
    except FileExistsError:
        raise Failure(FAILED, f"{part} is there: another run is at work, or was killed; then remove it") from None
    try:
        yield part
        os.sync()  # nothing has the name before it would survive a power cut
        os.rename(part, place)
    except BaseException:
        (shutil.rmtree if folder else os.remove)(part)
        raise


def compressed_layer(file: BinaryIO, args: argparse.Namespace) -> tuple[Iterator[bytes], bool]:
    """The layer below the seal, and whether there is a seal."""
    start = file.read(12)
    if start[:8] != b"coffer/1":
        return itertools.chain([start], iter(lambda: file.read(SEGMENT), b"")), False
    length = int.from_bytes(start[8:], "little")
    if length > 65_536:
        raise damaged("its key envelope is longer than any is")
    envelope, archive_id, header_tag = file.read(length), file.read(16), file.read(TAG)
    if len(header_tag) != TAG:
        raise damaged("it ends within its header")
    keys = derive(unwrap(envelope, args.identity, stdin_is_free=args.archive != "-"), archive_id)
    if not hmac.compare_digest(mac(keys.header, start + envelope + archive_id), header_tag):
        raise damaged("its header is not as it was written")
    return opened(file, keys, tried(program_decrypt if args.key_on_command_line else library_decrypt())), True


def copied(layer: Iterator[bytes], out: BinaryIO | None) -> Iterator[bytes]:
    """Passes the pieces on, writes them out, and shows that something happens."""
    mebibytes, shown = 0.0, sys.stderr.isatty()
    for piece in layer:
        if out:
            out.write(piece)
        mebibytes += len(piece) / (1 << 20)
        if shown and mebibytes % 16 < 1 / 16:
            print(f"\r{mebibytes:.0f} MiB", end="\r", file=sys.stderr)
        yield piece


def run(args: argparse.Namespace, file: BinaryIO, done: contextlib.ExitStack) -> int:
    """All of it: what `done` holds takes its name when this returns, and vanishes when this fails."""
    layer, sealed = compressed_layer(file, args)
    first = next(layer, b"")
    suffix = {b"\x1f\x8b": ".tar.gz", b"\x50\x2a": ".tar.zst", b"\x28\xb5": ".tar.zst"}.get(first[:2])
    if suffix is None:
        raise damaged("it begins like no archive, neither sealed nor plain")
    readable = unpack is not None and unpack.readable(suffix)
    if (args.extract or args.check) and not readable:
        raise Failure(FAILED, f"to look into a {suffix} takes unpack.py beside this script and, for zstd, the program "
                      f"zstd (apt install zstd) or Python 3.14; to get the {suffix} alone takes none of them")
    if not (sealed or args.extract or args.check):
        raise Failure(FAILED, f"it is plain already, a {suffix}: --check reads all of it, --extract unpacks it")
    out, extraction, place = destination(args, suffix, done)
    pieces = copied(itertools.chain([first], layer), out)
    if readable:
        count = unpack.read_all(pieces, suffix, extraction)
        say(f"{args.archive} is whole: {count} entries, as they were written")
    else:
        for _ in pieces:
            pass
        say(f"{args.archive} has all its segments, as they were written; nothing here can look into a {suffix}")
    if extraction and extraction.missing:
        names = ", ".join(sorted(extraction.missing))
        raise Failure(NOT_FOUND, f"it has no {names}, so nothing is taken out; a folder's name ends in /, and . is all")
    if place:
        say(f"{place} is there" + ("" if extraction else f", a {suffix}"))
    return DONE


def destination(args: argparse.Namespace, suffix: str, done: contextlib.ExitStack) -> tuple[Any, Any, str]:
    """Where the layer goes, or where its entries go, and what that is called. With --check nothing goes anywhere."""
    stem = "recovered" if args.archive == "-" else re.sub(r"\.(coffer|tar\.gz|tar\.zst)$", "", args.archive)
    if args.check:
        return None, None, ""
    if args.extract:
        place = os.path.abspath(args.folder or stem + ".extracted")
        return None, unpack.Extraction(done.enter_context(arriving(place, folder=True)), args.extract), place
    if args.output == "-":
        return done.enter_context(os.fdopen(os.dup(1), "wb")), None, ""
    place = args.output or stem + suffix
    return done.enter_context(open(done.enter_context(arriving(place, folder=False)), "wb")), None, place


HELP = """\
  recover.py x.coffer -i coffer.key                    makes x.tar.gz (or x.tar.zst) of it
  recover.py x.coffer -i coffer.key --extract . -C x   unpacks all of it into the new folder x
  recover.py x.coffer -i coffer.key --extract objects/pictures/ --extract manifest.json -C some
  recover.py x.coffer -i coffer.key --check            reads and checks all of it, and writes nothing
  recover.py x.coffer -i coffer.key -o - | tar tz      lists it

An archive that was sealed with a passphrase takes no -i: age asks for it on the terminal. What is written has another
name, ending in .part, until all of the archive has been checked; if anything is wrong, it is removed.

exit code: 0 done, 1 failed, 2 wrong usage, 10 no such archive or entry, 12 wrong identity or passphrase,
13 archive damaged or cut short, 130 interrupted"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Brings an archive of Coffer back with age and OpenSSL alone. It checks every tag before it lets "
        "anything out, and then all that the archive says of itself.",
        epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    add = parser.add_argument
    add("archive", metavar="ARCHIVE", help="a .coffer, or a plain archive; - for standard input")
    add("-i", dest="identity", metavar="IDENTITY", action="append", default=[], help="a file of age's; may be repeated")
    add("-o", dest="output", metavar="OUT", help="where the .tar.gz or .tar.zst goes; - for standard output")
    add("--extract", metavar="PATH", action="append", help="take this entry out, or this folder/, or . for all")
    add("-C", dest="folder", metavar="DIR", help="a new or empty folder for --extract")
    add("--check", action="store_true", help="read and check all of it, and write nothing")
    add("--key-on-command-line", action="store_true", help="decrypt with the program openssl in place of its library: "
        "all who can list this machine's processes see the archive's key")
    args = parser.parse_args()
    if sum(map(bool, (args.output, args.extract, args.check))) > 1 or (args.folder and not args.extract):
        parser.error("-o, --extract and --check exclude one another, and -C belongs to --extract")
    return args


def main() -> int:
    os.umask(0o077)  # what comes out is for its owner alone
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    args = arguments()
    try:
        with contextlib.ExitStack() as done:
            file: BinaryIO = sys.stdin.buffer if args.archive == "-" else done.enter_context(open(args.archive, "rb"))
            return run(args, file, done)
    except Failure as failure:
        code, message = failure.code, str(failure)
    except getattr(unpack, "Damaged", ()) as failure:
        code, message = DAMAGED, str(damaged(str(failure)))
    except OSError as error:
        code = NOT_FOUND if isinstance(error, FileNotFoundError) and error.filename == args.archive else FAILED
        message = f"{error.strerror or error}" + (f" ({os.fsdecode(error.filename)})" if error.filename else "")
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "interrupted"
    say(f"{args.archive}: {message}")
    return code


if __name__ == "__main__":
    sys.exit(main())
