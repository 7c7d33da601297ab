//! What belongs to a schema, found from the schema itself through `pg_depend`, and what all of it depends on.

use std::collections::HashMap;

use serde::Deserialize;

use super::super::session::Session;
use super::entries::{Comment, Dependency};
use super::{ObjectId, class};
use crate::Result;

/// Everything that stands in a schema, of whatever kind.
#[derive(Debug, Default)]
pub(in super::super) struct Members {
    members: Vec<Member>,
}

#[derive(Debug, Deserialize)]
struct Member {
    class: u32,
    id: u32,
    /// For kinds that nobody here reads: PostgreSQL's words for it.
    described: Option<String>,
    /// The extension that it belongs to.
    extension: Option<String>,
    kind: Option<String>,
    /// An extension's.
    own_name: Option<String>,
    /// The type that it came with: a range's functions and its multirange.
    of_type: Option<u32>,
}

impl Member {
    const fn object(&self) -> ObjectId {
        ObjectId { class: self.class, id: self.id }
    }

    /// Whether it was made by a statement of its own.
    const fn stands_alone(&self) -> bool {
        self.extension.is_none() && self.of_type.is_none()
    }
}

impl Members {
    pub(in super::super) async fn read(session: &mut Session, schema: u32) -> Result<Self> {
        const MEMBERS: &str = "SELECT d.classid::int8 AS class, d.objid::int8 AS id, e.extname AS extension, c.relkind AS kind, \
             CASE WHEN d.classid = 3079 THEN (SELECT o.extname FROM pg_extension o WHERE o.oid = d.objid) END AS own_name, \
             (SELECT i.refobjid::int8 FROM pg_depend i WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'i' AND i.refclassid = 1247) AS of_type, \
             CASE WHEN d.classid NOT IN (1247, 1255, 1259) THEN pg_describe_object(d.classid, d.objid, 0) END AS described \
             FROM pg_depend d LEFT JOIN pg_class c ON d.classid = 1259 AND c.oid = d.objid \
             LEFT JOIN pg_depend x ON x.classid = d.classid AND x.objid = d.objid AND x.deptype = 'e' \
             LEFT JOIN pg_extension e ON x.refclassid = 3079 AND e.oid = x.refobjid \
             WHERE d.refclassid = 2615 AND d.refobjid = $1::text::oid AND d.deptype IN ('n', 'a')";
        let members = session.fetch(MEMBERS, &schema.to_string(), "reading what a schema holds").await?;
        Ok(Self { members })
    }

    /// The OIDs of one kind, without what an extension brought.
    pub(in super::super) fn of(&self, class: u32) -> impl Iterator<Item = u32> {
        let own = self.members.iter().filter(|member| member.stands_alone());
        own.filter(move |member| member.class == class).map(|member| member.id)
    }

    /// Whether nothing stands in it.
    pub(in super::super) fn is_empty(&self) -> bool {
        self.members.iter().all(|member| member.extension.is_some() || member.class == class::DEFAULT_ACL)
    }

    /// What is of a kind that nobody here reads.
    pub(in super::super) fn strange(&self) -> impl Iterator<Item = (ObjectId, String)> {
        let left_alone = [class::DEFAULT_ACL, class::PUBLICATION_NAMESPACE, class::EXTENSION];
        let own =
            self.members.iter().filter(move |member| member.stands_alone() && !left_alone.contains(&member.class));
        own.filter_map(|member| member.described.clone().map(|described| (member.object(), described)))
    }

    /// The extensions that stand in the schema: bodies may call them without anybody's knowing.
    pub(in super::super) fn extensions(&self) -> impl Iterator<Item = &str> {
        let extensions = self.members.iter().filter(|member| member.class == class::EXTENSION);
        extensions.filter_map(|member| member.own_name.as_deref())
    }

    /// What came with a type, and which.
    pub(in super::super) fn with_types(&self) -> impl Iterator<Item = (ObjectId, u32)> {
        self.members.iter().filter_map(|member| Some((member.object(), member.of_type?)))
    }

