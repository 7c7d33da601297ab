//! The S3 harness itself: its servers run and go, its buckets hold what they are given, its proxy breaks what it is told to.

use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_tests::s3::{Action, Bucket, Ceph, Proxy, Put, Rule, server};
use coffer_tests::{Random, tool};

/// Each character that makes trouble somewhere.
const AWKWARD: &str = "a b/+%&=?#'\"<>;:@$,!*()[]{}|\\^`~é\u{1F600}/.././/\u{1}\t\n-_";

/// A bucket with one object, `thing`, of 100,000 bytes, and a way to it that breaks.
struct Broken {
    bucket: Arc<Bucket>,
    by_proxy: ManuallyDrop<Bucket>,
    proxy: Proxy,
    body: Vec<u8>,
}

impl Broken {
    fn new() -> Result<Self> {
        let server = server()?;
        let (bucket, proxy) = (Arc::new(server.bucket()?), Proxy::start(&server)?);
        let (by_proxy, body) = (bucket.by(proxy.server())?, Random::new(1).bytes(100_000));
        bucket.put("thing", body.clone())?;
        Ok(Self { bucket, by_proxy, proxy, body })
    }

    /// What a GET gives that this is done to, with the length it was told.
    fn get(&self, action: Action) -> Result<(Vec<u8>, usize)> {
        self.proxy.fail(Rule::new(action).method("GET").with("/thing"));
        let answer = self.raw_get("thing", Duration::from_secs(1));
        ensure!(self.proxy.broken() == 1, "{:?}", self.proxy.requests());
        answer
    }

