//! Archives that would write into the catalog what no virtual table of ours is.

use super::*;

/// A row of the catalog, as a document has it, with a trailing statement that is good.
fn row(kind: &str, names: [&str; 2], root_page: &str, sql: &str) -> String {
    let [name, table_name] = names;
    let sql = sql.replace('\'', "''");
    format!(
        "PRAGMA writable_schema=ON;\nINSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('{kind}','{name}','{table_name}',{root_page},'{sql}');\n"
    )
}

const TABLE: &str = "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT);\n";
const SEARCH: &str = "CREATE VIRTUAL TABLE search USING fts5(a)";

struct Attack {
    bench: Bench,
    good: Blueprint,
    before: Vec<String>,
}

impl Attack {
    async fn new() -> Self {
        let bench = Bench::new();
        let from = bench.seeded(&format!("{}; {SEARCH};", with_settings("")));
        let good = SqliteDatabase::new(&from).dump().await.unwrap().blueprint().clone();
        let before = bench.traces();
        Self { bench, good, before }
    }

    /// Loads what is left of the good one, without rows; `schema.json` names the virtual tables.
    async fn load(&self, pre_data: String, virtual_tables: &str, post_data: &str) -> Result<()> {
        let schema = String::from_utf8(self.good.schema.to_vec()).unwrap();
        let (tables, sqlite) = (
            r#"{"tables":[{"name":"t","columns":[{"name":"a","type":"INTEGER","not_null":false},{"name":"b","type":"TEXT","not_null":false}],"primary_key":["a"],"rowid":null,"without_rowid":false,"strict":false}]"#,
            schema.split_once("\"sqlite\":").unwrap().1,
        );
        let schema = format!("{tables},\"virtual_tables\":[{virtual_tables}],\"sqlite\":{sqlite}");
        let blueprint = Blueprint {
            schema: schema.into(),
            pre_data: pre_data.into(),
            post_data: Bytes::copy_from_slice(post_data.as_bytes()),
            ..self.good.clone()
        };
        let mut load = SqliteDatabase::new(self.bench.fresh()).load(blueprint).await?;
        let outcome = load.finish(Bytes::from_static(b"{\"sequences\":[]}")).await;
        load.discard().await.unwrap();
        outcome?.discard().await
    }

    async fn refused(&self, pre_data: String, virtual_tables: &str, post_data: &str, why: &str) {
        let shown = format!("{pre_data} {post_data}");
        let error = self.load(pre_data, virtual_tables, post_data).await.err();
        let error = error.unwrap_or_else(|| panic!("taken: {shown}"));
        assert!(matches!(error, Error::Refused { .. }), "{shown}: {error:?}");
        assert!(error.to_string().contains(why), "{shown}: {error}");
        assert_eq!(self.bench.traces(), self.before, "{shown}");
    }
}

const LISTED: &str = r#"{"name":"search","module":"fts5"}"#;

#[tokio::test]
async fn only_rows_of_virtual_tables_are_taken() {
    let attack = Attack::new().await;
    let search = ["search"; 2];
    let good = row("table", search, "0", SEARCH);
    attack.load(format!("{TABLE}{good}"), LISTED, "").await.unwrap();
    attack.load(format!("{good}\n{TABLE}"), LISTED, "").await.unwrap();
    let one_row = "one virtual table's row at a time";
    let cases = [
        (row("index", search, "0", SEARCH), one_row),
        (row("trigger", search, "0", "CREATE TRIGGER search AFTER INSERT ON t BEGIN SELECT 1; END"), one_row),
        (row("view", search, "0", SEARCH), one_row),
        (row("TABLE", search, "0", SEARCH), one_row),
        (row("table", search, "1", SEARCH), one_row),
        (row("table", search, "2", SEARCH), one_row),
        (row("table", search, "NULL", SEARCH), one_row),
        (row("table", search, "'0'", SEARCH), one_row),
        (row("table", ["search", "t"], "0", SEARCH), one_row),
        (good.replace("');\n", "'),('table','u','u',0,'CREATE TABLE u (a)');\n"), one_row),
        (good.replace("');\n", "' || '');\n"), one_row),
        (good.replace("');\n", "') RETURNING (SELECT 1);\n"), one_row),
        (good.replace("INSERT INTO sqlite_schema", "INSERT INTO t"), one_row),
        (good.replace("INSERT", "REPLACE"), one_row),
        (good.replace("sqlite_schema", "sqlite_master"), one_row),
        ("PRAGMA writable_schema=ON;\nUPDATE sqlite_schema SET sql = 'x';\n".into(), one_row),
        ("PRAGMA writable_schema=ON;\n".into(), one_row),
        (good.replace("ON;", "ON ;"), "may not do this"),
        (good.split_once('\n').unwrap().1.into(), "refused statement"),
        (row("table", ["other"; 2], "0", SEARCH), "virtual table \"other\": its SQL makes table \"search\""),
        (row("table", ["SEARCH"; 2], "0", SEARCH), "virtual table \"SEARCH\": its SQL makes"),
        (
            row("table", search, "0", "CREATE VIRTUAL TABLE search USING dbstat"),
            "its module \"dbstat\" is none of fts3",
        ),
        (
            row("table", search, "0", "CREATE VIRTUAL TABLE search USING csv(filename='/etc/passwd')"),
            "\"csv\" is none of",
        ),
        (row("table", search, "0", "CREATE VIRTUAL TABLE search USING sqlite_stmt"), "\"sqlite_stmt\" is none of"),
        (row("table", search, "0", "CREATE VIRTUAL TABLE search USING \"fts5 \"(a)"), "\"fts5 \" is none of"),
        (row("table", search, "0", "CREATE VIRTUAL TABLE search USING fts5(a"), "incomplete input"),
        (row("table", search, "0", "CREATE VIRTUAL search USING fts5(a)"), "syntax error"),
        (
            row("table", search, "0", "CREATE VIRTUAL TABLE search USING fts5(a); DROP TABLE t"),
            "virtual table \"search\"",
        ),
        (row("table", search, "0", &format!("{SEARCH}; {SEARCH}")), "not one CREATE VIRTUAL TABLE"),
        (row("table", search, "0", "CREATE TABLE search (a)"), "virtual table \"search\""),
        (row("table", search, "0", "CREATE VIEW search AS SELECT 1"), "virtual table \"search\""),
        (row("table", search, "0", ""), "not one CREATE VIRTUAL TABLE"),
        (row("table", ["sqlite_search"; 2], "0", "CREATE VIRTUAL TABLE sqlite_search USING fts5(a)"), "reserved"),
    ];
    for (script, why) in cases {
        attack.refused(format!("{TABLE}{script}"), LISTED, "", why).await;
    }
    attack.refused(TABLE.into(), "", &good, "may not do this").await;
}

