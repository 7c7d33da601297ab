-- Bytes that SQLite keeps as text and that are none in any encoding.
INSERT INTO plain(a, b) VALUES
    (CAST(x'ff' AS TEXT), CAST(x'61c328' AS TEXT)),
    (CAST(x'eda080' AS TEXT), CAST(x'00d8' AS TEXT)),
    (CAST(x'd800' AS TEXT), CAST(x'fffe' AS TEXT)),
    (CAST(x'f0908c' AS TEXT), CAST(x'00' AS TEXT));
