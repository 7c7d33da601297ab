//! Rows of the system catalogs, each by the OIDs that are asked for. A field is what the catalog's column of that sense says.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::session::Session;
use super::ObjectId;
use crate::Result;

/// A kind of entry and the query that reads it. `$1` is an array of OIDs.
pub(super) trait Entry: DeserializeOwned {
    const WHAT: &str;
    const QUERY: &str;
}

pub(super) async fn read<T: Entry>(session: &mut Session, ids: &str) -> Result<Vec<T>> {
    if ids == "{}" {
        return Ok(Vec::new());
    }
    session.fetch(T::QUERY, ids, T::WHAT).await
}

/// A table, partitioned table, view, materialized view, sequence or foreign table.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Relation {
    pub(in super::super) id: u32,
    pub(in super::super) name: String,
    /// `pg_class.relkind`.
    pub(in super::super) kind: String,
    pub(in super::super) persistence: String,
    pub(in super::super) options: Option<Vec<String>>,
    pub(in super::super) toast_options: Option<Vec<String>>,
    pub(in super::super) is_typed: bool,
    pub(in super::super) is_partition: bool,
    pub(in super::super) row_security: bool,
    pub(in super::super) force_row_security: bool,
    pub(in super::super) replica_identity: String,
    pub(in super::super) is_populated: bool,
    pub(in super::super) method: Option<String>,
    pub(in super::super) tablespace: Option<String>,
    pub(in super::super) row_type: Option<u32>,
    pub(in super::super) array_type: Option<u32>,
    /// What it is a partition or child of.
    pub(in super::super) parents: Option<Vec<u32>>,
    /// What is a partition or child of it.
    pub(in super::super) children: Option<Vec<u32>>,
    pub(in super::super) owner: String,
    pub(in super::super) acl: Option<Vec<String>>,
}

impl Entry for Relation {
    const WHAT: &str = "reading tables and views";
    const QUERY: &str = "SELECT c.oid::int8 AS id, c.relname AS name, c.relkind AS kind, c.relpersistence AS persistence, c.reloptions AS options, \
         t.reloptions AS toast_options, c.reloftype <> 0 AS is_typed, c.relispartition AS is_partition, c.relrowsecurity AS row_security, \
         c.relforcerowsecurity AS force_row_security, c.relreplident AS replica_identity, c.relispopulated AS is_populated, \
         a.amname AS method, s.spcname AS tablespace, r.oid::int8 AS row_type, nullif(r.typarray, 0)::int8 AS array_type, \
         (SELECT array_agg(i.inhparent::int8) FROM pg_inherits i WHERE i.inhrelid = c.oid) AS parents, \
         (SELECT array_agg(i.inhrelid::int8) FROM pg_inherits i WHERE i.inhparent = c.oid) AS children, \
         pg_get_userbyid(c.relowner) AS owner, c.relacl::text[] AS acl \
         FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid LEFT JOIN pg_am a ON a.oid = c.relam \
         LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace LEFT JOIN pg_type r ON r.oid = c.reltype \
         WHERE c.oid = ANY ($1::text::oid[]) ORDER BY c.relname COLLATE \"C\"";
}

/// A column of a table, view or composite type.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Column {
    pub(in super::super) relation: u32,
    pub(in super::super) number: i32,
    pub(in super::super) name: String,
    pub(in super::super) type_id: u32,
    pub(in super::super) modifier: i32,
    pub(in super::super) not_null: bool,
    pub(in super::super) identity: String,
    pub(in super::super) generated: String,
    /// Where it differs from its type's.
    pub(in super::super) storage: Option<String>,
    pub(in super::super) compression: String,
    pub(in super::super) statistics: Option<i32>,
    pub(in super::super) options: Option<Vec<String>>,
    /// Where it differs from its type's.
    pub(in super::super) collation: Option<String>,
    pub(in super::super) default_id: Option<u32>,
    pub(in super::super) acl: Option<Vec<String>>,
}