    /// Tables that an extension keeps here: their rows may be the app's.
    pub(in super::super) fn tables_of_extensions(&self) -> impl Iterator<Item = &str> {
        let tables = self.members.iter().filter(|member| matches!(member.kind.as_deref(), Some("r" | "p" | "m")));
        tables.filter_map(|member| member.extension.as_deref())
    }
}

/// Something outside of the schema that its things depend on.
#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct Foreign {
    #[serde(flatten)]
    object: ObjectId,
    /// The extension that it belongs to.
    pub(in super::super) extension: Option<String>,
    /// The schema that the extension is in.
    pub(in super::super) extension_schema: Option<String>,
    /// PostgreSQL's words for it.
    pub(in super::super) described: String,
}

/// Pairs of catalog and OID as rows of SQL.
fn pairs(objects: &[ObjectId]) -> String {
    let pairs: Vec<_> = objects.iter().map(|object| [object.class, object.id]).collect();
    serde_json::json!(pairs).to_string()
}

/// The parameter's pairs.
macro_rules! of_pairs {
    ($query:literal) => {
        concat!(
            "WITH o AS MATERIALIZED (SELECT (p.pair ->> 0)::oid AS class, (p.pair ->> 1)::oid AS id FROM json_array_elements($1::text::json) p(pair)) ",
            $query
        )
    };
}

pub(super) async fn read_comments(session: &mut Session, objects: &[ObjectId]) -> Result<Vec<Comment>> {
    const COMMENTS: &str = of_pairs!(
        "SELECT o.class::int8, o.id::int8, d.objsubid AS part, d.description AS text, false AS is_label FROM o JOIN pg_description d \
         ON d.objoid = o.id AND d.classoid = o.class UNION ALL \
         SELECT o.class::int8, o.id::int8, s.objsubid, s.provider, true FROM o JOIN pg_seclabel s ON s.objoid = o.id AND s.classoid = o.class"
    );
    session.fetch(COMMENTS, &pairs(objects), "reading comments").await
}

pub(super) async fn read_dependencies(session: &mut Session, objects: &[ObjectId]) -> Result<Vec<Dependency>> {
    // From a thing to what it needs, but for what is clear: its schema, and a default's own column. And casts, transforms and extended
    // statistics, which say so of themselves alone.
    const DEPENDENCIES: &str = of_pairs!(
        "SELECT o.class::int8 AS c, o.id::int8 AS i, d.refclassid::int8 AS rc, d.refobjid::int8 AS ri, max(d.refobjsubid) AS rs, d.deptype AS t, \
         NULL AS d FROM o JOIN pg_depend d ON d.classid = o.class AND d.objid = o.id WHERE d.refclassid <> 2615 \
         AND NOT (d.classid = 2604 AND d.refclassid = 1259 AND d.deptype = 'a') GROUP BY o.class, o.id, d.refclassid, d.refobjid, d.deptype UNION ALL \
         SELECT d.classid::int8, d.objid::int8, o.class::int8, o.id::int8, 0, d.deptype, pg_describe_object(d.classid, d.objid, 0) \
         FROM o JOIN pg_depend d ON d.refclassid = o.class AND d.refobjid = o.id AND d.classid IN (2605, 3576, 3381) AND d.deptype NOT IN ('e', 'i') \
         WHERE o.class IN (1247, 1255, 1259)"
    );
    session.fetch(DEPENDENCIES, &pairs(objects), "reading dependencies").await
}

pub(super) async fn read_foreign(session: &mut Session, objects: &[ObjectId]) -> Result<HashMap<ObjectId, Foreign>> {
    const FOREIGN: &str = of_pairs!(
        "SELECT o.class::int8, o.id::int8, e.extname AS extension, n.nspname AS extension_schema, \
         pg_describe_object(o.class, o.id, 0) AS described FROM o \
         LEFT JOIN pg_depend d ON d.classid = o.class AND d.objid = o.id AND d.deptype = 'e' AND d.refclassid = 3079 \
         LEFT JOIN pg_extension e ON e.oid = d.refobjid LEFT JOIN pg_namespace n ON n.oid = e.extnamespace"
    );
    let found: Vec<Foreign> = session.fetch(FOREIGN, &pairs(objects), "reading what a schema depends on").await?;
    Ok(found.into_iter().map(|foreign| (foreign.object, foreign)).collect())
}
