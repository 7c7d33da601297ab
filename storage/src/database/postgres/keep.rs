//! Owners and privileges of an app that is replaced, on the one that comes in its place.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::grants::{self, Grants, Kind, Owned};
use super::quote::ident;
use super::session::Session;
use crate::Result;

/// A thing in a schema.
#[derive(Deserialize)]
struct Thing {
    #[serde(flatten)]
    owned: Owned,
    /// The privileges, in full where they are the kind's default.
    full: Vec<String>,
    /// Its columns.
    names: Vec<String>,
    /// Who has privileges, as SQL names them.
    grantees: Vec<String>,
    /// What SQL calls it; of an owner of its own.
    place: String,
    is_linked: bool,
}

/// What can have privileges: what an extension or a type brought can't be the app's to give.
const THINGS: &str = "SELECT t.kind, t.name, t.arguments, pg_get_userbyid(t.owner) AS owner, t.acl::text[] AS privileges, t.place, t.is_linked, \
     coalesce(t.acl, acldefault(t.letter, t.owner))::text[] AS full, \
     coalesce((SELECT json_agg(json_build_object('name', a.attname, 'privileges', a.attacl::text[]) ORDER BY a.attnum) FROM pg_attribute a \
     WHERE t.kind = 'table' AND a.attrelid = t.id AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL), '[]') AS columns, \
     coalesce((SELECT json_agg(a.attname) FROM pg_attribute a WHERE t.kind = 'table' AND a.attrelid = t.id AND a.attnum > 0 AND NOT a.attisdropped), '[]') AS names, \
     coalesce((SELECT json_agg(DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END) FROM aclexplode(t.acl) x), '[]') AS grantees \
     FROM pg_namespace n CROSS JOIN LATERAL ( \
     SELECT 'schema' AS kind, '' AS name, '' AS arguments, n.nspowner AS owner, n.nspacl AS acl, 'n'::\"char\" AS letter, n.oid AS id, 2615 AS class, \
     quote_ident(n.nspname) AS place, false AS is_linked \
     UNION ALL SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, c.relname, '', c.relowner, c.relacl, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", \
     c.oid, 1259, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind = 'S' AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 1259 \
     AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND d.refclassid = 1259) \
     FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
     UNION ALL SELECT 'type', t.typname, '', t.typowner, t.typacl, 'T'::\"char\", t.oid, 1247, quote_ident(n.nspname) || '.' || quote_ident(t.typname), false \
     FROM pg_type t WHERE t.typnamespace = n.oid AND (t.typtype IN ('d', 'e', 'r') \
     OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')) \
     UNION ALL SELECT 'routine', p.proname, replace(pg_get_function_identity_arguments(p.oid), quote_ident(n.nspname) || '.', ''), p.proowner, p.proacl, \
     'f'::\"char\", p.oid, 1255, p.oid::regprocedure::text, false FROM pg_proc p WHERE p.pronamespace = n.oid) t \
     WHERE n.nspname = $1::text AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = t.class AND d.objid = t.id \
     AND (d.deptype = 'e' OR d.deptype = 'i' AND d.refclassid = 1247)) ORDER BY 1, 2, 3";

type Key = (Kind, String, String);

/// Gives what stands in `new` the owners and privileges that are in `old` under the same kind and name, the schema included, with its
/// default privileges. What `old` does not have goes to its schema's owner, where the login may give it.
///
/// # Errors
/// `Denied` where the login may not give something away.
pub(super) async fn keep(session: &mut Session, old: &str, new: &str) -> Result<()> {
    let defaults = grants::defaults(session, old).await?;
    let old = things(session, old).await?;
    let made = things(session, new).await?;
    let owner = schema_owner(&old);
    let may_give = may_give(session, &owner).await?;
    let mut owners = Vec::new();
    let mut schema = None;
    for (key, thing) in made {
        let kept = old.get(&key);
        match kept {
            Some(kept) if key.0 == Kind::Schema => schema = Some((kept, thing)),
            Some(kept) => {
                take_back(session, &thing).await?;
                owners.push(kept.on(&thing));
            }
            None if may_give && !thing.is_linked => owners.push(thing.owned.of_owner(&owner)),
            None => {}
        }
    }
    let things = Grants { comment: None, owners, defaults };
    let touched = give(session, new, &things).await?;
    let Some((kept, made)) = schema else { return Ok(()) };
    take_back(session, &made).await?;
    let schema = if touched { kept.said() } else { kept.on(&made) };
    grants::write(session, new, &Grants { comment: None, owners: vec![schema], defaults: Vec::new() }).await
}

