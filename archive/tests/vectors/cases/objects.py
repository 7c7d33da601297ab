"""Objects that needed several attempts, and objects that had vanished."""

from draft import object_, to_json
from lies import *

A, AWKWARD, LAST = "objects/a.txt", "objects/folder/%2Fü%0A100%25", "objects/z%FF"
B = "objects/b"
ATTEMPT = "a voided attempt is followed by an entry of the same path with COFFER.attempt = 2, then 3"
VOID = 'a voided attempt\'s record, and no other, has "void":true at its end'
VANISHED = (
    'an object that was listed and gone has a record {"path","vanished":true} where its entry would have stood, '
    "and no entry"
)
CASES = Cases(
    "objects",
    says={
        ATTEMPT: "objects/",
        VANISHED: "index/00000000.jsonl",
        "after three attempts the export fails": "attempt",
        "objects alone have attempts": "COFFER.attempt",
        "the last attempt counts": "counts other objects",
        "the summary counts what had vanished": "counts other objects",
        "index_digest covers what had vanished": "index digest",
        "index_digest covers what the index says": "index digest",
    },
)
add, both = CASES.add, CASES.both


def attempt(number, body=b"whole", key=b"b", void=None, **more):
    """The number stands from the second attempt on; those before the last are void."""
    pax = {"COFFER.attempt": str(number).encode()} if number != 1 else {}
    entry = object_(key, body, **(pax | more))
    entry.record = {"void": True} if void else {}
    return entry


def attempts(*entries):
    return insert(AWKWARD, *entries)


FIRST, SECOND = attempt(1, b"begun" + bytes(95), void=True), attempt(2, b"begun again" + bytes(600), void=True)
both("two-attempts", WHOLE, ATTEMPT, attempts(FIRST, attempt(2)))
both("three-attempts", WHOLE, ATTEMPT, attempts(FIRST, SECOND, attempt(3)))
add(
    "attempts-of-an-awkward-name",
    WHOLE,
    ATTEMPT,
    attempts(attempt(1, bytes(9), key="b/\n/ü".encode(), void=True), attempt(2, key="b/\n/ü".encode())),
)
add(
    "attempts-of-two",
    WHOLE,
    ATTEMPT,
    attempts(FIRST, attempt(2), attempt(1, bytes(3), b"c", True), attempt(2, b"c", b"c")),
)
add("attempts-of-nothing", WHOLE, ATTEMPT, attempts(attempt(1, b"", void=True), attempt(2, b"")))
add("attempts-of-the-last", WHOLE, ATTEMPT, append(attempt(1, bytes(9), b"\xff", True), attempt(2, key=b"\xff")))

add("attempt-2-first", ENTRY, ATTEMPT, attempts(attempt(2)))
add("attempt-2-of-another", ENTRY, ATTEMPT, attempts(attempt(1, bytes(9), b"b", True), attempt(2, key=b"c")))
add("attempt-3-after-1", ENTRY, ATTEMPT, attempts(FIRST, attempt(3)))
add("attempt-2-after-2", ENTRY, ATTEMPT, attempts(FIRST, SECOND, attempt(2)))
add(
    "attempt-4",
    ENTRY,
    "after three attempts the export fails",
    attempts(FIRST, SECOND, attempt(3, bytes(9), void=True), attempt(4)),
)
add("attempt-1-spelled-out", ENTRY, ATTEMPT, attempts(attempt(1, **{"COFFER.attempt": b"1"})))
add(
    "attempt-1-spelled-out-and-void",
    ENTRY,
    ATTEMPT,
    attempts(attempt(1, bytes(9), void=True, **{"COFFER.attempt": b"1"}), attempt(2)),
)
add("attempt-0", ENTRY, ATTEMPT, attempts(attempt(0)))
add("attempt-missing", ENTRY, ATTEMPT, attempts(FIRST, attempt(1)))
for name, value in (
    ("with-a-zero", b"02"),
    ("with-a-plus", b"+2"),
    ("with-a-space", b"2 "),
    ("in-words", b"two"),
    ("empty", b""),
):
    add(f"attempt-{name}", ENTRY, ATTEMPT, attempts(FIRST, attempt(1, **{"COFFER.attempt": value})))
