//! Apps with objects in a bucket, there and back by the real binary: bytes, metadata, keys, archives in buckets.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use coffer_tests::s3::{Action, Bench, Ceph, Put, Rule, server};
use coffer_tests::{Contents, Random};

const COFFER: &str = env!("CARGO_BIN_EXE_coffer");

/// Objects with awkward names and all the metadata there is, an empty one, one of several parts.
fn fill(bench: &Bench, app: &str) -> Result<()> {
    bench.make_app(app)?;
    let mut random = Random::new(7);
    let headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("cache-control", "no-store"),
        ("content-disposition", "attachment; filename=\"x y\""),
        ("content-encoding", "gzip"),
        ("content-language", "fr"),
        ("expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("x-amz-meta-owner", "me; \"you\""),
        ("x-amz-meta-n", "1"),
    ];
    let names = [
        "a",
        "a/b",
        "a//b",
        "/x",
        "x/",
        "./y",
        "a/../b",
        "...",
        "sp ace+plus%41",
        "\u{1}\u{7f}",
        "é\u{1F600}",
        "q?x=1&y#z",
        "<&>;:@$,",
    ];
    for (place, name) in names.iter().enumerate() {
        let body = random.bytes(place * 977);
        let count = if place % 2 == 0 { headers.len() } else { place % 3 };
        bench.bucket.put_with(&Bench::key(app, name), body, headers.get(..count).unwrap_or_default())?;
    }
    bench.bucket.put(&Bench::key(app, "empty"), Bytes::new())?;
    bench.bucket.put_generated(&Bench::key(app, "large"), (13 << 20) + 5, 1)?;
    bench.bucket.put_generated(&Bench::key(app, "middle"), 3 << 20, 2)
}

#[test]
fn an_app_goes_round_with_all_its_metadata() -> Result<()> {
    let bench = Bench::new(COFFER)?;
    fill(&bench, "one")?;
    // What only begins like the app's prefix is another's.
    bench.bucket.put("apps/one2/other", "other")?;
    bench.export("one", "one.tar.gz")?.ends_with(0, &[])?;
    bench.verify("one.tar.gz")?;
    bench.restore("one.tar.gz", "two")?.ends_with(0, &[])?;
    bench.assert_same_objects("one", "two")?;
    ensure!(bench.bucket.multipart_uploads()?.is_empty());
    // The same state, the same bytes, but for what may differ.
    bench.export("two", "two.tar.gz")?.ends_with(0, &[])?;
    let keys = |name: &str| -> Result<Vec<_>> {
        Ok(Contents::read(&bench.path(name))?.objects.into_iter().map(|(header, body)| (header.key, body)).collect())
    };
    ensure!(keys("one.tar.gz")? == keys("two.tar.gz")?);
    bench.restore("one.tar.gz", "two")?.ends_with(1, &["not empty"])
}

#[test]
fn an_archive_goes_into_a_bucket_and_out_of_it() -> Result<()> {
    let bench = Bench::new(COFFER)?;
    fill(&bench, "one")?;
    let objects: Vec<_> = (0..3_000)
        .map(|n| Put {
            key: Bench::key("one", &format!("many/{n:05}")),
            body: Bytes::from(vec![b'x'; 4_096]),
            headers: Vec::new(),
        })
        .collect();
    bench.bucket.fill(objects)?;
    let identity = bench.path("key");
    let made = bench.coffer.run(["keygen", "-o", "key"])?;
    made.ends_with(0, &[])?;
    let recipient = std::fs::read_to_string(&identity)?;
    let recipient =
        recipient.lines().find_map(|line| line.split("public key: ").nth(1)).context("no recipient")?.to_owned();
    let url = format!("s3://{}/archives/one.coffer", bench.bucket.name());
    bench.coffer.run_well(["export", "shop/one", "-r", &recipient, "-o", &url])?;
    let head = bench.bucket.head("archives/one.coffer")?.context("no archive")?;
    ensure!(head.get("content-type").is_some_and(|value| value == "application/vnd.coffer"), "{head:?}");
    bench.coffer.run_well(["verify", "-i", "key", &url])?;
    bench.coffer.run_well(["inspect", "-i", "key", &url])?;

    bench.proxy.reset();
    bench.coffer.run_well(["extract", "-i", "key", &url, "objects/many/01234", "-C", "out"])?;
    ensure!(std::fs::read(bench.path("out/objects/many/01234"))? == vec![b'x'; 4_096]);
    let (gets, bytes) = (bench.proxy.gets(), bench.proxy.bytes_sent());
    ensure!(gets <= 5 && bytes <= 3 << 20, "{gets} GETs, {bytes} bytes");
    ensure!(bench.proxy.requests().len() == gets, "{:?}", bench.proxy.requests());

    bench.coffer.run_well(["restore", "-i", "key", &url, "--into", "shop/two"])?;
    bench.assert_same_objects("one", "two")?;
    let missing = format!("s3://{}/archives/none", bench.bucket.name());
    for command in [["verify", &missing], ["inspect", &missing]] {
        bench.coffer.run(command)?.ends_with(10, &[&missing])?;
    }
    bench.coffer.run(["verify", "s3://no.such.bucket.here/x"])?.ends_with(1, &["no such bucket"])
}

