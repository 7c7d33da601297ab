PRAGMA foreign_keys = OFF;
PRAGMA user_version = 42;
PRAGMA application_id = -3;
CREATE TABLE empty (a, b);
CREATE TABLE kinds (id INTEGER PRIMARY KEY, value);
INSERT INTO kinds VALUES (1, NULL), (2, 0), (3, 9223372036854775807), (4, -9223372036854775808), (5, -0.0), (6, 1e16), (7, 1e999),
  (8, -1e999), (9, 5e-324), (10, 1.7976931348623157e308), (11, 0.1), (12, ''), (13, x''), (14, 'a' || char(0) || 'b'), (15, CAST(x'61ff62' AS TEXT)),
  (16, x'00ff'), (17, char(8, 9, 10, 11, 12, 13, 27, 31, 34, 92, 127, 8232, 128512)), (18, '12'), (19, 1.0), (20, CAST(x'ff' AS TEXT)), (500, 'gap'), (-5, 'negative');
CREATE TABLE typed (i INT, t TEXT, n NUMERIC, r REAL, b BLOB, d DATETIME, v VARCHAR(10));
INSERT INTO typed VALUES (1, '1', 1.5, 1, '1', '2024-01-01', 'x'), ('one', 'a', 'b', 'c', 'd', 'e', 'f'), (1.5, '1.5', 9.3e18, -0.0, 1.0, '', 5), (x'01', x'02', x'03', x'04', x'05', x'06', x'07');
CREATE TABLE heap (a);
INSERT INTO heap (rowid, a) VALUES (3, 'three'), (9223372036854775807, 'last'), (-1, 'first');
CREATE TABLE pair (a TEXT, b INT, c, PRIMARY KEY (b DESC, a)) WITHOUT ROWID;
INSERT INTO pair VALUES ('x', 1, 'one'), ('y', 2, 'two'), ('a', 2, 'three');
CREATE TABLE strictly (a INTEGER, b REAL, c TEXT, d BLOB, e ANY) STRICT;
INSERT INTO strictly VALUES (1, 2, 'c', x'dd', '12'), (NULL, NULL, NULL, NULL, 12);
CREATE TABLE generated (a INT, b INT AS (a * 2) VIRTUAL, c TEXT AS (a || 'c') STORED, d TEXT DEFAULT (datetime('now')));
INSERT INTO generated (a, d) VALUES (1, 'd'), (2, NULL);
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, a);
INSERT INTO counted VALUES (1, 'a'), (77, 'b');
DELETE FROM counted WHERE id = 77;
CREATE TABLE counted_too (id INTEGER PRIMARY KEY AUTOINCREMENT);
INSERT INTO counted_too VALUES (3);
INSERT INTO sqlite_sequence VALUES ('of no table', 12);
CREATE TABLE down (id INTEGER PRIMARY KEY DESC, a);
INSERT INTO down (rowid, id, a) VALUES (10, 5, 'x'), (11, 3, 'y');
CREATE TABLE shadow_one (rowid TEXT, a);
INSERT INTO shadow_one (_rowid_, rowid, a) VALUES (8, 'eight', 1), (4, 'four', 2);
CREATE TABLE shadow_two (ROWID TEXT, _rowid_ TEXT);
INSERT INTO shadow_two (oid, rowid, _rowid_) VALUES (8, 'eight', 1), (4, 'four', 2);
CREATE TABLE shadow_all (rowid, _rowid_, oid);
INSERT INTO shadow_all VALUES (8, 'eight', 1), (4, 'four', 2);
CREATE TABLE "a ""quoted"" 'name'
with; a newline 😀" ("select" INT, "a b" TEXT, [c d] TEXT, `e``f` TEXT, "" TEXT);
INSERT INTO "a ""quoted"" 'name'
with; a newline 😀" VALUES (1, 'b', 'd', 'f', 'g');
CREATE TABLE "table" ("order" PRIMARY KEY, "group" UNIQUE) -- a comment at its end
;
INSERT INTO "table" VALUES ('o', 'g'), (NULL, NULL), (NULL, NULL);
CREATE TABLE hen (id INTEGER PRIMARY KEY, egg REFERENCES egg (id));
CREATE TABLE egg (id INTEGER PRIMARY KEY, hen REFERENCES hen (id) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO hen VALUES (1, 1), (2, 99);
INSERT INTO egg VALUES (1, 1);
CREATE TABLE choosy (a UNIQUE ON CONFLICT IGNORE, b NOT NULL ON CONFLICT REPLACE DEFAULT 5, CHECK (b <> 'never; -- said'));
INSERT INTO choosy VALUES (1, 1), (NULL, 2), (NULL, 3);
CREATE INDEX by_value ON kinds (value DESC);
CREATE VIEW generate_numbers AS WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 3000) SELECT value FROM n;
CREATE UNIQUE INDEX "partial one" ON typed (lower(t) COLLATE NOCASE, i DESC) WHERE t > 'a';
CREATE INDEX on_generated ON generated (b);
CREATE TRIGGER watch AFTER INSERT ON counted BEGIN INSERT INTO heap VALUES (new.a || ';'); UPDATE heap SET a = 'x' WHERE a IS NULL; END;
CREATE VIEW plain AS SELECT count(*) AS n FROM kinds -- counts
;
CREATE TRIGGER instead INSTEAD OF INSERT ON plain BEGIN SELECT raise(ABORT, 'no'); END;
CREATE VIEW broken AS SELECT nought FROM nowhere;
ANALYZE;
CREATE TABLE after_analyze (a);
INSERT INTO after_analyze VALUES ('last');
