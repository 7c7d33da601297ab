"""zstd frames, the skippable frames before them, and their footer: what only they can break."""

import struct

from cases.members import LONGEST, MIB, mangled, member
from lies import *
from packed import (
    FOOTER_MAGIC,
    PREFIX_MAGIC,
    Gzip,
    Zstd,
    gzip_member,
    xxh64,
    zstd_blocks,
    zstd_footer,
    zstd_frame,
    zstd_unit,
)

PREFIX = "each frame stands after a skippable frame whose 4-byte content is the frame's length"
CASES = Cases(
    "compressed-zstd",
    says={
        "the length is that of the frame": "another length",
        "under one length stands one frame": "another length",
        "a frame holds at most 1 MiB": "more than 1 MiB",
        "a frame holds what it states": "does not unpack",
        "a frame has at most 1 MiB + 1,024 bytes": "out of bounds",
        "none but the footer is empty": "empty",
        "a frame has no dictionary": "dictionary",
        "a checksum, where there is one, is that of the content": "checksum",
        "the footer is the last 20 bytes": "begins here",
        "the footer is of the kind of the members": "begins here",
        "the layer is of one kind": "begins here",
    },
)


def add(name, expect, comment, *lies, **options):
    CASES.add(name, expect, comment, *lies, kind=Zstd, **options)


add("no-prefix", MEMBER, PREFIX, member(1, prefix=b""))
add(
    "two-prefixes",
    MEMBER,
    PREFIX,
    lambda draft: draft.instead.update({1: lambda plain: zstd_unit(plain)[:12] + zstd_unit(plain)}),
)
add("prefix-without-frame", MEMBER, PREFIX, mangled(lambda m: m.insert(1, struct.pack("<III", PREFIX_MAGIC, 4, 0))))
add("other-magic", MEMBER, "the skippable frame's magic is 0x184D2A50", member(1, magic=PREFIX_MAGIC + 2))
add(
    "prefix-of-five-bytes",
    MEMBER,
    PREFIX,
    lambda draft: draft.instead.update(
        {1: lambda plain: zstd_unit(plain, content=struct.pack("<IB", len(zstd_frame(plain)), 0))}
    ),
)
add(
    "prefix-of-4-gib",
    MEMBER,
    PREFIX,
    lambda draft: draft.instead.update(
        {
            1: lambda plain: zstd_unit(
                plain, prefix=struct.pack("<III", PREFIX_MAGIC, 0xFFFF_FFFF, len(zstd_frame(plain)))
            )
        }
    ),
)
for name, length in (
    ("one-less", lambda true: true - 1),
    ("one-more", lambda true: true + 1),
    ("0", lambda true: 0),
    ("1", lambda true: 1),
    ("over-1-mib", lambda true: LONGEST + 1),
    ("4-gib", lambda true: 0xFFFF_FFFF),
):
    add(f"length-{name}", MEMBER, PREFIX + ", at most 1 MiB + 1,024", member(1, length=length))
add("length-beyond-the-end", CUT_SHORT, PREFIX, member(1, length=lambda true: LONGEST))
add(
    "length-of-two",
    MEMBER,
    "under one length stands one frame",
    lambda draft: draft.instead.update({1: lambda plain: zstd_unit(plain[:4_096], junk=zstd_frame(plain[4_096:]))}),
)
add("bytes-behind-the-frame", MEMBER, "the length is that of the frame", member(1, junk=b"hidden"))
add(
    "skippable-behind-the-frame",
    MEMBER,
    "the length is that of the frame",
    member(1, junk=struct.pack("<II", PREFIX_MAGIC + 2, 0)),
)

