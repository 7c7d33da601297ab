//! What users are told: exit codes, statuses and messages, each with the name it is about.

use anyhow::{Context, Result, ensure};
use coffer_tests::{Coffer, assert_same_app, shell};
use serde_json::Value;

fn coffer() -> Result<Coffer> {
    Coffer::new(env!("CARGO_BIN_EXE_coffer"))
}

/// A small app `local/a`, its archive `x.coffer`, and the identity that opens it.
fn with_archive() -> Result<Coffer> {
    let coffer = coffer()?;
    coffer.make_identity()?;
    coffer.app("a").fill_small()?;
    coffer.run_well(["export", "local/a", "-o", "x.coffer"])?;
    Ok(coffer)
}

#[test]
fn keys_that_do_not_fit_are_12() -> Result<()> {
    let coffer = with_archive()?;
    coffer.run_well(["keygen", "-o", "other.key"])?;
    std::fs::write(coffer.path("wrong"), "not it")?;
    coffer.run(["restore", "x.coffer", "--into", "local/b", "-i", "other.key"])?.ends_with(12, &["identities"])?;
    coffer.run(["verify", "x.coffer", "-i", "other.key"])?.ends_with(12, &["identities"])?;
    std::fs::write(coffer.path("right"), "it is")?;
    coffer.run_well(["export", "local/a", "-o", "p.coffer", "--passphrase-file", "right"])?;
    let restore = ["restore", "p.coffer", "--into", "local/b", "--passphrase-file", "wrong"];
    coffer.run(restore)?.ends_with(12, &["passphrase"])?;
    ensure!(!coffer.app("b").exists(), "a wrong key left something of the app");
    Ok(())
}

#[test]
fn archives_that_are_damaged_or_cut_are_13() -> Result<()> {
    let coffer = with_archive()?;
    let whole = std::fs::read(coffer.path("x.coffer"))?;
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(coffer.path("damaged.coffer"), damaged)?;
    std::fs::write(coffer.path("cut.coffer"), &whole[..whole.len() / 2])?;
    std::fs::write(coffer.path("foreign.coffer"), b"PK\x03\x04 this is something else")?;
    std::fs::write(coffer.path("empty.coffer"), b"")?;
    for (archive, words) in [
        ("damaged.coffer", &["segment"][..]),
        ("cut.coffer", &["segment"]),
        ("foreign.coffer", &["not a Coffer archive"]),
        ("empty.coffer", &[]),
    ] {
        coffer.run(["verify", archive])?.ends_with(13, words)?;
        coffer.run(["restore", archive, "--into", "local/b"])?.ends_with(13, words)?;
        ensure!(!coffer.app("b").exists(), "{archive} left something of the app");
    }
    Ok(())
}

#[test]
fn names_that_lead_nowhere_are_10_and_names_that_are_none_are_2() -> Result<()> {
    let coffer = with_archive()?;
    coffer.run(["export", "local/nobody", "-o", "y.coffer"])?.ends_with(10, &["local/nobody"])?;
    ensure!(!coffer.path("y.coffer").exists(), "an export of no app left a file");
    coffer.run(["export", "nowhere/a", "-o", "y.coffer"])?.ends_with(10, &["nowhere"])?;
    coffer.run(["restore", "gone.coffer", "--into", "local/b"])?.ends_with(10, &["gone.coffer"])?;
    coffer.run(["verify", "gone.coffer"])?.ends_with(10, &["gone.coffer"])?;
    for name in
        ["local/../b", "local/a/b", "local", "local/", "/b", "local/coffer_b", "local/ü", "local/-b", "local/.b"]
    {
        coffer.run(["restore", "x.coffer", "--into", name])?.ends_with(2, &[name])?;
        coffer.run(["export", name, "-o", "y.coffer"])?.ends_with(2, &[name])?;
    }
    Ok(())
}

