//! Archives whose documents and rows name what is not the app's.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Arena, Rights};

#[test]
fn documents_that_name_what_is_not_the_apps_are_refused() -> Result<()> {
    for rights in [Rights::Service, Rights::App] {
        let arena = Arena::new("documents", rights)?;
        let honest = || arena.honest.clone();
        let mut archives = Vec::new();
        for name in [
            "numbers",
            "tenant_victim.numbers",
            "tenant_victim\".\"numbers",
            "counter\"; DROP TABLE x; --",
            "counter'",
            "",
        ] {
            let sequence = json!({"name": name, "value": 99, "called": true});
            let added = honest().sequences(|document| push(document, "sequences", sequence.clone()))?;
            let renamed = honest().sequences(|document| {
                *document.pointer_mut("/sequences/0/name").context("no sequence")? = name.into();
                Ok(())
            })?;
            archives.extend([(format!("sequence {name} more"), added), (format!("sequence {name} instead"), renamed)]);
        }
        for value in [json!("99); DROP TABLE tenant_victim.secrets; --"), json!(1.5), json!(null), json!(u64::MAX)] {
            let changed = honest().sequences(|document| {
                *document.pointer_mut("/sequences/0/value").context("no sequence")? = value.clone();
                Ok(())
            })?;
            archives.push((format!("value {value}"), changed));
        }
        for table in [
            "secrets",
            "tenant_victim.secrets",
            "tenant_victim\".\"secrets",
            "notes\" (id) FROM STDIN; --",
            "pg_authid",
        ] {
            let told = json!({"name": table, "columns": [{"name": "id", "type": "integer", "not_null": true}], "primary_key": []});
            let named = honest().schema(|document| {
                push(document, "tables", told.clone())?;
                let tables = document.get_mut("tables").and_then(Value::as_array_mut).context("no tables")?;
                tables.sort_by_key(|table| table["name"].as_str().unwrap_or_default().to_owned());
                Ok(())
            })?;
            let mut with_rows = named.clone();
            with_rows.contents.rows.push((table.to_owned(), b"99\n".to_vec()));
            with_rows.contents.rows.sort();
            archives.extend([(format!("table {table}"), named), (format!("rows of {table}"), with_rows)]);
        }
        for column in ["ctid", "id\") FROM PROGRAM 'touch EVIL'; --", "title\", \"body", ""] {
            let changed = honest().schema(|document| {
                *document.pointer_mut("/tables/0/columns/0/name").context("no column")? = column.into();
                Ok(())
            })?;
            archives.push((format!("column {column}"), changed));
        }
        let mut rows = honest();
        rows.contents.rows.iter_mut().filter(|(table, _)| table == "notes").for_each(|(_, rows)| {
            rows.extend_from_slice(b"\\.\n");
            rows.extend_from_slice(b"DROP TABLE tenant_victim.secrets;\n");
        });
        archives.push(("an end of rows among them".into(), rows));
        for (what, archive) in archives {
            let answer = arena.send(archive, "").with_context(|| what.clone())?;
            answer.ensure_problem(422, &[]).with_context(|| format!("{rights:?}, {what}"))?;
        }
        arena.ensure_unharmed()?;
    }
    Ok(())
}

#[test]
fn extensions_that_an_archive_names_are_not_made() -> Result<()> {
    for rights in [Rights::Service, Rights::ServiceWithCode, Rights::App] {
        let arena = Arena::new("extensions", rights)?;
        for name in
            ["file_fdw", "dblink", "adminpack", "plperlu", "x\"; DROP TABLE tenant_victim.secrets; --", "", "plpgsql\0"]
        {
            let mut archive = arena.honest.clone();
            archive.contents.manifest.extensions = vec![name.to_owned()];
            let answer = arena.send(archive, "")?;
            ensure!(answer.status < 503, "{rights:?}, {name:?}: {answer:?}");
            arena.forget_two(&answer)?;
            arena.ensure_unharmed().with_context(|| format!("{rights:?}, {name:?}"))?;
        }
    }
    Ok(())
}