impl Entry for Column {
    const WHAT: &str = "reading columns";
    const QUERY: &str = "SELECT a.attrelid::int8 AS relation, a.attnum AS number, a.attname AS name, a.atttypid::int8 AS type_id, \
         a.atttypmod AS modifier, a.attnotnull AS not_null, a.attidentity AS identity, a.attgenerated AS generated, \
         CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END AS storage, a.attcompression AS compression, \
         nullif(a.attstattarget, -1) AS statistics, a.attoptions AS options, \
         CASE WHEN a.attcollation <> t.typcollation THEN (SELECT quote_ident(n.nspname) || '.' || quote_ident(l.collname) \
         FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation) END AS collation, \
         CASE WHEN a.atthasdef THEN (SELECT d.oid::int8 FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) END AS default_id, \
         a.attacl::text[] AS acl FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
         WHERE a.attrelid = ANY ($1::text::oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum";
}

/// A constraint of a table or domain.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Constraint {
    pub(in super::super) id: u32,
    pub(in super::super) name: String,
    /// `pg_constraint.contype`.
    pub(in super::super) kind: String,
    pub(in super::super) relation: u32,
    pub(in super::super) domain: u32,
    pub(in super::super) index: u32,
    pub(in super::super) is_validated: bool,
    pub(in super::super) is_local: bool,
    pub(in super::super) parent: u32,
    /// The numbers of the columns.
    pub(in super::super) columns: Option<Vec<i32>>,
}

impl Entry for Constraint {
    const WHAT: &str = "reading constraints";
    const QUERY: &str = "SELECT oid::int8 AS id, conname AS name, contype AS kind, conrelid::int8 AS relation, contypid::int8 AS domain, \
         conindid::int8 AS index, convalidated AS is_validated, conislocal AS is_local, conparentid::int8 AS parent, \
         conkey AS columns FROM pg_constraint WHERE conrelid = ANY ($1::text::oid[]) ORDER BY conname COLLATE \"C\", oid";
}

pub(super) async fn read_domain_constraints(session: &mut Session, ids: &str) -> Result<Vec<Constraint>> {
    if ids == "{}" {
        return Ok(Vec::new());
    }
    let query = Constraint::QUERY.replace("conrelid = ANY", "contypid = ANY");
    session.fetch(&query, ids, Constraint::WHAT).await
}

/// An index.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Index {
    pub(in super::super) id: u32,
    pub(in super::super) relation: u32,
    pub(in super::super) name: String,
    pub(in super::super) is_clustered: bool,
    pub(in super::super) is_replica_identity: bool,
    pub(in super::super) is_valid: bool,
    pub(in super::super) options: Option<Vec<String>>,
    pub(in super::super) tablespace: Option<String>,
    pub(in super::super) parent: Option<u32>,
}

impl Entry for Index {
    const WHAT: &str = "reading indexes";
    const QUERY: &str = "SELECT i.indexrelid::int8 AS id, i.indrelid::int8 AS relation, c.relname AS name, i.indisclustered AS is_clustered, \
         i.indisreplident AS is_replica_identity, i.indisvalid AS is_valid, c.reloptions AS options, s.spcname AS tablespace, \
         (SELECT h.inhparent::int8 FROM pg_inherits h WHERE h.inhrelid = i.indexrelid) AS parent \
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace \
         WHERE i.indrelid = ANY ($1::text::oid[]) ORDER BY c.relname COLLATE \"C\"";
}

/// A column of an index for which statistics are set.
#[derive(Debug, Deserialize)]
pub(in super::super) struct IndexColumn {
    pub(in super::super) index: u32,
    pub(in super::super) number: i32,
    pub(in super::super) statistics: i32,
}

impl Entry for IndexColumn {
    const WHAT: &str = "reading columns of indexes";
    const QUERY: &str = "SELECT attrelid::int8 AS index, attnum AS number, attstattarget AS statistics FROM pg_attribute \
         WHERE attrelid = ANY ($1::text::oid[]) AND attstattarget >= 0 AND attnum > 0";
}

/// A sequence's options.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Sequence {
    pub(in super::super) id: u32,
    pub(in super::super) type_name: String,
    pub(in super::super) start: i64,
    pub(in super::super) increment: i64,
    pub(in super::super) minimum: i64,
    pub(in super::super) maximum: i64,
    pub(in super::super) cache: i64,
    pub(in super::super) cycles: bool,
}

impl Entry for Sequence {
    const WHAT: &str = "reading sequences";
    const QUERY: &str = "SELECT seqrelid::int8 AS id, format_type(seqtypid, NULL) AS type_name, seqstart AS start, seqincrement AS increment, \
         seqmin AS minimum, seqmax AS maximum, seqcache AS cache, seqcycle AS cycles FROM pg_sequence WHERE seqrelid = ANY ($1::text::oid[])";
}

