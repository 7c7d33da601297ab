//! A tenant who plants look-alikes of PostgreSQL's own functions, operators, types and tables, for whoever reads the schema
//! with more rights than the tenant has.

/// What is planted in the schema `tenant_evil` by its owner, `app_evil`; `WORD` stands for the database's name. Whatever is
/// run of it by anybody but its owner is heard in the server's log.
#[must_use]
pub fn planted(word: &str) -> String {
    [SCHEMA, FUNCTIONS, OPERATORS, TYPES, TABLES].join("\n").replace("WORD", word)
}

const SCHEMA: &str = "
    CREATE SCHEMA tenant_evil AUTHORIZATION app_evil;
    SET ROLE app_evil;
    SET search_path = tenant_evil;
    SET client_min_messages = warning;
    CREATE FUNCTION heard() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
        IF current_user <> 'app_evil' THEN RAISE LOG 'CANARY WORD: % for %', current_user, session_user; END IF;
        RETURN 1;
    END $$;";

/// Every overload of these as it is, and with arguments that fit better than PostgreSQL's own.
const FUNCTIONS: &str = r#"
    DO $do$
    DECLARE
        function record; other text; arguments text[]; position int; made int := 0;
        body text := 'LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM tenant_evil.heard(); RETURN NULL; END $$';
    BEGIN
        FOR function IN SELECT p.oid, proname, proargtypes::oid[]::regtype[]::text[] AS types FROM pg_proc p
            WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND pronargs BETWEEN 1 AND 4
            AND (proname ~ '^(pg_get_|has_|format|array_|string_to|to_json|row_to_json|json_build|json_each|quote_|to_reg)'
                OR proname IN ('aclexplode', 'acldefault', 'btrim', 'cardinality', 'col_description', 'concat', 'concat_ws',
                'current_setting', 'generate_series', 'generate_subscripts', 'hashtextextended', 'int4', 'int8', 'left', 'length',
                'lower', 'name', 'obj_description', 'octet_length', 'oid', 'pg_describe_object', 'pg_encoding_to_char',
                'pg_sequence_last_value', 'pg_stat_get_activity', 'pg_table_is_visible', 'pg_try_advisory_xact_lock', 'position',
                'regclass', 'regexp_replace', 'replace', 'row_security_active', 'set_config', 'split_part', 'starts_with',
                'substr', 'substring', 'text', 'unnest', 'upper', 'json_array_elements_text', 'json_object_keys', 'json_to_record'))
        LOOP
            FOREACH other IN ARRAY '{as it is,text,name,oid,"\"char\"",integer,bigint,smallint,boolean,text[],name[],oid[],smallint[],json}'::text[]
            LOOP
                arguments := function.types;
                FOR position IN 1 .. array_length(arguments, 1) LOOP
                    IF other <> 'as it is' AND arguments[position] ~ '^(any|text$|name$|cstring|integer$|oid$)' THEN
                        arguments[position] := other;
                    END IF;
                END LOOP;
                BEGIN
                    EXECUTE format('CREATE FUNCTION tenant_evil.%I(%s) RETURNS text %s', function.proname,
                        array_to_string(arguments, ', '), body);
                    made := made + 1;
                EXCEPTION WHEN OTHERS THEN NULL;
                END;
            END LOOP;
        END LOOP;
        IF made < 500 THEN RAISE EXCEPTION 'only % functions were planted', made; END IF;
        FOREACH other IN ARRAY '{text,name,oid,"\"char\"",integer,bigint,smallint,boolean,json}'::text[] LOOP
            EXECUTE format('CREATE FUNCTION tenant_evil.gather(text, %s) RETURNS text %s', other, body);
            FOREACH arguments SLICE 1 IN ARRAY '{{array_agg},{json_agg},{jsonb_agg},{string_agg},{count},{max},{min},{bool_or}}'::text[] LOOP
                EXECUTE format('CREATE AGGREGATE tenant_evil.%I(%s) (SFUNC = tenant_evil.gather, STYPE = text)', arguments[1], other);
            END LOOP;
        END LOOP;
    END $do$;"#;