    /// A GET by a socket, which shows what came before a connection broke or stalled.
    fn raw_get(&self, key: &str, patience: Duration) -> Result<(Vec<u8>, usize)> {
        let policy = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::{}/*"}}]}}"#,
            self.bucket.name()
        );
        self.bucket.set_policy(&policy)?;
        let mut stream = TcpStream::connect(self.proxy.endpoint().trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(patience))?;
        write!(stream, "GET /{}/{key} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n", self.bucket.name())?;
        let (mut head, mut piece) = (Vec::new(), [0; 65_536]);
        while let Ok(length) = stream.read(&mut piece)
            && length > 0
        {
            head.extend(piece.iter().take(length));
        }
        let end = head.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("no head")? + 4;
        let body = head.split_off(end);
        let head = String::from_utf8(head)?.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).context("no length")?;
        Ok((body, length.parse()?))
    }
}

#[test]
fn a_bucket_holds_what_it_is_given() -> Result<()> {
    let bucket = server()?.bucket()?;
    let headers = [("content-type", "text/x"), ("x-amz-meta-one", "1"), ("cache-control", "no-store")];
    let told = bucket.put_with(AWKWARD, "body", &headers)?;
    ensure!(told.contains_key("etag"), "{told:?}");
    ensure!(bucket.get(AWKWARD)? == b"body");
    ensure!(bucket.head("nothing")?.is_none());
    let content = bucket.content(AWKWARD)?;
    let wanted = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ensure!(content.headers == wanted.into(), "{content:?}");
    ensure!(content.sha256 == "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5");
    bucket.put_generated("large", 9_000_001, 4)?;
    ensure!(bucket.get("large")?.len() == 9_000_001);
    ensure!(bucket.objects()? == [(AWKWARD.to_owned(), 4), ("large".to_owned(), 9_000_001)].into());
    ensure!(bucket.contents()?.get(AWKWARD) == Some(&content));
    bucket.delete(AWKWARD)?;
    ensure!(bucket.get(AWKWARD).is_err());
    let refused = bucket.request("GET", Some("nothing"), &[], &[], "")?;
    ensure!(refused.status == 404 && refused.error_code() == "NoSuchKey", "{refused:?}");
    Ok(())
}

#[test]
fn many_objects_come_page_by_page_and_go_with_their_bucket() -> Result<()> {
    let (server, names) = (server()?, |number| format!("folder/{number:05} of\u{e9}"));
    let bucket = server.bucket()?;
    let put = |number| Put { key: names(number), body: vec![1; 100].into(), ..Put::default() };
    let started = Instant::now();
    bucket.fill((0..1200).map(put))?;
    coffer_tests::say(format_args!("1,200 objects in {:?}", started.elapsed()));
    let objects = bucket.objects()?;
    ensure!(objects.len() == 1200 && objects.get(&names(1199)) == Some(&100));
    ensure!(bucket.versions()?.len() == 1200);
    let upload = bucket.begin_upload(AWKWARD.trim_end_matches('_'), 1)?;
    bucket.begin_upload("other", 0)?;
    ensure!(bucket.multipart_uploads()? == [upload.key.clone(), "other".to_owned()], "{:?}", bucket.uploads()?);
    let name = bucket.name().to_owned();
    bucket.remove()?;
    let gone = bucket.request("GET", None, &[], &[], "")?;
    ensure!(gone.error_code() == "NoSuchBucket", "{name}: {gone:?}");
    Ok(())
}

#[test]
fn versions_are_kept_where_they_are_wanted() -> Result<()> {
    let bucket = server()?.versioned_bucket()?;
    let first = bucket.put_with("a", "one", &[])?;
    bucket.put("a", "three")?;
    bucket.delete("a")?;
    let id = first.get("x-amz-version-id").context("no version")?;
    ensure!(bucket.get_version("a", id)? == b"one");
    let versions = bucket.versions()?;
    let markers: Vec<_> = versions.iter().map(|version| (version.is_marker, version.is_latest, version.size)).collect();
    ensure!(markers == [(false, false, 5), (false, false, 3), (true, true, 0)], "{versions:?}");
    ensure!(bucket.objects()?.is_empty());
    bucket.remove()?;
    Ok(())
}

#[test]
fn a_user_may_do_what_a_policy_says() -> Result<()> {
    let ceph = Ceph::shared()?;
    let (bucket, user) = (ceph.server().bucket()?, ceph.create_user("reader")?);
    bucket.put("a", "one")?;
    let by_user = bucket.by(&user)?;
    ensure!(by_user.request("GET", Some("a"), &[], &[], "")?.error_code() == "AccessDenied");
    bucket.allow(&user, &["s3:GetObject"])?;
    ensure!(by_user.get("a")? == b"one");
    ensure!(by_user.request("PUT", Some("a"), &[], &[], "two")?.error_code() == "AccessDenied");
    ensure!(by_user.request("GET", None, &[("list-type", "2")], &[], "")?.status == 403);
    Ok(())
}

#[test]
fn tls_is_good_for_who_trusts_its_authority() -> Result<()> {
    let ceph = Ceph::shared()?;
    let authority = ceph.authority().display().to_string();
    let endpoint = &ceph.secure_server().endpoint;
    for url in [endpoint.clone(), endpoint.replace("127.0.0.1", "localhost")] {
        tool("curl", ["-fsS", "--cacert", &authority, &url])?;
        ensure!(tool("curl", ["-fsS", &url]).is_err(), "nobody else trusts it");
    }
    Ok(())
}

#[test]
fn a_gateway_that_ended_begins_again_with_all_it_held() -> Result<()> {
    let started = Instant::now();
    let ceph = Ceph::start()?;
    coffer_tests::say(format_args!("a server starts in {:?}", started.elapsed()));
    let bucket = ceph.server().bucket()?;
    bucket.put("a", "one")?;
    ceph.stop()?;
    ensure!(bucket.get("a").is_err() && ceph.stop().is_err());
    ceph.restart()?;
    ensure!(bucket.get("a")? == b"one");
    let folder = ceph.folder().to_owned();
    drop(bucket);
    drop(ceph);
    ensure!(!folder.exists(), "{} is still there", folder.display());
    Ok(())
}

#[test]
fn an_unbroken_proxy_changes_nothing_and_counts() -> Result<()> {
    let broken = Broken::new()?;
    let (by_proxy, proxy) = (&broken.by_proxy, &broken.proxy);
    ensure!(by_proxy.get("thing")? == broken.body);
    by_proxy.put(AWKWARD, "body")?;
    ensure!(by_proxy.get(AWKWARD)? == b"body" && by_proxy.objects()?.len() == 2);
    ensure!(by_proxy.head(AWKWARD)?.and_then(|mut told| told.remove("content-length")).as_deref() == Some("4"));
    by_proxy.put_generated("large", 20_000_000, 3)?;
    ensure!(by_proxy.content("large")? == broken.bucket.content("large")?);
    let part = by_proxy.request("GET", Some("thing"), &[], &[("range", "bytes=10-19")], "")?;
    ensure!(part.status == 206 && part.body == broken.body[10..20]);
    by_proxy.delete("large")?;
    let seen = proxy.requests();
    let methods: Vec<_> = seen.iter().map(|seen| seen.method.as_str()).collect();
    ensure!(methods == ["GET", "PUT", "GET", "GET", "HEAD", "PUT", "GET", "GET", "DELETE"], "{methods:?}");
    ensure!(seen[5].request_bytes == 20_000_000 && seen[6].response_bytes == 20_000_000 && seen[4].response_bytes == 0);
    ensure!(seen[7].range.as_deref() == Some("bytes=10-19") && seen[7].status == Some(206));
    ensure!(seen[3].query.contains("list-type=2") && seen[8].status == Some(204), "{seen:?}");
    ensure!(proxy.gets() == 5 && proxy.broken() == 0 && proxy.most_at_once() == 1, "{}", proxy.most_at_once());
    ensure!(proxy.bytes_sent() == 100_000 + 4 + seen[3].response_bytes + 20_000_000 + 10);
    proxy.reset();
    by_proxy.fill((0..300).map(|number| Put { key: format!("{number}"), ..Put::default() }))?;
    ensure!(proxy.requests().len() == 300 && (2..=32).contains(&proxy.most_at_once()), "{}", proxy.most_at_once());
    Ok(())
}

#[test]
fn a_rule_is_for_the_requests_it_names() -> Result<()> {
    let broken = Broken::new()?;
    let statuses = |rule: Rule, keys: &[&str]| -> Result<Vec<u16>> {
        broken.proxy.reset();
        broken.proxy.fail(rule);
        keys.iter().map(|key| Ok(broken.by_proxy.request("GET", Some(key), &[], &[], "")?.status)).collect()
    };
    let rule = || Rule::new(Action::Status(503, "SlowDown"));
    ensure!(statuses(rule().nth(2), &["thing"; 3])? == [200, 503, 200]);
    ensure!(statuses(rule().first(2), &["thing"; 3])? == [503, 503, 200]);
    ensure!(statuses(rule().after(2), &["thing"; 3])? == [200, 200, 503]);
    ensure!(statuses(rule().with("/x y").nth(1), &["thing", "x y", "x y"])? == [200, 503, 404]);
    ensure!(statuses(rule().without("thing"), &["thing", "b"])? == [200, 503]);
    ensure!(statuses(rule().method("PUT"), &["thing"])? == [200]);
    let drawn = statuses(rule().one_in(3, 7), &["thing"; 60])?;
    ensure!((5..40).contains(&drawn.iter().filter(|&&status| status == 503).count()), "{drawn:?}");
    ensure!(drawn == statuses(rule().one_in(3, 7), &["thing"; 60])?, "it is drawn by its seed");
    Ok(())
}

#[test]
fn errors_are_answered_before_or_after_the_server_was_asked() -> Result<()> {
    let broken = Broken::new()?;
    let put = |action: Action, key: &str| {
        broken.proxy.reset();
        broken.proxy.fail(Rule::new(action).method("PUT"));
        let reply = broken.by_proxy.request("PUT", Some(key), &[], &[], vec![7; 3_000_000]);
        ensure!(broken.proxy.broken() == 1);
        Ok((reply.map(|reply| (reply.status, reply.error_code())), broken.bucket.head(key)?.is_some()))
    };
    let (told, is_there) = put(Action::Status(400, "ExpiredToken"), "a")?;
    ensure!(told? == (400, "ExpiredToken".to_owned()) && !is_there);
    let (told, is_there) = put(Action::StatusAfter(500, "InternalError"), "b")?;
    ensure!(told? == (500, "InternalError".to_owned()) && is_there);
    let (told, is_there) = put(Action::CloseAfterwards, "c")?;
    ensure!(told.is_err() && is_there);
    ensure!(broken.proxy.requests()[0].status.is_none());
    let (told, is_there) = put(Action::CloseRequestAfter(1_000_000), "d")?;
    ensure!(told.is_err() && !is_there && broken.proxy.requests()[0].request_bytes == 1_000_000);
    let (told, is_there) = put(Action::FlipRequest(2_000_000), "e")?;
    ensure!(told?.0 == 400 && !is_there, "the signature is of the body");
    Ok(())
}

#[test]
fn an_answer_is_cut_changed_or_stopped_at_its_byte() -> Result<()> {
    let cut = Broken::new()?;
    ensure!(cut.get(Action::CloseAfter(70_000))? == (cut.body[..70_000].to_vec(), 100_000));
    ensure!(cut.proxy.requests()[0].response_bytes == 70_000);
    let none = Broken::new()?;
    ensure!(none.get(Action::CloseAfter(0))? == (Vec::new(), 100_000));
    let short = Broken::new()?;
    ensure!(short.get(Action::ShortBody(1))? == (short.body[..99_999].to_vec(), 99_999));
    let stalled = Broken::new()?;
    let started = Instant::now();
    ensure!(stalled.get(Action::StallAfter(50_000))? == (stalled.body[..50_000].to_vec(), 100_000));
    ensure!(started.elapsed() >= Duration::from_secs(1), "it was closed");
    let flipped = Broken::new()?;
    let (mut body, _) = flipped.get(Action::FlipResponse(99_999))?;
    ensure!(body[99_999] == flipped.body[99_999] ^ 1);
    body[99_999] ^= 1;
    ensure!(body == flipped.body);
    Ok(())
}

#[test]
fn a_request_waits_or_is_never_answered() -> Result<()> {
    let late = Broken::new()?;
    let started = Instant::now();
    ensure!(late.get(Action::Delay(Duration::from_millis(300)))? == (late.body.clone(), 100_000));
    ensure!(started.elapsed() >= Duration::from_millis(300));
    let never = Broken::new()?;
    ensure!(never.get(Action::StallRequest).is_err());
    ensure!(never.proxy.requests()[0].status.is_none());
    Ok(())
}

#[test]
fn a_test_may_act_in_the_middle_of_a_request() -> Result<()> {
    let broken = Broken::new()?;
    let bucket = Arc::clone(&broken.bucket);
    let before = broken.get(Action::before(move || bucket.put("thing", "before")))?;
    ensure!(before == (b"before".to_vec(), 6));
    let during = Broken::new()?;
    let bucket = Arc::clone(&during.bucket);
    ensure!(during.get(Action::during_response(40_000, move || bucket.put("thing", "during")))?.0 == during.body);
    ensure!(during.bucket.get("thing")? == b"during");
    let failing = Broken::new()?;
    let (body, _) = failing.get(Action::during_response(40_000, || anyhow::bail!("no")))?;
    ensure!(body.len() < 100_000 && failing.proxy.failures() == ["no"], "{:?}", failing.proxy.failures());
    Ok(())
}

#[test]
fn listings_are_cut_or_rewritten() -> Result<()> {
    let broken = Broken::new()?;
    broken.bucket.fill((0..9).map(|number| Put { key: format!("k{number}"), ..Put::default() }))?;
    let list = |action: Action| {
        broken.proxy.reset();
        broken.proxy.fail(Rule::new(action).with("list-type=2"));
        let reply = broken.by_proxy.request("GET", None, &[("list-type", "2")], &[], "")?;
        ensure!(broken.proxy.broken() == 1);
        let told = reply.headers.get("content-length").context("no length")?;
        ensure!(*told == reply.body.len().to_string(), "{told}");
        Ok(reply.text())
    };
    let cut = list(Action::TruncateXml)?;
    ensure!(cut.ends_with("<Contents><Key>") && cut.matches("</Contents>").count() == 5, "{cut}");
    let rewritten = list(Action::rewrite_xml(|text| text.replace("k5", "other")))?;
    ensure!(rewritten.contains("<Key>other</Key>") && rewritten.ends_with("</ListBucketResult>"), "{rewritten}");
    Ok(())
}

#[test]
fn a_proxy_ends_with_its_value() -> Result<()> {
    let Broken { proxy, by_proxy, bucket: _bucket, .. } = Broken::new()?;
    proxy.fail(Rule::new(Action::StallRequest));
    let address = proxy.endpoint().trim_start_matches("http://").to_owned();
    let waiting = std::thread::spawn(move || by_proxy.get("thing").is_err());
    while proxy.requests().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(proxy);
    ensure!(waiting.join().is_ok_and(|failed| failed), "its connections are closed");
    ensure!(TcpStream::connect(address).is_err(), "its port is closed");
    Ok(())
}
