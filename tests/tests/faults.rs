//! Peers that stall, leave and break off, and stores that fail half-way, on the real process.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coffer_tests::{App, Coffer, RawExchange, Service, assert_same_app, folder_listing, mebibytes, say, shell, tool};

const MEMORY_BOUND: u64 = 96 << 20;
const IDLE: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_secs(5);

fn coffer() -> Result<Coffer> {
    Ok(Coffer::new(env!("CARGO_BIN_EXE_coffer"))?.with_variable("COFFER_SERVER_IDLE_TIMEOUT", "3s"))
}

/// A service with an app `local/a` that is far larger than its memory and every buffer on the way.
fn with_large_app() -> Result<(Coffer, Service)> {
    let coffer = coffer()?;
    coffer.app("a").fill_large(128)?;
    let service = coffer.serve()?;
    Ok((coffer, service))
}

/// An app `local/a` and its archive, `x.coffer`.
fn with_archive() -> Result<(Coffer, Vec<u8>)> {
    let coffer = coffer()?;
    coffer.app("a").fill_large(16)?;
    coffer.make_identity()?;
    coffer.run_well(["export", "local/a", "-o", "x.coffer"])?;
    let archive = std::fs::read(coffer.path("x.coffer"))?;
    Ok((coffer, archive))
}

/// A client that has sent the first half of an archive, of which an app `local/b` is being built.
fn half_sent(coffer: &Coffer, service: &Service, archive: &[u8]) -> Result<RawExchange> {
    let mut client = RawExchange::post(service, "/v1/apps/local/b/import", archive.len() as u64)?;
    let (half, _) = archive.split_at(archive.len() / 2);
    client.send(half)?;
    wait_until_staged(&coffer.app("b"))?;
    Ok(client)
}