#[test]
fn an_app_that_holds_something_is_left_alone() -> Result<()> {
    let coffer = with_archive()?;
    let target = coffer.app("b");
    target.sqlite(&["CREATE TABLE mine(a); INSERT INTO mine VALUES ('keep')"])?;
    target.put("mine.txt", b"keep")?;
    let files_alone = coffer.app("c");
    files_alone.put("mine.txt", b"keep")?;
    coffer.run(["restore", "x.coffer", "--into", "local/b"])?.ends_with(1, &["local/b"])?;
    coffer.run(["restore", "x.coffer", "--into", "local/c"])?.ends_with(1, &["local/c"])?;
    let service = coffer.serve()?;
    let archive = coffer.path("x.coffer");
    let archive = archive.to_str().context("not UTF-8")?;
    let answer = service.call("/v1/apps/local/b/import", &["-X", "POST", "-T", archive])?;
    answer.ensure_problem(409, &["local/b"])?;
    ensure!(target.sqlite(&["SELECT a FROM mine"])? == "keep\n", "its rows have changed");
    ensure!(std::fs::read(target.files().join("mine.txt"))? == b"keep", "its files have changed");
    ensure!(std::fs::read_dir(target.files())?.count() == 1 && !files_alone.database().exists(), "something came in");
    Ok(())
}

#[test]
fn an_app_that_is_there_and_empty_is_filled() -> Result<()> {
    let coffer = with_archive()?;
    let target = coffer.app("b");
    std::fs::create_dir_all(target.files())?;
    target.sqlite(&["VACUUM"])?;
    coffer.run_well(["restore", "x.coffer", "--into", "local/b"])?;
    assert_same_app(&coffer.app("a"), &target)
}

#[test]
fn a_configuration_that_is_wrong_is_told_with_its_line() -> Result<()> {
    let coffer = coffer()?;
    let source = "[[source]]\nname = \"notes\"\ndatabase = \"sqlite:data/{app}.db\"\n";
    for (text, words) in [
        (format!("[server]\nmemori = \"1MiB\"\n{source}"), &["coffer.toml", "line 2", "memori"][..]),
        (format!("{source}[servers]\n"), &["line 4", "servers"]),
        (format!("{source}objcts = \"file:x\"\n"), &["line 4", "objcts"]),
        (format!("[server]\nlisten = 8484\n{source}"), &["line 2"]),
        (format!("{source}\n= broken"), &["line 5"]),
        (format!("[server]\nmemory = \"much\"\n{source}"), &["much"]),
        (source.replace("sqlite:", "oracle:"), &["oracle:"]),
    ] {
        std::fs::write(coffer.path("coffer.toml"), &text)?;
        coffer.run(["config", "check"])?.ends_with(2, words).context(text)?;
        coffer.run(["apps"])?.ends_with(2, words)?;
    }
    std::fs::write(coffer.path("other.toml"), source)?;
    coffer.run(["--config", "gone.toml", "apps"])?.ends_with(2, &["gone.toml"])?;
    coffer.run_well(["--config", "other.toml", "config", "check"])?;
    Ok(())
}

#[test]
fn a_configured_source_works_as_the_default_does() -> Result<()> {
    let coffer = coffer()?;
    coffer.run_well(["keygen", "-o", "my.key"])?;
    std::fs::write(
        coffer.path("coffer.toml"),
        "[keys]\nidentity_file = \"my.key\"\n[[source]]\nname = \"notes\"\n\
         database = \"sqlite:data/{app}.db\"\nobjects = \"file:data/{app}/files\"\n",
    )?;
    std::fs::create_dir_all(coffer.path("data/a/files"))?;
    shell(
        coffer.folder(),
        "sqlite3 data/a.db 'CREATE TABLE t(x); INSERT INTO t VALUES (1)'; echo hi > data/a/files/x",
    )?;
    coffer.run_well(["export", "notes/a", "-o", "x.coffer"])?;
    coffer.run_well(["restore", "x.coffer", "--into", "notes/b"])?;
    shell(coffer.folder(), "diff -r data/a data/b; diff <(sqlite3 data/a.db .dump) <(sqlite3 data/b.db .dump)")?;
    let apps = String::from_utf8(coffer.run_well(["apps"])?)?;
    ensure!(apps.contains("notes/a") && apps.contains("notes/b"), "{apps}");
    Ok(())
}