add(
    "attempt-of-rows",
    ENTRY,
    "objects alone have attempts",
    lambda draft: pax("database/rows/notes/00000001.copy", {"COFFER.attempt": b"2"})(draft),
)
add(
    "attempt-of-a-document",
    ENTRY,
    "objects alone have attempts",
    pax("database/sequences.json", {"COFFER.attempt": b"2"}),
)
add("attempts-apart", ENTRY, ATTEMPT, attempts(FIRST, attempt(1, b"c", b"c"), attempt(2)))

# The summary counts what is void and should not be, so that the record's lie stands alone.
counted = summary(lambda told: told["objects"].update(count=4, bytes=told["objects"]["bytes"] + 9))
add("void-and-nothing-behind", ENTRY, VOID, append(attempt(1, bytes(9), b"\xff", True)), counted)
add(
    "void-of-the-last-at-the-end",
    ENTRY,
    VOID,
    append(attempt(1, bytes(5), b"\xff", True), attempt(2, bytes(9), b"\xff", True)),
    counted,
)
add("void-and-another-behind", ENTRY, VOID, attempts(attempt(1, bytes(9), void=True)), counted)
once = summary(lambda told: told["objects"].update(count=4, bytes=told["objects"]["bytes"] - 9))
add("void-missing", ENTRY, VOID, attempts(attempt(1, bytes(9)), attempt(2)), once)
add("void-missing-of-the-second", ENTRY, VOID, attempts(FIRST, attempt(2, bytes(9)), attempt(3)), once)
add("void-missing-of-the-first", ENTRY, VOID, attempts(attempt(1, bytes(9)), SECOND, attempt(3)), once)
add("void-of-the-last", ENTRY, VOID, attempts(FIRST, attempt(2, bytes(9), void=True)), counted)
add(
    "void-of-both-swapped",
    ENTRY,
    VOID,
    attempts(attempt(1, bytes(5)), attempt(2, bytes(9), void=True)),
    summary(lambda told: told["objects"].update(bytes=told["objects"]["bytes"] + 4)),
)
add("void-of-rows", ENTRY, VOID, record("database/rows/notes/00000000.copy", void=True))
add("void-of-the-manifest", ENTRY, VOID, record("manifest.json", void=True))
add("void-false", ENTRY, VOID, record(A, void=False))
add("void-null", ENTRY, VOID, record(A, void=None))
add(
    "void-a-number",
    ENTRY,
    VOID,
    attempts(FIRST, attempt(2)),
    setting(render=lambda r: to_json(r | ({"void": 1} if "void" in r else {})) + b"\n"),
)
add(
    "void-record-missing",
    ENTRY,
    "every entry has a record, a voided one too",
    attempts(FIRST, attempt(2)),
    records(lambda told: told.pop(9)),
)
add(
    "void-counted",
    ENTRY,
    "the last attempt counts",
    attempts(FIRST, attempt(2)),
    summary(lambda told: told["objects"].update(count=5)),
)
add(
    "void-bytes-counted",
    ENTRY,
    "the last attempt counts",
    attempts(FIRST, attempt(2)),
    summary(lambda told: told["objects"].update(bytes=told["objects"]["bytes"] + 100)),
)

both("vanished", WHOLE, VANISHED, vanished(B, AWKWARD))
add("vanished-first", WHOLE, VANISHED, vanished("objects/a", A))
add("vanished-last", WHOLE, VANISHED, vanished("objects/z%FF%FF"))
add("vanished-awkward", WHOLE, VANISHED, vanished("objects/b/%2F%0Aü", AWKWARD))
add(
    "vanished-several",
    WHOLE,
    VANISHED,
    vanished("objects/b", AWKWARD),
    vanished("objects/c", AWKWARD),
    vanished("objects/zz", LAST),
)
add(
    "vanished-by-key",
    WHOLE,
    "keys stand in the order of their bytes, not of their paths",
    vanished("objects/b%01", AWKWARD),
    vanished("objects/b ", AWKWARD),
)
add(
    "vanished-all",
    WHOLE,
    VANISHED,
    lambda draft: setting(entries=draft.entries[:8])(draft),
    vanished("objects/a"),
    vanished("objects/b"),
)
add(
    "vanished-beside-attempts",
    WHOLE,
    VANISHED,
    attempts(FIRST, attempt(2)),
    vanished("objects/aa", B),
    vanished("objects/c", AWKWARD),
)