#[tokio::test]
async fn a_name_stands_once() {
    let attack = Attack::new().await;
    let as_t = row("table", ["t"; 2], "0", "CREATE VIRTUAL TABLE t USING fts5(a)");
    let as_large_t = row("table", ["T"; 2], "0", "CREATE VIRTUAL TABLE T USING fts5(a)");
    let search = row("table", ["search"; 2], "0", SEARCH);
    for script in [
        format!("{TABLE}{as_t}"),
        format!("{TABLE}{as_large_t}"),
        format!("{as_large_t}{TABLE}"),
        format!("{TABLE}{search}{search}"),
        format!("{TABLE}{search}CREATE TABLE Search (a);\n"),
    ] {
        attack.refused(script, LISTED, "", "the archive makes two things of that name").await;
    }
    attack.refused(format!("{as_t}{TABLE}"), LISTED, "", "already exists").await;
    for (post_data, why) in [
        ("CREATE VIEW Search AS SELECT 1;\n", "the schema that the archive's SQL makes: malformed"),
        ("CREATE INDEX search ON t (b);\n", "refused Index \"search\": the archive makes two things of that name"),
    ] {
        attack.refused(format!("{TABLE}{search}"), LISTED, post_data, why).await;
    }
    // There is no such table to SQLite as yet, and none has triggers afterwards.
    let trigger = "CREATE TRIGGER g AFTER INSERT ON search BEGIN SELECT 1; END;\n";
    attack.refused(format!("{TABLE}{search}"), LISTED, trigger, "no such table").await;
    attack
        .load(
            format!("{TABLE}{search}"),
            LISTED,
            &trigger.replace("g AFTER INSERT ON search", "search AFTER INSERT ON t"),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn what_schema_json_says_of_virtual_tables_is_what_the_sql_makes() {
    let attack = Attack::new().await;
    let script = format!("{TABLE}{}", row("table", ["search"; 2], "0", SEARCH));
    for virtual_tables in [
        "",
        r#"{"name":"search","module":"fts4"}"#,
        r#"{"name":"other","module":"fts5"}"#,
        &format!("{LISTED},{LISTED}"),
    ] {
        attack.refused(script.clone(), virtual_tables, "", "does not make exactly that").await;
    }
    attack.refused(TABLE.into(), LISTED, "", "does not make exactly that").await;
}

/// Rows belong to the tables that store them.
#[tokio::test]
async fn a_virtual_table_takes_no_rows() {
    let bench = Bench::new();
    let from = bench.seeded(SEARCH);
    let dump = SqliteDatabase::new(&from).dump().await.unwrap();
    let mut load = SqliteDatabase::new(bench.fresh()).load(dump.blueprint().clone()).await.unwrap();
    load.write("search", Bytes::from_static(b"[1,\"x\"]\n")).await.unwrap();
    let error = load.finish(dump.sequences()).await.err().unwrap();
    assert!(matches!(&error, Error::Refused { what, .. } if what == "rows of table \"search\""), "{error}");
}

#[tokio::test]
async fn what_an_app_has_edited_into_its_catalog_is_named() {
    let edited = |edit: &str| format!("CREATE TABLE t (a); {SEARCH}; PRAGMA writable_schema = ON; {edit}");
    for (edit, why) in [
        (
            "UPDATE sqlite_schema SET sql = replace(sql, 'fts5', 'csv') WHERE name = 'search'",
            "virtual table \"search\" (its module \"csv\"",
        ),
        ("UPDATE sqlite_schema SET sql = sql || '; DROP TABLE t' WHERE name = 'search'", "virtual table \"search\" ("),
        (
            "UPDATE sqlite_schema SET rootpage = 2, sql = replace(sql, 'fts5', 'dbstat') WHERE name = 'search'",
            "\"dbstat\"",
        ),
    ] {
        let bench = Bench::new();
        let path = bench.seeded(&edited(edit));
        let error = rows(&path).await.err().unwrap();
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains(why), "{edit}: {error}");
    }
}