/// An upload that fails leaves what was there, and nothing else.
#[test]
fn an_archive_appears_in_a_bucket_only_when_it_is_whole() -> Result<()> {
    let bench = Bench::new(COFFER)?;
    bench.make_app("one")?;
    bench.bucket.put_generated(&Bench::key("one", "large"), 30 << 20, 3)?;
    let url = format!("s3://{}/archives/one.tar.gz", bench.bucket.name());
    let export = || bench.coffer.run(["export", "shop/one", "--no-encryption", "-o", &url]);
    let absent = || -> Result<()> {
        ensure!(bench.bucket.head("archives/one.tar.gz")?.is_none(), "an archive appeared");
        ensure!(bench.bucket.multipart_uploads()?.is_empty(), "an upload is left");
        Ok(())
    };
    for rule in [
        Rule::new(Action::Status(403, "AccessDenied")).method("PUT").with("partNumber=3"),
        Rule::new(Action::Status(403, "AccessDenied")).method("POST").with("uploadId"),
        Rule::new(Action::Status(403, "AccessDenied")).method("POST").with("uploads"),
        Rule::new(Action::Status(403, "AccessDenied")).method("GET").with("/large"),
    ] {
        bench.proxy.reset();
        bench.proxy.fail(rule);
        export()?.ends_with(1, &["AccessDenied"])?;
        absent()?;
    }
    bench.proxy.reset();
    bench.proxy.fail(Rule::new(Action::CloseAfterwards).method("POST").with("uploadId").nth(1));
    export()?.ends_with(0, &[])?;
    bench.verify(&url)
}

/// An archive's keys are a stranger's: none of them leads out of the app's prefix.
#[test]
fn nothing_is_written_outside_the_prefix() -> Result<()> {
    let bench = Bench::new(COFFER)?;
    bench.make_app("one")?;
    bench.bucket.put(&Bench::key("one", "kept"), "kept")?;
    bench.export("one", "one.tar.gz")?.ends_with(0, &[])?;
    let before = bench.bucket.objects()?;
    for key in
        ["../evil", "a/../../evil", "..", "x/../../../evil", ".coffer-import", ".coffer-tmp-0123456789abcdef", "nul\0"]
    {
        let mut contents = Contents::read(&bench.path("one.tar.gz"))?;
        contents.add_object(key.as_bytes());
        contents.write(&bench.path("evil.tar.gz"))?;
        bench.restore("evil.tar.gz", "two")?.ends_with(13, &["can't stand in S3"])?;
        ensure!(bench.bucket.objects()? == before, "{key}: {:?}", bench.bucket.objects()?);
        bench.assert_absent("two")?;
    }
    let mut contents = Contents::read(&bench.path("one.tar.gz"))?;
    contents.add_object(b"not utf-8 \xff");
    contents.write(&bench.path("evil.tar.gz"))?;
    bench.restore("evil.tar.gz", "two")?.ends_with(13, &["not UTF-8"])?;
    bench.assert_absent("two")
}

#[test]
fn the_configuration_is_tried_out() -> Result<()> {
    let bench = Bench::new(COFFER)?;
    let told = bench.coffer.run(["config", "check", "--json"])?;
    told.ends_with(0, &[])?;
    let told = told.json_lines()?;
    let bucket = told.iter().find_map(|line| line.pointer("/buckets/0")).context("no bucket")?.clone();
    for (key, value) in [
        ("list", "yes"),
        ("put", "yes"),
        ("multipart", "yes"),
        ("delete", "yes"),
        ("conditional_put", "yes"),
        ("sorted_listing", "yes"),
        ("md5_etags", "yes"),
    ] {
        ensure!(bucket.get(key).is_some_and(|found| found == value), "{key}: {bucket}");
    }
    ensure!(bench.bucket.objects()?.is_empty() && bench.bucket.multipart_uploads()?.is_empty());
    // A server that lacks something is told of.
    bench.proxy.fail(Rule::new(Action::Status(403, "AccessDenied")).method("POST").with("uploads"));
    bench.coffer.run(["config", "check"])?.ends_with(1, &["source shop", "AccessDenied"])?;
    bench.proxy.reset();
    bench.coffer.run(["config", "check", "--offline"])?.ends_with(0, &[])?;
    ensure!(bench.proxy.requests().is_empty());
    let wrong =
        bench.coffer.command().args(["config", "check"]).env("AWS_SECRET_ACCESS_KEY", "wrong-secret").output()?;
    let stderr = String::from_utf8_lossy(&wrong.stderr).into_owned() + &String::from_utf8_lossy(&wrong.stdout);
    ensure!(wrong.status.code() == Some(1) && stderr.contains("SignatureDoesNotMatch"), "{stderr}");
    ensure!(!stderr.contains("wrong-secret"), "{stderr}");
    Ok(())
}

