"""The order of entries, and of what stands in several of them."""

from draft import Entry, object_, rows
from lies import *

A, AWKWARD, BINARY = "objects/a.txt", "objects/folder/%2Fü%0A100%25", "objects/z%FF"
MANIFEST, SCHEMA, PRE, POST, SEQUENCES = (
    "manifest.json",
    "database/schema.json",
    "database/pre-data.sql",
    "database/post-data.sql",
    "database/sequences.json",
)
NOTES, NOTES_1, TAGS = (
    "database/rows/notes/00000000.copy",
    "database/rows/notes/00000001.copy",
    "database/rows/tags%2Fall/00000000.copy",
)
ORDER = "manifest, schema, pre-data, post-data, rows, sequences, objects, summary stand in this order"
THERE = "each of the single documents is there"
OBJECTS = "keys stand in the order of their UTF-8 bytes"
CHUNKS = "a table's chunks are numbered from 00000000 without gaps"
LONG_ROW = "a row over 4 MiB runs on, its chunks but the last exactly 4 MiB"
CASES = Cases(
    "order",
    says={
        ORDER: "out of its order",
        THERE: "out of its order",
        OBJECTS: "order of their keys",
        OBJECTS + ", not of their paths": "order of their keys",
        OBJECTS + ", not of UTF-16": "order of their keys",
        CHUNKS: "numbered without gaps",
        "all chunks of a table stand together": "stand together",
        "there are rows of the schema's tables alone": "no such table",
        "a table without rows has no chunk": "empty",
        "a chunk has rows": "empty",
        "rows are in the encoding that the manifest states": "encoding",
        "a chunk has at most 4 MiB, known before anything is read of it": "over 4 MiB",
        "the last chunk ends with a newline": "newline",
        "a chunk is cut after a newline": "newline",
        "a chunk is cut after a newline where one lies in it": "newline",
        LONG_ROW: "newline",
    },
)
add = CASES.add

add("schema-first", NOT_AN_ARCHIVE, ORDER, move(SCHEMA, MANIFEST))
add("manifest-missing", NOT_AN_ARCHIVE, THERE, remove(MANIFEST))
add("index-first", NOT_AN_ARCHIVE, "manifest.json is first", setting(early={MANIFEST: 1}))
add("schema-behind-pre-data", ENTRY, ORDER, move(PRE, SCHEMA))
add("pre-data-behind-post-data", ENTRY, ORDER, move(POST, PRE))
add("rows-before-schema", ENTRY, ORDER, move(NOTES, SCHEMA))
add("rows-before-post-data", ENTRY, ORDER, move(NOTES, POST))
add("rows-behind-sequences", ENTRY, ORDER, move(SEQUENCES, TAGS))
add("rows-behind-objects", ENTRY, ORDER, move(A, TAGS))
add("object-before-sequences", ENTRY, ORDER, move(A, SEQUENCES))
add("manifest-behind-rows", NOT_AN_ARCHIVE, ORDER, move(SCHEMA, MANIFEST), move(PRE, MANIFEST))
for path in (SCHEMA, PRE, POST, SEQUENCES):
    add(f"no-{path[9:].split('.')[0]}", ENTRY, THERE, remove(path))
add("no-sequences-and-no-objects", ENTRY, THERE, remove(SEQUENCES, A, AWKWARD, BINARY))


def without_summary(draft):
    """The end blocks where the summary should be; the footer points there."""
    put = draft.put
    draft.put = lambda entry: (
        put(entry) if entry.path != "summary.json" else dict(zip(("member", "skip"), draft.packer.position()))
    )


CASES.both(
    "no-summary",
    CUT_SHORT,
    "an archive whose manifest says coffer/1 and that lacks the summary is cut short",
    without_summary,
)
add("entry-behind-summary", ENTRY, "summary.json is last", setting(behind_summary=[object_(b"zz", b"late")]))
add(
    "index-behind-summary",
    ENTRY,
    "summary.json is last",
    setting(blocks=lambda told: [told], behind_summary=[Entry("index/00000001.jsonl", b"{}\n")]),
)

add("objects", ENTRY, OBJECTS, move(BINARY, A))
add(
    "objects-by-path",
    ENTRY,
    OBJECTS + ", not of their paths",
    insert(AWKWARD, object_(b"b c", b""), object_(b"b\x01c", b"")),
)
add(
    "objects-by-code-unit",
    ENTRY,
    OBJECTS + ", not of UTF-16",
    insert(BINARY, object_("u\U0001f600".encode(), b""), object_("u\uffee".encode(), b"")),
)

add("chunk-gap", ENTRY, CHUNKS, replace(NOTES_1, rows(b"notes", 2, b"3\tthree\n")))
add("chunk-from-one", ENTRY, CHUNKS, replace(TAGS, rows(b"tags/all", 1, b"1\tx\n")))
add("chunks-swapped", ENTRY, CHUNKS, move(NOTES_1, NOTES))
add("chunks-apart", ENTRY, "all chunks of a table stand together", move(NOTES_1, SEQUENCES))
add(
    "chunks-begun-again",
    ENTRY,
    "all chunks of a table stand together",
    insert(SEQUENCES, rows(b"notes", 0, b"4\tfour\n")),
)
add(
    "chunk-of-no-table",
    ENTRY,
    "there are rows of the schema's tables alone",
    insert(SEQUENCES, rows(b"others", 0, b"1\n")),
)
add("chunk-empty", ENTRY, "a table without rows has no chunk", content(TAGS, b""))
add("chunk-empty-behind", ENTRY, "a chunk has rows", insert(TAGS, rows(b"notes", 2, b"")))
add(
    "chunk-of-another-encoding",
    ENTRY,
    "rows are in the encoding that the manifest states",
    replace(TAGS, rows(b"tags/all", 0, b'[1,"x"]\n', extension="jsonl")),
)
add(
    "chunk-over-4-mib",
    ENTRY,
    "a chunk has at most 4 MiB, known before anything is read of it",
    fields(TAGS, size=(4 << 20) + 1),
)
add("chunk-without-newline", ENTRY, "the last chunk ends with a newline", content(TAGS, b"1\tx\n1\tx"))
add("chunk-cut-in-a-row", ENTRY, "a chunk is cut after a newline", content(NOTES, b"1\tone\n2\tt"))
add("chunk-cut-in-a-long-row", ENTRY, LONG_ROW, content(NOTES, b"1\tone"))
add("chunk-cut-before-4-mib", ENTRY, LONG_ROW, content(NOTES, b"x" * ((4 << 20) - 1)), member_size=1 << 20)
add(
    "chunk-not-cut-at-its-newline",
    ENTRY,
    "a chunk is cut after a newline where one lies in it",
    content(NOTES, b"1\tone\n" + b"x" * ((4 << 20) - 6)),
    member_size=1 << 20,
)
add(
    "long-row-without-end",
    ENTRY,
    "the last chunk ends with a newline",
    content(TAGS, b"x" * (4 << 20)),
    member_size=1 << 20,
)
