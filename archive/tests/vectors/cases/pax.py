"""pax headers: their form, and which keywords stand where."""

from draft import header, padded, pax_record
from lies import *

FORM = "pax records are `length keyword=value\\n`, the length of the whole in decimal (POSIX pax)"
PATH = "path stands where a name is over 100 bytes or not ASCII, and only there"
SIZE = "size stands where it is 8 GiB or more (the header's field is then 0), and only there"
KEY = "where encoding changed a name that is UTF-8 without NUL, COFFER.key has it, and equals the decoding"
CASES = Cases(
    "pax",
    says={
        FORM: "malformed",
        "pax records are UTF-8 (POSIX pax)": "not UTF-8",
        "no keyword stands twice": "twice",
        "a pax header has at most 1 MiB": "over 1 MiB",
        "a pax header has at most 1 MiB, known before anything is allocated": "over 1 MiB",
        "at most one x for an entry": "two pax headers",
        "an object has the records that the format lists": "pax keyword",
        "objects alone have metadata": "pax keyword",
        PATH: "path",
        SIZE: "size",
        KEY: "COFFER.key",
    },
)
add = CASES.add
A, AWKWARD, BINARY, ROWS = (
    "objects/a.txt",
    "objects/folder/%2Fü%0A100%25",
    "objects/z%FF",
    "database/rows/tags%2Fall/00000000.copy",
)
SEQUENCES = "database/sequences.json"
MIB = 1 << 20
ETAG = pax_record(b"COFFER.etag", b"x")


def form(name, records, comment=FORM, **options):
    add(name, ENTRY, comment, attributes(A, pax_bytes=records), **options)


form("length-one-less", b"14 COFFER.etag=x\n")
form("length-one-more", b"18 COFFER.etag=x\n")
form("length-beyond-the-end", b"99 COFFER.etag=x\n")
form("length-huge", b"99999999999999999999999 COFFER.etag=x\n")
form("length-0", b"0 COFFER.etag=x\n")
form("length-negative", b"-1 COFFER.etag=x\n")
form("length-with-a-plus", b"+18 COFFER.etag=x\n")
form("length-with-a-zero", b"018 COFFER.etag=x\n")
form("length-missing", b" COFFER.etag=x\n")
form("length-hexadecimal", b"0x13 COFFER.etag=x\n")
form("no-space", b"16COFFER.etag=x\n")
form("no-equals", b"14 COFFER.etag\n")
form("no-newline", b"16 COFFER.etag=x")
form("other-end", b"17 COFFER.etag=x\0")
form("no-keyword", b"5 =x\n", says="pax")
form("trailing-bytes", ETAG + b"x")
form("trailing-zero", ETAG + b"\0")
form("keyword-twice", ETAG + ETAG, "no keyword stands twice")
form("keyword-twice-in-any-order", ETAG + pax_record(b"COFFER.meta.a", b"b") + ETAG, "no keyword stands twice")
form("not-utf-8", pax_record(b"COFFER.etag", b"\xff"), "pax records are UTF-8 (POSIX pax)")
form("keyword-not-utf-8", pax_record(b"COFFER.meta.\xff", b"x"), "pax records are UTF-8 (POSIX pax)")
add("empty", ENTRY, "a pax header has a record", attributes(A, pax_bytes=b"", pax_fields={"size": 0}))
add(
    "over-1-mib",
    ENTRY,
    "a pax header has at most 1 MiB",
    attributes(A, pax_bytes=pax_record(b"COFFER.meta.a", b"x" * (MIB - 22))),
    member_size=MIB,
)
add(
    "of-8-gib",
    ENTRY,
    "a pax header has at most 1 MiB, known before anything is allocated",
    attributes(A, pax_fields={"size": (8 << 30) - 1}),
)
add(
    "cut-short",
    CUT_SHORT,
    "a pax header has an entry",
    attributes(BINARY, pax_bytes=b"x" * MIB, pax_fields={"size": MIB}),
    setting(mangle=lambda members: b"".join(members[:2])),
)
add(
    "two",
    ENTRY,
    "at most one x for an entry",
    attributes(A, before=header(b"PaxHeader", len(ETAG), kind=b"x") + padded(ETAG, b"\0")),
)
add(
    "of-nothing",
    f"{ENTRY} or {CUT_SHORT}",
    "a pax header has an entry",
    setting(end=header(b"PaxHeader", len(ETAG), kind=b"x") + padded(ETAG, b"\0") + bytes(1_024)),
)

STANDARD = "no standard keyword but path and size stands"
for keyword in (
    "atime",
    "mtime",
    "ctime",
    "uid",
    "gid",
    "uname",
    "gname",
    "linkpath",
    "hdrcharset",
    "charset",
    "comment",
    "realtime.x",
    "security.x",
    "SCHILY.xattr.user.x",
    "GNU.sparse.name",
    "GNU.sparse.realsize",
    "LIBARCHIVE.creationtime",
):
    add(f"keyword-{keyword}", ENTRY, STANDARD, pax(A, {keyword: b"1"}), says=keyword)
