"""A small honest archive, built of parts that a case can change before it is put together."""

import hashlib
import json
import struct

from packed import Gzip, Packer

BLOCK = 512


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def header(
    name,
    size,
    kind=b"0",
    mode=0o644,
    uid=0,
    gid=0,
    mtime=0,
    link=b"",
    magic=b"ustar\0",
    version=b"00",
    user=b"",
    group=b"",
    major=b"",
    minor=b"",
    prefix=b"",
    behind=b"",
    checksum=None,
):
    """A ustar header block (POSIX.1-2017, pax). A `size` in bytes is the field itself."""
    size = size if isinstance(size, bytes) else octal(size, 12)
    fields = [
        (name, 100),
        (octal(mode, 8), 8),
        (octal(uid, 8), 8),
        (octal(gid, 8), 8),
        (size, 12),
        (octal(mtime, 12), 12),
    ]
    rest = [
        (kind, 1),
        (link, 100),
        (magic, 6),
        (version, 2),
        (user, 32),
        (group, 32),
        (major, 8),
        (minor, 8),
        (prefix, 155),
    ]
    lay = lambda fields: b"".join(content.ljust(width, b"\0")[:width] for content, width in fields)
    before, after = lay(fields), lay(rest) + behind.ljust(12, b"\0")
    if checksum is None:
        checksum = sum(before) + 8 * 0x20 + sum(after)
    return before + b"%06o\0 " % checksum + after


def pax_record(keyword, value):
    rest = len(keyword) + len(value) + 3
    length = next(n for n in range(rest, rest + 9) if n == rest + len(str(n)))
    return b"%d %s=%s\n" % (length, keyword, value)


def encode(name, slash=b"/"):
    """A table's or an object's name as it stands in a path: `slash` is b"" where none separates."""
    path = ""
    segments = name.split(b"/")
    for n, segment in enumerate(segments):
        if n:
            separates = slash and segments[n - 1] and (segment or n < len(segments) - 1)
            path += "/" if separates else "%2F"
        for character in segment.decode("utf-8", "surrogateescape"):
            code = ord(character)
            if 0xDC80 <= code <= 0xDCFF:
                path += f"%{code - 0xDC00:02X}"
            elif code < 0x20 or code == 0x7F or character in "%\\" or segment in (b".", b".."):
                path += f"%{code:02X}"
            else:
                path += character
    return path


class Entry:
    """An entry: what its header says (`fields`), its pax records, and its content."""

    def __init__(self, path, content, table=None, **pax):
        self.path, self.content, self.table = path, content, table
        self.fields, self.pax_fields, self.record = {"size": len(content)}, {}, {}
        self.padding, self.pax_padding, self.pax_bytes, self.before = b"\0", b"\0", None, b""
        self.name = "".join(c if c.isascii() else "_" for c in path)[:100].encode()
        self.pax = dict(pax)
        if len(path.encode("utf-8", "surrogateescape")) > 100 or not path.isascii():
            self.pax["path"] = path.encode("utf-8", "surrogateescape")

    def headers(self):
        records = b"".join(pax_record(key.encode(), value) for key, value in sorted(self.pax.items()))
        records = records if self.pax_bytes is None else self.pax_bytes
        blocks = self.before
        if records or self.pax_fields:
            blocks += header(b"PaxHeader", **({"size": len(records), "kind": b"x"} | self.pax_fields))
            blocks += padded(records, self.pax_padding)
        return blocks + header(self.name, **self.fields)


def is_text(name):
    try:
        return "\0" not in name.decode()
    except UnicodeDecodeError:
        return False


def padded(content, padding):
    return content + padding * (-len(content) % BLOCK)


def document(path, value):
    return Entry(path, value if isinstance(value, bytes) else to_json(value))


def rows(table, chunk, content, extension="copy"):
    path = f"database/rows/{encode(table, slash=b'')}/{chunk:08}.{extension}"
    entry = Entry(path, content, table=table)
    if encode(table, slash=b"").encode() != table:
        entry.pax["COFFER.key"] = table
    return entry


def object_(key, content, mtime=0, **pax):
    entry = Entry("objects/" + encode(key), content, **pax)
    entry.fields["mtime"] = mtime
    if is_text(key) and encode(key).encode() != key:
        entry.pax["COFFER.key"] = key
    return entry


