//! Sources in PostgreSQL: what stands where, what contradicts, how long names may be, and that no password is ever shown.

use super::*;
use crate::config::password::{PasswordSettings, PasswordSource, Secret};
use crate::pipeline::App;

/// A configuration of one source of these lines, with these variables.
fn with(lines: &str, variables: &[(&str, &str)]) -> (tempfile::TempDir, Result<Config>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("coffer.toml");
    std::fs::write(&file, format!("[[source]]\nname = \"crm\"\n{lines}\n")).unwrap();
    let environment =
        |name: &str| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    let config =
        ConfigFile::read(&file).and_then(|parsed| Config::assemble(Some(&file), folder.path(), parsed, environment));
    (folder, config)
}

fn pattern(config: &Config) -> &PostgresPattern {
    let DatabasePattern::Postgres(pattern) = &config.sources[0].database else { panic!("another engine") };
    pattern
}

fn name(name: &str) -> Name {
    name.parse().unwrap()
}

#[test]
fn an_app_is_where_the_pattern_says() {
    for (lines, app, [address, schema, import]) in [
        (
            "database = \"postgres://coffer@db/crm\"\nschema = \"tenant_{app}\"\nimport_database = \"postgres://app_{app}@db/crm\"",
            "acme",
            ["postgres://coffer@db:5432/crm", "tenant_acme", "postgres://app_acme@db:5432/crm"],
        ),
        (
            "database = \"postgresql://coffer@db:5433/crm_{app}?sslmode=verify-full\"",
            "a.b-c",
            ["postgres://coffer@db:5433/crm_a.b-c", "public", ""],
        ),
        (
            "database = \"postgres://{app}@db/{app}_x\"\nschema = \"own\"\nimport_database = \"postgres://i@db/{app}_x\"",
            "A",
            ["postgres://A@db:5432/A_x", "own", "postgres://i@db:5432/A_x"],
        ),
        ("database = \"postgres://coffer@db/crm\"", "crm", ["postgres://coffer@db:5432/crm", "public", ""]),
        (
            "database = \"postgres://coffer@db/?user=other&dbname=x_{app}\"",
            "acme",
            ["postgres://other@db:5432/x_acme", "public", ""],
        ),
    ] {
        let config = with(lines, &[]).1.unwrap();
        let place = pattern(&config).fill_for_import(&name(app)).unwrap();
        let found = place.import_address.map_or_else(String::new, |import| import.to_string());
        assert_eq!([place.address.to_string(), place.schema, found], [address, schema, import]);
    }
}

#[test]
fn what_contradicts_is_named_and_no_password_repeated() {
    let url = "database = \"postgres://c:geheim1@db/crm\"\n";
    let with_schema = |rest: &str| format!("{url}schema = \"t_{{app}}\"\n{rest}");
    for (lines, told) in [
        ("database = \"sqlite:x\"\nschema = \"t\"".into(), "schema is for"),
        ("database = \"sqlite:x\"\nimport_database = \"postgres://geheim1@db/x\"".into(), "import_database is for"),
        ("database = \"sqlite:x\"\ndatabase_password_file = \"p\"".into(), "database_password_file is for"),
        ("database = \"postgres://c:geheim1@db/crm_{app}\"\nschema = \"t_{app}\"".into(), "one or the other"),
        (format!("{url}import_database = \"postgres://{{app}}:geheim1@db/crm\""), "one place"),
        ("database = \"postgres://{app}:geheim1@db/crm\"".into(), "one place"),
        ("database = \"postgres://c:geheim1{app}@db/crm\"\nschema = \"{app}\"".into(), "names of the login"),
        ("database = \"postgres://c:geheim1@{app}/crm\"\nschema = \"{app}\"".into(), "names of the login"),
        ("database = \"postgres://c:geheim1@db/crm?sslcert={app}\"\nschema = \"{app}\"".into(), "names of the login"),
        ("database = \"postgres://{app}:geheim1@db\"".into(), "names of the login"),
        ("database = \"postgres://c@db/crm?passwort=geheim1\"".into(), "passwort"),
        ("database = \"postgres://c:12#geheim1@db/crm\"".into(), "%23"),
        ("database = \"postgres://c@db/crm#geheim1\"".into(), "%23"),
        ("database = \"postgres://c:12?geheim1@db/crm\"".into(), "%3F"),
        ("database = \"postgres://c:12/geheim1@db/crm\"".into(), "%2F"),
        ("database = \"postgres://c:geheim1@db:port/crm\"".into(), "database: "),
        ("database = \"postgres://c:geheim1@db/crm?sslmode=perhaps\"".into(), "database: "),
        (with_schema("import_database = \"sqlite:geheim1\""), "import_database: "),
        (with_schema("import_database = \"postgres://i_{app}:geheim1@db/other\""), "one database"),
        (with_schema("import_database = \"postgres://c:geheim1@db/crm\""), "login \"c\""),
        (with_schema("database_password_file = \"p\""), "keep the latter"),
        (with_schema("import_database_password_file = \"p\""), "without import_database"),
        ("database = \"postgres://c@db/crm\"\nschema = \"\"".into(), "empty"),
        ("database = \"postgres://c@db/crm\"\nschema = \"pg_{app}\"".into(), "pg_"),
        ("database = \"postgres://c@db/crm\"\nschema = \"coffer_{app}\"".into(), "coffer_"),
        (
            "database = \"postgres://c@db/crm\"\nschema = \"t_{app}\"\ndatabase_password_file = \"{app}.p\"".into(),
            "password",
        ),
        (
            "database = \"postgres://c@db/crm\"\nimport_database = \"postgres://i@db/crm\"\n\
             import_database_password_file = \"{app}.p\""
                .into(),
            "password",
        ),
        (format!("{url}objects = \"file:x/{{app}}\""), "objects"),
        (with_schema("objects = \"file:x\""), "schema"),
        (with_schema("shema = \"x\""), "shema"),
    ] {
        let lines: String = lines;
        let error = with(&lines, &[]).1.expect_err(&lines);
        assert_eq!(error.outcome().exit(), 2, "{error}");
        let message = error.to_string();
        assert!(message.contains(told) && !message.contains("geheim1"), "{lines}\n{message}");
    }
}

