//! What the system catalogs say of one schema, read by its own entries alone, in a few queries.
//!
//! Everything here is read with `search_path = pg_catalog`, so that nothing of the schema runs; what PostgreSQL has to write as
//! SQL is read apart, in [`deparse`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::documents::Extension;
use super::quote::ident;
use super::session::Session;
use crate::{Error, Result};

mod deparse;
mod entries;
mod members;

pub(super) use deparse::{Deparsed, changed};
pub(super) use entries::{
    Column, Comment, Constraint, Dependency, Domain, EnumType, Function, Index, IndexColumn, Policy, RangeType,
    Relation, Rule, Sequence, Trigger, TypeEntry,
};
pub(super) use members::{Foreign, Members};

/// OIDs of system catalogs, which are the same in every release.
pub(super) mod class {
    pub(crate) const ATTRDEF: u32 = 2604;
    pub(crate) const CLASS: u32 = 1259;
    pub(crate) const CONSTRAINT: u32 = 2606;
    pub(crate) const DEFAULT_ACL: u32 = 826;
    pub(crate) const EXTENSION: u32 = 3079;
    pub(crate) const LANGUAGE: u32 = 2612;
    pub(crate) const NAMESPACE: u32 = 2615;
    pub(crate) const POLICY: u32 = 3256;
    pub(crate) const PROC: u32 = 1255;
    pub(crate) const PUBLICATION_NAMESPACE: u32 = 6237;
    pub(crate) const REWRITE: u32 = 2618;
    pub(crate) const TRIGGER: u32 = 2620;
    pub(crate) const TYPE: u32 = 1247;
}

/// A row of a system catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
pub(super) struct ObjectId {
    pub(super) class: u32,
    pub(super) id: u32,
}

/// One schema as the catalogs show it.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) schema: String,
    pub(super) schema_id: u32,
    pub(super) members: Members,
    pub(super) relations: Vec<Relation>,
    /// By relation, in the order of their numbers.
    pub(super) columns: BTreeMap<u32, Vec<Column>>,
    pub(super) constraints: Vec<Constraint>,
    pub(super) indexes: Vec<Index>,
    pub(super) index_columns: Vec<IndexColumn>,
    pub(super) sequences: Vec<Sequence>,
    pub(super) types: Vec<TypeEntry>,
    pub(super) enums: HashMap<u32, EnumType>,
    pub(super) domains: HashMap<u32, Domain>,
    pub(super) ranges: HashMap<u32, RangeType>,
    pub(super) functions: Vec<Function>,
    pub(super) triggers: Vec<Trigger>,
    pub(super) policies: Vec<Policy>,
    pub(super) rules: Vec<Rule>,
    pub(super) comments: Vec<Comment>,
    pub(super) dependencies: Vec<Dependency>,
    /// What the schema's things depend on, and that is not among them.
    pub(super) foreign: HashMap<ObjectId, Foreign>,
    pub(super) text: Deparsed,
    /// What of the database's own stands beside the schema, where all of it is the app's.
    pub(super) beside: Vec<String>,
    /// The extensions of the database, where all of it is the app's.
    pub(super) extensions: Vec<Extension>,
}

impl Catalog {
    /// Reads a schema within the transaction that is open.
    ///
    /// # Errors
    /// `NotFound` where there is no such schema.
    pub(super) async fn read(session: &mut Session, schema: &str) -> Result<Self> {
        let schema_id = schema_id(session, schema).await?;
        let mut catalog = Self { schema: schema.to_owned(), schema_id, ..Self::default() };
        catalog.members = Members::read(session, schema_id).await?;
        catalog.read_entries(session).await?;
        catalog.read_around(session).await?;
        catalog.text = Deparsed::read(session, &catalog).await?;
        Ok(catalog)
    }

