"""The index: each record, and the blocks that they stand in."""

from draft import Entry, to_json
from lies import *

A, AWKWARD, LAST = "objects/a.txt", "objects/folder/%2Fü%0A100%25", "objects/z%FF"
RECORD = 'a record is {"path","size","member","skip","sha256"}'
EACH = "every entry but index blocks and summary.json has exactly one record, in archive order"
HEX = "hexadecimal is lower case, and a SHA-256 is 64 digits"
BLOCK = "a block holds at least one record, each a line"
NUMBERS = "index blocks are numbered from 00000000"
CASES = Cases(
    "index",
    says={
        RECORD: "index/00000000.jsonl",
        HEX: "hexadecimal",
        NUMBERS: "numbered without gaps",
        BLOCK: "index/0000000",
        "a record has the entry's size": "does not describe the entries",
        "a record has the offset of the member in which the entry begins": "does not describe the entries",
        "a record says how far into its member the entry begins": "does not describe the entries",
        "a record points to the pax header, where there is one": "does not describe the entries",
        "skip is less than the member's length": "does not describe the entries",
        "a record has the SHA-256 of the entry's content": "does not describe the entries",
        "a block holds records of entries before it": "more entries than stand before it",
    },
)
add = CASES.add


def lie(name, comment, *lies, **options):
    """A record that lies, told by the summary's digest too, and not."""
    add(name, ENTRY, comment, *lies, **options)
    add(f"{name}-alone", ENTRY, comment, *lies, digest_follows_the_truth, **options)


first = lambda told: next(n for n, r in enumerate(told) if r["path"] == A)
lie("size", "a record has the entry's size", record(A, size=6))
lie("size-of-nothing", "a record has the entry's size", record(AWKWARD, size=0))
lie("member", "a record has the offset of the member in which the entry begins", record(A, member=7))
lie(
    "member-of-the-next",
    "a record has the offset of the member in which the entry begins",
    records(lambda told: told[1].update(member=told[-1]["member"])),
    member_size=4_096,
)
lie(
    "skip",
    "a record says how far into its member the entry begins",
    records(lambda told: told[first(told)].update(skip=told[first(told)]["skip"] + 512)),
)
lie(
    "skip-of-the-second-header",
    "a record points to the pax header, where there is one",
    records(lambda told: told[first(told)].update(skip=told[first(told)]["skip"] + 1_024)),
)
lie("skip-beyond-the-member", "skip is less than the member's length", record(A, skip=0xFFFF_FFFF))
lie("digest", "a record has the SHA-256 of the entry's content", record(A, sha256="0" * 64))
lie("path", EACH, record(A, path="objects/b.txt"))
lie("order", EACH, records(lambda told: told.__setitem__(slice(8, 10), told[9:7:-1])))
lie("missing", EACH, records(lambda told: told.pop()))
lie("missing-manifest", EACH, records(lambda told: told.pop(0)))
lie("doubled", EACH, records(lambda told: told.insert(9, dict(told[8]))))
lie("extra", EACH, records(lambda told: told.append(dict(told[8], path="objects/z%FF%FF"))))
lie("extra-between", EACH, records(lambda told: told.insert(7, dict(told[8], path="database/rows/none/00000000.copy"))))
lie(
    "of-a-block",
    "an index block has no record",
    records(lambda told: told.insert(8, dict(told[8], path="index/00000000.jsonl"))),
)
lie(
    "of-the-summary",
    "summary.json has no record",
    records(lambda told: told.insert(8, dict(told[8], path="summary.json"))),
)
lie("of-nothing", EACH, records(lambda told: told.clear()), setting(blocks=lambda told: []))

for name, member, value in (
    ("unknown-member", "mode", 420),
    ("size-negative", "size", -1),
    ("size-a-text", "size", "5"),
    ("size-with-a-point", "size", 5.0),
    ("size-null", "size", None),
    ("size-over-64-bits", "size", 1 << 64),
    ("skip-over-32-bits", "skip", 1 << 32),
    ("path-a-list", "path", ["a"]),
    ("digest-null", "sha256", None),
):
    add(
        f"record-{name}",
        ENTRY,
        RECORD,
        setting(render=lambda r, change={member: value}: to_json(r | change if r["path"] == A else r) + b"\n"),
    )
for member in ("path", "size", "member", "skip", "sha256"):
    add(
        f"record-without-{member}",
        ENTRY,
        RECORD,
        setting(
            render=lambda r, member=member: to_json(
                {key: value for key, value in r.items() if r["path"] != A or key != member}
            )
            + b"\n"
        ),
    )


