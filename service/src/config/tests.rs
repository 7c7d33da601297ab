//! Configuration files as people write them.

mod postgres;

use super::*;

fn load(text: &str) -> (tempfile::TempDir, Result<Config>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("coffer.toml");
    std::fs::write(&file, text).unwrap();
    let config = Config::load(Some(&file));
    (folder, config)
}

const SOURCE: &str =
    "[[source]]\nname = \"notes\"\ndatabase = \"sqlite:data/{app}.db\"\nobjects = \"file:data/{app}/files\"\n";

#[tokio::test]
async fn paths_are_relative_to_the_file_and_apps_are_found_by_listing() {
    let (folder, config) = load(&format!("[server]\nmemory = \"16MiB\"\n{SOURCE}"));
    let config = config.unwrap();
    assert_eq!(config.memory.bytes(), 16 << 20);
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for name in ["acme.db", "b.c.db", "acme.db-wal", "not an app.db", "coffer_x.db"] {
        std::fs::write(data.join(name), "").unwrap();
    }
    let apps = config.source(&"notes".parse().unwrap()).unwrap().apps().await.unwrap();
    assert_eq!(apps.iter().map(Name::as_str).collect::<Vec<_>>(), ["acme", "b.c"]);
    let DatabasePattern::Sqlite(database) = &config.sources[0].database else { panic!("another engine") };
    assert_eq!(database.fill(&apps[0]), data.join("acme.db"));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, told) in [
        ("[server]\nlisten = \"a\"\nmemmory = \"1MiB\"\n", "line 3"),
        ("[vault]\n", "line 1"),
        ("[server]\nmemory = \"much\"\n[[source]]\nname=\"a\"\ndatabase=\"sqlite:a\"\n", "much"),
        ("[server]\n", "[[source]]"),
        ("[[source]]\nname = \"a\"\ndatabase = \"mysql://u:secret@h/d\"\n", "database"),
        ("[[source]]\nname = \"..\"\ndatabase = \"sqlite:a\"\n", ".."),
        ("[[source]]\nname = \"a\"\ndatabase = \"sqlite:{app}.db\"\nobjects = \"file:x\"\n", "both"),
        (
            "[keys]\nrecipients = [\"AGE-SECRET-KEY-1QQQQ\"]\n[[source]]\nname=\"a\"\ndatabase=\"sqlite:a\"\n",
            "recipient",
        ),
    ] {
        let error = load(text).1.unwrap_err();
        assert_eq!(error.outcome().exit(), 2, "{error}");
        let message = error.to_string();
        assert!(message.contains(told) && !message.contains("secret@") && !message.contains("1QQQQ"), "{message}");
    }
}

#[test]
fn vaults_schedules_hooks_and_the_state_are_checked() {
    let vault = |name: &str, url: &str| format!("[[vault]]\nname = \"{name}\"\nurl = \"{url}\"\n");
    let schedule = |rest: &str| format!("[[schedule]]\nname = \"n\"\n{rest}\n");
    for (text, told) in [
        (vault("a", "ftp://geheim@x"), "file:PATH"),
        (vault("a", "file:"), "file:PATH"),
        (vault("a/b", "file:v"), "a/b"),
        (vault("a", "s3://bucket/{app}"), "{app}"),
        (vault("a", "file:v") + &vault("a", "file:w"), "two [[vault]]s"),
        (vault("a", "file:v") + &vault("b", "file:./v"), "lies in"),
        (vault("a", "file:v") + &vault("b", "file:v/w"), "lies in"),
        (vault("a", "file:v/../w") + &vault("b", "file:w/x"), "lies in"),
        (vault("a", "s3://b/x") + &vault("b", "s3://b/x/y"), "lies in"),
        (vault("a", "file:v") + "bandwidth = \"0\"\n", "bandwidth"),
        (vault("a", "file:v") + "bandwidht = \"1MiB\"\n", "bandwidht"),
        (schedule("apps = [\"acme\"]"), "SOURCE/APP"),
        (schedule("apps = [\"a/[\"]"), "pattern"),
        (schedule("apps = [\"a/*\"]\nkeep = { daily = 0 }"), "keep"),
        (schedule("apps = [\"a/*\"]\nkeep = { dayly = 1 }"), "dayly"),
        (schedule("apps = [\"a/*\"]\nkeep = { daily = 1, minimum_age = \"soon\" }"), "soon"),
        ("[state]\nurl = \"mysql://geheim@x\"\n".into(), "[state]"),
        ("[state]\nurl = \"postgres://u@h/{app}\"\n".into(), "{app}"),
        ("[keys]\ntrust = [\"geheim\"]\n".into(), "trust"),
    ] {
        let error = load(&format!("{text}{SOURCE}")).1.unwrap_err();
        assert_eq!(error.outcome().exit(), 2, "{text}: {error}");
        let message = error.to_string();
        assert!(message.contains(told) && !message.contains("geheim"), "{text}: {message}");
    }
    for (hook, told) in
        [("before = [\"true\"]", "whole path"), ("after = []", "no program"), ("before = [\"\"]", "no program")]
    {
        let message = load(&format!("{SOURCE}{hook}\n")).1.unwrap_err().to_string();
        assert!(message.contains(told), "{hook}: {message}");
    }
    let two = vault("a", "file:v") + &vault("b", "file:v2") + &vault("c", "s3://b/x") + &vault("d", "s3://b/x2");
    let config = load(&format!("{two}{SOURCE}")).1.unwrap();
    assert_eq!(config.vault(None).unwrap().name.as_str(), "a");
    assert_eq!(config.vault(Some("d")).unwrap().url(), "s3://b/x2/");
    assert_eq!(config.vault(Some("e")).unwrap_err().outcome().exit(), 10);
    assert_eq!(load(SOURCE).1.unwrap().vault(None).unwrap_err().outcome().exit(), 2);
}

#[test]
fn whether_anybody_else_can_open_what_is_written_is_known() {
    let [own, other] = [(); 2].map(|()| coffer_crypto::Identity::generate());
    let (folder, config) = load(&format!("[keys]\nidentity_file = \"key\"\n{SOURCE}"));
    let mut config = config.unwrap();
    assert_eq!(config.one_holder(), None);
    std::fs::write(folder.path().join("key"), own.to_secret_text().as_bytes()).unwrap();
    assert!(config.one_holder().unwrap().contains("[keys] recipients"));
    config.keys.recipients = vec![own.recipient(), other.recipient()];
    assert_eq!(config.one_holder(), None);
    config.sources[0].recipients = vec![own.recipient()];
    assert!(config.one_holder().unwrap().contains("source notes"));
    config.sources[0].recipients = vec![other.recipient()];
    assert_eq!(config.one_holder(), None);
}