add("no-size", MEMBER, "a frame states the size of its content", member(1, size_bytes=0, window=10 << 3))
add("size-over-1-mib", MEMBER, "a frame holds at most 1 MiB", member(1, size=MIB + 1))
add("size-of-16-eib", MEMBER, "a frame holds at most 1 MiB", member(1, size=(1 << 64) - 1, size_bytes=8))
add("size-too-small", MEMBER, "a frame states the size of its content", member(1, size=8_191))
add("size-too-large", MEMBER, "a frame states the size of its content", member(1, size=8_193))
add("size-too-large-by-far", MEMBER, "a frame states the size of its content", member(1, size=MIB))
add(
    "bomb",
    MEMBER,
    "a frame holds at most 1 MiB",
    lambda draft: draft.instead.update({1: lambda plain: zstd_unit(plain + bytes(MIB + 1 - len(plain)))}),
)
add(
    "bomb-that-denies-it",
    MEMBER,
    "a frame holds what it states",
    lambda draft: draft.instead.update({1: lambda plain: zstd_unit(plain, blocks=zstd_blocks(plain + bytes(8 * MIB)))}),
)
add(
    "frame-over-1-mib",
    MEMBER,
    "a frame has at most 1 MiB + 1,024 bytes",
    lambda draft: draft.instead.update(
        {1: lambda plain: zstd_unit(plain, blocks=bytes(3 * 350_000) + zstd_blocks(plain))}
    ),
)
add("empty", MEMBER, "none but the footer is empty", mangled(lambda m: m.insert(1, zstd_unit(b""))))
add("dictionary", MEMBER, "a frame has no dictionary", member(1, dictionary=7))
add("reserved-bit", MEMBER, "the reserved bit is zero (RFC 8878, 3.1.1.1.1)", member(1, reserved=1))
add("reserved-block", MEMBER, "a block of type 3 is no block (RFC 8878, 3.1.1.2.2)", member(1, blocks=b"\x07\0\0"))
add(
    "checksum",
    MEMBER,
    "a checksum, where there is one, is that of the content",
    lambda draft: draft.instead.update({1: lambda plain: zstd_unit(plain, checksum=xxh64(plain) ^ 1)}),
)
add(
    "window-of-3-tib",
    f"{WHOLE} or {MEMBER}",
    "no reader allocates a window larger than the content",
    member(1, window=0xFF),
)

add(
    "footer-of-13-bytes",
    MEMBER,
    "the footer is the last 20 bytes",
    mangled(lambda m: m.append(zstd_footer(0, 0, m.pop()[8:] + b"\0"))),
)
add(
    "footer-of-11-bytes",
    f"{MEMBER} or {CUT_SHORT}",
    "the footer is the last 20 bytes",
    mangled(lambda m: m.append(zstd_footer(0, 0, m.pop()[8:-1]))),
)
add(
    "footer-of-nothing",
    f"{MEMBER} or {CUT_SHORT}",
    "the footer is the last 20 bytes",
    mangled(lambda m: m.append(zstd_footer(0, 0, m.pop()[:0]))),
)
add(
    "footer-of-4-gib",
    MEMBER,
    "the footer is the last 20 bytes",
    mangled(lambda m: m.append(struct.pack("<II", FOOTER_MAGIC, 0xFFFF_FFFF) + m.pop()[8:])),
)
add(
    "footer-of-gzip",
    MEMBER,
    "the footer is of the kind of the members",
    mangled(lambda m: m.append(Gzip.footer(*struct.unpack("<QI", m.pop()[8:])))),
)
add("gzip-member", MEMBER, "the layer is of one kind", lambda draft: draft.instead.update({1: gzip_member}))
CASES.add("frame-behind-gzip", MEMBER, "the layer is of one kind", lambda draft: draft.instead.update({1: zstd_unit}))
CASES.add(
    "footer-behind-gzip",
    MEMBER,
    "the footer is of the kind of the members",
    mangled(lambda m: m.append(Zstd.footer(*struct.unpack("<QI", m.pop()[24:36])))),
)
add(
    "not-a-tar",
    NOT_AN_ARCHIVE,
    "an archive's first entry is manifest.json",
    mangled(lambda m: zstd_unit(b"hello, this is text\n" * 300) + zstd_footer(0, 0)),
)
