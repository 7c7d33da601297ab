//! A server that fails in every way, between the real binary and a real bucket: either the transfer is right, or an error names the
//! object and nothing is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use coffer_tests::s3::{Action, Bench, Ceph, Proxy, Put, Rule, server};
use coffer_tests::{Contents, Outcome};

const COFFER: &str = env!("CARGO_BIN_EXE_coffer");
const LARGE_BYTES: u64 = 12 << 20;

/// An app with small objects and a large one, and its archive, made before anything fails.
fn bench() -> Result<Bench> {
    let bench = Bench::new(COFFER)?;
    bench.make_app("one")?;
    let small = |n: usize| Put {
        key: Bench::key("one", &format!("s{n:02}")),
        body: Bytes::from(vec![b'a'; 10_000 + n]),
        headers: Vec::new(),
    };
    bench.bucket.fill((0..20).map(small).collect::<Vec<_>>())?;
    bench.bucket.put_generated(&Bench::key("one", "large"), LARGE_BYTES, 11)?;
    bench.export("one", "good.tar.gz")?.ends_with(0, &[])?;
    bench.proxy.reset();
    Ok(bench)
}

/// What has become of an export: it is right, or it says what is wrong and leaves no file.
fn whole_or_told(bench: &Bench, outcome: &Outcome, key: &str) -> Result<bool> {
    if outcome.code != 0 {
        outcome.ends_with(1, &[key])?;
        bench.assert_no_file("new.tar.gz")?;
        return Ok(false);
    }
    bench.verify("new.tar.gz")?;
    let of = |name: &str| -> Result<Vec<_>> {
        Ok(Contents::read(&bench.path(name))?.objects.into_iter().map(|(header, body)| (header.key, body)).collect())
    };
    ensure!(of("new.tar.gz")? == of("good.tar.gz")?, "an archive of other objects");
    std::fs::remove_file(bench.path("new.tar.gz"))?;
    Ok(true)
}

#[test]
fn a_reading_that_breaks_goes_on() -> Result<()> {
    let bench = bench()?;
    let get = |action: Action, key: &str| Rule::new(action).method("GET").with(&format!("/{key}"));
    let cases = [
        ("500 once", get(Action::Status(500, "InternalError"), "large").nth(1)),
        ("503 three times", get(Action::Status(503, "SlowDown"), "s07").first(3)),
        ("503 for some", get(Action::Status(503, "SlowDown"), "one/").one_in(3, 5)),
        ("closed half-way", get(Action::CloseAfter(LARGE_BYTES / 2), "large").first(3)),
        ("closed at once", get(Action::CloseAfter(0), "large").first(3)),
        ("closed in a small one", get(Action::CloseAfter(5_000), "s07").first(3)),
        ("closed before the last byte", get(Action::CloseAfter(LARGE_BYTES - 1), "large").nth(1)),
        ("short", get(Action::ShortBody(100), "large").nth(1)),
        ("short and small", get(Action::ShortBody(1), "s07").nth(1)),
        ("stalled", get(Action::StallAfter(1 << 20), "large").nth(1)),
        ("stalled and small", get(Action::StallAfter(100), "s07").nth(1)),
        ("never answered", get(Action::StallRequest, "s07").nth(1)),
        ("a wrong bit", get(Action::FlipResponse(7 << 20), "large").nth(1)),
        ("a wrong bit in a small one", get(Action::FlipResponse(99), "s07").nth(1)),
        ("a listing with a 500", get(Action::Status(500, "InternalError"), "?").with("list-type=2").first(2)),
        ("a listing closed", get(Action::CloseAfter(700), "?").with("list-type=2").first(2)),
        ("a listing cut", get(Action::TruncateXml, "?").with("list-type=2").nth(1)),
    ];
    for (name, rule) in cases {
        bench.proxy.reset();
        bench.proxy.fail(rule);
        let outcome = bench.export("one", "new.tar.gz")?;
        let is_whole = whole_or_told(&bench, &outcome, "").with_context(|| name.to_owned())?;
        ensure!(is_whole, "{name}: it did not go on:\n{}", outcome.stderr);
        ensure!(bench.proxy.broken() > 0, "{name}: nothing was broken");
    }
    Ok(())
}

