//! What was replaced comes back.

use super::*;

const MODES: [&str; 2] = ["PRAGMA journal_mode = WAL;", "PRAGMA page_size = 1024;"];

#[tokio::test]
async fn an_undo_brings_back_all_of_it_and_can_be_undone() {
    for mode in MODES {
        let bench = Bench::new();
        let (from, to) = (bench.seeded(&with_settings("")), bench.seeded(&format!("{mode}{EVERYTHING}")));
        let (old, old_shell) = (exported(&to).await, shell_dump(&to));
        let open = Connection::open(&to).unwrap();
        let id = replace(&from, &to).await.unwrap();
        let new = exported(&to).await;
        let undo_id = undo(&to, &id).await.unwrap();
        assert_eq!(exported(&to).await, old);
        assert_eq!(shell_dump(&to), old_shell);
        assert_eq!(beside(&to), [format!(".data.db.coffer-replaced-{undo_id}")]);
        let redo_id = undo(&to, &undo_id).await.unwrap();
        assert_eq!(exported(&to).await, new);
        undo(&to, &redo_id).await.unwrap();
        assert_eq!(exported(&to).await, old);
        is_whole(&to);
        open.execute_batch("INSERT INTO empty VALUES (1, 2)").unwrap();
    }
}

#[tokio::test]
async fn what_is_gone_does_not_come_back() {
    let bench = Bench::new();
    let (from, to) = (bench.seeded(&with_settings("")), bench.seeded(EVERYTHING));
    let id = replace(&from, &to).await.unwrap();
    let database = SqliteDatabase::new(&to);
    database.drop_replaced(&id).await.unwrap();
    assert!(matches!(database.bring_back(&id, &replacing()).await.err(), Some(Error::NotFound { .. })));
    assert!(beside(&to).is_empty());
}

#[tokio::test]
async fn an_undo_that_is_given_up_can_be_made_again() {
    for mode in MODES {
        let bench = Bench::new();
        let (from, to) = (bench.seeded(&with_settings("")), bench.seeded(&format!("{mode}{EVERYTHING}")));
        let old = exported(&to).await;
        let id = replace(&from, &to).await.unwrap();
        let new = exported(&to).await;
        let database = SqliteDatabase::new(&to);
        for discard in [true, false] {
            let import = replacing();
            let mut loaded = database.bring_back(&id, &import).await.unwrap();
            loaded.prepare().await.unwrap();
            let mark = loaded.mark().await.unwrap();
            if discard {
                loaded.discard().await.unwrap()
            } else {
                drop(loaded)
            }
            assert!(!database.has_landed(&import, &mark).await.unwrap());
            database.roll_back(&import).await.unwrap();
            assert_eq!(exported(&to).await, new);
            assert_eq!(beside(&to), [format!(".data.db.coffer-replaced-{id}")]);
        }
        undo(&to, &id).await.unwrap();
        assert_eq!(exported(&to).await, old);
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'coffer%'";
        let marks: i64 = Connection::open(&to).unwrap().query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(marks, 0, "marks of those who gave up came back as well");
    }
}

#[tokio::test]
async fn it_comes_back_where_somebody_has_deleted_the_database() {
    for mode in MODES {
        let bench = Bench::new();
        let (from, to) = (bench.seeded(&with_settings("")), bench.seeded(&format!("{mode}{EVERYTHING}")));
        let old = exported(&to).await;
        let id = replace(&from, &to).await.unwrap();
        fs::remove_file(&to).unwrap();
        let undo_id = undo(&to, &id).await.unwrap();
        assert_eq!(exported(&to).await, old);
        assert_eq!(beside(&to), [format!(".data.db.coffer-replaced-{undo_id}")]);
    }
}
