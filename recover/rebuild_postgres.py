"""Prints SQL that makes a schema of what was unpacked: rebuild_postgres.py UNPACKED SCHEMA | psql -X -d DATABASE"""
import json, pathlib, re, signal, sys, urllib.parse

if len(sys.argv) != 3:
    sys.exit(__doc__)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # where psql stops at an error, it is who says so
unpacked, schema = pathlib.Path(sys.argv[1]), sys.argv[2]
text = lambda name: (unpacked / name).read_bytes().decode("utf-8")
quote = lambda name: '"' + name.replace('"', '""') + '"'
string = lambda value: "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
say = lambda line: sys.stdout.buffer.write(line.encode("utf-8") + b"\n")
PLACEHOLDER = "coffer_schema"  # what the schema is called in the archive
WORD = r"[A-Za-z_\x80-\U0010FFFF][A-Za-z0-9_\x80-\U0010FFFF]*"
TOKEN = re.compile(
    rf"""(?P<string> [eE]'[^'\\]*(?:(?:''|\\.)[^'\\]*)*'(?!') | (?:[bBnNxX]|[uU]&)?'[^']*(?:''[^']*)*'(?!')
           | (?P<dollar>\$(?:{WORD})?\$).*?(?P=dollar) )
       | (?P<name> (?:[uU]&)?"[^"]*(?:""[^"]*)*"(?!") | {WORD}(?:\$[A-Za-z0-9_$\x80-\U0010FFFF]*)? )
       | (?P<blank> --[^\n]* | /\* | \s+ ) | (?P<other> :: | := | [0-9]+ | \$(?=[0-9]) | [^'"\\$] )""",
    re.DOTALL | re.VERBOSE,
)
SETTINGS = {  # what rows look like, and how statements are read
    "check_function_bodies": "off",
    "client_min_messages": "warning",
    "datestyle": "ISO, MDY",
    "default_table_access_method": "heap",
    "default_tablespace": "",
    "intervalstyle": "postgres",
    "lc_monetary": "C",
    "row_security": "off",
    "standard_conforming_strings": "on",
    "timezone": "UTC",
    "transform_null_equals": "off",
    "xmloption": "content",
}


def tokens(sql):
    """The words of SQL, each with its kind. What psql would take for itself (`\\!`, `:name`) is not among them."""
    at, before = 0, ""
    while at < len(sql):
        found = TOKEN.match(sql, at)
        if not found or found.lastgroup == before == "string":  # two strings side by side may be read as one
            sys.exit(f"the archive's SQL can't be read from {sql[at : at + 40]!r} on")
        word, at, depth = found[0], found.end(), int(found[0] == "/*")
        while depth:  # comments hold comments
            mark = re.compile(r"/\*|\*/").search(sql, at) or sys.exit("a comment in the archive's SQL has no end")
            at, depth = mark.end(), depth + (1 if mark[0] == "/*" else -1)
        before = before if found.lastgroup == "blank" else found.lastgroup
        yield found.lastgroup, " " if word[:2] in ("--", "/*") else ": " if word == ":" else word


def bound(sql):
    """The SQL with the schema's name for the placeholder: where it is a name, and as a string in SET search_path."""
    seen, in_path = [], False
    for kind, word in tokens(sql):
        if kind == "blank":
            yield word
            continue
        is_schema = seen in (["set", "search_path", "to"], ["set", "search_path", "="]) or in_path and seen[-1] == ","
        if word in (PLACEHOLDER, quote(PLACEHOLDER)):
            yield quote(schema)
        elif is_schema and word == f"'{PLACEHOLDER}'":
            yield string(schema)
        else:
            yield word
        in_path = is_schema or in_path and word == ","
        seen = seen[-2:] + [word.lower()]


def copy(table, folders):
    """The rows of a table, as they are in its chunks."""
    name, count, tail = table["name"], 0, b"\n"
    columns = ", ".join(quote(column["name"]) for column in table["columns"])
    say(f"COPY {quote(schema)}.{quote(name)} {f'({columns})' if columns else ''} FROM stdin;")
    for chunk in sorted(folders[name].iterdir()) if name in folders else ():
        with chunk.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                if b"\n\\." in tail + block:  # psql would take it for the end, and what follows for commands
                    sys.exit(f"the table {name} has a row that is none")
                count, tail = count + block.count(b"\n"), (tail + block)[-2:]
                sys.stdout.buffer.write(block)
    say("\\.")
    if tail[-1:] != b"\n" or count != expected.get(name, 0):
        sys.exit(f"the table {name} has {count} rows here, and had {expected.get(name, 0)}")


if not (unpacked / "summary.json").is_file():
    sys.exit(f"{unpacked} has no summary.json: unpack all of the archive there first")
engine = json.loads(text("manifest.json"))["engine"]["kind"]
if engine != "postgres":
    sys.exit(f"the archive is of {engine}: its database is made by rebuild.py")
structure, sequences = json.loads(text("database/schema.json")), json.loads(text("database/sequences.json"))
expected = {table["name"]: table["rows"] for table in json.loads(text("summary.json"))["tables"]}
named = structure.get("named") or {"schema": schema, "by": []}
if named["schema"] != schema:
    lines = [f"these name the schema {named['schema']!r} in their text, and will go on to mean it:", *named["by"]]
    print(*lines, sep="\n  ", file=sys.stderr)

say("\\set ON_ERROR_STOP on\n\\set QUIET on\n\\encoding UTF8\n\\o /dev/null\nBEGIN;")
for setting, value in SETTINGS.items():
    say(f"SET LOCAL {setting} = {string(value)};")
say(f"CREATE SCHEMA {quote(schema)};\nSET LOCAL search_path = {quote(schema)};")
for extension in structure.get("extensions", []):
    place = quote(extension["schema"] or schema)
    say(f"CREATE EXTENSION IF NOT EXISTS {quote(extension['name'])} SCHEMA {place};")
say("".join(bound(text("database/pre-data.sql"))))
rows = unpacked / "database" / "rows"
folders = {urllib.parse.unquote(folder.name): folder for folder in rows.iterdir()} if rows.is_dir() else {}
for table in structure["tables"]:
    copy(table, folders)
say("".join(bound(text("database/post-data.sql"))))
for sequence in sequences["sequences"]:
    place, called = string(f"{quote(schema)}.{quote(sequence['name'])}"), "true" if sequence["called"] else "false"
    say(f"SELECT pg_catalog.setval({place}, {int(sequence['value'])}, {called});")
if sequences.get("schema", {}).get("comment") is not None:
    say(f"COMMENT ON SCHEMA {quote(schema)} IS {string(sequences['schema']['comment'])};")
# Without this nothing stays of what came before: a stream that ends early makes nothing.
say(f"COMMIT;\n\\echo done: {len(structure['tables'])} tables, {sum(expected.values())} rows")