    async fn read_entries(&mut self, session: &mut Session) -> Result<()> {
        self.relations = entries::read(session, &oids(self.members.of(class::CLASS))).await?;
        let all = oids(self.relations.iter().map(|relation| relation.id));
        self.types = entries::read(session, &oids(self.members.of(class::TYPE))).await?;
        let types = oids(self.types.iter().map(|entry| entry.id));
        let composites = self.types.iter().filter(|entry| entry.kind == "c").map(|entry| entry.relation);
        let with_columns = oids(self.relations.iter().map(|relation| relation.id).chain(composites));
        for column in entries::read::<Column>(session, &with_columns).await? {
            self.columns.entry(column.relation).or_default().push(column);
        }
        self.constraints = entries::read(session, &all).await?;
        self.constraints.extend(entries::read_domain_constraints(session, &types).await?);
        self.indexes = entries::read(session, &all).await?;
        self.index_columns = entries::read(session, &oids(self.indexes.iter().map(|index| index.id))).await?;
        self.sequences = entries::read(session, &all).await?;
        self.enums = by_id(entries::read(session, &types).await?, |entry: &EnumType| entry.id);
        self.domains = by_id(entries::read(session, &types).await?, |entry: &Domain| entry.id);
        self.ranges = by_id(entries::read(session, &types).await?, |entry: &RangeType| entry.id);
        self.functions = entries::read(session, &oids(self.members.of(class::PROC))).await?;
        self.triggers = entries::read(session, &all).await?;
        self.policies = entries::read(session, &all).await?;
        self.rules = entries::read(session, &all).await?;
        Ok(())
    }

    /// Comments, dependencies, and what these lead to.
    async fn read_around(&mut self, session: &mut Session) -> Result<()> {
        let objects: Vec<_> = self.objects().into_iter().collect();
        self.comments = members::read_comments(session, &objects).await?;
        self.dependencies = members::read_dependencies(session, &objects).await?;
        let known: BTreeSet<_> = objects.into_iter().chain(self.implied()).collect();
        let unknown: BTreeSet<_> =
            self.dependencies.iter().map(|dependency| dependency.on).filter(|on| !known.contains(on)).collect();
        let unknown: Vec<_> =
            unknown.into_iter().filter(|on| on.class != class::NAMESPACE || on.id != self.schema_id).collect();
        self.foreign = members::read_foreign(session, &unknown).await?;
        Ok(())
    }

    /// All that has a row of its own.
    fn objects(&self) -> BTreeSet<ObjectId> {
        let of = |class: u32| move |id: u32| ObjectId { class, id };
        let defaults = self.columns.values().flatten().filter_map(|column| column.default_id);
        let mut objects = BTreeSet::new();
        objects.extend(self.relations.iter().map(|entry| entry.id).map(of(class::CLASS)));
        objects.extend(self.types.iter().map(|entry| entry.id).map(of(class::TYPE)));
        objects.extend(self.types.iter().map(|entry| entry.relation).filter(|&id| id != 0).map(of(class::CLASS)));
        objects.extend(self.indexes.iter().map(|entry| entry.id).map(of(class::CLASS)));
        objects.extend(self.constraints.iter().map(|entry| entry.id).map(of(class::CONSTRAINT)));
        objects.extend(defaults.map(of(class::ATTRDEF)));
        objects.extend(self.functions.iter().map(|entry| entry.id).map(of(class::PROC)));
        objects.extend(self.triggers.iter().map(|entry| entry.id).map(of(class::TRIGGER)));
        objects.extend(self.policies.iter().map(|entry| entry.id).map(of(class::POLICY)));
        objects.extend(self.rules.iter().map(|entry| entry.id).map(of(class::REWRITE)));
        objects
    }

    /// What PostgreSQL made beside: row types, arrays, multiranges.
    fn implied(&self) -> impl Iterator<Item = ObjectId> {
        let rows = self.relations.iter().flat_map(|relation| [relation.row_type, relation.array_type]);
        let arrays = self.types.iter().map(|entry| entry.array_type);
        let ranges = self.ranges.values().flat_map(|range| [range.multirange, range.multirange_array]);
        let types = rows.chain(arrays).chain(ranges).flatten().map(|id| ObjectId { class: class::TYPE, id });
        types.chain(self.members.with_types().map(|(object, _)| object))
    }

