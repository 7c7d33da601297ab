-- Values of each built-in type at its extremes, and names that are awkward. Names without a schema mean the app's.
SET standard_conforming_strings = on;
SET timezone = 'UTC';

CREATE TABLE numbers (id int PRIMARY KEY, small smallint, whole int, big bigint, exact numeric, scaled numeric(1000, 998),
    single real, double double precision, cash money);
INSERT INTO numbers VALUES
    (1, -32768, -2147483648, -9223372036854775808, 'NaN', 1, 'NaN', 'NaN', '-92233720368547758.08'),
    (2, 32767, 2147483647, 9223372036854775807, 'Infinity', 0, 'Infinity', 'Infinity', '92233720368547758.07'),
    (3, 0, 0, 0, '-Infinity', -1, '-Infinity', '-Infinity', 0),
    (4, 1, 1, 1, repeat('1234567890', 100)::numeric, repeat('9', 2)::numeric, '-0', '-0', 1),
    (5, 1, 1, 1, ('-0.' || repeat('0', 999) || '1')::numeric, ('0.' || repeat('0', 997) || '1')::numeric, '1e-45', '5e-324', 1),
    (6, 1, 1, 1, ('1' || repeat('0', 131071))::numeric, NULL, '1.17549435e-38', '2.2250738585072014e-308', NULL),
    (7, NULL, NULL, NULL, ('0.' || repeat('0', 16382) || '1')::numeric, NULL, '3.4028235e38', '1.7976931348623157e308', NULL),
    (8, NULL, NULL, NULL, 1.10, 1.10, '0.1', '0.1', NULL), (9, NULL, NULL, NULL, 1.1000, NULL, '16777217', '0.30000000000000004', NULL),
    (10, NULL, NULL, NULL, '0.000', NULL, '1.0000001', '123456789012345680', NULL);
INSERT INTO numbers (id) VALUES (11);

CREATE TABLE times (id int PRIMARY KEY, day date, moment timestamp, moment_tz timestamptz, clock time, clock_tz timetz, span interval,
    moment_0 timestamp(0), span_day interval day to second(3));
