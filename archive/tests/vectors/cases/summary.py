"""summary.json: what it says of the archive before it."""

from cases.whole import SIGNATURE
from lies import *

COUNTS = "the summary's counts and digests are those of the archive"
PLACES = "the summary lists every index block: where it stands, its size and count, its least and greatest path"
FORM = "a signature is {key, value}: 32 and 64 bytes in lower-case hexadecimal"
JSON = "summary.json is a JSON object with the members that the format lists"
CASES = Cases(
    "summary",
    says={
        COUNTS: "summary.json",
        PLACES: "summary.json",
        FORM: "summary.json",
        JSON: "summary.json",
        "complete is true": "summary.json",
        "index_digest is that of the records": "index digest",
        "index_digest is a SHA-256": "index digest",
    },
)
add = CASES.add


def lie(name, comment, change, **options):
    add(name, ENTRY, comment, summary(change), **options)


def of(path, value):
    """Sets what stands at a path of keys, numbers being places in lists."""

    def change(told):
        *way, last = path
        for key in way:
            told = told[key]
        told[last] = value

    return change


lie("not-complete", "complete is true", of(["complete"], False))
lie("complete-a-text", "complete is true", of(["complete"], "true"))
for key in ("complete", "tables", "objects", "index", "index_digest"):
    lie(f"without-{key.replace('_', '-')}", JSON, lambda told, key=key: told.pop(key))

lie("table-rows", COUNTS, of(["tables", 0, "rows"], 4))
lie("table-bytes", COUNTS, of(["tables", 0, "bytes"], 1))
lie("table-digest", COUNTS, of(["tables", 0, "digest"], "0" * 32))
lie("table-digest-without-rows", "no rows: zeros", of(["tables", 1, "digest"], "0" * 31 + "1"))
lie(
    "table-digest-in-upper-case",
    "hexadecimal is lower case",
    lambda told: told["tables"][0].update(digest=told["tables"][0]["digest"].upper()),
)
lie("table-digest-of-one-row", "equal rows count each time", of(["tables", 2, "digest"], "0" * 32))
lie(
    "table-digest-turned",
    "the digest's most significant digits come first",
    lambda told: told["tables"][0].update(digest=bytes.fromhex(told["tables"][0]["digest"])[::-1].hex()),
)
lie("table-name", COUNTS, of(["tables", 0, "name"], "others"))
lie("table-missing", "the summary has every table", lambda told: told["tables"].pop())
lie(
    "table-without-rows-missing",
    "the summary has every table, those without rows too",
    lambda told: told["tables"].pop(1),
)
lie(
    "table-extra",
    "the summary has the schema's tables alone",
    lambda told: told["tables"].append(dict(told["tables"][1], name="more")),
)
lie("table-twice", "the summary has every table once", lambda told: told["tables"].append(told["tables"][0]))
lie("tables-swapped", "the summary's tables stand in the order of the schema", lambda told: told["tables"].reverse())
lie("table-without-digest", "a table has name, rows, bytes and digest", lambda told: told["tables"][0].pop("digest"))
for key, value in (("count", 4), ("count", 2), ("bytes", 4), ("vanished", 1)):
    lie(f"object-{key}-{value}", COUNTS, of(["objects", key], value))
lie("object-vanished-true", "vanished is a count", of(["objects", "vanished"], True))
lie("objects-a-list", "objects is an object", lambda told: told.update(objects=list(told["objects"].values())))
lie("table-a-list", "a table is an object", lambda told: told["tables"].append(list(told["tables"].pop().values())))
lie("block-a-list", "a block is an object", lambda told: told["index"].append(list(told["index"].pop().values())))
lie("object-without-vanished", "objects has count, bytes and vanished", lambda told: told["objects"].pop("vanished"))

for key, value in (
    ("member", 0),
    ("skip", 512),
    ("size", 5),
    ("count", 10),
    ("first", "a"),
    ("last", "z"),
    ("first", "objects/a.txt"),
):
    lie(f"block-{key}-{str(value).replace('/', '-')}", PLACES, of(["index", 0, key], value))
lie("block-missing", PLACES, lambda told: told["index"].clear())
lie("block-extra", PLACES, lambda told: told["index"].append(dict(told["index"][0])))
lie("block-without-last", PLACES, lambda told: told["index"][0].pop("last"))
lie(
    "block-first-and-last-by-place",
    "first and last are the least and greatest path, not the oldest and the newest",
    lambda told: told["index"][0].update(first="manifest.json", last="objects/z%FF"),
)

lie("index-digest", "index_digest is that of the records", of(["index_digest"], "0" * 64))
lie(
    "index-digest-in-upper-case",
    "hexadecimal is lower case",
    lambda told: told.update(index_digest=told["index_digest"].upper()),
)
lie(
    "index-digest-too-short",
    "index_digest is a SHA-256",
    lambda told: told.update(index_digest=told["index_digest"][:-2]),
)

for name, change in (
    ("not-json", lambda found: found[:-1]),
    ("empty", lambda found: b""),
    ("a-list", lambda found: b"[]"),
    ("null", lambda found: b"null"),
    ("two-values", lambda found: found + b"{}"),
    ("not-utf-8", lambda found: found.replace(b"notes", b"note\xff")),
    ("member-twice", lambda found: found[:-1] + b',"complete":true}'),
):
    add(name, ENTRY, JSON, setting(summary_content=change))
add(
    "over-64-mib",
    LIMIT,
    "the summary is at most 64 MiB, known before anything is read of it",
    setting(summary_size=(64 << 20) + 1),
)


def signature(name, **values):
    add(
        f"signature-{name}",
        ENTRY,
        FORM,
        summary(
            lambda told: told.update(
                signature={key: value for key, value in (SIGNATURE | values).items() if value is not None}
            )
        ),
    )


signature("key-too-short", key=SIGNATURE["key"][:-2])
signature("key-too-long", key=SIGNATURE["key"] + "00")
signature("key-in-upper-case", key=SIGNATURE["key"].upper())
signature("key-not-hex", key="g" * 64)
signature("key-empty", key="")
signature("key-a-number", key=7)
signature("without-key", key=None)
signature("value-too-short", value=SIGNATURE["value"][:-1])
signature("value-too-long", value=SIGNATURE["value"] + "0")
signature("value-in-upper-case", value=SIGNATURE["value"].upper())
signature("value-not-hex", value="-" * 128)
signature("without-value", value=None)
signature("unknown-member", algorithm="ed25519")
add("signature-a-text", ENTRY, FORM, summary(lambda told: told.update(signature=SIGNATURE["value"])))
add("signature-empty", ENTRY, FORM, summary(lambda told: told.update(signature={})))
add("signature-a-list", ENTRY, FORM, summary(lambda told: told.update(signature=list(SIGNATURE.values()))))