#[test]
fn a_reading_that_can_not_go_on_names_the_object() -> Result<()> {
    let bench = bench()?;
    let get = |action: Action, key: &str| Rule::new(action).method("GET").with(&format!("/{key}"));
    for (name, rule, word) in [
        ("always closed", get(Action::CloseAfter(0), "large"), "large"),
        ("always short", get(Action::ShortBody(100), "large"), "large"),
        ("always wrong", get(Action::FlipResponse(5), "large"), "large"),
        ("always wrong and small", get(Action::FlipResponse(5), "s07"), "s07"),
        ("always stalled", get(Action::StallAfter(100), "s07"), "s07"),
        ("refused", get(Action::Status(403, "AccessDenied"), "s07"), "s07"),
        ("a 404 that is not S3's", get(Action::Status(404, "PageNotFound"), "s07"), "s07"),
        ("a 404 that is not S3's, of a large one", get(Action::Status(404, "PageNotFound"), "large"), "large"),
        ("expired", get(Action::Status(400, "ExpiredToken"), "s07"), "ExpiredToken"),
        (
            "a listing that is refused",
            get(Action::Status(403, "AccessDenied"), "?").with("list-type=2"),
            "listing s3://",
        ),
        ("a listing always cut", get(Action::TruncateXml, "?").with("list-type=2"), "listing s3://"),
        (
            "a listing without its order",
            get(Action::rewrite_xml(|xml| xml.replace("s03</Key>", "s99</Key>")), "?").with("list-type=2"),
            "unsorted",
        ),
        (
            "a listing that does not say where the next page begins",
            get(Action::rewrite_xml(|xml| xml.replace("<IsTruncated>false", "<IsTruncated>true")), "?")
                .with("list-type=2"),
            "listing s3://",
        ),
        (
            "a listing that does not say whether it is the last",
            get(Action::rewrite_xml(|xml| xml.replace("IsTruncated", "Other")), "?").with("list-type=2"),
            "listing s3://",
        ),
        (
            "a listing of another prefix",
            get(Action::rewrite_xml(|xml| xml.replace("one/s03", "two/s03").replace("one%2Fs03", "two%2Fs03")), "?")
                .with("list-type=2"),
            "not below",
        ),
    ] {
        bench.proxy.reset();
        bench.proxy.fail(rule);
        let outcome = bench.export("one", "new.tar.gz")?;
        ensure!(outcome.code == 1 && outcome.stderr.contains(word), "{name}: {outcome:?}");
        bench.assert_no_file("new.tar.gz")?;
    }
    Ok(())
}

/// A server that sorts in no order is listed in passes.
#[test]
fn a_server_that_does_not_sort_is_sorted() -> Result<()> {
    let bench = bench()?;
    let backwards = |xml: String| {
        let (head, rest) = xml.split_once("<Contents>").unwrap_or((&xml, ""));
        let (body, tail) = rest.rsplit_once("</Contents>").unwrap_or((rest, ""));
        let mut items: Vec<_> = body.split("</Contents><Contents>").collect();
        items.reverse();
        format!("{head}<Contents>{}</Contents>{tail}", items.join("</Contents><Contents>"))
    };
    bench.proxy.fail(Rule::new(Action::rewrite_xml(backwards)).method("GET").with("list-type=2"));
    bench.export("one", "new.tar.gz")?.ends_with(1, &["listing = \"unsorted\""])?;
    bench.configure(bench.proxy.server(), "listing = \"unsorted\"")?;
    let outcome = bench.export("one", "new.tar.gz")?;
    ensure!(whole_or_told(&bench, &outcome, "")?, "{}", outcome.stderr);
    Ok(())
}

#[test]
fn an_object_that_is_overwritten_while_it_is_read_comes_as_its_later_state() -> Result<()> {
    let bench = bench()?;
    for (key, size) in [("large", LARGE_BYTES), ("s07", 10_007)] {
        let full = Bench::key("one", key);
        let bucket = bench.bucket.by(bench.bucket.server())?;
        let (done, name) = (Arc::new(AtomicBool::new(false)), full.clone());
        bench.proxy.reset();
        // Once: the first answer breaks off when the new state stands, so that the rest of the old one can't be had.
        let overwrite = move || {
            if !done.swap(true, Ordering::SeqCst) {
                bucket.put_generated(&name, size, 99)?;
                anyhow::bail!("closed by the test");
            }
            Ok(())
        };
        bench
            .proxy
            .fail(Rule::new(Action::during_response(size / 2, overwrite)).method("GET").with(&format!("/{key}")));
        bench.export("one", "new.tar.gz")?.ends_with(0, &[])?;
        bench.verify("new.tar.gz")?;
        bench.restore("new.tar.gz", &format!("of-{key}"))?.ends_with(0, &[])?;
        bench.assert_same_objects("one", &format!("of-{key}"))?;
    }
    Ok(())
}

