//! Where an app is built that is to replace another: under its final name, which is the other's, in a transaction that calls both
//! something else before it ends.
//!
//! Bodies of functions, `SET search_path` and strings such as `'tenant_a.seq'::regclass` name a schema by its name, and have to find
//! there what was loaded. Nobody else sees the names of a transaction that is open: until its end, the app that is there is found as ever.
//! Only whoever changes the schema itself (its owner, its privileges, its name) waits for it.

use serde::Deserialize;

use super::locks::{Key, Span};
use super::quote::ident;
use super::session::Session;
use super::swap::Swap;
use super::{PostgresDatabase, dependents, keep, names, swap};
use crate::{Error, Import, Result};

/// A place in which an app is being built.
pub(super) struct Stage {
    /// What is known of the swap that is to come.
    swap: Swap,
    aside: String,
}

impl Stage {
    /// Looks whether the app that is there can be replaced, and begins the transaction in which another is built under its name.
    ///
    /// # Errors
    /// `Taken` where another import of the app runs; `Refused` listing what depends on it; `Denied` where the login may not replace it.
    pub(super) async fn begin(session: &mut Session, database: &PostgresDatabase, import: &Import) -> Result<Self> {
        let schema = database.place.schema.as_str();
        Key::App(schema).take(session, Span::Session).await?;
        Key::Import(&import.id).take(session, Span::Session).await?;
        let live = swap::schema_id(session, schema).await?;
        check_rights(session, schema).await?;
        if let Some(id) = live {
            dependents::refuse(session, schema, id).await?;
        }
        session.run("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE", "beginning an import").await?;
        let aside = names::aside(&import.id);
        if live.is_some() {
            rename(session, schema, &aside).await?;
        }
        session.run(&format!("CREATE SCHEMA {}", ident(schema)), "making the schema").await?;
        let swap = Swap::new(database, names::staging(&import.id), import, live);
        Ok(Self { swap, aside })
    }

    /// Gives what was built the owners and privileges of what it replaces, and ends the transaction: it waits under a name of its own.
    pub(super) async fn finish(mut self, session: &mut Session, database: &PostgresDatabase) -> Result<Swap> {
        let schema = database.place.schema.as_str();
        let replaces = self.swap.replaces();
        if replaces && !database.options.grants {
            keep::keep(session, &self.aside, schema).await?;
        }
        rename(session, schema, self.swap.waiting()).await?;
        if replaces {
            rename(session, &self.aside, schema).await?;
        }
        self.swap.loaded_by(session.transaction().await?);
        session.run("COMMIT", "ending the loading of an import").await?;
        Ok(self.swap)
    }
}

/// Gives a schema another name.
pub(super) async fn rename(session: &mut Session, from: &str, to: &str) -> Result<()> {
    let sql = format!("ALTER SCHEMA {} RENAME TO {}", ident(from), ident(to));
    session.run(&sql, &format!("renaming schema {} to {}", ident(from), ident(to))).await
}

/// Sees that the login may do all that a replacement takes, before hours of work.
///
/// # Errors
/// `Denied` naming the right.
pub(super) async fn check_rights(session: &mut Session, schema: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Rights {
        login: String,
        may_create: bool,
        /// The owner of the schema, where the login may not act as such.
        owner: Option<String>,
        /// Other roles whose things stand in it.
        others: Vec<String>,
    }
    const RIGHTS: &str = "SELECT current_user AS login, has_database_privilege(current_database(), 'CREATE') AS may_create, \
         (SELECT pg_get_userbyid(n.nspowner) FROM pg_namespace n WHERE n.nspname = $1::text AND NOT pg_has_role(n.nspowner, 'USAGE')) AS owner, \
         coalesce((SELECT json_agg(DISTINCT pg_get_userbyid(o.owner)) FROM pg_namespace n CROSS JOIN LATERAL (\
         SELECT c.relowner AS owner FROM pg_class c WHERE c.relnamespace = n.oid UNION SELECT p.proowner FROM pg_proc p WHERE p.pronamespace = n.oid \
         UNION SELECT t.typowner FROM pg_type t WHERE t.typnamespace = n.oid UNION SELECT d.defaclrole FROM pg_default_acl d WHERE d.defaclnamespace = n.oid) o \
         WHERE n.nspname = $1::text AND NOT pg_has_role(o.owner, 'USAGE')), '[]') AS others";
    let rights: Rights = session.fetch_one(RIGHTS, schema, "looking what the login may do").await?;
    let (login, place) = (ident(&rights.login), ident(schema));
    let why = match (&rights.owner, rights.others.as_slice()) {
        _ if !rights.may_create => format!("login {login} may not make schemas: grant it CREATE on the database"),
        (Some(owner), _) => format!(
            "login {login} is not the schema's owner: use the owner's login, or grant it that role: GRANT {} TO {login}",
            ident(owner)
        ),
        (None, [_, ..]) => {
            let others = rights.others.iter().map(|role| ident(role)).collect::<Vec<_>>().join(", ");
            format!(
                "things or default privileges in it are of {others}: grant login {login} these roles, so that it can give theirs back"
            )
        }
        (None, []) => return Ok(()),
    };
    Err(Error::Denied { what: format!("replacing schema {place}"), why })
}
