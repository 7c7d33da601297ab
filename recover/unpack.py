"""What is within an archive of Coffer: unpacks it, and checks it against all that it says of itself.

recover.py uses this where it lies beside it; without it the seal is opened all the same, and `gzip` and `tar` do the
rest. Sections 2 and 3 of docs/FORMAT.md are the law here. What comes in may be anybody's: nothing of it is held but
in bounded pieces, and nothing but files comes out, in a new folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import threading
import zlib
from typing import BinaryIO, Iterator, NamedTuple

try:
    from compression import zstd  # Python 3.14 and newer
except ImportError:
    zstd = None

PIECE = 65_536
# What is held whole, and how large it may be.
DOCUMENTS = {"manifest.json": 64 << 20, "summary.json": 64 << 20}
INDEX_BLOCK, PAX = 1 << 20, 1 << 20
FOOTER = re.compile(
    rb"\x1f\x8b\x08\x04\0{5}\xff\x18\0CF\x04\0\x2e\0\0\0CX\x0c\0.{12}\x03\0{9}"  # an empty gzip member
    rb"|.{26}\x51\x2a\x4d\x18\x0c\0\0\0.{12}",  # a skippable zstd frame
    re.DOTALL,
)


class Damaged(Exception):
    """What is within the archive is not what a writer made."""


# --- The compressed layer ---------------------------------------------------------------------------------------------


def readable(suffix: str) -> bool:
    """Can this machine unpack a .tar.gz, or a .tar.zst?"""
    return suffix == ".tar.gz" or zstd is not None or shutil.which("zstd") is not None


def unpacked(layer: Iterator[bytes], suffix: str) -> Iterator[bytes]:
    """The tar bytes of the compressed layer, in small pieces."""
    layer = footed(layer)
    return gunzip(layer) if suffix == ".tar.gz" else unzstd(layer) if zstd else unzstd_by_program(layer)


def footed(layer: Iterator[bytes]) -> Iterator[bytes]:
    tail = b""
    for piece in layer:
        tail = (tail + piece)[-46:]
        yield piece
    if not FOOTER.fullmatch(tail):
        raise Damaged("the footer is missing")


def gunzip(layer: Iterator[bytes]) -> Iterator[bytes]:
    """The content of gzip members; zlib checks the CRC and the length of each."""
    member, begun = zlib.decompressobj(31), False
    for piece in layer:
        while piece:
            try:
                content = member.decompress(piece, PIECE)
            except zlib.error as error:
                raise Damaged(f"a gzip member ({error})") from None
            piece, begun = member.unconsumed_tail, True
            if member.eof:
                piece, member, begun = member.unused_data, zlib.decompressobj(31), False
            yield content
    if begun:
        raise Damaged("a gzip member is cut")


def unzstd(layer: Iterator[bytes]) -> Iterator[bytes]:
    """The content of zstd frames. A skippable one counts as an empty one."""
    frame = zstd.ZstdDecompressor()
    for piece in layer:
        while piece:
            if frame.eof:
                frame = zstd.ZstdDecompressor()
            try:
                yield frame.decompress(piece, PIECE)
                while not frame.eof and not frame.needs_input:
                    yield frame.decompress(b"", PIECE)
            except zstd.ZstdError as error:
                raise Damaged(f"a zstd frame ({error})") from None
            piece = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise Damaged("a zstd frame is cut")


def unzstd_by_program(layer: Iterator[bytes]) -> Iterator[bytes]:
    process = subprocess.Popen(["zstd", "-dcqq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    failures: list[BaseException] = []

    def feed() -> None:
        try:
            with process.stdin:
                for piece in layer:
                    process.stdin.write(piece)
        except BaseException as failure:  # to be raised where somebody sees it
            failures.append(failure)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        yield from iter(lambda: process.stdout.read(PIECE), b"")
        feeder.join()
        if process.wait() != 0 and (not failures or isinstance(failures[0], BrokenPipeError)):
            raise Damaged("the program zstd can't read it")
        if failures:
            raise failures[0]
    finally:
        process.kill()
        process.wait()


# --- The tar layer ----------------------------------------------------------------------------------------------------


class Pull:
    """Takes so many bytes as are asked for out of an iterator of pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces, self.rest = pieces, memoryview(b"")

    def ended(self) -> bool:
        while not self.rest:
            piece = next(self.pieces, None)
            if piece is None:
                return True
            self.rest = memoryview(piece)
        return False

    def stream(self, size: int) -> Iterator[memoryview]:
        while size > 0:
            if self.ended():
                raise Damaged("it ends too early")
            piece, self.rest = self.rest[:size], self.rest[size:]
            size -= len(piece)
            yield piece

    def read(self, size: int) -> bytes:
        return b"".join(self.stream(size))