def to_json(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of_records(records):
    """SHA-256(A ‖ B): A over what is there and B over what had vanished."""
    there, vanished = hashlib.sha256(), hashlib.sha256()
    for record in records:
        path = record["path"].encode()
        if "vanished" in record:
            vanished.update(path + b"\x01")
        else:
            where = struct.pack("<QQI", record["size"], record["member"], record["skip"])
            there.update(path + b"\0" + where + bytes.fromhex(record["sha256"]))
    return hashlib.sha256(there.digest() + vanished.digest()).hexdigest()


def digest_of_rows(content):
    lines = content.split(b"\n")[:-1]
    total = sum(int.from_bytes(hashlib.sha256(line).digest()[:16], "little") for line in lines)
    return f"{total % (1 << 128):032x}"


SCHEMA = {
    "tables": [
        {
            "name": name,
            "columns": [{"name": "id", "type": "bigint"}, {"name": "body", "type": "text"}],
            "primary_key": ["id"],
        }
        for name in ("notes", "none", "tags/all")
    ]
}
PRE_DATA = b"CREATE TABLE notes (id bigint, body text);\n"
POST_DATA = b"ALTER TABLE notes ADD PRIMARY KEY (id);\n"


def fingerprint(*documents):
    return hashlib.sha256(b"".join(struct.pack("<Q", len(one)) + one for one in documents)).hexdigest()


def manifest():
    return {
        "format": "coffer/1",
        "archive_id": "000102030405060708090a0b0c0d0e0f",
        "created": "2026-01-02T03:04:05Z",
        "generator": "vectors",
        "source": "notes",
        "app": "acme",
        "engine": {"kind": "postgres", "version": "17.2"},
        "row_encoding": "copy",
        "fingerprint": fingerprint(to_json(SCHEMA), PRE_DATA, POST_DATA),
        "extensions": [],
    }


def entries():
    return [
        document("manifest.json", manifest()),
        document("database/schema.json", SCHEMA),
        document("database/pre-data.sql", PRE_DATA),
        document("database/post-data.sql", POST_DATA),
        rows(b"notes", 0, b"1\tone\n2\ttwo\n"),
        rows(b"notes", 1, b"3\tthree\n"),
        rows(b"tags/all", 0, b"1\tx\n1\tx\n"),
        document("database/sequences.json", {"sequences": [{"name": "notes_id_seq", "value": 3, "called": True}]}),
        object_(
            b"a.txt",
            b"hello",
            1_700_000_000,
            **{
                "COFFER.content-type": b"text/plain",
                "COFFER.etag": b'"abc"',
                "COFFER.header.cache-control": b"no-store",
                "COFFER.meta.owner": "Zoë = me".encode(),
            },
        ),
        object_("folder//ü\n100%".encode(), b"awkward" * 100),
        object_(b"z\xff", b""),
    ]


class Draft:
    """An archive that keeps every rule but those that a case breaks."""

    def __init__(self, kind=Gzip, member_size=8_192):
        self.kind, self.member_size, self.instead = kind, member_size, {}
        self.entries = entries()
        self.tables = [table["name"] for table in SCHEMA["tables"]]
        self.records = lambda records: records  # what the index says
        self.digested = lambda told, true: told  # which of both the digest in the summary covers
        self.render = lambda record: to_json(record) + b"\n"
        self.blocks = lambda records: [records] if records else []
        self.block_content = lambda content: content
        self.block_entry = lambda entry: entry
        self.early = {}  # path of an entry: how many records stand in a block before it
        self.summary = lambda summary: summary
        self.summary_content = lambda content: content
        self.summary_size, self.summary_padding, self.behind_summary = None, b"\0", []
        self.footer = lambda member, skip: (member, skip)
        self.end = bytes(2 * BLOCK)
        self.mangle = lambda members: b"".join(members)

    def entry(self, path):
        return next(entry for entry in self.entries if entry.path == path)

    def place(self, path):
        return self.entries.index(self.entry(path))

    def build(self):
        """Puts it together; again and again where a block tells of what comes after it, until nothing moves."""
        known = None
        for _ in range(9):
            archive, true = self.attempt(known or [])
            if not self.early or true == known:
                return archive
            known = true
        raise ValueError("the positions do not settle")

    def attempt(self, known):
        self.packer = Packer(self.kind, self.member_size, self.instead)
        self.index, true, written = [], [], 0
        for entry in self.entries:
            if entry.path in self.early:
                written = self.early[entry.path]
                self.block(known[:written])
            true.append(self.put(entry))
        told = self.records([dict(record) for record in true])
        for block in self.blocks(told[written:]):
            self.block(block)
        summary = document("summary.json", self.summary_content(to_json(self.summary(self.summarise(told, true)))))
        if self.summary_size is not None:
            summary.fields["size"] = self.summary_size
        summary.padding = self.summary_padding
        where = self.put(summary)
        for entry in self.behind_summary:
            self.put(entry)
        self.packer.write(self.end)
        members = self.packer.finish()
        members.append(self.kind.footer(*self.footer(where["member"], where["skip"])))
        return self.mangle(members), true

    def put(self, entry):
        member, skip = self.packer.position()
        self.packer.write(entry.headers() + padded(entry.content, entry.padding))
        digest = hashlib.sha256(entry.content).hexdigest()
        record = {"path": entry.path, "size": len(entry.content), "member": member, "skip": skip, "sha256": digest}
        return record | entry.record

    def block(self, records):
        content = self.block_content(b"".join(self.render(record) for record in records))
        at = self.put(self.block_entry(Entry(f"index/{len(self.index):08}.jsonl", content)))
        paths = sorted((record["path"] for record in records), key=str.encode) or [""]
        ends = {"first": paths[0], "last": paths[-1]}
        where = {key: at[key] for key in ("member", "skip", "size")}
        self.index.append(where | {"count": len(records)} | ends)

    def summarise(self, told, true):
        chunks = lambda name: [entry.content for entry in self.entries if entry.table == name.encode()]
        tables = []
        for name in self.tables:
            content = b"".join(chunks(name))
            counts = {"name": name, "rows": content.count(b"\n"), "bytes": len(content)}
            tables.append(counts | {"digest": digest_of_rows(content)})
        objects = [e for e in self.entries if e.path.startswith("objects/") and "void" not in e.record]
        vanished = sum("vanished" in record for record in told)
        return {
            "complete": True,
            "tables": tables,
            "objects": {"count": len(objects), "bytes": sum(len(e.content) for e in objects), "vanished": vanished},
            "index": self.index,
            "index_digest": digest_of_records(self.digested(told, true)),
        }
