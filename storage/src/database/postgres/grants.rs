//! Owners and privileges: recorded with every export, restored where that is asked for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::catalog::{Catalog, class};
use super::draw::Drawn;
use super::quote::{ident, literal};
use super::session::Session;
use crate::{Error, Result};

/// What `sequences.json` says of the schema beside its sequences. None of it is part of the structure: two apps of one shape
/// may differ in it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Grants {
    /// The comment on the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
    /// Each thing's owner and privileges, in the order of kind and name.
    #[serde(default)]
    pub(super) owners: Vec<Owned>,
    /// What is granted on things that are yet to be made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) defaults: Vec<DefaultPrivileges>,
}

/// Privileges on what a role will make in the schema.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DefaultPrivileges {
    pub(super) role: String,
    /// `pg_default_acl.defaclobjtype`.
    pub(super) on: String,
    pub(super) privileges: Vec<String>,
}

/// A thing with an owner, in the schema or the schema itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Owned {
    pub(super) kind: Kind,
    /// Empty for the schema.
    pub(super) name: String,
    /// What tells a function from others of its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) arguments: String,
    pub(super) owner: String,
    /// As PostgreSQL writes them, `grantee=rw*/grantor`; none for the kind's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) privileges: Option<Vec<String>>,
    /// Those of columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) columns: Vec<OwnedColumn>,
}

/// A column with privileges of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OwnedColumn {
    pub(super) name: String,
    pub(super) privileges: Vec<String>,
}

/// What a privilege can be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Schema,
    Table,
    Sequence,
    Type,
    Routine,
}

impl Kind {
    /// The word of SQL.
    pub(super) const fn as_sql(self) -> &'static str {
        match self {
            Self::Schema => "SCHEMA",
            Self::Table => "TABLE",
            Self::Sequence => "SEQUENCE",
            Self::Type => "TYPE",
            Self::Routine => "ROUTINE",
        }
    }
}

impl Grants {
    /// Reads the schema's own part, and takes the rest from what has been read.
    pub(super) async fn read(session: &mut Session, catalog: &Catalog, drawn: &Drawn) -> Result<Self> {
        #[derive(Deserialize)]
        struct Found {
            owner: String,
            acl: Option<Vec<String>>,
            comment: Option<String>,
        }
        const SCHEMA: &str = "SELECT pg_get_userbyid(nspowner) AS owner, nspacl::text[] AS acl, \
             obj_description(oid, 'pg_namespace') AS comment FROM pg_namespace WHERE oid = $1::text::oid";
        let found: Found =
            session.fetch_one(SCHEMA, &catalog.schema_id.to_string(), "reading a schema's owner").await?;
        let schema = Owned::new(Kind::Schema, "", &found.owner, &found.acl);
        let defaults = defaults(session, &catalog.schema).await?;
        let mut owners: Vec<_> =
            std::iter::once(schema).chain(relations(catalog, drawn)).chain(others(catalog, drawn)).collect();
        owners.sort_by(|one, other| {
            (one.kind, &one.name, &one.arguments).cmp(&(other.kind, &other.name, &other.arguments))
        });
        Ok(Self { comment: found.comment, owners, defaults })
    }
}

/// What is granted on things that are yet to be made in a schema.
pub(super) async fn defaults(session: &mut Session, schema: &str) -> Result<Vec<DefaultPrivileges>> {
    const DEFAULTS: &str = "SELECT pg_get_userbyid(d.defaclrole) AS role, d.defaclobjtype AS on, d.defaclacl::text[] AS privileges \
         FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace WHERE n.nspname = $1::text ORDER BY 1, 2";
    session.fetch(DEFAULTS, schema, "reading default privileges").await
}

impl Owned {
    /// The thing with another owner, and the privileges that it has.
    pub(super) fn of_owner(self, owner: &str) -> Self {
        Self { owner: owner.to_owned(), privileges: None, columns: Vec::new(), ..self }
    }

    fn new(kind: Kind, name: &str, owner: &str, acl: &Option<Vec<String>>) -> Self {
        let (name, owner) = (name.to_owned(), owner.to_owned());
        Self { kind, name, arguments: String::new(), owner, privileges: acl.clone(), columns: Vec::new() }
    }
}

fn relations<'a>(catalog: &'a Catalog, drawn: &'a Drawn) -> impl Iterator<Item = Owned> + 'a {
    let carried = catalog.relations.iter().filter(|relation| drawn.carries(class::CLASS, relation.id));
    carried.map(|relation| {
        let kind = if relation.kind == "S" { Kind::Sequence } else { Kind::Table };
        let columns = catalog.columns.get(&relation.id).into_iter().flatten();
        let columns = columns
            .filter_map(|column| Some(OwnedColumn { name: column.name.clone(), privileges: column.acl.clone()? }));
        Owned { columns: columns.collect(), ..Owned::new(kind, &relation.name, &relation.owner, &relation.acl) }
    })
}