def rendered(name, comment, change):
    """Each record's line, changed for one entry."""
    add(
        f"record-{name}",
        ENTRY,
        comment,
        setting(render=lambda r: change(to_json(r)) + b"\n" if r["path"] == A else to_json(r) + b"\n"),
    )


rendered("digest-in-upper-case", HEX, lambda line: line[:-66] + line[-66:].upper())
rendered("digest-too-short", HEX, lambda line: line[:-3] + b'"}')
rendered("digest-too-long", HEX, lambda line: line[:-2] + b'00"}')
rendered("digest-not-hex", HEX, lambda line: line[:-66] + b"g" * 64 + b'"}')
rendered("member-twice", RECORD, lambda line: line[:-1] + b',"size":5}')
rendered("not-json", RECORD, lambda line: line[:-1])
rendered("two-on-a-line", "a record is a line", lambda line: line + line)
rendered("with-comment", RECORD, lambda line: line + b"// here")
rendered("a-list", RECORD, lambda line: b'["objects/a.txt",5,0,0,"' + b"0" * 64 + b'"]')
rendered("null", RECORD, lambda line: b"null")
rendered("not-utf-8", RECORD, lambda line: line.replace(b"a.txt", b"a.tx\xff"))
rendered("empty-line-behind", "a record is a line", lambda line: line + b"\n")

add("block-empty", ENTRY, BLOCK, setting(blocks=lambda told: [told, []]))
add(
    "block-of-a-newline",
    ENTRY,
    BLOCK,
    setting(blocks=lambda told: [told, []], block_content=lambda content: content or b"\n"),
)
add("block-without-newline", ENTRY, BLOCK, setting(block_content=lambda content: content[:-1]))
add("block-with-return", ENTRY, BLOCK, setting(block_content=lambda content: content + b"\r"))
add("block-not-json", ENTRY, BLOCK, setting(block_content=lambda content: b"no records here\n"))
add("block-with-zeros", ENTRY, BLOCK, setting(block_content=lambda content: content + bytes(20)))
add(
    "block-not-full",
    ENTRY,
    "a block holds the oldest records that have none, and is due when that many are 16 MiB back",
    setting(blocks=lambda told: [told[:3], told[3:]]),
)
add(
    "block-between-entries",
    ENTRY,
    "a block is due when 4,096 records or 1 MiB of them are 16 MiB back",
    setting(early={A: 3}),
)
add("block-before-its-entries", ENTRY, "a block holds records of entries before it", setting(early={A: 11}))
add("block-before-one-entry", ENTRY, "a block holds records of entries before it", setting(early={LAST: 11}))
add(
    "block-behind-an-object-alone",
    ENTRY,
    "the last blocks stand directly before summary.json",
    setting(early={LAST: 10}),
)
add("block-from-one", ENTRY, NUMBERS, setting(block_entry=lambda entry: Entry("index/00000001.jsonl", entry.content)))
add("block-twice", ENTRY, EACH, setting(blocks=lambda told: [told, told]))

gone = lambda count, pad="": [{"path": f"objects/b/{pad}{number:04}", "vanished": True} for number in range(count)]
with_gone = lambda told, more: told.__setitem__(slice(9, 9), more)
many = records(lambda told: with_gone(told, gone(4_086)))
full = records(lambda told: with_gone(told, gone(4_096)))
add("block-of-4097-records", ENTRY, "a block holds at most 4,096 records", many, member_size=1 << 20, says="4,096")
for name, numbers in (("gap", (0, 2)), ("twice", (0, 0)), ("swapped", (1, 0))):
    add(
        f"block-number-{name}",
        ENTRY,
        NUMBERS,
        full,
        setting(
            blocks=lambda told: [told[:4_096], told[4_096:]],
            block_entry=lambda entry, numbers=numbers: Entry(
                f"index/{numbers[entry.path == 'index/00000001.jsonl']:08}.jsonl", entry.content
            ),
        ),
        member_size=1 << 20,
    )
add(
    "block-over-1-mib",
    ENTRY,
    "a block has at most 1 MiB",
    records(lambda told: with_gone(told, gone(300, "x" * 3_500))),
    member_size=1 << 20,
    says="1 MiB",
)
add(
    "block-of-8-gib",
    ENTRY,
    "a block has at most 1 MiB, known before anything is read of it",
    setting(block_entry=lambda entry: entry.fields.update(size=(8 << 30) - 1) or entry),
    says="1 MiB",
)
