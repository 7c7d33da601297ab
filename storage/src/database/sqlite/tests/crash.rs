//! A process that imports is killed, and another one finds what it left.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Stdio},
};

use super::*;

const SHAPE: &str = "CREATE TABLE t (a, b); CREATE INDEX i ON t (a);";
const ROUNDS: u32 = 24;

fn fill(rows: u32, text: &str) -> String {
    format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) INSERT INTO t SELECT i, printf('%.*c', 1000, '{text}') FROM n;"
    )
}

/// Not a test: what the others start as a process of its own, and kill. It says which step it is at.
#[tokio::test]
#[ignore = "is started by others"]
async fn child() {
    let mut lines = std::io::stdin().lock().lines().map(|line| line.unwrap());
    let mut line = || lines.next().unwrap();
    let (from, to, id, replaced, last) = (line(), line(), line(), line(), line());
    let say = |step: &str, told: &str| {
        println!("\nstep {step} {told}");
        std::io::stdout().flush().unwrap();
        if step == last {
            std::process::abort();
        }
    };
    let import = Import { id: ImportId::parse(&id).unwrap(), landing: Landing::Replace };
    let database = SqliteDatabase::new(to);
    let mut loaded = match ImportId::parse(&replaced) {
        Some(replaced) => database.bring_back(&replaced, &import).await.unwrap(),
        None => {
            let mut dump = SqliteDatabase::new(from).dump().await.unwrap();
            let mut load = database.load_for(dump.blueprint().clone(), &import).await.unwrap();
            let chunk = dump.next().await.unwrap().unwrap();
            load.write(&chunk.table, chunk.bytes).await.unwrap();
            say("load", "");
            while let Some(chunk) = dump.next().await.unwrap() {
                load.write(&chunk.table, chunk.bytes).await.unwrap();
            }
            load.finish(dump.sequences()).await.unwrap()
        }
    };
    say("loaded", "");
    loaded.prepare().await.unwrap();
    say("prepared", "");
    let mark = loaded.mark().await.unwrap();
    say("marked", &mark);
    loaded.commit().await.unwrap();
    say("committed", "");
    database.settle(&import).await.unwrap();
    say("settled", "");
}

/// Starts it, which ends after the step `last`.
fn start(from: &Path, to: &Path, id: &ImportId, replaced: Option<&ImportId>, last: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "database::sqlite::tests::crash::child", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let replaced = replaced.map_or("", ImportId::as_str);
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}\n{}\n{id}\n{replaced}\n{last}", from.display(), to.display()).unwrap();
    child
}

/// Waits for a step of the child's, and gives what it told with it.
fn wait_for(lines: &mut impl Iterator<Item = std::io::Result<String>>, step: &str) -> Option<String> {
    let prefix = format!("step {step} ");
    lines.find_map(|line| line.unwrap().strip_prefix(&prefix).map(str::to_owned))
}

/// Does what the service does after a crash. Says whether the import had come through. One that was seen to is only settled.
async fn recover(to: &Path, import: &Import, mark: Option<&str>, committed: bool) -> bool {
    let database = SqliteDatabase::new(to);
    let landed = match mark {
        _ if committed => true,
        Some(mark) => database.has_landed(import, mark).await.unwrap(),
        None => false,
    };
    for _ in 0..2 {
        if landed {
            database.settle(import).await.unwrap();
        } else {
            database.roll_back(import).await.unwrap();
        }
    }
    landed
}

fn seeds(bench: &Bench, mode: &str) -> (PathBuf, PathBuf) {
    let from = bench.seeded(&format!("{SHAPE}{}", fill(12_000, "n")));
    (from, bench.seeded(&format!("PRAGMA journal_mode = {mode}; {SHAPE}{}", fill(10_000, "o"))))
}

#[tokio::test]
async fn each_step_is_rolled_back_or_forward() {
    for mode in ["WAL", "DELETE", "missing"] {
        for step in ["load", "loaded", "prepared", "marked", "committed", "settled"] {
            let bench = Bench::new();
            let (from, mut to) = seeds(&bench, if mode == "missing" { "DELETE" } else { mode });
            if mode == "missing" {
                to = bench.fresh();
            }
            let old = match mode {
                "missing" => None,
                _ => Some(rows(&to).await.unwrap()),
            };
            let import = replacing();
            let mut child = start(&from, &to, &import.id, None, step);
            let output = BufReader::new(child.stdout.take().unwrap());
            let mark = wait_for(&mut output.lines(), "marked");
            child.wait().unwrap();
            assert_eq!(mark.is_none(), ["load", "loaded", "prepared"].contains(&step));
            // At the step "committed" the service has not noted yet that it is.
            let landed = recover(&to, &import, mark.as_deref(), step == "settled").await;
            assert_eq!(landed, ["committed", "settled"].contains(&step), "{mode}, {step}");
            let expected = if landed { Some(rows(&from).await.unwrap()) } else { old };
            assert_eq!(rows(&to).await.ok(), expected, "{mode}, {step}");
            let replaced = SqliteDatabase::new(&to).replaced_bytes(&import.id).await.unwrap();
            assert_eq!(replaced.is_some(), landed);
            assert_eq!(beside(&to).len(), usize::from(landed), "{mode}, {step}: {:?}", beside(&to));
            replace(&from, &to).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_swap_that_is_killed_at_any_moment_has_happened_or_not() {
    for mode in ["WAL", "DELETE"] {
        let bench = Bench::new();
        let (from, to) = seeds(&bench, mode);
        let (new, old) = (rows(&from).await.unwrap(), rows(&to).await.unwrap());
        let (mut came_through, mut replaced) = (0, None);
        for round in 0..ROUNDS {
            let import = replacing();
            let is_undo = replaced.is_some();
            let mut child = start(&from, &to, &import.id, replaced.as_ref(), "none");
            let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
            let mark = wait_for(&mut output, "marked").unwrap();
            std::thread::sleep(Duration::from_millis(u64::from(round) * 12));
            child.kill().unwrap();
            child.wait().unwrap();
            let committed = wait_for(&mut output, "committed").is_some();
            let landed = recover(&to, &import, Some(&mark), committed).await;
            is_whole(&to);
            let found = rows(&to).await.unwrap();
            assert!(found == if landed != is_undo { &new } else { &old }.as_str(), "{mode} {round}: {landed}");
            if landed {
                came_through += 1;
                let kept = to.with_file_name(format!(".data.db.coffer-replaced-{}", import.id));
                is_whole(&kept);
                assert!(rows(&kept).await.unwrap() == if is_undo { &new } else { &old }.as_str());
                if is_undo {
                    SqliteDatabase::new(&to).drop_replaced(&import.id).await.unwrap();
                }
                replaced = (!is_undo).then_some(import.id);
            }
            assert_eq!(beside(&to).len(), usize::from(replaced.is_some()), "{mode} {round}: {:?}", beside(&to));
        }
        eprintln!("{mode}: {came_through} of {ROUNDS} came through");
        assert!((1..ROUNDS).contains(&came_through), "{mode}: {came_through} of {ROUNDS} came through");
    }
}