/// Gives what stands in a schema away. Whoever gets a thing must be able to make one there, as long as that takes; says whether the
/// schema's privileges were touched for it.
async fn give(session: &mut Session, schema: &str, things: &Grants) -> Result<bool> {
    let owners: BTreeSet<_> = things.owners.iter().map(|owned| owned.owner.as_str()).collect();
    let lacking = may_not_make(session, schema, &owners).await?;
    if lacking.is_empty() {
        grants::write(session, schema, things).await?;
        return Ok(false);
    }
    let (place, roles) = (ident(schema), lacking.join(", "));
    session.run(&format!("GRANT CREATE ON SCHEMA {place} TO {roles}"), "letting owners have their things").await?;
    grants::write(session, schema, things).await?;
    session.run(&format!("REVOKE CREATE ON SCHEMA {place} FROM {roles}"), "taking back what owners needed").await?;
    Ok(true)
}

/// Which of these roles, as SQL names them, can make nothing in a schema. One that is not there is told of later.
async fn may_not_make(session: &mut Session, schema: &str, roles: &BTreeSet<&str>) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Role {
        name: String,
    }
    const LACKING: &str = "SELECT r.rolname AS name FROM pg_roles r JOIN json_array_elements_text($1::text::json -> 1) asked (name) \
         ON asked.name = r.rolname WHERE NOT has_schema_privilege(r.oid, $1::text::json ->> 0, 'CREATE') ORDER BY 1";
    let parameter = serde_json::json!([schema, roles]).to_string();
    let found: Vec<Role> = session.fetch(LACKING, &parameter, "looking who can have things").await?;
    Ok(found.iter().map(|role| ident(&role.name)).collect())
}

impl Thing {
    /// As it is to be on a thing that has been made.
    fn on(&self, made: &Self) -> Owned {
        // After whatever is granted by default to what the login makes, a default has to be said.
        let touched = made.owned.privileges.is_some();
        let privileges = if touched { Some(self.full.clone()) } else { self.owned.privileges.clone() };
        let columns = self.owned.columns.iter().filter(|column| made.names.contains(&column.name)).cloned();
        Owned { privileges, columns: columns.collect(), ..self.owned.clone() }
    }

    /// As it is, with privileges in full where they are the kind's default.
    fn said(&self) -> Owned {
        Owned { privileges: Some(self.full.clone()), ..self.owned.clone() }
    }
}

async fn things(session: &mut Session, schema: &str) -> Result<BTreeMap<Key, Thing>> {
    let things: Vec<Thing> = session.fetch(THINGS, schema, "reading owners and privileges").await?;
    let key = |thing: &Thing| (thing.owned.kind, thing.owned.name.clone(), thing.owned.arguments.clone());
    Ok(things.into_iter().map(|thing| (key(&thing), thing)).collect())
}

fn schema_owner(things: &BTreeMap<Key, Thing>) -> String {
    let schema = things.values().find(|thing| thing.owned.kind == Kind::Schema);
    schema.map(|thing| thing.owned.owner.clone()).unwrap_or_default()
}

async fn may_give(session: &mut Session, role: &str) -> Result<bool> {
    #[derive(Deserialize)]
    struct May {
        may: bool,
    }
    const MAY: &str =
        "SELECT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = $1::text AND pg_has_role(r.oid, 'MEMBER')) AS may";
    let May { may } = session.fetch_one(MAY, role, "looking whether a role can be given things").await?;
    Ok(may)
}

/// Takes away what the login's own default privileges granted.
async fn take_back(session: &mut Session, thing: &Thing) -> Result<()> {
    if thing.grantees.is_empty() {
        return Ok(());
    }
    let (kind, place) = (thing.owned.kind.as_sql(), &thing.place);
    let sql = format!("REVOKE ALL ON {kind} {place} FROM {} CASCADE", thing.grantees.join(", "));
    session.run(&sql, "taking back default privileges").await
}
