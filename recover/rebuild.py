"""Makes a folder of files, and an SQLite database where there was one, of what was unpacked: rebuild.py UNPACKED NEW"""
import base64, json, os, pathlib, shutil, sqlite3, sys, urllib.parse

if len(sys.argv) != 3:
    sys.exit(__doc__)
unpacked, new = (pathlib.Path(argument) for argument in sys.argv[1:])
text = lambda name: (unpacked / name).read_bytes().decode("utf-8")
quote = lambda name: '"' + name.replace('"', '""') + '"'


def value(found):
    """What to bind, and whether it is text that is not UTF-8."""
    if not isinstance(found, dict):
        return found, False
    if "real" in found:
        return float(found["real"]), False
    if "base64" in found:
        return base64.b64decode(found["base64"]), False
    return base64.b64decode(found["text_base64"]), True


def entries(folder):
    """Each entry unpacked from a folder of the archive: its path in the archive, and the file that it is now."""
    top = os.fsencode(unpacked)
    for place, _, names in os.walk(os.path.join(top, folder)):
        for file in (os.path.join(place, name) for name in names):
            yield os.path.relpath(file, top), file
    for note in (unpacked / "misplaced").glob("*.path"):  # where recover.py left what has too long a name
        if note.read_bytes().startswith(folder + b"/"):
            yield note.read_bytes(), note.with_suffix("")


def rows(chunks):
    """A table's rows: lines of JSON, in chunks that may cut a line."""
    rest = b""
    for _, chunk in sorted(chunks):
        *whole, rest = (rest + pathlib.Path(os.fsdecode(chunk)).read_bytes()).split(b"\n")
        yield from map(json.loads, whole)


def put(path, content):
    """Copies an object's content to the place that its path in the archive stands for."""
    key = urllib.parse.unquote_to_bytes(path[len(b"objects/") :])
    if key.startswith(b"/") or b".." in key.split(b"/"):
        sys.exit(f"{path} is not put into the folder, which it would leave")
    place = os.path.join(os.fsencode(new / "files"), key)
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.copy2(content, place)
    except OSError as error:  # an object beside a folder of its name, or a name that is too long
        left.append(path)
        print(f"{path} has no place in the folder ({error.strerror}): it stays at {os.fsdecode(content)}", file=sys.stderr)


def sqlite():
    """Makes the database, and says what is in it."""
    schema, expected = json.loads(text("database/schema.json")), json.loads(text("summary.json"))["tables"]
    settings, expected = schema["sqlite"], {table["name"]: table["rows"] for table in expected}
    database = sqlite3.connect(str(new / "data.db"), isolation_level=None)
    # The SQL is the archive's: it may make tables in this database, and touch no other file.
    database.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else 0)
    for pragma in ("page_size", "encoding", "auto_vacuum", "user_version", "application_id"):
        database.execute(f"PRAGMA {pragma} = '{settings[pragma]}'")
    database.execute("PRAGMA writable_schema = ON")  # for the tables of ANALYZE
    database.execute("PRAGMA ignore_check_constraints = ON")  # rows that are there already need not pass today's
    database.executescript(text("database/pre-data.sql"))
    database.execute("BEGIN")
    chunks = {}  # of each table
    for path, file in entries(b"database/rows"):
        chunks.setdefault(urllib.parse.unquote(os.fsdecode(path.split(b"/")[2])), []).append((path, file))
    for table in schema["tables"]:
        name, count = table["name"], 0
        columns = [table["rowid"]] * bool(table["rowid"]) + [quote(column["name"]) for column in table["columns"]]
        for count, row in enumerate(rows(chunks.get(name, [])), 1):
            values = [value(item) for item in row]
            places = ", ".join("CAST(? AS TEXT)" if broken else "?" for _, broken in values)
            sql = f"INSERT INTO {quote(name)} ({', '.join(columns)}) VALUES ({places})"
            database.execute(sql, [item for item, _ in values])
        if count != expected.get(name, 0):
            sys.exit(f"the table {name} has {count} rows here, and had {expected.get(name, 0)}")
    if settings["sequence_table"]:
        database.execute("CREATE TABLE rebuilt(a INTEGER PRIMARY KEY AUTOINCREMENT)")  # which makes sqlite_sequence
        database.execute("DROP TABLE rebuilt")
        database.execute("DELETE FROM sqlite_sequence")
        for found in json.loads(text("database/sequences.json"))["sequences"]:
            database.execute("INSERT INTO sqlite_sequence(name, seq) VALUES (?, ?)", (found["name"], found["value"]))
    database.execute("COMMIT")
    database.executescript(text("database/post-data.sql"))
    database.execute(f"PRAGMA journal_mode = {settings['journal_mode']}")
    database.close()
    return f"{len(schema['tables'])} tables, {sum(expected.values())} rows, and the files"


if not (unpacked / "summary.json").is_file():
    sys.exit(f"{unpacked} has no summary.json: unpack all of the archive there first")
engine = json.loads(text("manifest.json"))["engine"]["kind"]
if engine not in ("sqlite", "postgres"):
    sys.exit(f"the database is of {engine}, which this script does not know: look for one that came with the archive")
new.mkdir()
by_psql = f"the files; for the database: rebuild_postgres.py {unpacked} SCHEMA | psql -X -d DATABASE"
made = sqlite() if engine == "sqlite" else by_psql
left = []
for path, content in entries(b"objects"):
    put(path, content)
print(f"{new}: {made}")
if left:
    sys.exit(f"{len(left)} files are not among them: see above")