fn others<'a>(catalog: &'a Catalog, drawn: &'a Drawn) -> impl Iterator<Item = Owned> + 'a {
    let types = catalog.types.iter().filter(|entry| drawn.carries(class::TYPE, entry.id));
    let types = types.map(|entry| Owned::new(Kind::Type, &entry.name, &entry.owner, &entry.acl));
    let functions = catalog.functions.iter().filter(|function| drawn.carries(class::PROC, function.id));
    types.chain(functions.map(|function| {
        let arguments = catalog.text.arguments.get(&function.id).map(String::as_str).unwrap_or_default();
        let (quoted, plain) = (format!("{}.", ident(&catalog.schema)), format!("{}.", catalog.schema));
        let arguments = arguments.replace(&quoted, "").replace(&plain, "");
        Owned { arguments, ..Owned::new(Kind::Routine, &function.name, &function.owner, &function.acl) }
    }))
}

/// Puts the schema's comment back.
pub(super) async fn write_comment(session: &mut Session, schema: &str, grants: &Grants) -> Result<()> {
    let Some(comment) = &grants.comment else { return Ok(()) };
    let sql = format!("COMMENT ON SCHEMA {} IS {}", ident(schema), literal(comment));
    session.run(&sql, "putting the schema's comment back").await
}

/// Gives everything back to its owner, with its privileges. The names are looked up in the schema, so that nothing elsewhere can
/// be given away.
///
/// # Errors
/// `Refused` for what the schema does not hold or a role that is not there; `Denied` where the login may not give it away.
pub(super) async fn write(session: &mut Session, schema: &str, grants: &Grants) -> Result<()> {
    let roles = roles(session).await?;
    for owned in &grants.owners {
        let place = place(session, schema, owned).await?;
        let what = format!("restoring the privileges on {} {}", owned.kind.as_sql().to_lowercase(), place.place);
        for sql in statements(owned, &place, &roles)? {
            session.run(&sql, &what).await.map_err(|error| match error {
                Error::Postgres { what, why } => Error::Refused { what, why },
                error => error,
            })?;
        }
    }
    for default in &grants.defaults {
        let what = format!("restoring default privileges of role {:?}", default.role);
        for sql in default.statements(schema, &roles)? {
            session.run(&sql, &what).await?;
        }
    }
    Ok(())
}

impl DefaultPrivileges {
    fn statements(&self, schema: &str, roles: &BTreeSet<String>) -> Result<Vec<String>> {
        let kind = match self.on.as_str() {
            "r" => Kind::Table,
            "S" => Kind::Sequence,
            "f" => Kind::Routine,
            "T" => Kind::Type,
            other => {
                return Err(Error::refused(
                    format!("default privileges on {other:?}"),
                    "PostgreSQL has none on such things",
                ));
            }
        };
        let front =
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {}", role(&self.role, roles)?, ident(schema));
        let grants =
            self.privileges.iter().map(|item| grants(kind, "", item, "", roles)).collect::<Result<Vec<_>>>()?;
        // `GRANT … ON TABLE  TO …` of a thing becomes that of a kind.
        let plural = format!(" ON {}S ", kind.as_sql());
        let singular = format!(" ON {}  ", kind.as_sql());
        Ok(grants
            .into_iter()
            .flatten()
            .map(|grant| format!("{front} {}", grant.replacen(&singular, &plural, 1)))
            .collect())
    }
}

async fn roles(session: &mut Session) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Role {
        name: String,
    }
    let roles: Vec<Role> = session.fetch("SELECT rolname AS name FROM pg_roles", "", "listing roles").await?;
    Ok(roles.into_iter().map(|role| role.name).collect())
}

/// A thing as the server names it.
#[derive(Deserialize)]
struct Place {
    place: String,
    /// A sequence that goes with the table that owns it.
    #[serde(default)]
    is_linked: bool,
}

/// Looks for a thing in the schema.
async fn place(session: &mut Session, schema: &str, owned: &Owned) -> Result<Place> {
    if owned.kind == Kind::Schema {
        return Ok(Place { place: ident(schema), is_linked: false });
    }
    let query = match owned.kind {
        Kind::Routine => {
            "SELECT p.oid::regprocedure::text AS place FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
             WHERE n.nspname = $1::text::json ->> 0 AND p.proname = $1::text::json ->> 1 \
             AND replace(pg_get_function_identity_arguments(p.oid), quote_ident(n.nspname) || '.', '') = $1::text::json ->> 2"
        }
        Kind::Type => {
            "SELECT quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS place FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace \
             WHERE n.nspname = $1::text::json ->> 0 AND t.typname = $1::text::json ->> 1"
        }
        _ => {
            "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS place, \
             EXISTS (SELECT FROM pg_depend d WHERE d.classid = 1259 AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND d.refclassid = 1259 \
             AND c.relkind = 'S') AS is_linked FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1::text::json ->> 0 AND c.relname = $1::text::json ->> 1"
        }
    };
    let parameter = serde_json::json!([schema, owned.name, owned.arguments]).to_string();
    let found: Vec<Place> = session.fetch(query, &parameter, "looking for what privileges are on").await?;
    let name = || format!("{} {:?} of sequences.json", owned.kind.as_sql().to_lowercase(), owned.name);
    found.into_iter().next().ok_or_else(|| Error::refused(name(), "the structure does not hold it"))
}