for keyword in (
    "COFFER",
    "COFFER.",
    "COFFER.unknown",
    "coffer.etag",
    "COFFER.content-type ",
    "COFFER.header.",
    "COFFER.header.etag",
    "COFFER.header.Expires",
    "COFFER.header.set-cookie",
    "COFFER.meta.",
    "COFFER.void",
    "key",
):
    name = {"coffer.etag": "in-lower-case", "COFFER.content-type ": "with-a-space"}.get(keyword, keyword)
    add(
        "keyword-" + (f"{name[:-1]}-of-no-name" if name.endswith(".") else name),
        ENTRY,
        "an object has the records that the format lists",
        pax(A, {keyword: b"1"}),
    )
for name, path in (("a-document", SEQUENCES), ("rows", ROWS), ("an-index-block", None)):
    for keyword in ("COFFER.content-type", "COFFER.etag", "COFFER.header.expires", "COFFER.meta.a"):
        record = {keyword: b"1"}
        lie = pax(path, record) if path else setting(block_entry=lambda entry: entry.pax.update(record) or entry)
        add(f"{keyword.split('.')[1]}-of-{name}", ENTRY, "objects alone have metadata", lie)
add(
    "etag-of-the-manifest",
    f"{ENTRY} or {NOT_AN_ARCHIVE}",
    "objects alone have metadata",
    pax("manifest.json", {"COFFER.etag": b"1"}),
)

add("path-not-needed", ENTRY, PATH, pax(A, {"path": A.encode()}))
add("path-of-another", ENTRY, PATH, pax(A, {"path": b"objects/a.tx"}), attributes(A, record={"path": "objects/a.tx"}))
add("path-empty", ENTRY, PATH, pax(A, {"path": b""}))
add("path-missing", ENTRY, PATH, without_pax(AWKWARD, "path"), attributes(AWKWARD, name=AWKWARD.encode()))
add(
    "path-missing-for-latin-1",
    ENTRY,
    PATH,
    attributes(A, name=b"objects/caf\xe9", record={"path": "objects/caf\ufffd"}),
)
add("path-of-the-manifest", f"{ENTRY} or {NOT_AN_ARCHIVE}", PATH, pax("manifest.json", {"path": b"manifest.json"}))

add("size-not-needed", ENTRY, SIZE, pax(A, {"size": b"5"}))
add("size-not-needed-and-0", ENTRY, SIZE, pax(A, {"size": b"5"}), fields(A, size=0))
add("size-one-too-small", ENTRY, SIZE, pax(BINARY, {"size": b"%d" % ((8 << 30) - 1)}))
add("size-beside-another", ENTRY, SIZE, pax(A, {"size": b"%d" % (8 << 30)}))
add("size-with-a-plus", ENTRY, SIZE, pax(BINARY, {"size": b"+%d" % (8 << 30)}))
add("size-with-a-zero", ENTRY, SIZE, pax(BINARY, {"size": b"0%d" % (8 << 30)}))
add("size-negative", ENTRY, SIZE, pax(BINARY, {"size": b"-1"}))
add("size-over-64-bits", ENTRY, SIZE, pax(BINARY, {"size": b"18446744073709551616"}))
add(
    "size-that-overflows",
    f"{ENTRY} or {CUT_SHORT} or {LIMIT}",
    "sizes that add up to more than 64 bits are refused, not wrapped",
    pax(BINARY, {"size": b"18446744073709551615"}),
)
add(
    "size-of-8-gib", CUT_SHORT, SIZE + "; a body that is not there is missing", pax(BINARY, {"size": b"%d" % (8 << 30)})
)

add("key-missing", ENTRY, KEY, without_pax(AWKWARD, "COFFER.key"))
add("key-of-another", ENTRY, KEY, pax(AWKWARD, {"COFFER.key": "folder//ü\n100".encode()}))
add("key-encoded", ENTRY, KEY, pax(AWKWARD, {"COFFER.key": AWKWARD[8:].encode()}))
add("key-empty", ENTRY, KEY, pax(AWKWARD, {"COFFER.key": b""}))
add("key-not-needed", ENTRY, KEY, pax(A, {"COFFER.key": b"a.txt"}))
add("key-of-bytes", ENTRY, KEY, pax(BINARY, {"COFFER.key": "z\ufffd".encode()}))
add("key-of-a-document", ENTRY, KEY, pax(SEQUENCES, {"COFFER.key": b"sequences.json"}))
add("key-of-rows-missing", ENTRY, KEY, without_pax(ROWS, "COFFER.key"))
add("key-of-other-rows", ENTRY, KEY, pax(ROWS, {"COFFER.key": b"notes"}))
add("key-of-rows-not-needed", ENTRY, KEY, pax("database/rows/notes/00000000.copy", {"COFFER.key": b"notes"}))