class Entry(NamedTuple):
    path: str
    size: int
    modified: int
    attempt: bool  # a later one at the entry before it, which it replaces


def octal(field: bytes) -> int:
    if not re.fullmatch(rb"[0-7]{1,12}[\0 ]*", field):
        raise Damaged("a number in a tar header")
    return int(field.rstrip(b"\0 "), 8)


def pax_records(data: bytes) -> dict[bytes, bytes]:
    found, at = {}, 0
    while at < len(data):
        record = re.compile(rb"([0-9]{1,7}) ([^=]+)=").match(data, at)
        end = at + int(record[1]) if record else 0
        if not record or not record.end() < end <= len(data) or data[end - 1] != 0x0A or record[2] in found:
            raise Damaged("a pax header")
        found[record[2]], at = data[record.end() : end - 1], end
    return found


def safe_path(raw: bytes) -> str:
    """The name of an entry, which may go into a folder of ours: nothing that leaves it, nothing that deceives."""
    segments = raw.split(b"/")
    if any(segment in (b"", b".", b"..") for segment in segments) or re.search(rb"[\0-\x1f\x7f\\]", raw):
        raise Damaged(f"it has an entry of the name {raw[:200]!r}, which no writer of ours makes and which is refused")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Damaged(f"the name {raw[:200]!r}") from None


def entries(tar: Pull) -> Iterator[tuple[Entry, Iterator[memoryview]]]:
    """Each file with its content, which has to be read. Anything but a file is refused."""
    pax: dict[bytes, bytes] = {}
    while True:
        block = tar.read(512)
        if block == bytes(512):
            if tar.read(512) != bytes(512) or pax or not tar.ended():
                raise Damaged("what stands behind its last entry")
            return
        kind = block[156:157]
        if octal(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * 0x20 or any(block[345:500]):
            raise Damaged("a tar header")
        if kind not in b"0x" or (kind == b"x" and pax):
            raise Damaged("it has an entry that is no file (a link, a device or the like), which is refused")
        size = octal(block[124:136])
        if kind == b"x":
            if size > PAX:
                raise Damaged("a pax header is too large")
            pax = pax_records(tar.read(size))
        else:
            if b"size" in pax:
                if not re.fullmatch(rb"[0-9]{1,18}", pax[b"size"]):
                    raise Damaged("a size in a pax header")
                size = int(pax[b"size"])
            path = safe_path(pax.get(b"path", block[:100].rstrip(b"\0")))
            content = tar.stream(size)
            yield Entry(path, size, octal(block[136:148]), b"COFFER.attempt" in pax), content
            pax = {}
        if any(tar.read(-size % 512)):
            raise Damaged("what should be empty between two entries is not")


# --- What is asked for ------------------------------------------------------------------------------------------------


class Extraction:
    """Entries on their way into a folder. A later attempt at an entry replaces the one before, as with `tar x`."""

    def __init__(self, folder: str, wanted: list[str]) -> None:
        self.folder, self.wanted, self.missing = os.fsencode(folder), wanted, set(wanted)
        self.last, self.misplaced = (b"", ""), 0

    def open(self, entry: Entry) -> BinaryIO | None:
        path = entry.path
        asked = [want for want in self.wanted if want in (".", path) or (want[-1:] == "/" and path.startswith(want))]
        self.missing.difference_update(asked)
        if not asked:
            return None
        if not (entry.attempt and self.last[1] == path):
            self.last = self.place(path), path
        return open(self.last[0], "wb")

    def place(self, path: str) -> bytes:
        place = os.path.join(self.folder, path.encode())
        try:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            open(place, "xb").close()
        except OSError as error:
            if os.path.isfile(place):
                raise Damaged(f"{path!r} stands in it twice") from None
            if not isinstance(error, (FileExistsError, NotADirectoryError)) and error.errno != errno.ENAMETOOLONG:
                raise
            return self.misplace(path)
        return place

    def misplace(self, path: str) -> bytes:
        """A place for what a file system has none for: `a/b` beside a file `a`, a name that is too long."""
        self.misplaced += 1
        place = os.path.join(self.folder, b"misplaced", b"%08d" % self.misplaced)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place + b".path", "xb") as file:
            file.write(path.encode())
        print(f"recover: a file system has no place for {path!r}: it is misplaced/{self.misplaced:08}", file=sys.stderr)
        return place