fn statements(owned: &Owned, found: &Place, roles: &BTreeSet<String>) -> Result<Vec<String>> {
    let (kind, place) = (owned.kind.as_sql(), found.place.as_str());
    let owner = role(&owned.owner, roles)?;
    let mut statements = Vec::new();
    if !found.is_linked {
        statements.push(format!("ALTER {kind} {place} OWNER TO {owner}"));
    }
    if let Some(privileges) = &owned.privileges {
        statements.push(format!("REVOKE ALL ON {kind} {place} FROM PUBLIC, {owner}"));
        for item in privileges {
            statements.extend(grants(owned.kind, "", item, place, roles)?);
        }
    }
    for column in &owned.columns {
        for item in &column.privileges {
            statements.extend(grants(owned.kind, &format!(" ({})", ident(&column.name)), item, place, roles)?);
        }
    }
    Ok(statements)
}

/// `GRANT`s of one item, those that may be passed on apart.
fn grants(kind: Kind, columns: &str, item: &str, place: &str, roles: &BTreeSet<String>) -> Result<Vec<String>> {
    let refused = || Error::refused(format!("privilege {item:?}"), "it is not one that PostgreSQL would have written");
    let (grantee, rest) = parse_name(item).ok_or_else(refused)?;
    let (letters, grantor) = rest.strip_prefix('=').and_then(|rest| rest.split_once('/')).ok_or_else(refused)?;
    role(&whole_name(grantor).ok_or_else(refused)?, roles)?;
    let grantee = if grantee.is_empty() { "PUBLIC".to_owned() } else { role(&grantee, roles)? };
    let (mut plain, mut passing) = (Vec::new(), Vec::new());
    let mut letters = letters.chars().peekable();
    while let Some(letter) = letters.next() {
        let privilege = format!("{}{columns}", privilege(letter).ok_or_else(refused)?);
        if letters.next_if_eq(&'*').is_some() { passing.push(privilege) } else { plain.push(privilege) }
    }
    let statement = |privileges: &[String], tail: &str| {
        format!("GRANT {} ON {} {place} TO {grantee}{tail}", privileges.join(", "), kind.as_sql())
    };
    let plain = (!plain.is_empty()).then(|| statement(&plain, ""));
    let passing = (!passing.is_empty()).then(|| statement(&passing, " WITH GRANT OPTION"));
    Ok(plain.into_iter().chain(passing).collect())
}

/// A name of PostgreSQL's own writing, in quotes where it is odd, and what follows it.
fn parse_name(item: &str) -> Option<(String, &str)> {
    let Some(quoted) = item.strip_prefix('"') else {
        let end = item.find('=')?;
        return Some((item.get(..end)?.to_owned(), item.get(end..)?));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"')?;
        name.push_str(rest.get(..end)?);
        rest = rest.get(end + 1..)?;
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}

/// A name of PostgreSQL's own writing with nothing after it.
fn whole_name(text: &str) -> Option<String> {
    let text = format!("{text}=");
    let (name, rest) = parse_name(&text)?;
    (rest == "=").then_some(name)
}

fn role(name: &str, roles: &BTreeSet<String>) -> Result<String> {
    match roles.contains(name) {
        true => Ok(ident(name)),
        false => Err(Error::refused(
            format!("the privileges of role {name:?}"),
            "there is no such role: make it, or restore without --grants",
        )),
    }
}

const fn privilege(letter: char) -> Option<&'static str> {
    Some(match letter {
        'r' => "SELECT",
        'a' => "INSERT",
        'w' => "UPDATE",
        'd' => "DELETE",
        'D' => "TRUNCATE",
        'x' => "REFERENCES",
        't' => "TRIGGER",
        'm' => "MAINTAIN",
        'X' => "EXECUTE",
        'U' => "USAGE",
        'C' => "CREATE",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_become_statements() {
        let roles = BTreeSet::from(["bob".to_owned(), "odd \"role".to_owned(), "me".to_owned()]);
        let made = |item: &str| grants(Kind::Table, "", item, "s.t", &roles);
        assert_eq!(
            made("bob=r*w/me").unwrap(),
            ["GRANT UPDATE ON TABLE s.t TO \"bob\"", "GRANT SELECT ON TABLE s.t TO \"bob\" WITH GRANT OPTION"]
        );
        assert_eq!(made("=r/me").unwrap(), ["GRANT SELECT ON TABLE s.t TO PUBLIC"]);
        assert_eq!(made("\"odd \"\"role\"=a/me").unwrap(), ["GRANT INSERT ON TABLE s.t TO \"odd \"\"role\""]);
        for bad in [
            "",
            "bob",
            "bob=",
            "bob=r",
            "bob=q/me",
            "eve=r/me",
            "\"bob=r/me",
            "bob=r/me; DROP TABLE x",
            "bob=r/",
            "bob=r/\"me\"x",
        ] {
            assert!(made(bad).is_err(), "{bad}");
        }
    }
}