#[test]
fn an_object_that_is_deleted_before_it_is_read_is_recorded() -> Result<()> {
    let bench = bench()?;
    for key in ["large", "s07"] {
        let full = Bench::key("one", key);
        let bucket = bench.bucket.by(bench.bucket.server())?;
        let delete = move || bucket.delete(&full);
        bench.proxy.reset();
        bench.proxy.fail(Rule::new(Action::before(delete)).method("GET").with(&format!("/{key}")));
        bench.export("one", "new.tar.gz")?.ends_with(0, &["1 objects were deleted"])?;
        let entries = String::from_utf8(bench.coffer.run_well(["inspect", "--entries", "new.tar.gz"])?)?;
        ensure!(entries.lines().any(|line| line.contains("vanished") && line.contains(key)), "{entries}");
        bench.restore("new.tar.gz", &format!("of-{key}"))?.ends_with(0, &[])?;
        bench.assert_same_objects("one", &format!("of-{key}"))?;
    }
    Ok(())
}

/// With versions, what was opened can be read to its end whatever becomes of the key.
#[test]
fn a_version_is_read_to_its_end() -> Result<()> {
    let bench = Bench::of(COFFER, server()?.versioned_bucket()?, "")?;
    bench.make_app("one")?;
    let full = Bench::key("one", "large");
    bench.bucket.put_generated(&full, LARGE_BYTES, 1)?;
    let before = bench.objects("one")?;
    let bucket = bench.bucket.by(bench.bucket.server())?;
    let done = AtomicBool::new(false);
    let delete = move || {
        if !done.swap(true, Ordering::SeqCst) {
            bucket.delete(&full)?;
            anyhow::bail!("closed by the test");
        }
        Ok(())
    };
    bench.proxy.fail(Rule::new(Action::during_response(LARGE_BYTES / 2, delete)).method("GET").with("/large"));
    bench.export("one", "new.tar.gz")?.ends_with(0, &[])?;
    bench.restore("new.tar.gz", "two")?.ends_with(0, &[])?;
    ensure!(bench.objects("two")? == before);
    Ok(())
}

#[test]
fn a_sending_that_fails_in_passing_is_made_again() -> Result<()> {
    let bench = bench()?;
    let to =
        |action: Action, method: &'static str, part: &str| Rule::new(action).method(method).with("/apps/").with(part);
    let cases = [
        ("500", to(Action::Status(500, "InternalError"), "PUT", "s07").first(2)),
        ("503 for some", to(Action::Status(503, "SlowDown"), "PUT", "").one_in(3, 5)),
        ("a part with 503", to(Action::Status(503, "SlowDown"), "PUT", "partNumber=2").first(3)),
        ("stored, and an error told", to(Action::StatusAfter(500, "InternalError"), "PUT", "s07").nth(1)),
        ("stored, and no word", to(Action::CloseAfterwards, "PUT", "s07").nth(1)),
        ("a part stored, and no word", to(Action::CloseAfterwards, "PUT", "partNumber=1").nth(1)),
        ("closed half-way", to(Action::CloseRequestAfter(5_000), "PUT", "s07").nth(1)),
        ("a wrong bit", to(Action::FlipRequest(99), "PUT", "s07").nth(1)),
        ("a wrong bit in a part", to(Action::FlipRequest(3 << 20), "PUT", "partNumber=1").nth(1)),
        ("never read", to(Action::StallRequest, "PUT", "s07").nth(1)),
        ("put together, and no word", to(Action::CloseAfterwards, "POST", "uploadId").nth(1)),
        ("begun, and a 500", to(Action::Status(500, "InternalError"), "POST", "uploads").nth(1)),
        ("the claim stored, and no word", to(Action::CloseAfterwards, "PUT", ".coffer-import").nth(1)),
    ];
    for (number, (name, rule)) in cases.into_iter().enumerate() {
        let app = format!("to{number}");
        bench.proxy.reset();
        bench.proxy.fail(rule.with(&format!("/{app}/")));
        let outcome = bench.restore("good.tar.gz", &app)?;
        ensure!(outcome.code == 0, "{name}: {}", outcome.stderr);
        bench.assert_same_objects("one", &app).with_context(|| name.to_owned())?;
        ensure!(bench.proxy.broken() > 0, "{name}: nothing was broken");
    }
    let uploads = bench.bucket.multipart_uploads()?;
    ensure!(uploads.is_empty(), "{uploads:?}");
    Ok(())
}