/// A type that stands by itself.
#[derive(Debug, Deserialize)]
pub(in super::super) struct TypeEntry {
    pub(in super::super) id: u32,
    pub(in super::super) name: String,
    /// `pg_type.typtype`.
    pub(in super::super) kind: String,
    pub(in super::super) is_defined: bool,
    pub(in super::super) relation: u32,
    pub(in super::super) array_type: Option<u32>,
    pub(in super::super) owner: String,
    pub(in super::super) acl: Option<Vec<String>>,
}

impl Entry for TypeEntry {
    const WHAT: &str = "reading types";
    const QUERY: &str = "SELECT oid::int8 AS id, typname AS name, typtype AS kind, typisdefined AS is_defined, typrelid::int8 AS relation, \
         nullif(typarray, 0)::int8 AS array_type, pg_get_userbyid(typowner) AS owner, typacl::text[] AS acl \
         FROM pg_type WHERE oid = ANY ($1::text::oid[]) ORDER BY typname COLLATE \"C\"";
}

/// An enum's labels in their order.
#[derive(Debug, Deserialize)]
pub(in super::super) struct EnumType {
    pub(super) id: u32,
    pub(in super::super) labels: Vec<String>,
}

impl Entry for EnumType {
    const WHAT: &str = "reading enums";
    const QUERY: &str = "SELECT enumtypid::int8 AS id, array_agg(enumlabel ORDER BY enumsortorder) AS labels FROM pg_enum \
         WHERE enumtypid = ANY ($1::text::oid[]) GROUP BY enumtypid";
}

/// What a domain adds to its base.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Domain {
    pub(super) id: u32,
    pub(in super::super) base: u32,
    pub(in super::super) modifier: i32,
    pub(in super::super) not_null: bool,
    pub(in super::super) collation: Option<String>,
}

impl Entry for Domain {
    const WHAT: &str = "reading domains";
    const QUERY: &str = "SELECT t.oid::int8 AS id, t.typbasetype::int8 AS base, t.typtypmod AS modifier, t.typnotnull AS not_null, \
         CASE WHEN t.typcollation <> b.typcollation THEN quote_ident(n.nspname) || '.' || quote_ident(l.collname) END AS collation \
         FROM pg_type t JOIN pg_type b ON b.oid = t.typbasetype LEFT JOIN pg_collation l ON l.oid = t.typcollation \
         LEFT JOIN pg_namespace n ON n.oid = l.collnamespace WHERE t.oid = ANY ($1::text::oid[]) AND t.typtype = 'd'";
}

/// What a range type is over.
#[derive(Debug, Deserialize)]
pub(in super::super) struct RangeType {
    pub(super) id: u32,
    pub(in super::super) subtype: u32,
    pub(in super::super) collation: Option<String>,
    /// Where it is not the subtype's default.
    pub(in super::super) operator_class: Option<String>,
    pub(in super::super) has_canonical: bool,
    /// The function's name, where it is one of PostgreSQL's.
    pub(in super::super) difference: Option<String>,
    pub(in super::super) multirange: Option<u32>,
    pub(in super::super) multirange_array: Option<u32>,
    pub(in super::super) multirange_name: String,
}

impl Entry for RangeType {
    const WHAT: &str = "reading range types";
    const QUERY: &str = "SELECT r.rngtypid::int8 AS id, r.rngsubtype::int8 AS subtype, \
         CASE WHEN r.rngcollation <> b.typcollation THEN quote_ident(ln.nspname) || '.' || quote_ident(l.collname) END AS collation, \
         CASE WHEN NOT o.opcdefault THEN quote_ident(n.nspname) || '.' || quote_ident(o.opcname) END AS operator_class, \
         r.rngcanonical <> 0 AS has_canonical, quote_ident(pn.nspname) || '.' || quote_ident(p.proname) AS difference, \
         m.oid::int8 AS multirange, nullif(m.typarray, 0)::int8 AS multirange_array, m.typname AS multirange_name \
         FROM pg_range r JOIN pg_type b ON b.oid = r.rngsubtype JOIN pg_type m ON m.oid = r.rngmultitypid \
         JOIN pg_opclass o ON o.oid = r.rngsubopc JOIN pg_namespace n ON n.oid = o.opcnamespace \
         LEFT JOIN pg_collation l ON l.oid = r.rngcollation LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace \
         LEFT JOIN pg_proc p ON p.oid = r.rngsubdiff LEFT JOIN pg_namespace pn ON pn.oid = p.pronamespace \
         WHERE r.rngtypid = ANY ($1::text::oid[])";
}

