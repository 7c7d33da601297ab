//! An archive's SQL, as statements for one target that have all been checked before the first of them runs.

use serde::Deserialize;

use super::documents::{Extension, Schema};
use super::quote::ident;
use super::session::Session;
use super::{PostgresDatabase, PostgresOptions};
use crate::{Blueprint, Error, Result};
use coffer_sql::{self as sql, Builtins, Code, Rules, Section};

/// What runs before the rows, and what after them.
pub(super) struct Statements {
    pub(super) before: Vec<String>,
    pub(super) after: Vec<String>,
}

/// What is known of the target's server.
struct Server {
    builtins: Builtins,
    extension_schemas: Vec<String>,
    index_methods: Vec<String>,
}

impl Statements {
    /// Reads and checks all of it.
    ///
    /// # Errors
    /// `Refused` naming the statement; `Setup` naming an extension that the database lacks.
    pub(super) async fn read(
        session: &mut Session,
        database: &PostgresDatabase,
        blueprint: &Blueprint,
        schema: &Schema,
    ) -> Result<Self> {
        if !schema.extensions.iter().map(|extension| &extension.name).eq(&blueprint.extensions) {
            return Err(Error::refused("manifest.json", "its extensions are not those of schema.json"));
        }
        let target = database.place.schema.clone();
        let server = Server::read(session, &target, &schema.extensions).await?;
        let may_run = database.place.import_address.is_some() || database.options.allow_code;
        let code = if may_run { Code::Allowed } else { Code::Refused };
        let rename = renaming(schema, &target, database.options)?;
        let (pre_data, post_data) = (blueprint.pre_data.clone(), blueprint.post_data.clone());
        let work = move || {
            let rules = Rules {
                schema: &target,
                code,
                builtins: &server.builtins,
                extension_schemas: &server.extension_schemas,
                index_methods: &server.index_methods,
            };
            sql::with_stack(|| {
                let read = |document: &[u8], section| bound(document, section, rename.as_deref(), &rules);
                Ok(Self { before: read(&pre_data, Section::PreData)?, after: read(&post_data, Section::PostData)? })
            })
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Stopped { what: "checking an archive's SQL" }))
    }
}

/// The schema's name that bodies hold, where it is to be another.
fn renaming(schema: &Schema, target: &str, options: PostgresOptions) -> Result<Option<String>> {
    match &schema.named {
        Some(named) if named.schema != target && !options.rewrite_bodies => {
            let why = format!(
                "{} name the schema {:?} in their text, and would go on to mean it: restore into a schema of that name, or say \
                 --rewrite-bodies, which puts {target:?} in its place",
                named.by.join(", "),
                named.schema
            );
            Err(Error::refused("the structure", why))
        }
        Some(named) if named.schema != target => Ok(Some(named.schema.clone())),
        _ => Ok(None),
    }
}

fn bound(document: &[u8], section: Section, rename: Option<&str>, rules: &Rules<'_>) -> Result<Vec<String>> {
    let one = |statement: &str| {
        let bound = sql::bind(statement, rules.schema)?;
        let bound = match rename {
            Some(from) => sql::rewrite_body(&bound, from, rules.schema)?,
            None => bound,
        };
        let kind = sql::check(&bound, rules)?;
        if kind.section == Section::PostData && section == Section::PreData {
            return Err(Error::refused(kind.label, "it stands in pre-data.sql, and its place is after the rows"));
        }
        Ok(bound)
    };
    sql::split(document)?.into_iter().map(one).collect()
}

impl Server {
    async fn read(session: &mut Session, target: &str, extensions: &[Extension]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Builtin {
            kind: String,
            name: String,
            safe: bool,
        }
        #[derive(Deserialize)]
        struct Method {
            name: String,
        }
        let builtins: Vec<Builtin> = session.fetch(Builtins::QUERY, "", "reading built-in functions").await?;
        let methods: Vec<Method> =
            session.fetch("SELECT amname AS name FROM pg_am WHERE amtype = 'i'", "", "reading index methods").await?;
        Ok(Self {
            builtins: Builtins::from_rows(
                builtins.into_iter().map(|builtin| (builtin.kind, builtin.name, builtin.safe)),
            ),
            extension_schemas: extension_schemas(session, target, extensions).await?,
            index_methods: methods.into_iter().map(|method| method.name).collect(),
        })
    }
}

/// Where the extensions are that an archive needs: in the schemas that it says, so that its names find them.
async fn extension_schemas(session: &mut Session, target: &str, wanted: &[Extension]) -> Result<Vec<String>> {
    const EXTENSIONS: &str = "SELECT e.extname AS name, n.nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace";
    let found: Vec<Extension> = session.fetch(EXTENSIONS, "", "reading extensions").await?;
    // As much a part of every database as pg_catalog.
    let mut schemas = vec!["information_schema".to_owned()];
    for extension in wanted {
        let schema = extension.schema.as_deref().unwrap_or(target);
        let there = found.iter().find(|there| there.name == extension.name).and_then(|there| there.schema.as_deref());
        let why = match there {
            Some(there) if there == schema => {
                schemas.push(schema.to_owned());
                continue;
            }
            Some(there) => {
                format!("it is in schema {there:?}, and the archive's names look for it in {schema:?}: move it there")
            }
            None => format!(
                "the database does not have it: CREATE EXTENSION {} SCHEMA {}",
                ident(&extension.name),
                ident(schema)
            ),
        };
        return Err(Error::Setup { what: format!("extension {:?}", extension.name), why });
    }
    Ok(schemas)
}