#[test]
fn names_are_held_to_what_postgresql_keeps() {
    let per_schema = "database = \"postgres://c@db/crm\"\nschema = \"tenant_{app}\"";
    let per_database = "database = \"postgres://c@db/crm_{app}\"";
    let per_login =
        "database = \"postgres://c@db/crm\"\nschema = \"{app}\"\nimport_database = \"postgres://import_{app}@db/crm\"";
    for (lines, fits, told) in [
        (per_schema, 56, "schema \"tenant_{app}\""),
        (per_database, 59, "the name of database \"crm_{app}\""),
        (per_login, 56, "the login of import_database \"import_{app}\""),
    ] {
        let config = with(lines, &[]).1.unwrap();
        pattern(&config).fill_for_import(&name(&"x".repeat(fits))).unwrap();
        let error = pattern(&config).fill_for_import(&name(&"x".repeat(fits + 1))).unwrap_err();
        assert_eq!(error.outcome().exit(), 2, "{error}");
        assert!(error.to_string().contains(told) && error.to_string().contains("64 bytes"), "{error}");
    }
    let long = format!("database = \"postgres://c@db/crm\"\nschema = \"{}\"", "é".repeat(32));
    assert!(with(&long, &[]).1.unwrap_err().to_string().contains("64 bytes"));
}

#[test]
fn what_is_the_engines_or_ours_is_no_app() {
    let config = with("database = \"postgres://c@db/crm\"\nschema = \"{app}\"", &[]).1.unwrap();
    for app in ["pg_catalog", "pg_temp_3", "information_schema"] {
        assert_eq!(pattern(&config).fill(&name(app)).unwrap_err().outcome().exit(), 10, "{app}");
    }
    let config = with("database = \"postgres://c@db/crm\"\nschema = \"c{app}\"", &[]).1.unwrap();
    assert!(pattern(&config).fill(&name("offer_staging")).is_err());
    let config = with("database = \"postgres://c@db/{app}\"", &[]).1.unwrap();
    assert!(pattern(&config).fill(&name("template1")).is_err());
    // An app whose name would end an escape sequence is in no other place than its name says.
    let config = with("database = \"postgres://c@db/x%4{app}\"", &[]).1.unwrap();
    assert!(pattern(&config).fill(&name("1")).unwrap_err().to_string().contains('%'));
}

#[test]
fn no_password_is_ever_shown() {
    let lines = "database = \"postgres://c:geheim1@db/crm?application_name=x\"\nschema = \"t_{app}\"\n\
                 import_database = \"postgres://i@db/crm?password=geheim2\"";
    let config = with(lines, &[]).1.unwrap();
    let told = pattern(&config);
    let place = told.fill_for_import(&name("a")).unwrap();
    let shown = format!(
        "{config:?} {config:#?} {place:?} {} {:?} {:?} {:?} {}",
        told.database(),
        told.import_database(),
        told.passwords(),
        told.warnings(),
        config.sources[0].database.masked()
    );
    assert!(!shown.contains("geheim"), "{shown}");
    assert_eq!(told.database(), "postgres://c@db:5432/crm");
    assert_eq!(told.import_database(), Some("postgres://i@db:5432/crm"));
    assert_eq!(told.warnings().iter().filter(|warning| warning.contains("_password_file")).count(), 2);

    let variables =
        [("COFFER_SOURCE_CRM_DATABASE_PASSWORD", "geheim3"), ("COFFER_SOURCE_CRM_IMPORT_DATABASE_PASSWORD", "geheim4")];
    let lines = "database = \"postgres://c@db/crm\"\nschema = \"t_{app}\"\nimport_database = \"postgres://i@db/crm\"";
    let config = with(lines, &variables).1.unwrap();
    let place = pattern(&config).fill_for_import(&name("a")).unwrap();
    let shown = format!("{config:?} {place:?} {:?}", pattern(&config).passwords());
    assert!(!shown.contains("geheim"), "{shown}");
    assert_eq!(pattern(&config).passwords().0, "COFFER_SOURCE_CRM_DATABASE_PASSWORD");
    assert!(pattern(&config).warnings().is_empty());
}