    /// The relation with an OID.
    pub(super) fn relation(&self, id: u32) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.id == id)
    }
}

/// The extensions of a database, but the one that each has.
pub(super) async fn extensions(session: &mut Session) -> Result<Vec<Extension>> {
    const EXTENSIONS: &str = "SELECT e.extname AS name, n.nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
         WHERE e.extname <> 'plpgsql'";
    session.fetch(EXTENSIONS, "", "listing extensions").await
}

/// What a database holds beside one schema and what imports of ours put there: other schemas with anything in them, large objects, and what belongs to the whole.
pub(super) async fn beside(session: &mut Session, schema: &str) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Beside {
        what: String,
    }
    const BESIDE: &str = "SELECT what FROM (SELECT 'schema ' || quote_ident(n.nspname) AS what FROM pg_namespace n WHERE n.nspname <> $1::text \
         AND n.oid >= 16384 AND n.nspname !~ '^(pg|coffer)_' AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 2615 AND x.objid = n.oid AND x.deptype = 'e') \
         AND (n.nspowner <> (SELECT datdba FROM pg_database WHERE datname = current_database()) \
         OR NOT EXISTS (SELECT FROM pg_extension e WHERE e.extnamespace = n.oid) OR EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 2615 \
         AND d.refobjid = n.oid AND d.classid <> 3079 AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = d.classid AND x.objid = d.objid AND x.deptype = 'e'))) \
         UNION ALL SELECT count(*) || ' large objects' FROM pg_largeobject_metadata HAVING count(*) > 0 \
         UNION ALL SELECT pg_describe_object(o.class::oid, o.id, 0) FROM (SELECT 2605 AS class, oid AS id FROM pg_cast UNION ALL SELECT 2612, oid FROM pg_language \
         UNION ALL SELECT 2328, oid FROM pg_foreign_data_wrapper UNION ALL SELECT 1417, oid FROM pg_foreign_server UNION ALL SELECT 2601, oid FROM pg_am \
         UNION ALL SELECT 3576, oid FROM pg_transform UNION ALL SELECT 3466, oid FROM pg_event_trigger UNION ALL SELECT 6104, oid FROM pg_publication \
         UNION ALL SELECT 826, oid FROM pg_default_acl WHERE defaclnamespace = 0) o \
         WHERE o.id >= 16384 AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = o.class AND x.objid = o.id AND x.deptype IN ('e', 'i')) \
         UNION ALL SELECT 'settings of the database' FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase \
         WHERE d.datname = current_database() HAVING count(*) > 0) b WHERE what IS NOT NULL ORDER BY what COLLATE \"C\"";
    let beside: Vec<Beside> = session.fetch(BESIDE, schema, "looking beside the schema").await?;
    Ok(beside.into_iter().map(|beside| beside.what).collect())
}

async fn schema_id(session: &mut Session, schema: &str) -> Result<u32> {
    #[derive(serde::Deserialize)]
    struct Found {
        id: u32,
    }
    let query = "SELECT oid::int8 AS id FROM pg_namespace WHERE nspname = $1::text";
    let found: Vec<Found> = session.fetch(query, schema, &format!("looking for schema {schema}")).await?;
    found.first().map(|found| found.id).ok_or_else(|| Error::NotFound { what: format!("schema {}", ident(schema)) })
}

/// OIDs as an array of SQL.
pub(super) fn oids(ids: impl IntoIterator<Item = u32>) -> String {
    let ids: Vec<_> = ids.into_iter().map(|id| id.to_string()).collect();
    format!("{{{}}}", ids.join(","))
}

fn by_id<T>(entries: Vec<T>, id: impl Fn(&T) -> u32) -> HashMap<u32, T> {
    entries.into_iter().map(|entry| (id(&entry), entry)).collect()
}
