"""The documents at the start: manifest, schema, SQL and sequences."""

from draft import SCHEMA, manifest, to_json
from cases.whole import structure
from lies import *

MANIFEST, SCHEMA_PATH, SEQUENCES = "manifest.json", "database/schema.json", "database/sequences.json"
PRE, POST = "database/pre-data.sql", "database/post-data.sql"
MANIFEST_JSON = "manifest.json is a JSON object with the members that the format lists"
FINGERPRINT = "the fingerprint is the SHA-256 of schema.json, pre-data and post-data, each preceded by its u64 length"
SCHEMA_JSON = "schema.json is an object with tables, each with a name, columns and a primary key"
SEQUENCES_JSON = "sequences.json is an object with sequences"
CASES = Cases(
    "document",
    says={
        MANIFEST_JSON: MANIFEST,
        "archive_id is 16 bytes in lower-case hexadecimal": MANIFEST,
        "row_encoding is copy or jsonl": "csv",
        "rows are in the encoding that the manifest states": "encoding",
        FINGERPRINT: "fingerprint",
        SCHEMA_JSON: SCHEMA_PATH,
        SEQUENCES_JSON: SEQUENCES,
    },
)
add = CASES.add


def told(**values):
    return content(MANIFEST, to_json(manifest() | values))


for name, found in (
    ("not-json", b"{"),
    ("empty", b""),
    ("a-list", b"[]"),
    ("not-utf-8", b'{"format":"\xff"}'),
    ("text", b"coffer/1"),
    ("without-format", b"{}"),
    ("two-values", to_json(manifest()) + b"{}"),
):
    add(f"manifest-{name}", NOT_AN_ARCHIVE, MANIFEST_JSON, content(MANIFEST, found))
for version in ("coffer/2", "coffer/10", "coffer/1.1", "coffer/"):
    add(f"manifest-of-{version.replace('/', '-')}", VERSION, "format is coffer/1", told(format=version), says=version)
for name, version in (("somebody-else", "other/1"), ("upper-case", "Coffer/1"), ("a-space", "coffer/1 ")):
    expect = VERSION if name == "a-space" else NOT_AN_ARCHIVE
    add(f"manifest-of-{name}", expect, "format is coffer/1", told(format=version))
add("manifest-of-a-number", NOT_AN_ARCHIVE, "format is coffer/1", told(format=1))
for key in (
    "archive_id",
    "created",
    "generator",
    "source",
    "app",
    "engine",
    "row_encoding",
    "fingerprint",
    "extensions",
):
    add(
        f"manifest-without-{key.replace('_', '-')}",
        ENTRY,
        MANIFEST_JSON,
        lambda draft, key=key: content(
            MANIFEST, to_json({name: value for name, value in manifest().items() if name != key})
        )(draft),
        says=key,
    )
add(
    "manifest-member-twice",
    f"{ENTRY} or {NOT_AN_ARCHIVE}",
    MANIFEST_JSON,
    content(MANIFEST, to_json(manifest())[:-1] + b',"app":"b"}'),
)
for name, value in (
    ("id-too-short", "00010203"),
    ("id-in-upper-case", "000102030405060708090A0B0C0D0E0F"),
    ("id-not-hex", "x" * 32),
):
    add(f"manifest-{name}", ENTRY, "archive_id is 16 bytes in lower-case hexadecimal", told(archive_id=value))
add("manifest-encoding", ENTRY, "row_encoding is copy or jsonl", told(row_encoding="csv"))
add("manifest-engine-a-list", ENTRY, MANIFEST_JSON, told(engine=["postgres", "17.2"]))
add(
    "manifest-encoding-of-another",
    ENTRY,
    "rows are in the encoding that the manifest states",
    told(row_encoding="jsonl"),
)

add("fingerprint-of-zeros", ENTRY, FINGERPRINT, told(fingerprint="0" * 64))
add("fingerprint-in-upper-case", ENTRY, FINGERPRINT, told(fingerprint=manifest()["fingerprint"].upper()))
add("fingerprint-of-another-schema", ENTRY, FINGERPRINT, content(SCHEMA_PATH, to_json(SCHEMA | {"x": 1})))
add("fingerprint-of-other-pre-data", ENTRY, FINGERPRINT, content(PRE, b"DROP TABLE notes;\n"))
add("fingerprint-of-other-post-data", ENTRY, FINGERPRINT, content(POST, b""))
add(
    "fingerprint-of-documents-cut-elsewhere",
    ENTRY,
    FINGERPRINT,
    lambda draft: (
        content(POST, draft.entry(PRE).content[-1:] + draft.entry(POST).content)(draft),
        content(PRE, draft.entry(PRE).content[:-1])(draft),
    ),
)

for name, found in (
    ("not-json", b"{"),
    ("empty", b""),
    ("a-list", b"[]"),
    ("without-tables", b"{}"),
    ("not-utf-8", to_json(SCHEMA)[:-1] + b',"x":"\xff"}'),
    ("of-a-table-without-name", b'{"tables":[{"columns":[],"primary_key":[]}]}'),
    ("two-values", to_json(SCHEMA) + b"{}"),
):
    add(f"schema-{name}", ENTRY, SCHEMA_JSON, structure(found, b"", b""))
add(
    "schema-table-twice",
    ENTRY,
    "a table stands in the schema once",
    structure(to_json({"tables": SCHEMA["tables"] + SCHEMA["tables"][:1]}), b"", b""),
    says="twice",
)
for name, found in (("not-json", b"{"), ("empty", b""), ("a-list", b"[]"), ("without-sequences", b"{}")):
    add(f"sequences-{name}", ENTRY, SEQUENCES_JSON, content(SEQUENCES, found))

HUGE = (64 << 20) + 1
for path in (MANIFEST, SCHEMA_PATH, SEQUENCES):
    add(
        f"over-64-mib-{path.split('/')[-1].split('.')[0]}",
        LIMIT,
        "manifest, schema, sequences and summary are at most 64 MiB each, known before anything is read of them",
        fields(path, size=HUGE),
    )
