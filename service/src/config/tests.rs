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
        ("[vault]\n", "vault"),
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