/// Makes sure that nothing of the app is open any more in the service, soon.
fn ensure_let_go(service: &Service, app: &App) -> Result<()> {
    let folder = app.folder().to_str().context("not UTF-8")?;
    for _ in 0..50 {
        if service.open_files(folder)?.is_empty() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("still open: {:?}", service.open_files(folder)?)
}

/// Makes sure that nothing is left of an app that was never there, whatever it would be called.
fn ensure_nothing_of(coffer: &Coffer, app: &str) -> Result<()> {
    let mut apps = folder_listing(&coffer.path("coffer-data/apps"))?;
    for _ in 0..30 {
        let others = |path: &String| !path.contains("/apps/a/") && !path.ends_with("/apps/a");
        apps = folder_listing(&coffer.path("coffer-data/apps"))?.into_iter().filter(others).collect();
        if apps.is_empty() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("of {app} there is left: {apps:?}")
}

/// Waits until an import has begun to build the app.
fn wait_until_staged(app: &App) -> Result<()> {
    for _ in 0..100 {
        if app.exists() {
            return ensure_unseen(app);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("the import does not begin")
}

/// Makes sure that an app's users see neither rows nor objects of an import under way.
fn ensure_unseen(app: &App) -> Result<()> {
    let seen = |path: std::path::PathBuf| path.symlink_metadata().is_ok();
    ensure!(!seen(app.database()) && !seen(app.files()), "half an import can be seen");
    Ok(())
}

fn error_of(transfer: &serde_json::Value) -> Result<&str> {
    ensure!(transfer["state"] == "failed", "{transfer}");
    transfer.pointer("/error/detail").and_then(serde_json::Value::as_str).context("it does not say why it failed")
}

#[test]
fn a_client_that_stops_reading_costs_a_timeout_and_no_memory() -> Result<()> {
    let (coffer, service) = with_large_app()?;
    let mut client = RawExchange::post(&service, "/v1/apps/local/a/export", 0)?;
    let id = client.read_and_stop(1 << 20)?;
    ensure!(service.transfer(&id)?["state"] == "running", "it did not wait for its client");
    let transfer = service.transfer_ended(&id, IDLE + SOON)?;
    let why = error_of(&transfer)?;
    ensure!(transfer["error"]["type"].as_str().is_some_and(|kind| kind.contains("stalled")), "{why}");
    let peak = service.memory().ensure_peak_below(MEMORY_BOUND)?;
    ensure_let_go(&service, &coffer.app("a"))?;
    say(format!("client that stops reading: {} at most; {why}", mebibytes(peak)));
    drop(client);
    Ok(())
}

#[test]
fn a_client_that_goes_away_ends_the_work() -> Result<()> {
    let (coffer, service) = with_large_app()?;
    // More clients than the budget has room for: what one held must be free for the next.
    let mut resident = Vec::new();
    for _ in 0..12 {
        let mut client = RawExchange::post(&service, "/v1/apps/local/a/export", 0)?;
        let id = client.read_and_stop(1 << 20)?;
        drop(client);
        error_of(&service.transfer_ended(&id, SOON)?)?;
        ensure_let_go(&service, &coffer.app("a"))?;
        resident.push(service.memory().resident()?);
    }
    let (first, last) = (resident[2], resident[11]);
    ensure!(last < first + (8 << 20), "memory grows with each client that leaves: {resident:?}");
    service.memory().ensure_peak_below(MEMORY_BOUND)?;
    coffer.app("s").fill_small()?;
    let answer = service.call("/v1/apps/local/s/export", &["-X", "POST", "-o", "/dev/null"])?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

/// Spoils one page with rows in the middle of a database.
fn spoil_a_page(database: &Path) -> Result<()> {
    const PAGE: usize = 4_096;
    const LEAF_OF_A_TABLE: u8 = 0x0d;
    let mut bytes = std::fs::read(database)?;
    let middle = bytes.len() / PAGE / 2;
    let page = bytes.chunks_mut(PAGE).skip(middle).find(|page| page.first() == Some(&LEAF_OF_A_TABLE));
    page.context("no page holds rows")?.fill(0x5a);
    Ok(std::fs::write(database, bytes)?)
}

#[test]
fn an_export_whose_source_fails_half_way_can_not_be_taken_for_whole() -> Result<()> {
    let coffer = coffer()?;
    let app = coffer.app("a");
    app.fill_rows(64)?;
    app.sqlite(&["DROP INDEX by_time", "VACUUM"])?;
    spoil_a_page(&app.database())?;
    let service = coffer.serve()?;
    let url = service.url("/v1/apps/local/a/export");
    let told = shell(
        coffer.folder(),
        &format!(
            r#"status=0
            curl -fsS -X POST -H "Authorization: Bearer $(cat coffer-data/token)" -D headers -o x.coffer {url} || status=$?
            echo $status $(stat -c %s x.coffer)
            sed -n 's/^coffer-transfer: *//Ip' headers | tr -d '\r'"#
        ),
    )?;
    let mut words = told.split_whitespace();
    let (status, bytes, id) = (words.next(), words.next().context("no file")?, words.next().context("no transfer")?);
    ensure!(status.is_some_and(|status| status != "0"), "curl took it for whole: {told}");
    ensure!(bytes.parse::<u64>()? > 1 << 20, "it failed before it was half-way: {told}");
    let transfer = service.transfer_ended(id, SOON)?;
    let why = error_of(&transfer)?;
    ensure!(why.contains("malformed") || why.contains("damaged") || why.contains("corrupt"), "{why}");
    coffer.run(["verify", "x.coffer"])?.ends_with(13, &["segment"])?;
    coffer.run(["restore", "x.coffer", "--into", "local/b"])?.ends_with(13, &["segment"])?;
    ensure_nothing_of(&coffer, "b")?;
    let outcome = coffer.run(["export", "local/a", "-o", "y.coffer"])?;
    outcome.ends_with(1, &["events"])?;
    ensure!(!coffer.path("y.coffer").exists(), "an export that failed left its file");
    Ok(())
}

#[test]
fn an_import_that_is_broken_off_changes_nothing() -> Result<()> {
    let coffer = coffer()?;
    let app = coffer.app("a");
    app.fill_large(16)?;
    coffer.make_identity()?;
    coffer.run_well(["export", "local/a", "-o", "x.coffer"])?;
    let service = coffer.serve()?;
    let archive = std::fs::read(coffer.path("x.coffer"))?;
    let half = &archive[..archive.len() / 2];

    // The client goes away.
    let mut client = RawExchange::post(&service, "/v1/apps/local/left/import", archive.len() as u64)?;
    client.send(half)?;
    wait_until_staged(&coffer.app("left"))?;
    drop(client);
    ensure_nothing_of(&coffer, "left")?;

    // The client stalls.
    let mut client = RawExchange::post(&service, "/v1/apps/local/stalled/import", archive.len() as u64)?;
    client.send(half)?;
    wait_until_staged(&coffer.app("stalled"))?;
    let (status, _) = client.read_head()?;
    ensure!(status == 408, "a client that stalls is answered with {status}");
    ensure_nothing_of(&coffer, "stalled")?;

    // What the client sends ends too early, and is a whole body.
    std::fs::write(coffer.path("half.coffer"), half)?;
    let half = coffer.path("half.coffer");
    let half = half.to_str().context("not UTF-8")?;
    let answer = service.call("/v1/apps/local/b/import", &["-X", "POST", "-T", half])?;
    answer.ensure_problem(422, &["segment"])?;
    let transfer = service.transfer_ended(answer.header("coffer-transfer"), SOON)?;
    ensure!(error_of(&transfer)?.contains("segment"), "{transfer}");
    ensure_nothing_of(&coffer, "b")?;

    // And then all of it comes.
    let whole = coffer.path("x.coffer");
    let answer =
        service.call("/v1/apps/local/b/import", &["-X", "POST", "-T", whole.to_str().context("not UTF-8")?])?;
    ensure!(answer.status == 200, "{answer:?}");
    assert_same_app(&app, &coffer.app("b"))
}

#[test]
fn an_import_that_is_killed_leaves_nothing_in_the_way_of_the_next() -> Result<()> {
    let (coffer, archive) = with_archive()?;
    let service = coffer.serve()?;
    let client = half_sent(&coffer, &service, &archive)?;
    std::thread::sleep(Duration::from_millis(200));
    drop((service, client));
    ensure_unseen(&coffer.app("b"))?;
    coffer.run_well(["restore", "x.coffer", "--into", "local/b"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("b"))
}

#[test]
fn two_imports_of_one_app_do_not_meet() -> Result<()> {
    let (coffer, archive) = with_archive()?;
    let service = coffer.serve()?;
    let mut client = half_sent(&coffer, &service, &archive)?;
    let path = coffer.path("x.coffer");
    let path = path.to_str().context("not UTF-8")?;
    let answer = service.call("/v1/apps/local/b/import", &["-X", "POST", "-T", path])?;
    answer.ensure_problem(409, &["local/b"])?;
    ensure!(answer.body.contains("busy"), "{answer:?}");
    client.send(&archive[archive.len() / 2..])?;
    ensure!(client.read_head()?.0 == 200, "the first import did not come through");
    assert_same_app(&coffer.app("a"), &coffer.app("b"))
}

#[test]
fn sixteen_exports_at_once_share_the_budget() -> Result<()> {
    let coffer = coffer()?;
    coffer.app("a").fill_large(24)?;
    let service = coffer.serve()?;
    let url = service.url("/v1/apps/local/a/export");
    shell(
        coffer.folder(),
        &format!(
            r#"header="Authorization: Bearer $(cat coffer-data/token)"
            for n in $(seq 16); do curl -fsS -X POST -H "$header" -o $n.coffer {url} & jobs+=($!); done
            for job in "${{jobs[@]}}"; do wait $job; done"#
        ),
    )?;
    let peak = service.memory().ensure_peak_below(MEMORY_BOUND)?;
    say(format!("16 exports at once: {} at most", mebibytes(peak)));
    for n in 1..=16 {
        coffer.run_well(["verify".into(), format!("{n}.coffer")])?;
    }
    Ok(())
}

#[test]
fn what_is_no_file_fails_the_export_by_its_name() -> Result<()> {
    for (make, name) in [
        ("ln -s /etc/passwd 'files/a link'", "a link"),
        ("ln -s . files/pictures/loop", "loop"),
        ("mkfifo files/pipe", "pipe"),
        ("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"files/socket\")'", "socket"),
        ("ln -s nowhere files/dangling", "dangling"),
    ] {
        let coffer = coffer()?;
        coffer.make_identity()?;
        let app = coffer.app("a");
        app.fill_small()?;
        shell(app.folder(), make)?;
        coffer.run(["export", "local/a", "-o", "x.coffer"])?.ends_with(1, &[name]).context(make)?;
        ensure!(!coffer.path("x.coffer").exists(), "an export that failed left its file: {make}");
    }
    Ok(())
}

#[test]
fn a_virtual_table_of_another_kind_fails_the_export_by_its_name() -> Result<()> {
    let coffer = coffer()?;
    coffer.make_identity()?;
    coffer.app("a").sqlite(&[
        "CREATE VIRTUAL TABLE words USING fts5(word)",
        "CREATE VIRTUAL TABLE search_me USING fts5vocab(words, row)",
    ])?;
    let service = coffer.serve()?;
    let answer = service.call("/v1/apps/local/a/export", &["-X", "POST"])?;
    answer.ensure_problem(422, &["search_me"])?;
    coffer.run(["export", "local/a", "-o", "x.coffer"])?.ends_with(1, &["search_me"])
}

/// A full disk of 4 MiB, unmounted when dropped.
struct SmallDisk<'f>(&'f Path);

impl<'f> SmallDisk<'f> {
    fn mount(folder: &'f Path) -> Option<Self> {
        std::fs::create_dir_all(folder).ok()?;
        let options = ["-t", "tmpfs", "-o", "size=4m", "coffer-tests"].map(Path::new);
        tool("mount", options.into_iter().chain([folder])).ok().map(|_| Self(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        tool("umount", [Path::new("-l"), self.0]).ok();
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() -> Result<()> {
    let coffer = coffer()?;
    let data = coffer.path("coffer-data");
    let Some(_disk) = SmallDisk::mount(&data) else {
        say("SKIPPED: a full disk needs the right to mount a tmpfs");
        return Ok(());
    };
    let large = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    large.app("rows").fill_rows(12)?;
    large.app("files").sqlite(&["CREATE TABLE t(a)"])?;
    coffer_tests::large_files(&large.app("files").files(), 12)?;
    large.app("small").fill_small()?;
    for app in ["rows", "files", "small"] {
        let archive = coffer.path(app);
        let archive = archive.to_str().context("not UTF-8")?;
        large.run_well(["export", &format!("local/{app}"), "-o", archive, "--no-encryption"])?;
    }
    let service = coffer.serve()?;
    for app in ["rows", "files"] {
        coffer.run(["restore", app, "--into", "local/b"])?.ends_with(1, &["space"]).context(app)?;
        ensure_nothing_of(&coffer, "b").context(app)?;
        let archive = coffer.path(app);
        let archive = archive.to_str().context("not UTF-8")?;
        let answer = service.call("/v1/apps/local/b/import", &["-X", "POST", "-T", archive])?;
        answer.ensure_problem(507, &["space"]).context(app)?;
        ensure_nothing_of(&coffer, "b").context(app)?;
    }
    coffer.run_well(["restore", "small", "--into", "local/b"])?;
    assert_same_app(&large.app("small"), &coffer.app("b"))
}

#[test]
fn a_connection_that_asks_for_nothing_is_closed() -> Result<()> {
    let coffer = coffer()?;
    let service = coffer.serve()?;
    let mut client = std::net::TcpStream::connect(service.address())?;
    client.write_all(b"GET /healthz HT")?;
    client.set_read_timeout(Some(IDLE + SOON))?;
    // An answer that says so, or none: but an end.
    std::io::copy(&mut client, &mut std::io::sink()).context("the connection stays open")?;
    Ok(())
}

#[test]
fn a_stop_waits_for_an_import_that_cleans_up() -> Result<()> {
    let (coffer, archive) = with_archive()?;
    let service = coffer.serve()?;
    drop(half_sent(&coffer, &service, &archive)?);
    shell(coffer.folder(), &format!("kill -TERM {}", service.process_id()))?;
    ensure_nothing_of(&coffer, "b")
}
