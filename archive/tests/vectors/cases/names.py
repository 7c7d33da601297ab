"""Paths: which there are, and the one way to write each."""

from urllib.parse import unquote_to_bytes

from draft import Entry, document, object_
from lies import *

A, NOTES = "objects/a.txt", "database/rows/notes/00000001.copy"
UNKNOWN = "the format lists all entries that there are"
CANONICAL = "a path that is not the encoding of its decoding is refused"
NUMBER = "a chunk or a block has a number of eight digits"
CASES = Cases(
    "path",
    says={
        UNKNOWN: "path",
        CANONICAL: "path",
        NUMBER: "no entry of the format has this path",
        "in a table's name every / is escaped, and it is UTF-8": "path",
    },
)
add = CASES.add


def path(name, path, comment, instead=A):
    """An entry under this path, with the name that it decodes to where it has one."""
    entry = Entry(path, b"hello")
    decoded = unquote_to_bytes(path.rpartition("objects/")[2].encode())
    if "%" in path and b"\xff" not in decoded and b"\0" not in decoded:
        entry.pax["COFFER.key"] = decoded
    add(name, ENTRY, comment, replace(instead, entry))


for name, found in (
    ("climbs", "../x"),
    ("absolute", "/x"),
    ("absolute-object", "/objects/x"),
    ("here", "./objects/x"),
    ("unknown", "notes.txt"),
    ("unknown-folder", "pictures/x"),
    ("folder-alone", "objects"),
    ("database", "database/x"),
    ("upper-case", "Objects/x"),
    ("rows-climb", "database/rows/../x"),
    ("rows-of-no-table", "database/rows/00000000.copy"),
    ("object-alone", "object/x"),
    ("summary-elsewhere", "objects/../summary.json"),
    ("backslash", "objects\\x"),
    ("empty", ""),
    ("git", "objects/./x"),
):
    path(name, found, UNKNOWN)
add("no-key", ENTRY, "an object has a key", replace(A, Entry("objects/", b"hello")))

for name, found in (
    ("parent", "objects/../x"),
    ("parent-alone", "objects/.."),
    ("parent-inside", "objects/a/../x"),
    ("self", "objects/."),
    ("slash-twice", "objects//x"),
    ("slash-twice-inside", "objects/a//x"),
    ("slash-at-the-end", "objects/x/"),
    ("dots-in-lower-case", "objects/%2e%2e"),
    ("dots-half-escaped", "objects/%2E."),
    ("slash-in-lower-case", "objects/%2f"),
    ("separator-escaped", "objects/a%2Fb"),
    ("letter-escaped", "objects/%41"),
    ("space-escaped", "objects/a%20b"),
    ("dot-escaped", "objects/a%2Eb"),
    ("umlaut-escaped", "objects/%C3%BC"),
    ("slash-of-two-escaped", "objects/a%2F%2Fb"),
    ("percent-alone", "objects/100%"),
    ("percent-and-a-digit", "objects/%4"),
    ("percent-and-letters", "objects/%zz"),
    ("percent-and-a-plus", "objects/%+1"),
    ("percent-and-umlaut", "objects/%aü"),
    ("backslash-unescaped", "objects/a\\b"),
    ("newline-unescaped", "objects/a\nb"),
    ("delete-unescaped", "objects/a\x7fb"),
    ("control-unescaped", "objects/a\x01b"),
):
    path(name, found, CANONICAL)
add("nul-unescaped", ENTRY, CANONICAL, pax(A, {"path": b"objects/" + b"x" * 100 + b"\0"}))
add("byte-unescaped", ENTRY, CANONICAL, pax(A, {"path": b"objects/" + b"x" * 100 + b"\xff"}), says="UTF-8")
add("surrogate-unescaped", ENTRY, CANONICAL, pax(A, {"path": b"objects/" + b"x" * 100 + b"\xed\xa0\x80"}), says="UTF-8")
add("overlong-unescaped", ENTRY, CANONICAL, pax(A, {"path": b"objects/" + b"x" * 100 + b"\xc0\xaf"}), says="UTF-8")
add(
    "nul-escaped-with-key",
    ENTRY,
    "COFFER.key has a name without NUL",
    replace(A, object_(b"a\0", b"", **{"COFFER.key": b"a\0"})),
)

for name, found in (
    ("chunk-of-one-digit", "database/rows/notes/1.copy"),
    ("chunk-of-nine-digits", "database/rows/notes/000000001.copy"),
    ("chunk-with-a-plus", "database/rows/notes/+0000001.copy"),
    ("chunk-of-letters", "database/rows/notes/0000000a.copy"),
    ("chunk-without-number", "database/rows/notes/.copy"),
    ("chunk-without-extension", "database/rows/notes/00000001"),
    ("chunk-of-csv", "database/rows/notes/00000001.csv"),
    ("chunk-in-upper-case", "database/rows/notes/00000001.COPY"),
    ("chunk-in-a-folder", "database/rows/notes/a/00000001.copy"),
    ("table-with-a-slash", "database/rows/tags/all/00000001.copy"),
    ("table-without-name", "database/rows//00000001.copy"),
    ("table-of-dots", "database/rows/../00000001.copy"),
    ("table-not-utf-8", "database/rows/%FF/00000001.copy"),
    ("table-in-lower-case", "database/rows/tags%2fall/00000001.copy"),
):
    add(
        name,
        ENTRY,
        NUMBER if name.startswith("chunk") else "in a table's name every / is escaped, and it is UTF-8",
        replace(NOTES, Entry(found, b"3\tthree\n")),
    )
for name, found in (
    ("block-of-one-digit", "index/0.jsonl"),
    ("block-of-nine-digits", "index/000000000.jsonl"),
    ("block-of-json", "index/00000000.json"),
    ("block-in-a-folder", "index/0/00000000.jsonl"),
):
    add(name, ENTRY, NUMBER, setting(block_entry=lambda entry, found=found: Entry(found, entry.content)))

TWICE = "a path that stands twice is refused"
for entry in (
    "manifest.json",
    "database/schema.json",
    "database/pre-data.sql",
    "database/post-data.sql",
    "database/rows/notes/00000000.copy",
    "database/sequences.json",
    A,
):
    name = entry.split("/")[-1].split(".")[0]
    add(
        f"twice-{'chunk' if name == '00000000' else 'object' if name == 'a' else name}",
        ENTRY,
        TWICE,
        lambda draft, entry=entry: draft.entries.insert(draft.place(entry), draft.entry(entry)),
    )
add("twice-apart", ENTRY, TWICE, append(object_(b"a.txt", b"again")))
add("twice-summary", ENTRY, TWICE, setting(behind_summary=[document("summary.json", {})]))
