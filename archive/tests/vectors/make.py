"""Makes the vectors of the compressed and the tar layer: archives that are whole, and archives with one lie each.

Written from docs/FORMAT.md, sections 2 and 3, with Python's standard library; nothing of the crate is used. `python3
make.py` writes every case anew beside this file and removes those that are no more. The same files come out each time;
with a zlib that deflates otherwise (zlib-ng), other bytes of the same meaning.

    packed.py   gzip members and zstd frames        lies.py   what a case is, and the lies that many tell
    draft.py    an honest archive, made of parts    cases/    the cases, a file a family

A vector is a head of lines `key: value`, an empty line, and the compressed layer:

    expect    `whole`, or the variants of the crate's `Error` that are right, with ` or ` between them
    says      what the error's text must contain, where that is settled
    comment   the rule, from the format
    body      `raw`, or `zlib` where that is smaller
    length    of the compressed layer in bytes, unpacked
"""

import importlib
import pathlib
import sys
import zlib

MODULES = (
    "whole",
    "large",
    "members",
    "frames",
    "headers",
    "pax",
    "names",
    "order",
    "documents",
    "index",
    "summary",
    "objects",
)


def vector(case):
    form, body = "raw", zlib.compress(case.archive, 9)
    if len(body) < len(case.archive) * 3 // 4:
        form = "zlib"
    else:
        body = case.archive
    says = f"says: {case.says}\n" if case.says else ""
    head = f"expect: {case.expect}\n{says}comment: {case.comment}\nbody: {form}\nlength: {len(case.archive)}\n\n"
    return head.encode() + body


def main():
    sys.dont_write_bytecode = True
    folder = pathlib.Path(__file__).parent
    vectors, archives = {}, {}
    for module in MODULES:
        for case in importlib.import_module(f"cases.{module}").CASES:
            name = f"{case.name}.vector"
            if name in vectors:
                raise ValueError(f"two cases are named {name}")
            if archives.setdefault(case.archive, name) != name:
                raise ValueError(f"{name} is the same archive as {archives[case.archive]}: its lie is not told")
            vectors[name] = vector(case)
    for stale in folder.glob("*.vector"):
        if stale.name not in vectors:
            stale.unlink()
    for name, content in vectors.items():
        (folder / name).write_bytes(content)
    lengths = [len(content) for content in vectors.values()]
    print(f"{len(vectors)} vectors, {sum(lengths)} bytes, the longest {max(lengths)}")


if __name__ == "__main__":
    main()
