-- A database with everything that SQLite lets an app keep and that is easily lost on the way.
-- Encoding, page size, auto_vacuum and journal mode are set before it is read.
PRAGMA user_version = 20417;
PRAGMA application_id = 1129268806;

-- Every storage class in every column, and the values at the edges of each.
CREATE TABLE plain(a, b TEXT, c INTEGER, d REAL, e BLOB, f NUMERIC);
INSERT INTO plain VALUES
    (NULL, NULL, NULL, NULL, NULL, NULL),
    ('', '', '', '', '', ''),
    (x'', x'', x'', x'', x'', x''),
    (1, 1, 1, 1, 1, 1),
    ('1', '1', '1', '1', '1', '1'),
    (1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    ('1.0', '1.50', '1e3', '2e2', 'text', '3.0'),
    (0.1, 0.1, 0.1, 0.1, 0.1, 0.1),
    (-0.0, -0.0, -0.0, -0.0, -0.0, -0.0),
    (9223372036854775807, 9223372036854775807, 9223372036854775807, 9223372036854775807, 9223372036854775807, 9223372036854775807),
    (-9223372036854775808, -9223372036854775808, -9223372036854775808, -9223372036854775808, -9223372036854775808, -9223372036854775808),
    (9007199254740993, '9007199254740993', 9007199254740993, 9007199254740993, 9007199254740993, 9007199254740993),
    (1e16, 1e16, 1e16, 1e16, 1e16, 1e16),
    (1e-5, 1e-5, 1e-5, 1e-5, 1e-5, 1e-5),
    (5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1.7976931348623157e308, 4.9e-324, 123456789012345678.0),
    (9e999, 9e999, 9e999, 9e999, 9e999, 9e999),
    (-9e999, -9e999, -9e999, -9e999, -9e999, -9e999),
    ('it''s "quoted" \ and {"base64":"AA=="}', '["array"]', 'not a number', 'nor this', '{"real":"inf"}', 'null'),
    ('line one' || char(10) || 'line two' || char(13) || char(9) || char(8) || char(12) || char(1) || char(31) || char(127), char(0x2028), '', '', '', ''),
    ('Grüße, 世界 🎉 👩‍👩‍👧 ' || char(0xfeff) || char(0x10ffff), 'é' || char(0x301), '٣', '½', '🏳️‍🌈', 'Ω'),
    (x'00', x'00ff7f80', x'5c2e', x'0a', x'7b7d', x'efbfbd');
-- Text with a NUL inside. Bytes that are no text at all are in broken_text.sql.
INSERT INTO plain(a, b) VALUES (CAST(x'610062' AS TEXT), 'a' || char(0) || 'b');
-- One value larger than a chunk of rows, and two rows that are equal.
INSERT INTO plain(a, e) VALUES (replace(hex(zeroblob(2300000)), '0', 'x'), zeroblob(4200000));
INSERT INTO plain(a) VALUES ('twin'), ('twin');

-- Names.
CREATE TABLE "we""ird [table]/%41\..  ü 🎉"("co""l umn" TEXT, "order" INT, [sel'ect], `back``tick`, "");
INSERT INTO "we""ird [table]/%41\..  ü 🎉" VALUES ('x', 1, 2, 3, 4);
CREATE TABLE "Select"("From" INTEGER PRIMARY KEY, "Where");
INSERT INTO "Select" VALUES (7, 'x');
CREATE TABLE ".."(a);
INSERT INTO ".." VALUES ('dots');
CREATE TABLE "sqliteish"(a);
CREATE TABLE /* a comment; with a semicolon */ commented(a -- and 'another;
    , b DEFAULT 'semi;colon' /* ; */);
INSERT INTO commented(a) VALUES (1);
CREATE TABLE empty(a, b);

-- Kinds of tables.
CREATE TABLE without_rowid(k TEXT COLLATE NOCASE, v, n INT, PRIMARY KEY(n DESC, k)) WITHOUT ROWID;
INSERT INTO without_rowid VALUES ('b', 1, 2), ('a', x'00', 2), ('A''', NULL, 1), ('z', 1.5, 9);
CREATE TABLE strict(id INTEGER PRIMARY KEY, n INT, t TEXT, r REAL, b BLOB, x ANY) STRICT;
INSERT INTO strict VALUES (1, 2, 'three', 4, x'05', '006'), (2, NULL, NULL, NULL, NULL, 6), (3, -1, '', 0.5, x'', 6.0);
CREATE TABLE strict_without_rowid(id TEXT PRIMARY KEY, x ANY NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO strict_without_rowid VALUES ('a', 1), ('b', '1'), ('c', x'31');
CREATE TABLE generated(
    a INT,
    b INT GENERATED ALWAYS AS (a * 2) VIRTUAL,
    c TEXT AS (a || '/' || d) STORED,
    d TEXT,
    e INT AS (length(d)) VIRTUAL NOT NULL
);
INSERT INTO generated(a, d) VALUES (1, 'one'), (2, ''), (NULL, 'none');
CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
INSERT INTO counted(id, v) VALUES (5, 'five'), (900, 'gone');
DELETE FROM counted WHERE id = 900;
CREATE TABLE counted_and_emptied(id INTEGER PRIMARY KEY AUTOINCREMENT);
INSERT INTO counted_and_emptied VALUES (77);
DELETE FROM counted_and_emptied;
CREATE TABLE not_an_alias(id INT PRIMARY KEY, v);
INSERT INTO not_an_alias(rowid, id, v) VALUES (1000, 1, 'a'), (10, 2, 'b'), (500, NULL, 'c'), (501, NULL, 'd');
CREATE TABLE descending(id INTEGER PRIMARY KEY DESC, v);
INSERT INTO descending(rowid, id, v) VALUES (3, 30, 'x'), (9, 10, 'y');
CREATE TABLE rowids(v);
INSERT INTO rowids(rowid, v) VALUES (-9223372036854775808, 'least'), (-5, 'below'), (0, 'zero'), (42, 'gap'), (9223372036854775807, 'greatest');
CREATE TABLE hidden_rowid("rowid" TEXT, "_ROWID_" TEXT, v);
INSERT INTO hidden_rowid(oid, "rowid", "_ROWID_", v) VALUES (12, 'not it', 'nor this', 1), (99, 'a', 'b', 2);
CREATE TABLE widened(a);
INSERT INTO widened VALUES (1);
ALTER TABLE widened ADD COLUMN b DEFAULT 'filled in';
ALTER TABLE widened ADD COLUMN c;
INSERT INTO widened(a) VALUES (2);
ALTER TABLE widened RENAME COLUMN c TO "renamed col";
CREATE TABLE copied AS SELECT a, d AS "d d" FROM generated;

-- Rows that the constraints of today would refuse, and references in a circle.
CREATE TABLE child(id INTEGER PRIMARY KEY, parent REFERENCES parent(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE parent(id INTEGER PRIMARY KEY, favourite REFERENCES child(id));
INSERT INTO child VALUES (1, 1), (2, 404);
INSERT INTO parent VALUES (1, 2), (3, NULL);
CREATE TABLE checked(n INT CHECK (n > 0), u TEXT UNIQUE ON CONFLICT REPLACE, CONSTRAINT named CHECK (length(u) < 9));
INSERT INTO checked VALUES (1, 'fine');
PRAGMA ignore_check_constraints = ON;
INSERT INTO checked VALUES (-1, 'far too long for it');
PRAGMA ignore_check_constraints = OFF;

-- What stands on the tables. The triggers have work of their own, which must not be done again.
CREATE TABLE log(n INTEGER PRIMARY KEY, what TEXT);
CREATE INDEX "index of 'v'" ON counted(v COLLATE NOCASE DESC);
CREATE UNIQUE INDEX partial ON checked(n) WHERE n > 0;
CREATE INDEX expression ON plain(lower(b), length(a));
CREATE VIEW upper_view AS SELECT * FROM lower_view WHERE v IS NOT NULL;
CREATE VIEW lower_view(v, "two words") AS SELECT v, id FROM counted;
CREATE VIEW broken_view AS SELECT gone FROM nowhere;
CREATE TRIGGER on_insert AFTER INSERT ON counted BEGIN
    INSERT INTO log(what) VALUES ('insert; ' || new.v);
    UPDATE parent SET favourite = NULL WHERE id = 3;
END;
CREATE TRIGGER on_rows BEFORE INSERT ON rowids WHEN new.v = 'refused' BEGIN SELECT RAISE(ABORT, 'no; never'); END;
CREATE TRIGGER through_view INSTEAD OF INSERT ON lower_view BEGIN INSERT INTO counted(v) VALUES (new.v); END;
INSERT INTO counted(v) VALUES ('logged');
ANALYZE;