/// Owners and privileges as a stranger could write them.
fn hostile_grants() -> Vec<(&'static str, Value)> {
    let item = |name: &str, owner: &str| json!({"kind": "table", "name": name, "owner": owner});
    vec![
        ("a role that is none", item("notes", "nobody_here")),
        ("an owner with SQL", item("notes", "pg\"; ALTER ROLE app_two SUPERUSER; --")),
        ("another tenant's table", item("secrets", "app_two")),
        ("another tenant's table by its schema", item("tenant_victim.secrets", "app_two")),
        ("another tenant's table by quotes", item("tenant_victim\".\"secrets", "app_two")),
        ("a table with SQL", item("notes\" OWNER TO pg; DROP TABLE tenant_victim.secrets; --", "app_two")),
        ("a kind that is none", json!({"kind": "database", "name": "postgres", "owner": "app_two"})),
        (
            "a kind with SQL",
            json!({"kind": "TABLE tenant_victim.secrets OWNER TO app_two; --", "name": "notes", "owner": "pg"}),
        ),
        ("a function that is none", json!({"kind": "routine", "name": "f", "arguments": "", "owner": "app_two"})),
        (
            "arguments with SQL",
            json!({"kind": "routine", "name": "f", "arguments": ") OWNER TO pg; DROP TABLE tenant_victim.secrets; --", "owner": "pg"}),
        ),
        ("a type that is none", json!({"kind": "type", "name": "mood", "owner": "app_two"})),
        ("privileges that are none", privileges(&["app_two=Z/pg"])),
        ("privileges with SQL", privileges(&["app_two=r/pg; DROP TABLE tenant_victim.secrets"])),
        ("a grantee with SQL", privileges(&["\"pg\"\"; DROP TABLE tenant_victim.secrets; --\"=r/pg"])),
        ("a grantee without end", privileges(&["\"pg=r/pg"])),
        ("privileges that tables have not", privileges(&["app_two=X/pg"])),
        ("no text", json!({"kind": "table", "name": "notes", "owner": 1})),
        (
            "a column with SQL",
            json!({"kind": "table", "name": "notes", "owner": "pg",
                "columns": [{"name": "id) ON tenant_victim.secrets TO app_two; --", "privileges": ["app_two=r/pg"]}]}),
        ),
    ]
}

fn privileges(items: &[&str]) -> Value {
    json!({"kind": "table", "name": "notes", "owner": "pg", "privileges": items})
}

#[test]
fn grants_that_name_what_is_not_the_apps_are_refused() -> Result<()> {
    for rights in [Rights::Service, Rights::App] {
        let arena = Arena::new("grants", rights)?;
        for (what, grant) in hostile_grants() {
            let archive = arena.honest.clone().sequences(|document| {
                let owners =
                    document.pointer_mut("/schema/owners").and_then(Value::as_array_mut).context("no owners")?;
                owners.push(grant.clone());
                if rights == Rights::App {
                    // Those that are the honest app's belong to the service.
                    owners.retain(|owned| *owned == grant);
                }
                Ok(())
            })?;
            let answer = arena.send(archive.clone(), "grants=true")?;
            // What follows the grantor is not looked at, and reaches no statement.
            let is_harmless = what == "privileges with SQL" && answer.status == 200;
            ensure!(is_harmless || [422, 502].contains(&answer.status), "{rights:?}, {what}: {answer:?}");
            arena.forget_two(&answer)?;
        }
        arena.ensure_unharmed()?;
    }
    // The app's login can give nothing to somebody with more rights.
    let arena = Arena::new("given", Rights::App)?;
    let function = "CREATE FUNCTION S.evil() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1';";
    for owned in [
        json!({"kind": "routine", "name": "evil", "owner": "pg"}),
        json!({"kind": "schema", "name": "", "owner": "pg"}),
    ] {
        let archive = arena.with(function)?.sequences(|document| {
            *document.pointer_mut("/schema/owners").context("no owners")? = json!([owned.clone()]);
            Ok(())
        })?;
        let answer = arena.send(archive, "grants=true")?;
        ensure!([422, 502].contains(&answer.status), "{owned}: {answer:?}");
    }
    arena.ensure_unharmed()
}

fn push(document: &mut Value, list: &str, item: Value) -> Result<()> {
    document.get_mut(list).and_then(Value::as_array_mut).context("no such list")?.push(item);
    Ok(())
}