#[test]
fn a_password_comes_from_the_environment_then_a_file_then_the_url() {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in [("plain", "p1\nmore\n"), ("acme.p", "p2"), ("set", "p3\r\n"), ("empty", "\n")] {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    let read = |variables: &[(&str, &str)], file: Option<&str>, in_url: bool| -> Result<Option<String>> {
        let environment =
            |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        let source = PasswordSource::find(PasswordSettings {
            variable: "P".into(),
            file_key: "key",
            file: file.map(str::to_owned),
            in_url,
            base: folder.path(),
            environment: &environment,
        })?;
        Ok(source.read(Some(&name("acme")))?.map(|password| Secret::reveal(&password).to_owned()))
    };
    assert_eq!(read(&[("P", "p0")], Some("plain"), true).unwrap().unwrap(), "p0");
    assert_eq!(read(&[("P_FILE", "set")], Some("plain"), false).unwrap().unwrap(), "p3");
    assert_eq!(read(&[], Some("plain"), false).unwrap().unwrap(), "p1");
    assert_eq!(read(&[], Some("{app}.p"), false).unwrap().unwrap(), "p2");
    assert_eq!(read(&[], None, true).unwrap(), None);
    assert_eq!(read(&[], None, false).unwrap(), None);
    for (variables, file, in_url, told) in [
        (&[("P", "x"), ("P_FILE", "plain")][..], None, false, "both set"),
        (&[], Some("plain"), true, "keep the latter"),
        (&[], Some("gone"), false, "gone"),
        (&[], Some("empty"), false, "empty"),
    ] {
        let error = read(variables, file, in_url).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn whoever_exports_need_not_have_the_password_for_imports() {
    let lines = "database = \"postgres://c@db/crm\"\nschema = \"{app}\"\nimport_database = \"postgres://i_{app}@db/crm\"\n\
                 import_database_password_file = \"{app}.p\"";
    let (folder, config) = with(lines, &[]);
    let config = config.unwrap();
    assert!(pattern(&config).fill(&name("a")).unwrap().import_address.is_none());
    let error = pattern(&config).fill_for_import(&name("a")).unwrap_err().to_string();
    assert!(error.contains("a.p") && error.contains("i_{app}@db"), "{error}");
    std::fs::write(folder.path().join("a.p"), "geheim1").unwrap();
    let import = pattern(&config).fill_for_import(&name("a")).unwrap().import_address.unwrap();
    assert_eq!(import.to_string(), "postgres://i_a@db:5432/crm");
}

#[test]
fn two_sources_do_not_take_one_variable() {
    let lines = "database = \"postgres://c@db/crm\"\n[[source]]\nname = \"c-1\"\ndatabase = \"postgres://c@db/a\"\n\
                 [[source]]\nname = \"C.1\"\ndatabase = \"postgres://c@db/b\"";
    assert!(with(lines, &[]).1.is_ok());
    let error = with(lines, &[("COFFER_SOURCE_C_1_DATABASE_PASSWORD_FILE", "x")]).1.unwrap_err().to_string();
    assert!(error.contains("COFFER_SOURCE_C_1_DATABASE_PASSWORD_FILE"), "{error}");
}

#[tokio::test]
async fn apps_that_nobody_can_list_are_told() {
    let lines = "database = \"postgres://{app}:geheim1@db/crm\"\nschema = \"{app}\"";
    let listing = with(lines, &[]).1.unwrap().apps().await.unwrap();
    assert!(listing.apps.is_empty());
    assert!(listing.unlisted[0].contains("source crm") && !listing.unlisted[0].contains("geheim1"), "{listing:?}");
}

#[test]
fn an_option_for_postgresql_is_refused_for_sqlite() {
    let config = load(SOURCE).1.unwrap();
    let none = coffer_storage::PostgresOptions::default();
    let of = |options| App::of(&config.sources[0], &name("a"), options);
    assert!(of(none).is_ok());
    for (options, told) in [
        (coffer_storage::PostgresOptions { skip_unsupported: true, ..none }, "--skip-unsupported"),
        (coffer_storage::PostgresOptions { allow_code: true, ..none }, "--allow-code"),
        (coffer_storage::PostgresOptions { rewrite_bodies: true, ..none }, "--rewrite-bodies"),
        (coffer_storage::PostgresOptions { grants: true, ..none }, "--grants"),
    ] {
        let Err(error) = of(options) else { panic!("{told} was taken") };
        assert!(error.outcome().exit() == 2 && error.to_string().contains(told), "{error}");
    }
}
