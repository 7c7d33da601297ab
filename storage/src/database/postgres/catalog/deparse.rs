//! What PostgreSQL itself writes as SQL: expressions, definitions and names of types, as they read with the app's schema first.
//!
//! These queries alone run with the schema in `search_path`, and name nothing without its own schema.

use std::collections::HashMap;

use serde::Deserialize;

use super::super::session::Session;
use super::{Catalog, oids};
use crate::{Error, Result};

/// Texts by OID.
#[derive(Debug, Default)]
pub(in super::super) struct Deparsed {
    /// By type and modifier.
    pub(in super::super) types: HashMap<(u32, i32), String>,
    pub(in super::super) defaults: HashMap<u32, String>,
    pub(in super::super) domain_defaults: HashMap<u32, String>,
    pub(in super::super) constraints: HashMap<u32, String>,
    pub(in super::super) indexes: HashMap<u32, String>,
    pub(in super::super) views: HashMap<u32, String>,
    pub(in super::super) functions: HashMap<u32, String>,
    /// A function's arguments, as they tell it from others of its name.
    pub(in super::super) arguments: HashMap<u32, String>,
    pub(in super::super) triggers: HashMap<u32, String>,
    pub(in super::super) partition_keys: HashMap<u32, String>,
    pub(in super::super) partition_bounds: HashMap<u32, String>,
    pub(in super::super) policy_uses: HashMap<u32, String>,
    pub(in super::super) policy_checks: HashMap<u32, String>,
}

#[derive(Deserialize)]
struct Text {
    id: u32,
    text: Option<String>,
    second: Option<String>,
}

#[derive(Deserialize)]
struct TypeText {
    id: u32,
    modifier: i32,
    text: Option<String>,
}

/// `SELECT` of a function of each OID; `$t` is put in place of the function's call on `k`.
macro_rules! of_each {
    ($text:literal) => {
        concat!(
            "SELECT k::pg_catalog.int8 AS id, ",
            $text,
            " AS text, NULL AS second FROM pg_catalog.unnest($1::pg_catalog.text::pg_catalog.oid[]) k"
        )
    };
}

const CONSTRAINTS: &str = of_each!("pg_catalog.pg_get_constraintdef(k)");
const INDEXES: &str = of_each!("pg_catalog.pg_get_indexdef(k)");
const VIEWS: &str = of_each!("pg_catalog.pg_get_viewdef(k)");
const FUNCTIONS: &str = "SELECT k::pg_catalog.int8 AS id, pg_catalog.pg_get_functiondef(k) AS text, \
     pg_catalog.pg_get_function_identity_arguments(k) AS second FROM pg_catalog.unnest($1::pg_catalog.text::pg_catalog.oid[]) k";
const TRIGGERS: &str = of_each!("pg_catalog.pg_get_triggerdef(k)");
const DEFAULTS: &str = "SELECT d.oid::pg_catalog.int8 AS id, pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS text, NULL AS second \
     FROM pg_catalog.pg_attrdef d WHERE d.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text::pg_catalog.oid[])";
const DOMAIN_DEFAULTS: &str = "SELECT t.oid::pg_catalog.int8 AS id, pg_catalog.pg_get_expr(t.typdefaultbin, 0::pg_catalog.oid) AS text, \
     NULL AS second FROM pg_catalog.pg_type t WHERE t.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text::pg_catalog.oid[])";
const PARTITIONS: &str = "SELECT c.oid::pg_catalog.int8 AS id, CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'p' \
     THEN pg_catalog.pg_get_partkeydef(c.oid) END AS text, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS second FROM pg_catalog.pg_class c \
     WHERE c.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text::pg_catalog.oid[])";
const POLICIES: &str = "SELECT p.oid::pg_catalog.int8 AS id, pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS text, \
     pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS second FROM pg_catalog.pg_policy p \
     WHERE p.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text::pg_catalog.oid[])";
const TYPES: &str = "SELECT (p.pair OPERATOR(pg_catalog.->>) 0)::pg_catalog.int8 AS id, (p.pair OPERATOR(pg_catalog.->>) 1)::pg_catalog.int4 AS modifier, \
     pg_catalog.format_type((p.pair OPERATOR(pg_catalog.->>) 0)::pg_catalog.oid, (p.pair OPERATOR(pg_catalog.->>) 1)::pg_catalog.int4) AS text \
     FROM pg_catalog.json_array_elements($1::pg_catalog.text::pg_catalog.json) p(pair)";

impl Deparsed {
    pub(super) async fn read(session: &mut Session, catalog: &Catalog) -> Result<Self> {
        session.in_schema(&catalog.schema).await?;
        let texts = Self::read_in_schema(session, catalog).await?;
        session.in_catalog().await?;
        Ok(texts)
    }