#[test]
fn what_an_archive_holds_can_be_read() -> Result<()> {
    let coffer = with_archive()?;
    coffer.run_well(["verify", "x.coffer"])?;
    let told = coffer.run(["inspect", "x.coffer"])?;
    ensure!(told.code == 0 && String::from_utf8_lossy(&told.stdout).contains("notes"), "{told:?}");
    let told = coffer.run(["inspect", "x.coffer", "--json"])?;
    ensure!(told.code == 0 && !told.json_lines()?.is_empty(), "{told:?}");
    for line in coffer.run(["--json", "verify", "x.coffer"])?.json_lines()? {
        let kind = line["message_type"].as_str().unwrap_or_default();
        ensure!(["status", "summary", "error"].contains(&kind), "{line}");
    }
    let failed = coffer.run(["--json", "verify", "gone.coffer"])?;
    ensure!(failed.code == 10, "{failed:?}");
    ensure!(failed.json_lines()?.iter().any(|line| line["message_type"] == "error"), "{failed:?}");
    std::fs::write(coffer.path("completions"), coffer.run_well(["completions", "bash"])?)?;
    shell(coffer.folder(), "bash -n completions").map(drop)
}

#[test]
fn secrets_are_for_their_owner_alone() -> Result<()> {
    let coffer = coffer()?;
    coffer.make_identity()?;
    coffer.run_well(["keygen", "-o", "my.key"])?;
    let modes = shell(coffer.folder(), "stat -c %a coffer-data/token coffer-data/coffer.key my.key")?;
    ensure!(modes == "600\n600\n600\n", "{modes}");
    coffer.run(["keygen", "-o", "my.key"])?.ends_with(1, &["my.key"])
}

#[test]
fn nothing_is_served_without_the_token() -> Result<()> {
    let coffer = with_archive()?;
    let service = coffer.serve()?;
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        shell(coffer.folder(), &format!("curl -fsS {}", service.url(path)))?;
    }
    for header in
        ["Authorization:", "Authorization: Bearer", "Authorization: Bearer wrong", "Authorization: Basic eDp4"]
    {
        for (path, method) in [
            ("/v1/apps", "GET"),
            ("/v1/apps/local/a", "GET"),
            ("/v1/apps/local/a/export", "POST"),
            ("/v1/apps/local/b/import", "POST"),
            ("/v1/transfers/tr_0000000000000000", "GET"),
            ("/v1/nothing", "GET"),
        ] {
            let url = service.url(path);
            let answer = shell(
                coffer.folder(),
                &format!("curl -sS -o /dev/null -w '%{{http_code}}' -X {method} -H '{header}' {url}"),
            )?;
            ensure!(answer == "401", "{method} {path} with {header:?}: {answer}");
        }
    }
    ensure!(!coffer.app("b").exists(), "something came in");
    Ok(())
}

