"""The compressed layer, byte by byte: gzip members and zstd frames in which every number can be made to lie."""

import struct
import zlib

MIB = 1 << 20
PREFIX_MAGIC, FOOTER_MAGIC = 0x184D2A50, 0x184D2A51


def deflate(plain):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(plain) + packer.flush()


def store(plain):
    """Stored deflate blocks (RFC 1951, 3.2.4)."""
    pieces = [plain[at : at + 65_535] for at in range(0, len(plain), 65_535)] or [b""]
    block = lambda n, piece: struct.pack("<BHH", n == len(pieces) - 1, len(piece), len(piece) ^ 0xFFFF) + piece
    return b"".join(block(n, piece) for n, piece in enumerate(pieces))


def subfield(name, content):
    return name + struct.pack("<H", len(content)) + content


def gzip_member(
    plain,
    pack=deflate,
    method=8,
    flags=4,
    length=None,
    before=b"",
    after=b"",
    fields=None,
    name=b"",
    body=None,
    junk=b"",
    crc=None,
    size=None,
):
    """One member (RFC 1952), its length in subfield CF."""
    body = pack(plain) if body is None else body
    head = struct.pack("<BBBBIBB", 0x1F, 0x8B, method, flags, 0, 0, 0xFF)
    true = len(head) + 2 + len(before) + 8 + len(after) + len(name) + len(body) + len(junk) + 8
    if fields is None:
        fields = before + subfield(b"CF", struct.pack("<I", true if length is None else length(true))) + after
    extra = struct.pack("<H", len(fields)) + fields if flags & 4 else b""
    crc = zlib.crc32(plain) if crc is None else crc
    size = len(plain) if size is None else size
    return head + extra + name + body + junk + struct.pack("<II", crc, size)


def gzip_footer(member, skip):
    where = struct.pack("<QI", member, skip)
    fields = subfield(b"CF", struct.pack("<I", 46)) + subfield(b"CX", where)
    return gzip_member(b"", fields=fields, body=bytes.fromhex("0300"))


def runs(plain, at_least=16):
    """`plain` as (bytes, is a run of one byte)."""
    start = at = 0
    while at < len(plain):
        end = at + 1
        while end < len(plain) and plain[end] == plain[at] and end - at < 100_000:
            end += 1
        if end - at >= at_least:
            if start < at:
                yield plain[start:at], False
            yield plain[at:end], True
            start = end
        at = end
    if start < len(plain):
        yield plain[start:], False


def zstd_blocks(plain):
    """Raw blocks, and RLE ones for runs (RFC 8878, 3.1.1.2)."""
    pieces = []
    for piece, is_run in runs(plain):
        step = len(piece) if is_run else 100_000
        pieces += [(piece[at : at + step], is_run) for at in range(0, len(piece), step)]
    pieces = pieces or [(b"", False)]
    head = lambda n, piece, is_run: (len(piece) << 3 | is_run << 1 | (n == len(pieces) - 1)).to_bytes(3, "little")
    return b"".join(head(n, *item) + (item[0][:1] if item[1] else item[0]) for n, item in enumerate(pieces))


def zstd_frame(plain, size=None, size_bytes=None, window=None, dictionary=None, checksum=None, reserved=0, blocks=None):
    """One frame (RFC 8878, 3.1.1): a single segment, unless there is a window descriptor."""
    size = len(plain) if size is None else size
    if size_bytes is None:
        size_bytes = 1 if size < 256 else 2 if size < 65_792 else 4
    descriptor = {0: 0, 1: 0, 2: 1, 4: 2, 8: 3}[size_bytes] << 6 | (window is None) << 5 | reserved << 3
    descriptor |= (checksum is not None) << 2 | (dictionary is not None)
    frame = struct.pack("<IB", 0xFD2FB528, descriptor)
    frame += b"" if window is None else bytes([window])
    frame += b"" if dictionary is None else bytes([dictionary])
    frame += (size - 256 if size_bytes == 2 else size).to_bytes(size_bytes, "little") if size_bytes else b""
    frame += zstd_blocks(plain) if blocks is None else blocks
    return frame if checksum is None else frame + struct.pack("<I", checksum & 0xFFFF_FFFF)


def zstd_unit(plain, magic=PREFIX_MAGIC, length=None, content=None, prefix=None, junk=b"", **frame):
    """A frame after the skippable frame that holds its length."""
    frame = zstd_frame(plain, **frame) + junk
    content = struct.pack("<I", len(frame) if length is None else length(len(frame))) if content is None else content
    return (struct.pack("<II", magic, len(content)) + content if prefix is None else prefix) + frame


def zstd_footer(member, skip, content=None):
    content = struct.pack("<QI", member, skip) if content is None else content
    return struct.pack("<II", FOOTER_MAGIC, len(content)) + content


def xxh64(data):
    """The content checksum of a frame (the lower half of it): XXH64 with seed 0."""
    mask = (1 << 64) - 1
    p1, p2, p3, p4, p5 = (
        11400714785074694791,
        14029467366897019727,
        1609587929392839161,
        9650029242287828579,
        2870177450012600261,
    )
    turn = lambda x, n: (x << n | x >> (64 - n)) & mask
    mix = lambda acc, lane: turn((acc + lane * p2) & mask, 31) * p1 & mask
    at = 0
    if len(data) >= 32:
        lanes = [(p1 + p2) & mask, p2, 0, -p1 & mask]
        while at + 32 <= len(data):
            lanes = [mix(acc, lane) for acc, lane in zip(lanes, struct.unpack_from("<4Q", data, at))]
            at += 32
        sum_ = sum(turn(acc, n) for acc, n in zip(lanes, (1, 7, 12, 18))) & mask
        for acc in lanes:
            sum_ = ((sum_ ^ mix(0, acc)) * p1 + p4) & mask
    else:
        sum_ = p5
    sum_ = (sum_ + len(data)) & mask
    while at + 8 <= len(data):
        sum_ = (turn(sum_ ^ mix(0, struct.unpack_from("<Q", data, at)[0]), 27) * p1 + p4) & mask
        at += 8
    if at + 4 <= len(data):
        sum_ = (turn(sum_ ^ struct.unpack_from("<I", data, at)[0] * p1 & mask, 23) * p2 + p3) & mask
        at += 4
    for byte in data[at:]:
        sum_ = turn(sum_ ^ byte * p5 & mask, 11) * p1 & mask
    for shift, prime in ((33, p2), (29, p3), (32, 1)):
        sum_ = (sum_ ^ sum_ >> shift) * prime & mask
    return sum_


class Gzip:
    member, footer = staticmethod(gzip_member), staticmethod(gzip_footer)


class Zstd:
    member, footer = staticmethod(zstd_unit), staticmethod(zstd_footer)


class Packer:
    """Cuts tar bytes into members; `instead` packs the members of these numbers in ways of its own."""

    def __init__(self, kind, member_size, instead):
        self.kind, self.size, self.instead = kind, member_size, instead
        self.plain, self.members, self.offset = b"", [], 0

    def position(self):
        return self.offset, len(self.plain)

    def write(self, tar):
        self.plain += tar
        while len(self.plain) >= self.size:
            self.cut(self.size)

    def cut(self, length):
        plain, self.plain = self.plain[:length], self.plain[length:]
        pack = self.instead.get(len(self.members), self.instead.get("all", self.kind.member))
        self.members.append(pack(plain))
        self.offset += len(self.members[-1])

    def finish(self):
        if self.plain:
            self.cut(len(self.plain))
        return self.members
