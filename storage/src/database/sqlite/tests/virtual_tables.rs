//! Virtual tables: what their modules find in a copy is what they found before.

use super::*;
use crate::database::sqlite::tables;

/// Each module but geopoly, which the shell may not have, and most of their options.
const VIRTUAL_TABLES: &str = include_str!("virtual_tables.sql");
const GEOPOLY: &str = "CREATE VIRTUAL TABLE area USING geopoly(name, kind);
    INSERT INTO area(_shape, name) VALUES ('[[0,0],[1,0],[1,1],[0,0]]', 'small'), ('[[0,0],[50,0],[50,50],[0,50],[0,0]]', 'large');";

/// Questions that only a module answers.
const QUESTIONS: [&str; 25] = [
    "SELECT rowid, highlight(note_search, 0, '<', '>'), snippet(note_search, -1, '<', '>', '…', 2) FROM note_search('river')",
    "SELECT id, title FROM found ORDER BY id",
    "SELECT rowid, a, b, rank FROM five('run*') ORDER BY rank",
    "SELECT rowid, bm25(five) FROM five('brulee OR stone')",
    "SELECT rowid, a FROM pieces('cde')",
    "SELECT rowid, a FROM pieces WHERE a LIKE '%zab%'",
    "SELECT rowid, a FROM bare('two') ORDER BY rowid",
    "SELECT rowid FROM bare_deletes('gone OR kept')",
    "SELECT rowid, * FROM \"we\"\"ird 'words' [of]\ntwo lines\" WHERE \"a column\" MATCH 'words'",
    "SELECT docid, title, snippet(four) FROM four WHERE four MATCH 'run' AND lang = 0",
    "SELECT docid, title FROM four WHERE four MATCH 'laufen' AND lang = 1",
    "SELECT docid, title, hex(matchinfo(four_outside)) FROM four_outside WHERE four_outside MATCH 'river'",
    "SELECT docid FROM four_bare WHERE four_bare MATCH 'words' ORDER BY docid",
    "SELECT docid, CAST(a AS TEXT) FROM four_packed WHERE four_packed MATCH 'packed'",
    "SELECT * FROM four_packed_content",
    "SELECT rowid, content, offsets(three) FROM three WHERE three MATCH 'old*' ORDER BY rowid",
    "SELECT id, x0, x1, y0, y1, name, shape FROM place WHERE x1 >= 0.5 AND y0 < 6 ORDER BY id",
    "SELECT id FROM seen",
    "SELECT id, x0, x1 FROM cell WHERE x0 BETWEEN 500 AND 700 ORDER BY id",
    "SELECT count(*), sum(id), sum(x0) FROM cell",
    "SELECT rtreecheck('place'), rtreecheck('cell')",
    "SELECT rowid, a FROM \"is named\"('renamed')",
    "SELECT * FROM lonely_data",
    "SELECT * FROM five_friend",
    "PRAGMA integrity_check",
];
const GEOPOLY_QUESTIONS: [&str; 3] = [
    "SELECT rowid, name, geopoly_json(_shape) FROM area WHERE geopoly_within(_shape, geopoly_bbox('[[0,0],[2,0],[2,2],[0,2],[0,0]]'))",
    "SELECT name FROM area WHERE geopoly_overlap(_shape, '[[30,30],[31,30],[31,31],[30,30]]')",
    "SELECT name, kind, geopoly_area(_shape) FROM area ORDER BY rowid",
];
/// Demands that fail where an index does not fit what it is of.
const DEMANDS: [&str; 11] = [
    "INSERT INTO note_search(note_search, rank) VALUES ('integrity-check', 1)",
    "INSERT INTO five(five) VALUES ('integrity-check')",
    "INSERT INTO pieces(pieces) VALUES ('integrity-check')",
    "INSERT INTO bare(bare) VALUES ('integrity-check')",
    "INSERT INTO bare_deletes(bare_deletes) VALUES ('integrity-check')",
    "INSERT INTO \"is named\"(\"is named\") VALUES ('integrity-check')",
    "INSERT INTO four(four) VALUES ('integrity-check')",
    "INSERT INTO three(three) VALUES ('integrity-check')",
    "INSERT INTO four_bare(four_bare) VALUES ('optimize')",
    "INSERT INTO \"we\"\"ird 'words' [of]\ntwo lines\"(\"we\"\"ird 'words' [of]\ntwo lines\") VALUES ('integrity-check')",
    "DELETE FROM bare_deletes WHERE rowid = 2",
];

