"""Archives that keep every rule, and go as far as one of them allows: each unpacks to a megabyte or more."""

from cases.whole import stored
from draft import pax_record, rows
from lies import *

CASES = Cases("large")
add, both = CASES.add, CASES.both
MIB, CHUNK = 1 << 20, 4 << 20

add(
    "stored-1-mib",
    WHOLE,
    "a member holds at most 1 MiB of tar bytes",
    stored,
    content("objects/z%FF", bytes(MIB)),
    member_size=MIB,
)
both(
    "1-mib",
    WHOLE,
    "a member or a frame holds at most 1 MiB of tar bytes",
    content("objects/z%FF", bytes(MIB)),
    member_size=MIB,
)
add(
    "pax-1-mib",
    WHOLE,
    "a pax header has at most 1 MiB",
    attributes("objects/a.txt", pax_bytes=pax_record(b"COFFER.meta.a", b"x" * (MIB - 23))),
    member_size=MIB,
)
add(
    "long-row",
    WHOLE,
    "a row over 4 MiB runs on, its chunks but the last exactly 4 MiB",
    replace("database/rows/tags%2Fall/00000000.copy", rows(b"tags/all", 0, b"x" * CHUNK), rows(b"tags/all", 1, b"x\n")),
    member_size=MIB,
)
add(
    "chunk-of-4-mib",
    WHOLE,
    "a chunk has at most 4 MiB",
    content("database/rows/tags%2Fall/00000000.copy", b"x" * (CHUNK - 1) + b"\n"),
    member_size=MIB,
)
gone = [{"path": f"objects/b/{number:04}", "vanished": True} for number in range(4_096)]
add(
    "two-blocks",
    WHOLE,
    "a block holds at most 4,096 records; the rest stand in the next",
    records(lambda told: told.__setitem__(slice(9, 9), gone)),
    setting(blocks=lambda told: [told[:4_096], told[4_096:]]),
    member_size=MIB,
)