const OPERATORS: &str = r#"
    DO $do$
    DECLARE operator text; one text; other text; made int := 0;
    BEGIN
        FOREACH one IN ARRAY '{text,name,oid,"\"char\"",integer,bigint,smallint,boolean,json,oid[],text[],regclass}'::text[] LOOP
            FOREACH other IN ARRAY '{text,name,oid,"\"char\"",integer,bigint,smallint,boolean,json,oid[],text[],regclass}'::text[] LOOP
                EXECUTE format('CREATE FUNCTION tenant_evil.compare(%s, %s) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
                    $$ BEGIN PERFORM tenant_evil.heard(); RETURN false; END $$', one, other);
                FOREACH operator IN ARRAY '{=,<>,<,>,~,!~,||,->,->>,@>,%,+}'::text[] LOOP
                    BEGIN
                        EXECUTE format('CREATE OPERATOR tenant_evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = tenant_evil.compare)',
                            operator, one, other);
                        made := made + 1;
                    EXCEPTION WHEN OTHERS THEN NULL;
                    END;
                END LOOP;
            END LOOP;
        END LOOP;
        IF made < 500 THEN RAISE EXCEPTION 'only % operators were planted', made; END IF;
    END $do$;"#;

const TYPES: &str = r#"
    CREATE DOMAIN "text" AS pg_catalog.text CHECK (heard() = 1);
    CREATE DOMAIN "oid" AS pg_catalog.oid CHECK (heard() = 1);
    CREATE DOMAIN "name" AS pg_catalog.name CHECK (heard() = 1);
    CREATE DOMAIN "json" AS pg_catalog.json CHECK (heard() = 1);
    CREATE DOMAIN "bool" AS pg_catalog.bool CHECK (heard() = 1);
    CREATE DOMAIN "int8" AS pg_catalog.int8 CHECK (heard() = 1);
    CREATE DOMAIN "regclass" AS pg_catalog.regclass CHECK (heard() = 1);
    CREATE DOMAIN checked AS pg_catalog.text DEFAULT heard()::pg_catalog.text CHECK (heard() = 1);
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE FUNCTION told(mood) RETURNS pg_catalog.text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM tenant_evil.heard(); RETURN 'a'; END $$;
    CREATE FUNCTION told_in_json(mood) RETURNS pg_catalog.json IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM tenant_evil.heard(); RETURN '1'; END $$;
    CREATE CAST (mood AS pg_catalog.text) WITH FUNCTION told(mood) AS IMPLICIT;
    CREATE CAST (mood AS pg_catalog.json) WITH FUNCTION told_in_json(mood) AS IMPLICIT;"#;

const TABLES: &str = r#"
    CREATE TABLE pg_class (oid pg_catalog.oid, relname pg_catalog.name, relnamespace pg_catalog.oid, relkind "char");
    CREATE TABLE pg_attribute (attrelid pg_catalog.oid, attname pg_catalog.name);
    CREATE VIEW pg_namespace AS SELECT heard()::pg_catalog.oid AS oid, 'tenant_evil'::pg_catalog.name AS nspname;
    CREATE VIEW pg_depend AS SELECT heard()::pg_catalog.oid AS classid, 1::pg_catalog.oid AS objid;
    CREATE VIEW pg_roles AS SELECT heard() AS rolsuper, 'app_evil'::pg_catalog.name AS rolname;
    CREATE VIEW pg_settings AS SELECT 'a' AS name, heard()::pg_catalog.text AS setting;
    CREATE VIEW pg_proc AS SELECT heard()::pg_catalog.oid AS oid;
    CREATE VIEW pg_sequence AS SELECT heard()::pg_catalog.oid AS seqrelid;
    CREATE SEQUENCE counter;
    CREATE TABLE acting (id mood PRIMARY KEY, word checked, number int DEFAULT heard(),
        twice int GENERATED ALWAYS AS (number * heard()) STORED, CHECK (heard() = 1));
    CREATE INDEX ON acting ((number + heard()));
    INSERT INTO acting VALUES ('glad', 'a', 1), ('sad', 'b', 2);
    CREATE POLICY hearing ON acting USING (heard() = 1) WITH CHECK (heard() = 1);
    ALTER TABLE acting ENABLE ROW LEVEL SECURITY;
    CREATE RULE hearing AS ON INSERT TO tenant_evil.pg_class DO ALSO SELECT heard();
    CREATE MATERIALIZED VIEW kept AS SELECT heard() AS heard;
    RESET ROLE;"#;