#[test]
fn an_authority_of_ones_own_is_trusted_when_it_is_named() -> Result<()> {
    let ceph = Ceph::shared()?;
    let bench = Bench::of(COFFER, ceph.server().bucket()?, "")?;
    fill(&bench, "one")?;
    bench.configure(ceph.secure_server(), "")?;
    bench.export("one", "one.tar.gz")?.ends_with(1, &["can't be reached"])?;
    for settings in ["payload_signing = true", "payload_signing = false"] {
        let authority = ceph.authority();
        bench.configure(ceph.secure_server(), &format!("ca_file = \"{}\"\n{settings}", authority.display()))?;
        bench.export("one", "one.tar.gz")?.ends_with(0, &[])?;
        let app = settings.replace([' ', '='], "_");
        bench.restore("one.tar.gz", &app)?.ends_with(0, &[])?;
        bench.assert_same_objects("one", &app)?;
    }
    Ok(())
}

/// What is set for new objects goes with each of them.
#[test]
fn settings_reach_the_server() -> Result<()> {
    let bench = Bench::new(COFFER)?;
    bench.make_app("one")?;
    bench.bucket.put(&Bench::key("one", "small"), "small")?;
    bench.bucket.put_generated(&Bench::key("one", "large"), 11 << 20, 4)?;
    bench.export("one", "one.tar.gz")?.ends_with(0, &[])?;
    bench.configure(
        bench.proxy.server(),
        "storage_class = \"STANDARD\"\nserver_side_encryption = \"AES256\"\nchecksums = \"required\"",
    )?;
    let outcome = bench.restore("one.tar.gz", "two")?;
    // Ceph knows no such encryption by default; what matters is that it was asked.
    if outcome.code == 0 {
        bench.assert_same_objects("one", "two")?;
    } else {
        outcome.ends_with(1, &["storing"])?;
        bench.assert_absent("two")?;
    }
    for (settings, word) in [
        ("endpoint = \"x\"", "duplicate key"),
        ("colour = \"blue\"", "unknown field"),
        ("checksums = \"none\"", "unknown variant"),
    ] {
        bench.configure(bench.proxy.server(), settings)?;
        bench.export("one", "x.tar.gz")?.ends_with(2, &[word])?;
    }
    Ok(())
}

/// Two restores of one app: the second is told so, and takes nothing from the first.
#[test]
fn one_import_of_an_app_at_a_time() -> Result<()> {
    let bench = Bench::new(COFFER)?;
    bench.make_app("one")?;
    for n in 0..40 {
        bench.bucket.put(&Bench::key("one", &format!("{n}")), "x")?;
    }
    bench.export("one", "one.tar.gz")?.ends_with(0, &[])?;
    bench.proxy.fail(Rule::new(Action::Delay(Duration::from_millis(100))).method("PUT").with("/two/"));
    let mut first = bench.coffer.command().args(["restore", "one.tar.gz", "--into", "shop/two"]).spawn()?;
    std::thread::sleep(Duration::from_millis(700));
    let second = bench.restore("one.tar.gz", "two")?;
    ensure!(second.code == 11 || second.code == 1, "{second:?}");
    ensure!(first.wait()?.success());
    bench.assert_same_objects("one", "two")?;
    ensure!(server().is_ok());
    Ok(())
}

/// However little memory there is: what is read ahead, what is sent and what is on its way between wait for each other never.
#[test]
fn little_memory_makes_slow_and_never_still() -> Result<()> {
    let bench = Bench::new(COFFER)?;
    bench.make_app("one")?;
    for n in 0..40 {
        bench.bucket.put_generated(&Bench::key("one", &format!("{n:02}")), 300_000, n)?;
    }
    bench.bucket.put_generated(&Bench::key("one", "large"), 12 << 20, 40)?;
    for (number, memory) in ["1MiB", "8MiB", "16MiB", "20MiB", "33MiB"].into_iter().enumerate() {
        let (url, app) = (format!("s3://{}/archives/{number}", bench.bucket.name()), format!("shop/to{number}"));
        let export = ["export", "shop/one", "--no-encryption", "--compression", "none", "-o", &url];
        for arguments in [&export[..], &["restore", &url, "--into", &app]] {
            bench.run_within(arguments, &[("COFFER_SERVER_MEMORY", memory)], Duration::from_secs(50))?;
        }
        bench.assert_same_objects("one", &format!("to{number}"))?;
    }
    Ok(())
}