#[test]
fn a_sending_that_fails_for_good_leaves_nothing() -> Result<()> {
    let bench = bench()?;
    let to = |action: Action, method: &'static str, part: &str| {
        Rule::new(action).method(method).with("/apps/two/").with(part)
    };
    for (name, rule, word) in [
        ("refused", to(Action::Status(403, "AccessDenied"), "PUT", "s07"), "s07"),
        ("a part refused", to(Action::Status(403, "AccessDenied"), "PUT", "partNumber=2"), "large"),
        ("not put together", to(Action::Status(403, "AccessDenied"), "POST", "uploadId"), "large"),
        ("always wrong", to(Action::FlipRequest(99), "PUT", "s07"), "s07"),
        ("always slow", to(Action::Status(503, "SlowDown"), "PUT", "s19"), "s19"),
        ("the quota", to(Action::Status(403, "QuotaExceeded"), "PUT", "s07"), "no space"),
        ("expired", to(Action::Status(400, "ExpiredToken"), "PUT", "s07"), "ExpiredToken"),
        ("no claim", to(Action::Status(403, "AccessDenied"), "PUT", ".coffer-import"), "AccessDenied"),
        ("never put together", to(Action::Status(500, "InternalError"), "POST", "uploadId"), "large"),
        (
            "the claim can't be read back",
            to(Action::Status(403, "AccessDenied"), "GET", ".coffer-import").nth(2),
            "AccessDenied",
        ),
        (
            "nothing can be listed behind the claim",
            Rule::new(Action::Status(403, "AccessDenied")).method("GET").with("prefix=apps/two/").nth(2),
            "AccessDenied",
        ),
    ] {
        bench.proxy.reset();
        bench.proxy.fail(rule);
        let outcome = bench.restore("good.tar.gz", "two")?;
        ensure!(outcome.code == 1 && outcome.stderr.contains(word), "{name}: {outcome:?}");
        bench.assert_absent("two").with_context(|| name.to_owned())?;
    }
    bench.proxy.reset();
    bench.restore("good.tar.gz", "two")?.ends_with(0, &[])?;
    bench.assert_same_objects("one", "two")
}

/// One request at once is enough for everything, and many that end at once are not too many.
#[test]
fn few_turns_and_slow_answers_hold_nobody_up() -> Result<()> {
    let bench = Bench::new(COFFER)?;
    bench.make_app("one")?;
    for n in 0..10 {
        bench.bucket.put_generated(&Bench::key("one", &format!("m{n}")), 6 << 20, n)?;
    }
    bench.export("one", "good.tar.gz")?.ends_with(0, &[])?;
    let slow =
        Rule::new(Action::Delay(Duration::from_millis(1_500))).method("POST").with("/apps/two/").with("uploadId");
    let few = Rule::new(Action::Status(503, "SlowDown")).method("PUT").with("/apps/three/").first(6);
    for (app, rule) in [("two", slow), ("three", few)] {
        bench.proxy.reset();
        bench.proxy.fail(rule);
        let restore = ["restore", "good.tar.gz", "--into", &format!("shop/{app}")];
        bench.run_within(&restore, &[], Duration::from_secs(60))?;
        bench.assert_same_objects("one", app)?;
    }
    Ok(())
}

/// An archive that proves wrong at its end: all that was sent is taken back.
#[test]
fn a_damaged_archive_leaves_nothing() -> Result<()> {
    let bench = bench()?;
    let mut bytes = std::fs::read(bench.path("good.tar.gz"))?;
    bytes.truncate(bytes.len() - 60);
    std::fs::write(bench.path("cut.tar.gz"), bytes)?;
    bench.restore("cut.tar.gz", "two")?.ends_with(13, &[])?;
    bench.assert_absent("two")
}

