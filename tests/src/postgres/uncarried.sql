-- What of a schema no export can carry, by the catalogs: line by line `direct|kind|name`, and `behind|description` for all
-- that hangs on it. Built without a look at what the service does.
WITH RECURSIVE s AS (SELECT oid FROM pg_namespace WHERE nspname = current_setting('coffer.schema')),
own_types AS (SELECT * FROM pg_type WHERE typnamespace IN (SELECT oid FROM s)),
relations AS (SELECT * FROM pg_class WHERE relnamespace IN (SELECT oid FROM s)),
things AS (
    SELECT 'pg_proc'::regclass::oid AS class, p.oid AS id, proname::text AS name,
        CASE prokind WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window function' WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind
    FROM pg_proc p JOIN pg_language l ON l.oid = prolang
    WHERE pronamespace IN (SELECT oid FROM s) AND (prokind IN ('a', 'w') OR lanname NOT IN ('sql', 'plpgsql') OR prosupport <> 0 OR protrftypes IS NOT NULL)
    UNION ALL SELECT 'pg_operator'::regclass, oid, oprname, 'operator' FROM pg_operator WHERE oprnamespace IN (SELECT oid FROM s)
    UNION ALL SELECT 'pg_opclass'::regclass, oid, opcname, 'operator class' FROM pg_opclass WHERE opcnamespace IN (SELECT oid FROM s)
    UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfname, 'operator family' FROM pg_opfamily WHERE opfnamespace IN (SELECT oid FROM s)
    UNION ALL SELECT 'pg_collation'::regclass, oid, collname, 'collation' FROM pg_collation WHERE collnamespace IN (SELECT oid FROM s)
    UNION ALL SELECT 'pg_conversion'::regclass, oid, conname, 'conversion' FROM pg_conversion WHERE connamespace IN (SELECT oid FROM s)
    UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgname, 'text search configuration' FROM pg_ts_config WHERE cfgnamespace IN (SELECT oid FROM s)
    UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictname, 'text search dictionary' FROM pg_ts_dict WHERE dictnamespace IN (SELECT oid FROM s)
    UNION ALL SELECT 'pg_ts_parser'::regclass, oid, prsname, 'text search parser' FROM pg_ts_parser WHERE prsnamespace IN (SELECT oid FROM s)
    UNION ALL SELECT 'pg_ts_template'::regclass, oid, tmplname, 'text search template' FROM pg_ts_template WHERE tmplnamespace IN (SELECT oid FROM s)
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxname, 'statistics object' FROM pg_statistic_ext WHERE stxnamespace IN (SELECT oid FROM s)
    UNION ALL SELECT 'pg_type'::regclass, oid, typname, 'type' FROM own_types t
        WHERE (typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)) OR typtype = 'p'
    UNION ALL SELECT 'pg_class'::regclass, oid, relname, 'foreign table' FROM relations WHERE relkind = 'f'
    UNION ALL SELECT 'pg_class'::regclass, oid, relname, 'table' FROM relations r WHERE relkind IN ('r', 'p') AND
        (reloftype <> 0 OR (relkind = 'r' AND relam <> (SELECT oid FROM pg_am WHERE amname = 'heap')) OR
         (NOT relispartition AND EXISTS (SELECT FROM pg_inherits WHERE inhrelid = r.oid)))
    UNION ALL SELECT 'pg_class'::regclass, oid, relname, 'materialized view' FROM relations WHERE relkind = 'm' AND relam <> (SELECT oid FROM pg_am WHERE amname = 'heap')
    UNION ALL SELECT 'pg_rewrite'::regclass, w.oid, rulename, 'rule' FROM pg_rewrite w JOIN relations r ON r.oid = ev_class WHERE rulename <> '_RETURN'
    UNION ALL SELECT 'pg_cast'::regclass, c.oid, format('%s to %s', format_type(castsource, -1), format_type(casttarget, -1)), 'cast from' FROM pg_cast c
        WHERE EXISTS (SELECT FROM own_types t WHERE t.oid IN (castsource, casttarget)) OR
            EXISTS (SELECT FROM pg_proc p WHERE p.oid = castfunc AND pronamespace IN (SELECT oid FROM s))
    UNION ALL SELECT 'pg_transform'::regclass, x.oid, format_type(trftype, -1), 'transform for' FROM pg_transform x JOIN own_types t ON t.oid = trftype
),
-- Not what an extension brought, nor what came with a type.
direct AS (
    SELECT * FROM things t WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = t.class AND d.objid = t.id
        AND (d.deptype = 'e' OR (d.deptype = 'i' AND t.kind IN ('function', 'type', 'cast from'))))
),
members AS (
    SELECT classid AS class, objid AS id FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid IN (SELECT oid FROM s)
    UNION SELECT 'pg_rewrite'::regclass, w.oid FROM pg_rewrite w JOIN relations r ON r.oid = ev_class
    UNION SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE connamespace IN (SELECT oid FROM s)
    UNION SELECT 'pg_attrdef'::regclass, d.oid FROM pg_attrdef d JOIN relations r ON r.oid = adrelid
    UNION SELECT 'pg_trigger'::regclass, t.oid FROM pg_trigger t JOIN relations r ON r.oid = tgrelid
    UNION SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p JOIN relations r ON r.oid = polrelid
    UNION SELECT 'pg_class'::regclass, indexrelid FROM pg_index i JOIN relations r ON r.oid = indrelid
),
-- What needs a thing of a schema that is neither this one nor PostgreSQL's, nor of an extension.
abroad AS (
    SELECT m.class, m.id FROM members m JOIN pg_depend d ON d.classid = m.class AND d.objid = m.id AND d.deptype IN ('n', 'a', 'i')
    JOIN pg_depend n ON n.classid = d.refclassid AND n.objid = d.refobjid AND n.refclassid = 'pg_namespace'::regclass
    WHERE n.refobjid NOT IN (SELECT oid FROM s) AND n.refobjid >= 16384 OR n.refobjid = 2200 AND 2200 NOT IN (SELECT oid FROM s)
        AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.refclassid AND e.objid = d.refobjid AND e.deptype = 'e')
    UNION SELECT m.class, m.id FROM members m JOIN pg_depend d ON d.classid = m.class AND d.objid = m.id AND d.deptype = 'n'
    WHERE d.refclassid = 'pg_transform'::regclass AND d.refobjid >= 16384
    UNION SELECT m.class, m.id FROM members m JOIN pg_inherits i ON m.class = 'pg_class'::regclass AND m.id IN (i.inhparent, i.inhrelid)
    JOIN pg_class p ON p.oid = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid WHERE p.relnamespace <> c.relnamespace
),
-- Columns whose values are names of things, which may be none where they come.
named AS (
    SELECT 'pg_class'::regclass::oid AS class, r.oid AS id FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid JOIN pg_type t ON t.oid = a.atttypid
    WHERE attnum > 0 AND NOT attisdropped AND relkind = 'r' AND trim(LEADING '_' FROM typname) IN
        ('regclass', 'regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoper', 'regoperator', 'regproc', 'regprocedure', 'regtype')
),
behind (class, id) AS (
    SELECT class, id FROM direct UNION SELECT class, id FROM abroad UNION SELECT class, id FROM named
    UNION
    SELECT next.class, next.id FROM behind b CROSS JOIN LATERAL (
        SELECT classid AS class, objid AS id FROM pg_depend WHERE refclassid = b.class AND refobjid = b.id AND deptype <> 'e'
        UNION ALL SELECT 'pg_class'::regclass, ev_class FROM pg_rewrite WHERE b.class = 'pg_rewrite'::regclass AND oid = b.id AND rulename = '_RETURN'
        UNION ALL SELECT 'pg_class'::regclass, adrelid FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
            WHERE b.class = 'pg_attrdef'::regclass AND pg_attrdef.oid = b.id AND attgenerated <> ''
    ) next
)
SELECT 'direct', kind, name FROM direct
UNION ALL SELECT 'behind', '', pg_describe_object(class, id, 0) FROM behind;
