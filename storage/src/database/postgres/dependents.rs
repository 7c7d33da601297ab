//! What outside of a schema depends on something inside: it would go on to mean what was replaced, or go with it.

use serde::Deserialize;

use super::quote::ident;
use super::session::Session;
use crate::{Error, Result};

/// How many are named in a message.
const SHOWN: usize = 20;

/// All that stands in a schema: what is in its namespace, and what came with that or is a part of it. Of these, whatever has another
/// schema or is also a part of something else is somebody else's: a publication's table, a partition elsewhere. So are whatever else
/// depends on them, parents in an inheritance, and subscriptions (which pg_depend does not know). Triggers that PostgreSQL made for a
/// foreign key are no news beside the key. An extension is named for itself: it may have things that nothing leads to.
const DEPENDENTS: &str = "WITH RECURSIVE own (class, id) AS ( \
     SELECT d.classid, d.objid FROM pg_depend d WHERE d.refclassid = 2615 AND d.refobjid = $1::text::oid AND d.deptype IN ('n', 'a') \
     UNION SELECT d.classid, d.objid FROM own JOIN pg_depend d ON d.refclassid = own.class AND d.refobjid = own.id AND d.deptype IN ('a', 'i', 'P', 'S')), \
     astray (class, id) AS (SELECT own.class, own.id FROM own JOIN pg_depend d ON d.classid = own.class AND d.objid = own.id \
     WHERE (d.refclassid = 2615 AND d.refobjid <> $1::text::oid AND d.deptype = 'n' \
     OR d.deptype IN ('a', 'i') AND (d.refclassid, d.refobjid) NOT IN (SELECT class, id FROM own UNION ALL SELECT 2615, $1::text::oid)) \
     AND NOT (own.class = 2620 AND EXISTS (SELECT FROM pg_trigger t WHERE t.oid = own.id AND t.tgisinternal))), \
     outside (class, id, part) AS (SELECT class, id, 0 FROM astray \
     UNION SELECT d.classid, d.objid, d.objsubid FROM own JOIN pg_depend d ON d.refclassid = own.class AND d.refobjid = own.id AND d.deptype <> 'e' \
     WHERE (d.classid, d.objid) NOT IN (SELECT class, id FROM own) \
     UNION SELECT 1259, i.inhparent, 0 FROM own JOIN pg_inherits i ON own.class = 1259 AND i.inhrelid = own.id \
     WHERE (1259::oid, i.inhparent) NOT IN (SELECT class, id FROM own) \
     UNION SELECT 3079, d.refobjid, 0 FROM own JOIN pg_depend d ON d.classid = own.class AND d.objid = own.id AND d.deptype = 'e' \
     UNION SELECT 3079, id, 0 FROM own WHERE class = 3079) \
     SELECT DISTINCT what FROM (SELECT CASE WHEN o.class = 2618 THEN (SELECT pg_describe_object(1259, w.ev_class, 0) FROM pg_rewrite w WHERE w.oid = o.id) \
     ELSE pg_describe_object(o.class, o.id, o.part) END AS what FROM outside o \
     UNION ALL SELECT 'table ' || s.srrelid::regclass || ' in subscription ' || quote_ident(u.subname) FROM own \
     JOIN pg_subscription_rel s ON own.class = 1259 AND s.srrelid = own.id JOIN pg_subscription u ON u.oid = s.srsubid) d \
     WHERE what IS NOT NULL ORDER BY what";

/// What outside of a schema, by its OID, depends on it.
async fn dependents(session: &mut Session, schema: u32) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Dependent {
        what: String,
    }
    let found: Vec<Dependent> =
        session.fetch(DEPENDENTS, &schema.to_string(), "looking for what depends on the schema").await?;
    Ok(found.into_iter().map(|dependent| dependent.what).collect())
}

/// Sees that nothing depends on a schema that is to be put aside, or dropped.
///
/// # Errors
/// `Refused` listing what does.
pub(super) async fn refuse(session: &mut Session, schema: &str, id: u32) -> Result<()> {
    let found = dependents(session, id).await?;
    if found.is_empty() {
        return Ok(());
    }
    let shown = found.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
    let more = match found.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let why = format!(
        "outside of it depend on it, and would stay with what is replaced or go with it: {shown}{more}. Drop these or take them out of it, and make \
         them again afterwards"
    );
    Err(Error::Refused { what: format!("schema {}", ident(schema)), why })
}