add("vanished-and-there", ENTRY, VANISHED, vanished(A, A))
add("vanished-and-there-behind", ENTRY, VANISHED, vanished(A, AWKWARD))
add("vanished-twice", ENTRY, VANISHED, vanished(B, AWKWARD), vanished(B, AWKWARD))
add(
    "vanished-between-attempts",
    ENTRY,
    VANISHED,
    attempts(FIRST, attempt(2)),
    records(lambda told: told.insert(10, {"path": "objects/b", "vanished": True})),
)
add("vanished-out-of-order", ENTRY, VANISHED, vanished("objects/zz", AWKWARD))
add("vanished-out-of-order-behind", ENTRY, VANISHED, vanished("objects/a"))
add("vanished-out-of-order-among-them", ENTRY, VANISHED, vanished("objects/c", AWKWARD), vanished("objects/b", AWKWARD))
add(
    "vanished-by-path",
    ENTRY,
    "keys stand in the order of their bytes, not of their paths",
    vanished("objects/b ", AWKWARD),
    vanished("objects/b%01", AWKWARD),
)
add("vanished-before-the-manifest", ENTRY, VANISHED, vanished("objects/a", "manifest.json"))
add("vanished-before-rows", ENTRY, VANISHED, vanished("objects/a", "database/rows/notes/00000000.copy"))
add("vanished-before-sequences", ENTRY, VANISHED, vanished("objects/a", "database/sequences.json"))
for name, path in (
    ("rows", "database/rows/none/00000000.copy"),
    ("a-document", "database/sequences.json"),
    ("the-summary", "summary.json"),
    ("a-block", "index/00000001.jsonl"),
    ("no-key", "objects/"),
    ("a-name-badly-encoded", "objects/b%41"),
    ("a-name-that-climbs", "objects/b/../x"),
    ("an-unknown-path", "b"),
):
    add(
        f"vanished-{name}",
        ENTRY,
        "objects alone vanish, and a path is the encoding of its decoding",
        vanished(path, AWKWARD),
    )
for name, counted in (("too-few", 0), ("too-many", 2)):
    add(
        f"vanished-{name}",
        ENTRY,
        "the summary counts what had vanished",
        vanished(B, AWKWARD),
        summary(lambda told, counted=counted: told["objects"].update(vanished=counted)),
    )
add(
    "vanished-counted-as-there",
    ENTRY,
    "the summary counts what had vanished",
    vanished(B, AWKWARD),
    summary(lambda told: told["objects"].update(vanished=0, count=4)),
)
add(
    "vanished-not-in-the-block-count",
    ENTRY,
    "a block's count is that of its records",
    vanished(B, AWKWARD),
    summary(lambda told: told["index"][0].update(count=11)),
)


def told_as(name, **values):
    add(
        f"vanished-{name}",
        ENTRY,
        VANISHED,
        vanished(B, AWKWARD),
        setting(render=lambda r: to_json(r | values if r["path"] == B else r) + b"\n"),
    )


told_as("false", vanished=False)
told_as("null", vanished=None)
told_as("a-number", vanished=1)
told_as("with-size", size=0)
told_as("with-all", size=0, member=0, skip=0, sha256="0" * 64)
told_as("and-void", void=True)
told_as("unknown-member", when="now")
add(
    "vanished-false-of-an-entry",
    ENTRY,
    VANISHED,
    setting(render=lambda r: to_json(r | {"vanished": False} if r["path"] == A else r) + b"\n"),
)
add(
    "vanished-true-of-an-entry",
    ENTRY,
    VANISHED,
    setting(render=lambda r: to_json(r | {"vanished": True} if r["path"] == A else r) + b"\n"),
)
add(
    "vanished-without-path",
    ENTRY,
    VANISHED,
    vanished(B, AWKWARD),
    setting(render=lambda r: b'{"vanished":true}\n' if r["path"] == B else to_json(r) + b"\n"),
)
add(
    "vanished-missing-from-the-digest",
    ENTRY,
    "index_digest covers what had vanished",
    vanished(B, AWKWARD),
    digest_follows_the_truth,
)
add(
    "vanished-in-the-digest-alone",
    ENTRY,
    "index_digest covers what the index says",
    setting(digested=lambda told, true: told + [{"path": B, "vanished": True}]),
)