/// The answers of a database, as text; at least one to each question.
fn answers(path: &Path, questions: &[&str]) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let ask = |question: &&str| {
        let mut statement = connection.prepare(question).unwrap_or_else(|error| panic!("{question}: {error}"));
        let width = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut answer = format!("{question}:");
        let mut count = 0;
        while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{question}: {error}")) {
            let values: Vec<_> = (0..width).map(|at| tables::shown(row.get_ref(at).unwrap())).collect();
            answer += &format!(" {values:?}");
            count += 1;
        }
        assert!(count > 0, "no answer to {question}");
        answer
    };
    questions.iter().map(ask).collect()
}

/// What a user of the app does next, with what comes of it.
fn use_it(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    for demand in DEMANDS {
        connection.execute_batch(demand).unwrap_or_else(|error| panic!("{demand}: {error}"));
    }
    connection
        .execute_batch(
            "INSERT INTO note VALUES (20, 'another river', 'after the copy'); DELETE FROM note WHERE id = 1;
             INSERT INTO seen VALUES (30); UPDATE five SET a = 'runs' WHERE rowid = 2; DELETE FROM cell WHERE id < 60;",
        )
        .unwrap();
    answers(
        path,
        &[
            "SELECT id FROM found ORDER BY id",
            "SELECT rowid FROM five('running') ORDER BY rowid",
            "SELECT id FROM seen ORDER BY id",
            "SELECT count(*) FROM cell WHERE x0 < 1000",
            "PRAGMA integrity_check",
        ],
    )
}

fn catalog(path: &Path) -> Vec<String> {
    answers(path, &["SELECT type, name, tbl_name, rootpage = 0, sql FROM sqlite_schema ORDER BY type, rowid"])
}

#[tokio::test]
async fn a_copy_answers_as_the_original() {
    for settings in ["", "PRAGMA encoding = 'UTF-16le';", "PRAGMA journal_mode = WAL; PRAGMA auto_vacuum = 1;"] {
        let bench = Bench::new();
        let from = bench.seeded(&format!("{settings} {VIRTUAL_TABLES}"));
        let before = fs::read(&from).unwrap();
        for to in [bench.fresh(), bench.seeded("")] {
            copy(&from, &to).await.unwrap();
            assert_eq!(fs::read(&from).unwrap(), before, "the source has changed");
            assert_eq!(rows(&from).await.unwrap(), rows(&to).await.unwrap());
            assert_eq!(shell_dump(&from), shell_dump(&to));
            assert_eq!(catalog(&from), catalog(&to));
            assert_eq!(answers(&from, &QUESTIONS), answers(&to, &QUESTIONS));
            let used = bench.fresh();
            copy(&from, &used).await.unwrap();
            assert_eq!(use_it(&to), use_it(&used));
        }
        let original = use_it(&from);
        let to = bench.fresh();
        copy(&from, &to).await.unwrap();
        assert_eq!(answers(&from, &QUESTIONS[..2]), answers(&to, &QUESTIONS[..2]));
        assert!(original.iter().any(|answer| answer.contains("20")), "{original:?}");
    }
}

#[tokio::test]
async fn polygons_come_back() {
    let bench = Bench::new();
    let (from, to) = (bench.seeded(GEOPOLY), bench.fresh());
    copy(&from, &to).await.unwrap();
    assert_eq!(answers(&from, &GEOPOLY_QUESTIONS), answers(&to, &GEOPOLY_QUESTIONS));
    assert_eq!(catalog(&from), catalog(&to));
    assert_eq!(shell_dump(&from), shell_dump(&to));
    let check = "PRAGMA integrity_check";
    assert_eq!(answers(&to, &[check]), [format!("{check}: [\"ok\"]")]);
}

#[tokio::test]
async fn conforms_with_virtual_tables() {
    let bench = Bench::new();
    let seed = async |database: SqliteDatabase| {
        fs::create_dir_all(database.path.parent().unwrap()).unwrap();
        let connection = Connection::open(&database.path).unwrap();
        connection.execute_batch(VIRTUAL_TABLES).unwrap();
        database
    };
    testing::database_conformance(|| SqliteDatabase::new(bench.fresh()), seed, || bench.traces()).await;
}