#[test]
fn problems_are_told_as_rfc_9457_asks() -> Result<()> {
    let coffer = with_archive()?;
    let service = coffer.serve()?;
    let post = |path: &str, body: &str| service.call(path, &["-X", "POST", "--json", body]);
    post("/v1/apps/local/nobody/export", "{}")?.ensure_problem(404, &["local/nobody"])?;
    post("/v1/apps/nowhere/a/export", "{}")?.ensure_problem(404, &["nowhere"])?;
    post("/v1/apps/local/coffer_x/export", "{}")?.ensure_problem(400, &["coffer_x"])?;
    post("/v1/apps/local/a/export", r#"{"encryption":"rot13"}"#)?.ensure_problem(400, &[])?;
    post("/v1/apps/local/a/export", r#"{"unknown":1}"#)?.ensure_problem(400, &["unknown"])?;
    post("/v1/apps/local/a/export", "{")?.ensure_problem(400, &[])?;
    post("/v1/apps/local/a/export", r#"{"recipients":["age1nonsense"]}"#)?.ensure_problem(400, &["recipient"])?;
    post("/v1/apps/local/b/import", "no archive")?.ensure_problem(422, &[])?;
    service.call("/v1/transfers/tr_0000000000000000", &[])?.ensure_problem(404, &["tr_0000000000000000"])?;
    service.call("/v1/nothing", &[])?.ensure_problem(404, &[])?;
    service.call("/v1/apps/local/nobody", &[])?.ensure_problem(404, &["local/nobody"])?;
    Ok(())
}

#[test]
fn transfers_and_apps_are_told() -> Result<()> {
    let coffer = with_archive()?;
    let service = coffer.serve()?;
    let apps = service.call("/v1/apps", &[])?;
    ensure!(apps.status == 200 && apps.body.contains("\"a\""), "{apps:?}");
    ensure!(service.call("/v1/apps/local/a", &[])?.status == 200, "no such app");
    let export = service.call("/v1/apps/local/a/export", &["-X", "POST", "-o", "/dev/null"])?;
    let transfer = service.transfer_ended(export.header("coffer-transfer"), std::time::Duration::from_secs(5))?;
    ensure!(transfer["state"] == "done" && transfer["kind"] == "export" && transfer["app"] == "a", "{transfer}");
    ensure!(transfer["error"].is_null() && transfer["bytes"].as_u64() > Some(100_000), "{transfer}");
    let unsealed = service
        .call("/v1/apps/local/a/export", &["-X", "POST", "--json", r#"{"encryption":"none"}"#, "-o", "/dev/null"])?;
    ensure!(unsealed.header("content-type") == "application/gzip", "{unsealed:?}");
    let openapi = service.call("/openapi.json", &[])?.json()?;
    for path in [
        "/v1/apps",
        "/v1/apps/{source}/{app}",
        "/v1/apps/{source}/{app}/export",
        "/v1/apps/{source}/{app}/import",
        "/v1/transfers/{id}",
    ] {
        ensure!(openapi["paths"].get(path).is_some_and(Value::is_object), "openapi.json does not tell {path}");
    }
    ensure!(openapi["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "no version of OpenAPI");
    Ok(())
}

#[test]
fn what_may_be_a_secret_is_not_repeated() -> Result<()> {
    let coffer = with_archive()?;
    let service = coffer.serve()?;
    for body in [
        r#"{"passphrase":31337424242}"#,
        r#""31337424242""#,
        r#"{"recipients":"31337424242"}"#,
        r#"{"recipients":["31337424242"]}"#,
        r#"{"encryption":"31337424242"}"#,
        r#"{"compression":"31337424242"}"#,
    ] {
        let answer = service.call("/v1/apps/local/a/export", &["-X", "POST", "--json", body])?;
        answer.ensure_problem(400, &[])?;
        let transfer = service.transfer(answer.header("coffer-transfer"))?;
        for told in [answer.json()?, transfer] {
            ensure!(!told.to_string().contains("31337424242"), "{body}: {told}");
        }
    }
    Ok(())
}

#[test]
fn a_result_that_nobody_can_take_is_a_failure() -> Result<()> {
    let coffer = with_archive()?;
    for arguments in [&["keygen"][..], &["inspect", "x.coffer"], &["--json", "apps"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
        let status = coffer.command().args(arguments).stdout(full).stderr(std::process::Stdio::null()).status()?;
        ensure!(status.code() == Some(1), "{arguments:?}: {status}");
    }
    Ok(())
}

#[test]
fn an_output_that_is_no_file_is_written_into_and_a_link_is_followed() -> Result<()> {
    let coffer = with_archive()?;
    shell(coffer.folder(), "mkfifo pipe && echo old >real && ln -s real link")?;
    let reader = std::process::Command::new("sh").args(["-c", "cat pipe >piped"]).current_dir(coffer.folder()).spawn();
    coffer.run_well(["export", "local/a", "-o", "pipe"])?;
    ensure!(reader?.wait()?.success(), "the pipe was not read");
    coffer.run_well(["verify", "piped"])?;
    coffer.run_well(["export", "local/a", "-o", "link"])?;
    coffer.run_well(["verify", "real"])?;
    let kinds = shell(coffer.folder(), "stat -c %F pipe link real")?;
    ensure!(kinds == "fifo\nsymbolic link\nregular file\n", "{kinds}");
    Ok(())
}