class Books:
    """Compares what the index says of all entries, in their order, with what was read. It holds digests alone."""

    def __init__(self) -> None:
        self.read, self.told, self.records, self.vanished = (hashlib.sha256() for _ in range(4))

    def enter(self, entry: Entry, digest: bytes, held: bytes) -> None:
        if entry.path.startswith("index/"):
            self.index(held)
        elif entry.path == "summary.json":
            self.close(json.loads(held))
        else:
            self.read.update(entry.path.encode() + struct.pack("<xQ", entry.size) + digest)
        if entry.path == "manifest.json" and json.loads(held)["format"] != "coffer/1":
            raise Damaged("its format is not coffer/1")

    def index(self, block: bytes) -> None:
        for record in map(json.loads, block.splitlines()):
            path = record["path"].encode()
            if record.get("vanished"):
                self.vanished.update(path + b"\x01")
                continue
            size, digest = struct.pack("<xQ", record["size"]), bytes.fromhex(record["sha256"])
            self.told.update(path + size + digest)
            self.records.update(path + size + struct.pack("<QI", record["member"], record["skip"]) + digest)

    def close(self, summary: dict[str, object]) -> None:
        both = hashlib.sha256(self.records.digest() + self.vanished.digest()).hexdigest()
        if summary["complete"] is not True or summary["index_digest"] != both:
            raise Damaged("its index is not the one that its summary tells of")
        if self.read.digest() != self.told.digest():
            raise Damaged("its entries are not those that its index tells of")


def read_all(layer: Iterator[bytes], suffix: str, extraction: Extraction | None) -> int:
    """Reads and checks everything, extracts what is asked for, and tells how many entries there are."""
    books, count, path = Books(), 0, ""
    for count, (entry, content) in enumerate(entries(Pull(unpacked(layer, suffix))), 1):
        if (count == 1) != (entry.path == "manifest.json") or path == "summary.json":
            raise Damaged(f"{entry.path!r} is out of its place")
        path = entry.path
        digest, held = read_entry(entry, content, extraction)
        try:
            books.enter(entry, digest, held)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error):
            raise Damaged(f"{path} says what can't be understood") from None
    if path != "summary.json":
        raise Damaged("its summary is missing")
    return count


def read_entry(entry: Entry, content: Iterator[memoryview], extraction: Extraction | None) -> tuple[bytes, bytes]:
    """The digest of an entry's content, and the content of one that is to be held."""
    limit = INDEX_BLOCK if entry.path.startswith("index/") else DOCUMENTS.get(entry.path, 0)
    if limit and entry.size > limit:
        raise Damaged(f"{entry.path!r} is too large")
    digest, held = hashlib.sha256(), bytearray()
    file = extraction.open(entry) if extraction else None
    with file or contextlib.nullcontext():
        for piece in content:
            digest.update(piece)
            if limit:
                held += piece
            if file:
                file.write(piece)
    if file:
        os.utime(file.name, (entry.modified, entry.modified))
    return digest.digest(), bytes(held)
