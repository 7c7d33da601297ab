"""gzip members and their footer; what frames share with them."""

import struct
import zlib

from lies import *
from packed import deflate, gzip_footer, gzip_member, subfield

CASES = Cases(
    "compressed",
    says={
        "a member's CRC is that of its content (RFC 1952)": "CRC",
        "a member's ISIZE is the length of its content (RFC 1952)": "the length it states",
        "a member holds at most 1 MiB": "more than 1 MiB",
        "a member holds what its ISIZE says": "the length it states",
        "none but the footer is empty": "empty",
        "CF is the length of one member": "CRC",
        "each member carries FEXTRA with the subfield CF": "lacks the length field CF",
        "CF is a u32": "lacks the length field CF",
        "CF is the first subfield": "lacks the length field CF",
        "a member has the subfield CF and no other": "fields that no writer makes",
        "a member has FEXTRA and no other field": "lacks the length field CF",
        "a member is deflated (RFC 1951)": "does not unpack",
        "deflate data ends with a last block (RFC 1951)": "does not unpack",
        "members stand one after the other": "begins here",
        "nothing follows the footer": "bytes behind the footer",
        "the footer is the last of the layer": "bytes behind the footer",
        "the layer is of one kind": "begins here",
    },
)
add, both = CASES.add, CASES.both
MIB = 1 << 20
LONGEST = MIB + 1_024


def member(number, **options):
    """Packs one member otherwise."""
    return lambda draft: draft.instead.update({number: lambda plain: draft.kind.member(plain, **options)})


def mangled(change):
    """Changes the list of members, the footer the last, in place; its result joins them otherwise."""

    def mangle(members):
        changed = change(members)
        return b"".join(members) if changed is None else changed

    return setting(mangle=mangle)


def cut(at):
    """Keeps what stands before the place that `at` makes of the members."""
    return setting(mangle=lambda members: b"".join(members)[: at(members)])


# The end comes too early.
CASES.raw("empty-input", CUT_SHORT, "an archive that lacks the footer is cut short, one of no bytes too", b"")
for name, length in (("magic", 1), ("header", 7), ("length", 17)):
    add(
        f"gzip-cut-in-the-{name}",
        CUT_SHORT,
        "an archive that lacks the footer is cut short",
        cut(lambda members: len(members[0]) + length),
    )
for name, length in (("prefix", 5), ("length", 10), ("frame-header", 15)):
    add(
        f"zstd-cut-in-the-{name}",
        CUT_SHORT,
        "an archive that lacks the footer is cut short",
        cut(lambda members: len(members[0]) + length),
        kind=KINDS["zstd"],
    )
