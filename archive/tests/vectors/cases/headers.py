"""Header blocks, padding and end blocks of the tar layer."""

from draft import header
from lies import *

OWN = "the prefix field is empty, no entry is a link, mode 0644, ids 0, zero padding"
CASES = Cases(
    "tar",
    says={
        "entry types are 0 and x alone": "neither a file nor a pax header",
        "a header is a ustar one": "not a ustar one",
        "a header is a ustar one, version 00": "not a ustar one",
        OWN: "its tar header has",
        OWN + " (of x headers too)": "its tar header has",
        "numbers are octal digits (POSIX pax)": "not octal",
        "numbers are octal digits (POSIX pax), not GNU's binary ones": "not octal",
    },
)
add, both = CASES.add, CASES.both
A, AWKWARD, MANIFEST = "objects/a.txt", "objects/folder/%2Fü%0A100%25", "manifest.json"

add(
    "checksum",
    ENTRY,
    "a header's checksum is the sum of its bytes (POSIX pax)",
    fields(A, checksum=4_242),
    says="checksum",
)
add(
    "checksum-of-pax",
    ENTRY,
    "a header's checksum is the sum of its bytes (POSIX pax)",
    attributes(A, pax_fields={"checksum": 4_242}),
    says="checksum",
)
add("magic-of-gnu", ENTRY, "a header is a ustar one", fields(A, magic=b"ustar ", version=b" \0"))
add("magic-none", ENTRY, "a header is a ustar one", fields(A, magic=b"", version=b""))
add("version", ENTRY, "a header is a ustar one, version 00", fields(A, version=b"01"))

TYPES = {
    "old-file": b"\0",
    "link": b"1",
    "symlink": b"2",
    "character-device": b"3",
    "block-device": b"4",
    "folder": b"5",
    "fifo": b"6",
    "contiguous": b"7",
    "global-pax": b"g",
    "gnu-longlink": b"K",
    "gnu-longname": b"L",
    "gnu-sparse": b"S",
    "gnu-volume": b"V",
    "gnu-multi-volume": b"M",
    "gnu-dump-folder": b"D",
    "solaris-pax": b"X",
    "solaris-acl": b"A",
    "unknown": b"Z",
}
for name, kind in TYPES.items():
    add(f"type-{name}", ENTRY, "entry types are 0 and x alone", fields(A, kind=kind))
add("type-symlink-out", ENTRY, "entry types are 0 and x alone", fields(A, kind=b"2", link=b"../../etc/passwd"))
add(
    "type-folder-first",
    NOT_AN_ARCHIVE,
    "entry types are 0 and x alone, from the first entry on",
    fields(MANIFEST, kind=b"5"),
)

for name, value in (
    ("prefix", {"prefix": b"elsewhere"}),
    ("link-name", {"link": b"elsewhere"}),
    ("mode", {"mode": 0o755}),
    ("set-uid", {"mode": 0o4644}),
    ("uid", {"uid": 1_000}),
    ("gid", {"gid": 1_000}),
    ("user", {"user": b"root"}),
    ("group", {"group": b"root"}),
    ("device-major", {"major": b"0000001\0"}),
    ("device-minor", {"minor": b"0000001\0"}),
    ("bytes-behind", {"behind": b"hidden"}),
):
    add(name, ENTRY, OWN, fields(A, **value))
    add(f"{name}-of-pax", ENTRY, OWN + " (of x headers too)", attributes(A, pax_fields=value))
add("mode-of-the-manifest", f"{ENTRY} or {NOT_AN_ARCHIVE}", "mode 0644", fields(MANIFEST, mode=0o600))

add("size-not-octal", ENTRY, "numbers are octal digits (POSIX pax)", fields(A, size=b"0000000000z\0"))
add("size-negative", ENTRY, "numbers are octal digits (POSIX pax)", fields(A, size=b"-0000000005\0"))
add("size-with-a-plus", ENTRY, "numbers are octal digits (POSIX pax)", fields(A, size=b"+0000000005\0"))
add(
    "size-binary",
    ENTRY,
    "numbers are octal digits (POSIX pax), not GNU's binary ones",
    fields(A, size=b"\x80" + bytes(10) + b"\x05"),
)
add("size-empty", ENTRY, "numbers are octal digits (POSIX pax)", fields(A, size=bytes(12)))
add("size-too-small", ENTRY, "the size in a header is that of the body", fields(AWKWARD, size=100))
add("size-a-block-too-small", ENTRY, "the size in a header is that of the body", fields(AWKWARD, size=512))
add("size-a-block-too-large", ENTRY, "the size in a header is that of the body", fields(AWKWARD, size=1_212))
add("size-beyond-the-end", CUT_SHORT, "the size in a header is that of the body", fields("objects/z%FF", size=1 << 30))

add("padding", ENTRY, "padding is zero", attributes(A, padding=b"\1"), says="padding")
add(
    "padding-of-a-document",
    ENTRY,
    "padding is zero",
    attributes("database/pre-data.sql", padding=b"\1"),
    says="padding",
)
add("padding-of-pax", ENTRY, "padding is zero", attributes(A, pax_padding=b" "), says="padding")
add("padding-of-the-summary", ENTRY, "padding is zero", setting(summary_padding=b"\1"), says="padding")

both("end-missing", CUT_SHORT, "two zero blocks end the tar layer", setting(end=b""))
both("end-of-one-block", CUT_SHORT, "two zero blocks end the tar layer", setting(end=bytes(512)))
add("end-of-half-a-block", CUT_SHORT, "two zero blocks end the tar layer", setting(end=bytes(100)))
both(
    "end-of-three-blocks", f"{ENTRY} or {MEMBER}", "two zero blocks at the end and no more", setting(end=bytes(3 * 512))
)
add("end-like-gnu-tar", f"{ENTRY} or {MEMBER}", "two zero blocks at the end and no more", setting(end=bytes(10_240)))
add("end-and-a-byte", f"{ENTRY} or {MEMBER}", "two zero blocks at the end and no more", setting(end=bytes(1_025)))
add(
    "end-and-data",
    f"{ENTRY} or {MEMBER}",
    "two zero blocks at the end and no more",
    setting(end=bytes(1_024) + header(b"objects/zz", 0)),
)
add("end-not-zero", ENTRY, "the end blocks are zero", setting(end=bytes(512) + b"x" * 512))
add(
    "end-in-the-middle",
    f"{CUT_SHORT} or {ENTRY} or {MEMBER}",
    "the end blocks follow the summary",
    attributes(A, before=bytes(1_024)),
)
add("zero-block-in-the-middle", ENTRY, "two zero blocks at the end and no more", attributes(A, before=bytes(512)))