INSERT INTO times (id, day, moment, moment_tz, clock, clock_tz, span) VALUES
    (1, '4713-01-01 BC', '4713-01-01 00:00:00 BC', '4713-01-01 00:00:00+00 BC', '00:00:00', '00:00:00+15:59', '-178000000 years'),
    (2, '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '24:00:00', '24:00:00-15:59', '178000000 years'),
    (3, 'infinity', 'infinity', 'infinity', '23:59:59.999999', '12:34:56.789012+05:30:15', '-2147483648 months -2147483648 days -2147483648 hours'),
    (4, '-infinity', '-infinity', '-infinity', '00:00:00.000001', '12:00:00+00', '2147483647 months 2147483647 days 2562047788:00:54.775807'),
    (5, '0001-01-01 BC', '0001-12-31 23:59:59 BC', '0001-01-01 00:00:00+00', '12:00', '12:00-00:30', '-1 mon +1 day -00:00:00.000001'),
    (6, 'epoch', 'epoch', 'epoch', NULL, NULL, '0'), (7, '2000-02-29', '1999-12-31 24:00:00', '2016-12-31 23:59:60+00', NULL, NULL, '1 year -1 mon');
INSERT INTO times VALUES (8, NULL, NULL, NULL, NULL, NULL, NULL, '2000-01-01 00:00:00.5', '1 02:03:04.5678');
INSERT INTO times (id) VALUES (9);

CREATE TYPE mood AS ENUM ('', 'it''s', 'back\slash', E'new\nline', '😀', 'NULL', '{,}');
CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TYPE moodrange AS RANGE (subtype = mood);
CREATE TABLE ranges (id int PRIMARY KEY, i4 int4range, i8 int8range, n numrange, d daterange, ts tsrange, tz tstzrange, f floatrange, m moodrange,
    i4m int4multirange, i8m int8multirange, nm nummultirange, dm datemultirange, tsm tsmultirange, tzm tstzmultirange, fm floatmultirange, mm moodmultirange);
INSERT INTO ranges VALUES
    (1, 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
    (2, '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '{(,)}', '{(,)}', '{(,)}', '{(,)}', '{(,)}', '{(,)}', '{(,)}', '{(,)}'),
    (3, '[-2147483648,2147483647)', '[-9223372036854775808,9223372036854775807)', '[-Infinity,Infinity]', '[-infinity,infinity]', '[-infinity,infinity]',
        '[-infinity,infinity]', '[-Infinity,NaN]', '["it''s",NULL]', '{[1,3),[5,7),[9,)}', '{(,-5),[7,9)}', '{(1.10,2.200],[NaN,NaN]}', '{(,0001-01-01 BC),[infinity,infinity]}',
        '{["4713-01-01 BC",infinity)}', '{[-infinity,"2000-01-01 00:00:00+00")}', '{[-0,0],(1,Infinity)}', '{["",""],["back\\slash","{,}"]}');
INSERT INTO ranges VALUES (4, '[1,1]', NULL, '(0.0,0.00]', NULL, '["2000-01-01 00:00:00","2000-01-01 00:00:00"]', NULL, '[0,5e-324]', '["😀",)');

CREATE TYPE inner_pair AS (words text[], number numeric);
CREATE TYPE outer_pair AS ("a name" inner_pair[], "B" inner_pair, feels mood, span floatrange);
CREATE DOMAIN below_hundred AS int CHECK (VALUE < 100);
CREATE DOMAIN even_below_hundred AS below_hundred CHECK (VALUE % 2 = 0);
CREATE DOMAIN words AS text[] CHECK (array_length(VALUE, 1) < 9);
CREATE DOMAIN pair_domain AS inner_pair CHECK ((VALUE).number IS NULL OR (VALUE).number > 0);
CREATE TABLE arrays (id int PRIMARY KEY, i int[], t text[], deep int[][][], composite outer_pair[], plain outer_pair, moods mood[], r floatrange[],
    evens even_below_hundred[], w words, p pair_domain, ps pair_domain[], b bytea[], j jsonb[], dates date[], box box[]);
INSERT INTO arrays VALUES
    (1, '{}', '{}', '{}', '{}', NULL, '{}', '{}', '{}', '{}', NULL, '{}', '{}', '{}', '{}', '{}');
INSERT INTO arrays VALUES (2, '[-5:-3]={1,NULL,3}', ARRAY['NULL', 'null', NULL, '', ' ', '"', '\', '{', '}', ',', 'a b', E'\t\n\r\v\f\b', ';', '\N', '\.', '''', '(,)'], '[0:1][2:3][-1:0]={{{1,2},{3,4}},{{5,6},{7,NULL}}}',
        ARRAY[ROW(ARRAY[ROW(ARRAY['a"b', 'c\d', NULL, 'NULL', '(', ')', ',', ''], 1.10)::inner_pair, NULL, ROW(NULL, NULL)::inner_pair], ROW('{}', 'NaN')::inner_pair, 'back\slash', '[1,2]')::outer_pair, NULL],
        ROW(NULL, ROW(ARRAY[E'tab\tnew\nline'], -1)::inner_pair, '', 'empty')::outer_pair, ARRAY['', 'it''s', 'NULL', '{,}', NULL, E'new\nline']::mood[], ARRAY['empty', '[1,2)', NULL]::floatrange[],
        ARRAY[2, NULL, 98]::even_below_hundred[], ARRAY['x', NULL], ROW(ARRAY['y'], 1), ARRAY[ROW(ARRAY['z'], 2)::inner_pair, NULL]::pair_domain[], ARRAY['\x00ff5c'::bytea, '', NULL],
        ARRAY['{"a": "\\ \" \n"}', 'null', '"{}"']::jsonb[], ARRAY['infinity', '0001-01-01 BC', NULL]::date[], ARRAY['(1,2),(3,4)', '(0,0),(-1,-1)']::box[]);
INSERT INTO arrays VALUES (3, array_fill(7, ARRAY[2, 2, 2, 2, 2, 2]), array_fill(NULL::text, ARRAY[3], ARRAY[-1]), NULL, NULL, ROW(NULL, NULL, NULL, NULL));
INSERT INTO arrays VALUES (4);

CREATE TABLE documents (id int PRIMARY KEY, b jsonb, t json, x xml, v tsvector, q tsquery, p jsonpath);
INSERT INTO documents VALUES
    (1, '{"": null, "a": [1, 1.10, 1e400, -0, true, {}, []], "\u00e9\ud83d\ude00": "\\ \" \/ \b \f \n \r \t \u0001 \u001f \u007f \u2028 \ufeff"}',
        '{"b" : 1 ,  "a":[ 1.10,1E+2 ], "a": "\u00e9\ud83d\ude00 \\ \" \/ \b \f \n \r \t \u0000"}', '<a b="c&amp;d">text<!-- comment --><![CDATA[ ]]]]>&#10;</a>',
        $$'a':1A,2B,16383C 'it''s':3 'back\\slash' 'sp ace':4,5 'é😀'$$, $$'a':AB & !( 'it''s' | 'b':* ) <-> 'c' <16384> 'd'$$, '$.a[*] ? (@.b > 1 && @.c like_regex "^\\d+$" flag "i").size()'),
    (2, '"\\"', E'\n [\t1 ,\n2 ] ', 'content <b/> without one root', '', '', 'strict $'),
    (3, 'null', '"\\u0041"', '<?xml version="1.0"?><a xmlns="urn:x"/>', repeat('word ', 5)::tsvector, 'a', 'lax $."quoted \" key"'),
    (4, ('[' || repeat('1,', 20000) || '1]')::jsonb, NULL, NULL, (SELECT string_agg('w' || n, ' ') FROM generate_series(1, 5000) n)::tsvector, NULL, NULL);
INSERT INTO documents VALUES (5);

CREATE TABLE networks (id int PRIMARY KEY, i inet, c cidr, m macaddr, m8 macaddr8, u uuid);
INSERT INTO networks VALUES
    (1, '0.0.0.0/0', '0.0.0.0/0', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00', '00000000-0000-0000-0000-000000000000'),
    (2, '255.255.255.255/1', '255.255.255.255/32', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
    (3, '::/0', '::/0', NULL, NULL, NULL);
INSERT INTO networks (id, i, c) VALUES (4, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/7', '::ffff:1.2.3.4/128'), (5, '1.2.3.4', '10/8'), (6, NULL, NULL);

CREATE TABLE shapes (id int PRIMARY KEY, p point, l line, s lseg, b box, o path, c path, g polygon, r circle);
INSERT INTO shapes VALUES
    (1, '(Infinity,-Infinity)', '{1,2,3}', '[(1,2),(3,4)]', '(3,4),(1,2)', '[(1,2),(3,4)]', '((1,2),(3,4))', '((0,0),(1,1),(1,0))', '<(1,2),3>'),
    (2, '(NaN,-0)', '{0.1,-0.30000000000000004,5e-324}', '[(NaN,0),(1.7976931348623157e308,0)]', '(Infinity,Infinity),(-Infinity,-Infinity)', '[(0,0)]', '((0,0))', '((NaN,NaN))', '<(Infinity,-0),0>');
INSERT INTO shapes VALUES (3);

CREATE TABLE bits (id int PRIMARY KEY, one bit, eight bit(8), many bit varying, few bit varying(5), bytes bytea);
INSERT INTO bits VALUES
    (1, B'0', B'00000000', '', '', ''), (2, B'1', B'10101010', repeat('10', 40000)::bit varying, B'10101', '\x00'), (3, NULL, NULL, B'0', B'0', '\x5c2e0a'),
    (4, NULL, NULL, NULL, NULL, (SELECT string_agg(set_byte('\x00', 0, n), '' ORDER BY n) FROM generate_series(0, 255) n));
INSERT INTO bits VALUES (5);

CREATE TABLE texts (id serial PRIMARY KEY, t text, v varchar(10), c char(10), n name, ch "char");
-- Every Unicode scalar: 4,096 a row, and all in one.
INSERT INTO texts (t) SELECT string_agg(chr(n), '' ORDER BY n) FROM generate_series(1, 1114111) n WHERE n NOT BETWEEN 55296 AND 57343 GROUP BY n / 4096 ORDER BY n / 4096;
INSERT INTO texts (t) SELECT string_agg(chr(n), '' ORDER BY n) FROM generate_series(1, 1114111) n WHERE n NOT BETWEEN 55296 AND 57343;
-- Each control character alone, and after a backslash; letters after one, too.
INSERT INTO texts (t, v, ch) SELECT chr(n), '\' || chr(n) || '\', n::"char" FROM generate_series(1, 127) n;
INSERT INTO texts (t, v, c, n, ch) VALUES
    ('', '', '', '', ''), (' ', '  ', '   ', ' ', ' '), ('\N', '\N', '\N', '\N', '\'), ('\.', '\.', '\.', '\.', '.'), (E'\\.\n', E'a\n\\.\nb', E'\n', E'\t', E'\n'),
    (E'\r\n', E'\r', E'x\r\n', E'\r\n', E'\r'), ('NULL', 'null', 'NULL', 'NULL', 'N'), (E'\\', E'\\\\', E'\\n', E'\\t', E'\\'), (E'e\u0301', U&'\00e9', 'ÄÖÜäöüß€😀', repeat('ä', 31), 'x'),
    (repeat('x', 1000000), NULL, NULL, repeat('n', 63), NULL), (NULL, NULL, NULL, NULL, NULL);

CREATE TABLE "own things" (a int);
CREATE SEQUENCE "own sequence";
CREATE TABLE system (id int PRIMARY KEY, o oid, x xid, x8 xid8, c cid, t tid, l pg_lsn, s txid_snapshot, s2 pg_snapshot, ov oidvector, iv int2vector, rr regrole, acl aclitem,
    acls aclitem[], cursor refcursor);
INSERT INTO system VALUES
    (1, 0, '0', '0', '0', '(0,0)', '0/0', '1:1:', '1:1:', '', '', 'pg', 'pg=r/pg', '{pg=arwdDxt/pg,=r*/pg}', ''),
    (2, 4294967295, '4294967295', '18446744073709551615', '4294967295', '(4294967295,65535)', 'FFFFFFFF/FFFFFFFF', '1:9223372036854775807:2,3,4', '10:20:10,14,15',
        '1 2 4294967295', '-32768 0 32767', 'pg_read_all_data', '=rw*/pg', NULL, 'it''s "one"');
INSERT INTO system (id, rr) VALUES (3, '-'), (4, NULL);

CREATE TABLE nothing ();
INSERT INTO nothing SELECT FROM generate_series(1, 3);
CREATE TABLE only_generated (a int GENERATED ALWAYS AS (7) STORED, b text GENERATED ALWAYS AS ('x' || 'y') STORED);
INSERT INTO only_generated SELECT FROM generate_series(1, 3);
CREATE TABLE generated_between (a int, g int GENERATED ALWAYS AS (a * 2) STORED, b text, h text GENERATED ALWAYS AS (upper(b)) STORED, c int);
INSERT INTO generated_between VALUES (1, DEFAULT, 'x', DEFAULT, 3), (NULL, DEFAULT, NULL, DEFAULT, NULL);
CREATE TABLE with_dropped (a int, gone text, b int, also_gone int, c text DEFAULT 'd');
ALTER TABLE with_dropped DROP gone, DROP also_gone;
INSERT INTO with_dropped VALUES (1, 2, 'x'), (NULL, NULL, NULL);
ALTER TABLE with_dropped ADD added int NOT NULL DEFAULT 5;
CREATE TABLE single_text ("only" text);
INSERT INTO single_text VALUES ('\.'), (''), (NULL), ('\N'), (E'\\.\n\\.');

-- Names.
CREATE TABLE "with ""quotes"" and 'single' ones" ("a ""column""" int, "Upper" text, "space d" int, "dot.ted" int, "per%cent" int, "back\slash" int, "select" int, "new
line" int, "😀" int, "$1" int);
INSERT INTO "with ""quotes"" and 'single' ones" VALUES (1, 'x', 2, 3, 4, 5, 6, 7, 8, 9);
CREATE TABLE "." (a int); INSERT INTO "." VALUES (1);
CREATE TABLE ".." (a int); INSERT INTO ".." VALUES (2);
CREATE TABLE "/" (a int); INSERT INTO "/" VALUES (3);
CREATE TABLE "a/b" (a int); INSERT INTO "a/b" VALUES (4);
CREATE TABLE "a%2Fb" (a int); INSERT INTO "a%2Fb" VALUES (5);
CREATE TABLE "A/b" (a int); INSERT INTO "A/b" VALUES (6);
CREATE TABLE " " (a int); INSERT INTO " " VALUES (7);
CREATE TABLE "back\slash" (a int); INSERT INTO "back\slash" VALUES (8);
CREATE TABLE "new
line;--" (a int); INSERT INTO "new
line;--" VALUES (9);
CREATE TABLE "$$" (a int); INSERT INTO "$$" VALUES (10);
CREATE TABLE "ÄÖÜ äöü 😀 ääääääääääääääääääää" (a int); INSERT INTO "ÄÖÜ äöü 😀 ääääääääääääääääääää" VALUES (11);
CREATE TABLE "sixty-three-bytes-long-name-of-a-table-that-is-not-cut-off-here" ("sixty-three-bytes-long-name-of-a-column-that-is-not-cut-off-her" int);
INSERT INTO "sixty-three-bytes-long-name-of-a-table-that-is-not-cut-off-here" VALUES (12);
CREATE TABLE "pg_class" (oid oid, relname text); INSERT INTO :"schema".pg_class VALUES (1259, 'mine');
CREATE TABLE "int" (a int, "text" "text"); INSERT INTO "int" VALUES (13, 'x');
CREATE TABLE "select" ("from" int DEFAULT 3, "table" int); INSERT INTO "select" ("table") VALUES (14);