both(
    "cut-in-the-data",
    CUT_SHORT,
    "an archive that lacks the footer is cut short",
    cut(lambda m: len(m[0]) + len(m[1]) // 2),
)
both("cut-before-the-trailer", CUT_SHORT, "an archive that lacks the footer is cut short", cut(lambda m: len(m[0]) - 8))
both("cut-in-the-trailer", CUT_SHORT, "an archive that lacks the footer is cut short", cut(lambda m: len(m[0]) - 3))
both("cut-between", CUT_SHORT, "an archive that lacks the footer is cut short", cut(lambda m: len(m[0])))
both(
    "cut-before-the-footer",
    CUT_SHORT,
    "an archive that lacks the footer is cut short",
    mangled(lambda m: m.pop() and None),
    says="cut short",
)
both(
    "cut-in-the-footer", CUT_SHORT, "an archive that lacks the footer is cut short", cut(lambda m: sum(map(len, m)) - 1)
)
both(
    "footer-for-a-member",
    CUT_SHORT,
    "a footer where the tar layer goes on is the end of an archive that was cut short",
    mangled(lambda m: m[0] + m[-1]),
)

# A member that is not what its header and trailer say.
add("gzip-crc", MEMBER, "a member's CRC is that of its content (RFC 1952)", member(1, crc=1))
add("gzip-size", MEMBER, "a member's ISIZE is the length of its content (RFC 1952)", member(1, size=8_191))
add("gzip-size-of-nothing", MEMBER, "none but the footer is empty", member(1, size=0))
add("gzip-size-over-1-mib", MEMBER, "a member holds at most 1 MiB", member(1, size=MIB + 1))
add("gzip-size-of-4-gib", MEMBER, "a member holds at most 1 MiB", member(1, size=0xFFFF_FFFF))
for name, length in (
    ("one-less", lambda true: true - 1),
    ("one-more", lambda true: true + 1),
    ("0", lambda true: 0),
    ("1", lambda true: 1),
    ("27", lambda true: 27),
    ("over-1-mib", lambda true: LONGEST + 1),
    ("4-gib", lambda true: 0xFFFF_FFFF),
):
    add(
        f"gzip-length-{name}",
        MEMBER,
        "CF is the length of the whole member, at most 1 MiB + 1,024 and checked before " "anything is allocated",
        member(1, length=length),
    )
add(
    "gzip-length-beyond-the-end",
    CUT_SHORT,
    "CF is the length of the whole member",
    member(1, length=lambda true: LONGEST),
)
add(
    "gzip-length-of-two",
    MEMBER,
    "CF is the length of one member",
    lambda draft: draft.instead.update(
        {
            1: lambda plain: gzip_member(plain[:4_096], length=lambda true: true + len(gzip_member(plain[4_096:])))
            + gzip_member(plain[4_096:])
        }
    ),
)

# Headers that no writer makes.
add("gzip-no-length", MEMBER, "each member carries FEXTRA with the subfield CF", member(1, flags=0))
add(
    "gzip-no-length-but-another",
    MEMBER,
    "each member carries FEXTRA with the subfield CF",
    member(1, fields=subfield(b"XX", bytes(4))),
)
add("gzip-length-of-three-bytes", MEMBER, "CF is a u32", member(1, fields=subfield(b"CF", bytes(3))))
add("gzip-subfield-before", MEMBER, "CF is the first subfield", member(1, before=subfield(b"XX", b"before")))
add(
    "gzip-subfield-behind",
    MEMBER,
    "a member has the subfield CF and no other",
    member(1, after=subfield(b"XX", b"behind")),
)
add("gzip-name", MEMBER, "a member has FEXTRA and no other field", member(1, flags=4 | 8, name=b"x.tar\0"))
add("gzip-comment", MEMBER, "a member has FEXTRA and no other field", member(1, flags=4 | 16, name=b"by hand\0"))
add("gzip-header-crc", MEMBER, "a member has FEXTRA and no other field", member(1, flags=4 | 2, name=b"\0\0"))
add("gzip-reserved-flag", MEMBER, "reserved flags are zero (RFC 1952, 2.3.1.2)", member(1, flags=4 | 0x20))
add("gzip-method", MEMBER, "the compression method is deflate (RFC 1952)", member(1, method=7))

# What a member holds.
add("gzip-broken-deflate", MEMBER, "a member is deflated (RFC 1951)", member(1, body=b"\x07" * 100))
add(
    "gzip-cut-deflate",
    MEMBER,
    "deflate data ends with a last block (RFC 1951)",
    lambda draft: draft.instead.update({1: lambda plain: gzip_member(plain, body=deflate(plain)[:-4])}),
)
add(
    "gzip-bytes-behind-the-deflate-data",
    MEMBER,
    "the trailer follows the deflate data (RFC 1952): what lay between them no " "other reader would see",
    member(1, junk=b"hidden"),
)
add("gzip-empty", MEMBER, "none but the footer is empty", mangled(lambda m: m.insert(1, gzip_member(b""))))
add(
    "gzip-bomb",
    MEMBER,
    "a member holds at most 1 MiB",
    lambda draft: draft.instead.update({1: lambda plain: gzip_member(plain + bytes(MIB + 1 - len(plain)))}),
)
add(
    "gzip-bomb-that-denies-it",
    MEMBER,
    "a member holds what its ISIZE says",
    lambda draft: draft.instead.update({1: lambda plain: gzip_member(plain, body=deflate(plain + bytes(8 * MIB)))}),
)

# Between the members, and behind them.
both("garbage-between", MEMBER, "members stand one after the other", mangled(lambda m: m.insert(1, b"garbage " * 8)))
both("zeros-between", MEMBER, "members stand one after the other", mangled(lambda m: m.insert(1, bytes(512))))
both("bytes-behind", MEMBER, "nothing follows the footer", mangled(lambda m: m.append(b"x")))
both("zeros-behind", MEMBER, "nothing follows the footer", mangled(lambda m: m.append(bytes(10_240))))
both("two-footers", MEMBER, "nothing follows the footer", mangled(lambda m: m.append(m[-1])))
both("archive-behind", MEMBER, "nothing follows the footer", mangled(lambda m: m.extend(list(m))))
both("footer-in-the-middle", MEMBER, "the footer is the last of the layer", mangled(lambda m: m.insert(1, m[-1])))
both("footer-moved", MEMBER, "the footer is the last of the layer", mangled(lambda m: m.insert(1, m.pop())))
both("member-missing", f"{ENTRY} or {MEMBER}", "every member is there", mangled(lambda m: m.pop(1) and None))
both("member-twice", ENTRY, "every member is there once", mangled(lambda m: m.insert(1, m[0])))


def footer(change):
    return setting(footer=change)


both(
    "footer-of-another-member",
    ENTRY,
    "the footer's offset is that of the member in which the summary begins",
    footer(lambda member, skip: (0, skip)),
    says="footer",
)
both(
    "footer-beside-a-member",
    ENTRY,
    "the footer's offset is that of the member in which the summary begins",
    footer(lambda member, skip: (member + 1, skip)),
    says="footer",
)
both(
    "footer-beyond-the-end",
    ENTRY,
    "the footer's offset is that of the member in which the summary begins",
    footer(lambda member, skip: ((1 << 64) - 1, skip)),
    says="footer",
)
both(
    "footer-beside-the-summary",
    ENTRY,
    "the footer says how far into its member the summary begins",
    footer(lambda member, skip: (member, skip + 512)),
    says="footer",
)
both(
    "footer-beside-the-member",
    ENTRY,
    "the footer's skip is less than the member's length",
    footer(lambda member, skip: (member, 0xFFFF_FFFF)),
    says="footer",
)
for name, at in (("flags", 3), ("time", 4), ("system", 9), ("trailer", 45)):
    add(
        f"gzip-footer-with-other-{name}",
        MEMBER,
        "the footer is these 46 bytes: but for its offsets all are given",
        mangled(lambda m: m.append(bytes(b ^ (1 if n == at else 0) for n, b in enumerate(m.pop())))),
    )
add(
    "gzip-footer-with-content",
    MEMBER,
    "the footer is an empty member",
    mangled(lambda m: m.append(gzip_member(b"x", fields=m.pop()[12:36]))),
)
add(
    "gzip-footer-without-offset",
    MEMBER,
    "none but the footer is empty",
    mangled(lambda m: m.__setitem__(-1, gzip_member(b""))),
)
add(
    "gzip-member-like-the-footer",
    MEMBER,
    "a member has the subfield CF and no other",
    lambda draft: draft.instead.update({1: lambda plain: gzip_member(plain, after=subfield(b"CX", bytes(12)))}),
)

# What is no archive.
for name, found in (
    ("text", b"hello, this is text\n" * 30),
    ("zeros", bytes(600)),
    ("zip", b"PK\x03\x04" + bytes(200)),
    ("xz", b"\xfd7zXZ\0" + bytes(200)),
    ("sealed", b"coffer/1" + bytes(200)),
    ("one-byte", b"x"),
):
    CASES.raw(f"not-{name}", NOT_AN_ARCHIVE, "a reader tells an archive by its first bytes", found)
add(
    "gzip-not-a-tar",
    NOT_AN_ARCHIVE,
    "an archive's first entry is manifest.json",
    mangled(lambda m: gzip_member(b"hello, this is text\n" * 300) + gzip_footer(0, 0)),
)
CASES.raw(
    "gzip-not-ours",
    NOT_AN_ARCHIVE,
    "an archive's first entry is manifest.json",
    struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, 0, 0, 0, 3) + deflate(b"text") + struct.pack("<II", zlib.crc32(b"text"), 4),
)