#[tokio::test]
async fn a_program_sees_which_tables_are_virtual() {
    let bench = Bench::new();
    let from = bench.seeded("CREATE TABLE t (a); CREATE VIRTUAL TABLE search USING FTS5(a); CREATE VIRTUAL TABLE \"p\" USING rtree(a, b, c)");
    let blueprint = SqliteDatabase::new(&from).dump().await.unwrap().blueprint().clone();
    let schema: serde_json::Value = serde_json::from_slice(&blueprint.schema).unwrap();
    let wanted = serde_json::json!([{"name": "search", "module": "fts5"}, {"name": "p", "module": "rtree"}]);
    assert_eq!(schema["virtual_tables"], wanted);
    let names: Vec<_> =
        schema["tables"].as_array().unwrap().iter().map(|table| table["name"].as_str().unwrap()).collect();
    let shadows = [
        "search_data",
        "search_idx",
        "search_content",
        "search_docsize",
        "search_config",
        "p_rowid",
        "p_node",
        "p_parent",
    ];
    assert_eq!(names, [&["t"][..], &shadows].concat());
    assert_eq!(blueprint.tables.iter().map(|name| &**name).collect::<Vec<_>>(), names);
    let plain = SqliteDatabase::new(bench.seeded("CREATE TABLE t (a)")).dump().await.unwrap().blueprint().clone();
    assert!(!String::from_utf8(plain.schema.to_vec()).unwrap().contains("virtual"));
}

/// The code of a module and of its tokenizer is the app's affair: neither side needs it.
#[tokio::test]
async fn what_only_the_app_can_open_is_carried() {
    let bench = Bench::new();
    let (from, to) = (
        bench.seeded(
            "CREATE VIRTUAL TABLE search USING fts5(a); INSERT INTO search VALUES ('kept');
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE search USING fts5(a, tokenize=''theirs'')' WHERE name = 'search';",
        ),
        bench.fresh(),
    );
    let ask = |path: &Path| Connection::open(path).unwrap().query_row("SELECT a FROM search('kept')", [], |_| Ok(()));
    assert!(ask(&from).unwrap_err().to_string().contains("no such tokenizer: theirs"));
    copy(&from, &to).await.unwrap();
    assert!(ask(&to).unwrap_err().to_string().contains("no such tokenizer: theirs"));
    assert_eq!(shell_dump(&from), shell_dump(&to));
    assert_eq!(catalog(&from), catalog(&to));
}

/// An index that does not fit its table comes over as it is, as all data does.
#[tokio::test]
async fn a_damaged_index_is_carried_and_not_rebuilt() {
    let bench = Bench::new();
    let (from, to) = (
        bench.seeded(
            "CREATE VIRTUAL TABLE search USING fts5(a); INSERT INTO search VALUES ('kept'), ('gone');
             DELETE FROM search_content WHERE id = 2; UPDATE search_data SET block = x'00' WHERE id > 100;",
        ),
        bench.fresh(),
    );
    copy(&from, &to).await.unwrap();
    assert_eq!(shell_dump(&from), shell_dump(&to));
    let check = |path: &Path| {
        let open = Connection::open(path).unwrap();
        open.execute_batch("INSERT INTO search(search) VALUES ('integrity-check')").unwrap_err().to_string()
    };
    assert_eq!(check(&from), check(&to));
}

/// Each document and each table's rows by a shell of its own: none of them knows what the others did.
#[tokio::test]
async fn the_documents_work_by_hand() {
    let bench = Bench::new();
    let from = bench.seeded(VIRTUAL_TABLES);
    let (ours, by_hand) = (bench.fresh(), bench.seeded(""));
    copy(&from, &ours).await.unwrap();
    let dump = SqliteDatabase::new(&from).dump().await.unwrap();
    let blueprint = dump.blueprint();
    let text = |document: &Bytes| String::from_utf8(document.to_vec()).unwrap();
    let mut scripts = vec![text(&blueprint.pre_data)];
    for table in &blueprint.tables {
        let name = super::super::connection::quote(table);
        scripts.push(format!(
            "ATTACH '{}' AS original; INSERT INTO main.{name} SELECT * FROM original.{name};",
            from.display()
        ));
    }
    scripts.push(text(&blueprint.post_data));
    for script in scripts {
        let Ok(output) = Command::new("sqlite3").args(["-bail"]).arg(&by_hand).arg(&script).output() else { return };
        assert!(output.status.success() && output.stderr.is_empty(), "{script}: {output:?}");
    }
    assert_eq!(shell_dump(&by_hand), shell_dump(&from));
    assert_eq!(answers(&by_hand, &QUESTIONS), answers(&from, &QUESTIONS));
    assert_eq!(use_it(&by_hand), use_it(&ours));
}
