-- A few rows for each table of the schema coffer.schema that has none: values of the columns' types, keys of rows that
-- are there. What a constraint or a trigger refuses is tried with values of another width, and then left out.
DO $fill$
DECLARE
    target record;
    expressions text;
    names text;
    width int;
    taken boolean;
    number int;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    FOR pass IN 1..4 LOOP
        FOR target IN
            SELECT oid, oid::regclass AS name FROM pg_class
            WHERE relnamespace = current_setting('coffer.schema')::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
            ORDER BY relname
        LOOP
            EXECUTE format('SELECT count(*) FROM (SELECT FROM %s LIMIT 1) found', target.name) INTO number;
            CONTINUE WHEN number > 0;
            FOR number IN 1..3 LOOP
                taken := false;
                FOREACH width IN ARRAY ARRAY[20, 16, 4, 1] LOOP
                    WITH RECURSIVE base AS (
                        SELECT a.attnum, a.attname, a.attnotnull, a.attidentity, a.atttypmod, a.atttypid AS typid
                        FROM pg_attribute a
                        WHERE a.attrelid = target.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                    ), resolved AS (
                        SELECT base.*, typid AS own FROM base
                        UNION ALL
                        SELECT r.attnum, r.attname, r.attnotnull, r.attidentity, greatest(r.atttypmod, t.typtypmod), t.typbasetype, r.own
                        FROM resolved r JOIN pg_type t ON t.oid = r.typid WHERE t.typtype = 'd'
                    ), plain AS (
                        SELECT r.*, t.typcategory, t.typname FROM resolved r JOIN pg_type t ON t.oid = r.typid WHERE t.typtype <> 'd'
                    ), keys AS (
                        SELECT DISTINCT ON (k.attnum) k.attnum, c.confrelid::regclass AS other, o.attname AS key
                        FROM pg_constraint c, unnest(c.conkey, c.confkey) AS k (attnum, other), pg_attribute o
                        WHERE c.conrelid = target.oid AND c.contype = 'f' AND o.attrelid = c.confrelid AND o.attnum = k.other
                        ORDER BY k.attnum, c.conname
                    )
                    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum), string_agg(CASE
                        WHEN keys.other IS NOT NULL THEN
                            format('(SELECT %I FROM %s ORDER BY 1 OFFSET %s LIMIT 1)', keys.key, keys.other, number - 1)
                        ELSE format('CAST(%s AS %s)', CASE
                            WHEN typname = 'bool' THEN quote_literal(number % 2 = 1)
                            WHEN typname = 'bytea' THEN format('substr(sha256(%L), 1, %s)', number, width)
                            WHEN typname = 'uuid' THEN quote_literal(md5(number::text)::uuid)
                            WHEN typname IN ('json', 'jsonb') THEN quote_literal(format('{"a": [%s]}', number))
                            WHEN typname IN ('macaddr', 'macaddr8') THEN quote_literal(format('08:00:2b:01:02:0%s', number))
                            WHEN typcategory = 'N' THEN number::text
                            WHEN typcategory = 'S' THEN quote_literal(left(
                                repeat(number::text, width), CASE WHEN atttypmod > 4 THEN atttypmod - 4 ELSE width END))
                            WHEN typcategory = 'D' THEN quote_literal(format('2020-01-0%s', number))
                            WHEN typcategory = 'T' THEN quote_literal(format('%s days', number))
                            WHEN typcategory = 'I' THEN quote_literal(format('10.0.0.%s', number))
                            WHEN typcategory = 'A' THEN quote_literal('{}')
                            WHEN typcategory = 'R' THEN quote_literal('empty')
                            WHEN typcategory = 'E' THEN format(
                                '(enum_range(NULL::%s))[%s]', typid::regtype, number)
                            ELSE 'NULL' END, own::regtype)
                        END, ', ' ORDER BY attnum)
                    INTO names, expressions
                    FROM plain LEFT JOIN keys USING (attnum) WHERE attidentity <> 'a';
                    BEGIN
                        EXECUTE format('INSERT INTO %s (%s) SELECT %s', target.name, names, expressions);
                        taken := true;
                        EXIT;
                    EXCEPTION WHEN OTHERS THEN
                        NULL;
                    END;
                END LOOP;
                EXIT WHEN NOT taken;
            END LOOP;
        END LOOP;
    END LOOP;
END
$fill$;
