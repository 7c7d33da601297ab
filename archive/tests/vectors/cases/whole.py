"""Archives that keep every rule, each in another way."""

from draft import SCHEMA, fingerprint, manifest, object_, rows, to_json
from lies import *
from packed import gzip_member, store, xxh64, zstd_unit

CASES = Cases("whole")
add, both = CASES.add, CASES.both
A, LAST = "objects/a.txt", "objects/z%FF"
MIB = 1 << 20

both("plain", WHOLE, "what a writer makes is taken")
both("small-members", WHOLE, "headers and bodies may lie across members", member_size=700)
both("one-member", WHOLE, "a member may hold the whole tar layer", member_size=MIB)

stored = setting(instead={"all": lambda plain: gzip_member(plain, pack=store)})
add("stored", WHOLE, "--compression none writes every member as stored deflate blocks", stored)


def frames(name, comment, **options):
    pack = lambda plain: zstd_unit(plain, **{key: value(plain) for key, value in options.items()})
    add(f"zstd-{name}", WHOLE, comment, setting(instead={"all": pack}), kind=KINDS["zstd"])


frames("checksums", "a frame may carry a checksum of its content", checksum=xxh64)
frames("wide-size", "a content size may be written in eight bytes", size_bytes=lambda plain: 8)
frames("window", "a window larger than the content does not matter", window=lambda plain: 13 << 3)

add(
    "device-numbers",
    WHOLE,
    "ids 0, device numbers too where they are written",
    fields(A, major=b"0000000\0", minor=b"0000000\0"),
)
add(
    "headers",
    WHOLE,
    "an object carries what its store told of it",
    pax(
        A,
        {
            f"COFFER.header.{name}": b"told"
            for name in ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
        },
    ),
)
add(
    "empty-value",
    WHOLE,
    "a pax record may have an empty value, and = in it",
    pax(A, {"COFFER.etag": b"", "COFFER.meta.b": b"=a=", "COFFER.meta.c": b"two\nlines"}),
)

KEYS = (
    b"%41",
    b"...",
    b"..",
    b"../up",
    b"./here",
    b"/",
    b"//",
    b"/root",
    b"a\x01",
    b"a b",
    b"a/",
    b"a//",
    b"a//b",
    b"a/../b",
    b"a\\b",
    b"a\xe2\x82",
    b"b\0c",
    b"b\nc",
    b"x" * 92,
    b"x" * 93,
    "ü".encode(),
    "ü/ü".encode(),
    b"\xff",
    b"\xff\x7f",
)
both(
    "names",
    WHOLE,
    "decoding every %XX gives the name back, whatever it is",
    lambda draft: setting(entries=draft.entries[:8] + [object_(key, key) for key in sorted(KEYS)])(draft),
)

add("no-objects", WHOLE, "an app may have no objects", lambda draft: setting(entries=draft.entries[:8])(draft))
add(
    "no-rows",
    WHOLE,
    "a table without rows has no chunk",
    remove(
        "database/rows/notes/00000000.copy",
        "database/rows/notes/00000001.copy",
        "database/rows/tags%2Fall/00000000.copy",
    ),
)


def structure(schema, pre_data, post_data, **values):
    """Other documents, whose fingerprint the manifest states."""
    told = manifest() | {"fingerprint": fingerprint(schema, pre_data, post_data)} | values
    return lambda draft: [
        lie(draft)
        for lie in (
            content("manifest.json", to_json(told)),
            content("database/schema.json", schema),
            content("database/pre-data.sql", pre_data),
            content("database/post-data.sql", post_data),
        )
    ]


add(
    "nothing",
    WHOLE,
    "an app may have no tables and no objects; each single document is there",
    lambda draft: setting(entries=draft.entries[:4] + draft.entries[7:8], tables=[])(draft),
    structure(to_json({"tables": []}), b"", b""),
)
add(
    "beside",
    WHOLE,
    "what else an engine needs stands beside the tables of schema.json",
    structure(to_json(SCHEMA | {"postgres": {"encoding": "UTF8"}}), b"", b""),
)
add(
    "jsonl",
    WHOLE,
    "the row encoding may be jsonl",
    structure(to_json(SCHEMA), b"", b"", row_encoding="jsonl", engine={"kind": "sqlite", "version": "3.51.0"}),
    lambda draft: setting(entries=draft.entries[:4] + [rows(b"none", 0, b"[1,null]\n", "jsonl")] + draft.entries[7:])(
        draft
    ),
)
add(
    "tables-in-any-order",
    WHOLE,
    "tables stand in any order, all chunks of one together",
    move("database/rows/tags%2Fall/00000000.copy", "database/rows/notes/00000000.copy"),
)

SIGNATURE = {"key": "0123456789abcdef" * 4, "value": "fedcba9876543210" * 8}
add("signature", WHOLE, "a summary may carry a signature", summary(lambda told: told.update(signature=SIGNATURE)))