/// A function or procedure, or what is not one that can be carried.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Function {
    pub(in super::super) id: u32,
    pub(in super::super) name: String,
    /// `pg_proc.prokind`.
    pub(in super::super) kind: String,
    pub(in super::super) language: String,
    pub(in super::super) has_support: bool,
    pub(in super::super) has_transforms: bool,
    pub(in super::super) owner: String,
    pub(in super::super) acl: Option<Vec<String>>,
}

impl Entry for Function {
    const WHAT: &str = "reading functions";
    const QUERY: &str = "SELECT p.oid::int8 AS id, p.proname AS name, p.prokind AS kind, l.lanname AS language, p.prosupport <> 0 AS has_support, \
         p.protrftypes IS NOT NULL AS has_transforms, pg_get_userbyid(p.proowner) AS owner, p.proacl::text[] AS acl \
         FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.oid = ANY ($1::text::oid[])";
}

/// A trigger that a user made.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Trigger {
    pub(in super::super) id: u32,
    pub(in super::super) name: String,
    pub(in super::super) relation: u32,
    /// `pg_trigger.tgenabled`.
    pub(in super::super) enabled: String,
    /// The trigger of the partitioned table that it was made for.
    pub(in super::super) parent: u32,
}

impl Entry for Trigger {
    const WHAT: &str = "reading triggers";
    const QUERY: &str = "SELECT t.oid::int8 AS id, t.tgname AS name, t.tgrelid::int8 AS relation, t.tgenabled AS enabled, t.tgparentid::int8 AS parent FROM pg_trigger t \
         WHERE t.tgrelid = ANY ($1::text::oid[]) AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0)) ORDER BY t.tgname COLLATE \"C\"";
}

/// A policy of row-level security.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Policy {
    pub(in super::super) id: u32,
    pub(in super::super) name: String,
    pub(in super::super) relation: u32,
    /// `pg_policy.polcmd`.
    pub(in super::super) command: String,
    pub(in super::super) is_permissive: bool,
    /// None for everybody.
    pub(in super::super) roles: Option<Vec<String>>,
}

impl Entry for Policy {
    const WHAT: &str = "reading policies";
    const QUERY: &str = "SELECT p.oid::int8 AS id, p.polname AS name, p.polrelid::int8 AS relation, p.polcmd AS command, p.polpermissive AS is_permissive, \
         (SELECT array_agg(pg_get_userbyid(r.id) ORDER BY pg_get_userbyid(r.id) COLLATE \"C\") FROM unnest(p.polroles) r(id) WHERE r.id <> 0) AS roles \
         FROM pg_policy p WHERE p.polrelid = ANY ($1::text::oid[]) ORDER BY p.polname COLLATE \"C\"";
}

/// A rule; `_RETURN` is what makes a view.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Rule {
    pub(in super::super) id: u32,
    pub(in super::super) name: String,
    pub(in super::super) relation: u32,
}

impl Entry for Rule {
    const WHAT: &str = "reading rules";
    const QUERY: &str = "SELECT oid::int8 AS id, rulename AS name, ev_class::int8 AS relation FROM pg_rewrite WHERE ev_class = ANY ($1::text::oid[])";
}

/// A comment, or a security label's provider.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Comment {
    #[serde(flatten)]
    pub(in super::super) object: ObjectId,
    /// A column's number, or 0.
    pub(in super::super) part: i32,
    pub(in super::super) text: String,
    pub(in super::super) is_label: bool,
}

/// One thing needs another.
#[derive(Debug, Deserialize)]
#[serde(from = "DependencyRow")]
pub(in super::super) struct Dependency {
    pub(in super::super) of: ObjectId,
    pub(in super::super) on: ObjectId,
    pub(in super::super) on_part: i32,
    /// `pg_depend.deptype`.
    pub(in super::super) kind: String,
    /// For casts and the like, which are found from what they need: PostgreSQL's words.
    pub(in super::super) described: Option<String>,
}

/// A dependency as a row, whose columns have short names: there are many.
#[derive(Deserialize)]
struct DependencyRow {
    c: u32,
    i: u32,
    rc: u32,
    ri: u32,
    rs: i32,
    t: String,
    d: Option<String>,
}

impl From<DependencyRow> for Dependency {
    fn from(row: DependencyRow) -> Self {
        Self {
            of: ObjectId { class: row.c, id: row.i },
            on: ObjectId { class: row.rc, id: row.ri },
            on_part: row.rs,
            kind: row.t,
            described: row.d,
        }
    }
}