    async fn read_in_schema(session: &mut Session, catalog: &Catalog) -> Result<Self> {
        let of_kind = |kinds: &'static [&'static str]| {
            oids(
                catalog
                    .relations
                    .iter()
                    .filter(|relation| kinds.contains(&relation.kind.as_str()))
                    .map(|relation| relation.id),
            )
        };
        let functions = catalog.functions.iter().filter(|function| function.kind == "f" || function.kind == "p");
        let functions = first_and_second(session, FUNCTIONS, &oids(functions.map(|function| function.id))).await?;
        let partitions = catalog.relations.iter().filter(|relation| relation.kind == "p" || relation.is_partition);
        let partitions = first_and_second(session, PARTITIONS, &oids(partitions.map(|relation| relation.id))).await?;
        let policies =
            first_and_second(session, POLICIES, &oids(catalog.policies.iter().map(|policy| policy.id))).await?;
        let defaults = catalog.columns.values().flatten().filter_map(|column| column.default_id);
        let constraints = catalog.constraints.iter().filter(|constraint| constraint.kind != "t");
        Ok(Self {
            types: types(session, catalog).await?,
            defaults: first(session, DEFAULTS, &oids(defaults)).await?,
            domain_defaults: first(session, DOMAIN_DEFAULTS, &oids(catalog.domains.keys().copied())).await?,
            constraints: first(session, CONSTRAINTS, &oids(constraints.map(|constraint| constraint.id))).await?,
            indexes: first(session, INDEXES, &oids(catalog.indexes.iter().map(|index| index.id))).await?,
            views: first(session, VIEWS, &of_kind(&["v", "m"])).await?,
            triggers: first(session, TRIGGERS, &oids(catalog.triggers.iter().map(|trigger| trigger.id))).await?,
            functions: functions.0,
            arguments: functions.1,
            partition_keys: partitions.0,
            partition_bounds: partitions.1,
            policy_uses: policies.0,
            policy_checks: policies.1,
        })
    }

    /// Every text.
    pub(in super::super) fn all(&self) -> impl Iterator<Item = &str> {
        let by_id = [
            &self.defaults,
            &self.domain_defaults,
            &self.constraints,
            &self.indexes,
            &self.views,
            &self.functions,
            &self.arguments,
            &self.triggers,
            &self.partition_keys,
            &self.partition_bounds,
            &self.policy_uses,
            &self.policy_checks,
        ];
        by_id.into_iter().flat_map(HashMap::values).chain(self.types.values()).map(String::as_str)
    }

    /// A type's name.
    ///
    /// # Errors
    /// `Changed` in the wording of the engine where it has gone meanwhile.
    pub(in super::super) fn type_name(&self, id: u32, modifier: i32) -> Result<&str> {
        self.types.get(&(id, modifier)).map(String::as_str).ok_or_else(|| changed("a type"))
    }
}

/// An error for what was there a moment ago.
pub(in super::super) fn changed(what: &str) -> Error {
    Error::Busy { what: format!("the schema: {what} of it was changed or dropped while it was read, and it") }
}

type Texts = HashMap<u32, String>;

async fn first(session: &mut Session, query: &str, ids: &str) -> Result<Texts> {
    Ok(first_and_second(session, query, ids).await?.0)
}

async fn first_and_second(session: &mut Session, query: &str, ids: &str) -> Result<(Texts, Texts)> {
    if ids == "{}" {
        return Ok(Default::default());
    }
    let texts: Vec<Text> = session.fetch(query, ids, "reading definitions").await?;
    let (mut first, mut second) = (Texts::new(), Texts::new());
    for text in texts {
        first.extend(text.text.map(|value| (text.id, value)));
        second.extend(text.second.map(|value| (text.id, value)));
    }
    Ok((first, second))
}

async fn types(session: &mut Session, catalog: &Catalog) -> Result<HashMap<(u32, i32), String>> {
    let columns = catalog.columns.values().flatten().map(|column| (column.type_id, column.modifier));
    let domains = catalog.domains.values().map(|domain| (domain.base, domain.modifier));
    let ranges = catalog.ranges.values().map(|range| (range.subtype, -1));
    let mut wanted: Vec<_> = columns.chain(domains).chain(ranges).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let parameter = serde_json::json!(wanted).to_string();
    let texts: Vec<TypeText> = session.fetch(TYPES, &parameter, "reading names of types").await?;
    Ok(texts.into_iter().filter_map(|text| Some(((text.id, text.modifier), text.text?))).collect())
}
