//! Stand-in until the real module comes.
use crate::Result;
pub(super) fn release(sql: &str, schema: &str) -> Result<String> {
    Ok(sql.replace(&format!("{schema}."), "coffer_schema.").replace(&format!("'{schema}'"), "'coffer_schema'"))
}
pub(super) fn names_schema(_sql: &str, _schema: &str) -> bool {
    false
}
pub(super) fn bind(sql: &str, target: &str) -> Result<String> {
    Ok(sql.replace("coffer_schema.", &format!("{target}.")).replace("'coffer_schema'", &format!("'{target}'")))
}

/// An archive's SQL.
pub(super) struct Statements { pub(super) before: Vec<String>, pub(super) after: Vec<String> }
impl Statements {
    pub(super) async fn read(_session: &mut super::session::Session, database: &super::PostgresDatabase, blueprint: &crate::Blueprint, _schema: &super::documents::Schema) -> Result<Self> {
        let target = super::quote::ident(&database.place.schema);
        let read = |bytes: &[u8]| -> Result<Vec<String>> {
            let text = std::str::from_utf8(bytes).map_err(|e| crate::Error::refused("sql", e.to_string()))?;
            pg_query::split_with_parser(text).map_err(|e| crate::Error::refused("sql", e.to_string()))?.into_iter().map(|s| bind(s, &target)).collect()
        };
        Ok(Self { before: read(&blueprint.pre_data)?, after: read(&blueprint.post_data)? })
    }
}