/// Somebody else's object in the app is never taken away with ours.
#[test]
fn what_others_put_there_meanwhile_stays() -> Result<()> {
    let bench = bench()?;
    let bucket = bench.bucket.by(bench.bucket.server())?;
    let other = Bench::key("two", "theirs");
    let add = move || bucket.put(&other, "theirs");
    bench.proxy.fail(Rule::new(Action::before(add)).method("PUT").with("/apps/two/s03"));
    bench.restore("good.tar.gz", "two")?.ends_with(1, &["s3://"])?;
    ensure!(bench.bucket.get(&Bench::key("two", "theirs"))? == b"theirs");
    ensure!(!bench.database("two").exists());
    Ok(())
}

/// Where another import has the prefix by now, of the same archive perhaps, nothing in it is ours to take away.
#[test]
fn what_another_import_has_taken_over_stays() -> Result<()> {
    let bench = bench()?;
    let bucket = bench.bucket.by(bench.bucket.server())?;
    let lock = Bench::key("two", ".coffer-import");
    let take_over = move || bucket.put(&lock, "0123456789abcdef");
    bench.proxy.fail(Rule::new(Action::before(take_over)).method("PUT").with("/apps/two/s19"));
    bench.restore("good.tar.gz", "two")?.ends_with(11, &[".coffer-import"])?;
    let left = bench.objects("two")?;
    ensure!(left.len() == 22 && left.contains_key(".coffer-import"), "{:?}", left.keys());
    ensure!(!bench.database("two").exists());
    Ok(())
}

#[test]
fn a_server_that_dies_is_told_and_what_it_had_is_taken_back_later() -> Result<()> {
    let ceph = Ceph::start()?;
    let bench = Bench::of(COFFER, ceph.server().bucket()?, "")?;
    bench.make_app("one")?;
    bench.bucket.put_generated(&Bench::key("one", "large"), LARGE_BYTES, 1)?;
    bench.export("one", "good.tar.gz")?.ends_with(0, &[])?;
    ceph.stop()?;
    bench.export("one", "new.tar.gz")?.ends_with(1, &["can't be reached"])?;
    bench.restore("good.tar.gz", "two")?.ends_with(1, &["can't be reached"])?;
    bench.assert_no_file("new.tar.gz")?;
    ceph.restart()?;
    bench.assert_absent("two")?;
    bench.restore("good.tar.gz", "two")?.ends_with(0, &[])?;
    bench.assert_same_objects("one", "two")
}

/// Fewer requests at once where the server says that there are too many; never more in a second than were set.
#[test]
fn requests_adapt_to_the_server() -> Result<()> {
    let bench = Bench::new(COFFER)?;
    bench.make_app("one")?;
    let small = |n: usize| Put {
        key: Bench::key("one", &format!("{n:04}")),
        body: Bytes::from_static(b"x"),
        headers: Vec::new(),
    };
    bench.bucket.fill((0..600).map(small).collect::<Vec<_>>())?;
    // Each answer takes a while, so that more at once bring more.
    let slow = || Rule::new(Action::Delay(Duration::from_millis(15))).method("GET").with("/apps/one/");
    bench.proxy.fail(slow());
    bench.export("one", "new.tar.gz")?.ends_with(0, &[])?;
    let many = bench.proxy.most_at_once();
    ensure!(many > 8, "{many} at once");
    bench.proxy.reset();
    bench.proxy.fail(Rule::new(Action::Status(503, "SlowDown")).method("GET").with("/apps/one/").first(30));
    bench.proxy.fail(slow());
    bench.export("one", "new2.tar.gz")?.ends_with(0, &[])?;
    bench.configure(bench.proxy.server(), "requests_per_second = 100")?;
    bench.proxy.reset();
    let begun = std::time::Instant::now();
    bench.export("one", "new3.tar.gz")?.ends_with(0, &[])?;
    ensure!(begun.elapsed() >= Duration::from_secs(6), "600 requests in {:?}", begun.elapsed());
    ensure!(Proxy::start(bench.bucket.server()).is_ok());
    Ok(())
}
