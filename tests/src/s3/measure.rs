//! Apps in a bucket at a size, with the memory that carrying them takes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;

use super::{Bench, Put};
use crate::{mebibytes, say};

/// Makes an app of `small` objects of 4 KiB, each with metadata, and `large` ones of `large_bytes`; exports and imports it by the
/// service, over HTTP, and checks that the other app is equal and that the service never held `bound_bytes`.
///
/// # Errors
/// One of these did not hold.
pub fn measure_bucket(bench: &Bench, small: usize, large: u64, large_bytes: u64, bound_bytes: u64) -> Result<()> {
    bench.make_app("one")?;
    let object = |n: usize| Put {
        key: Bench::key("one", &format!("small/{n:06}")),
        body: Bytes::from(format!("{n:>4096}")),
        headers: vec![
            ("content-type".to_owned(), format!("text/x-{}", n % 7)),
            ("x-amz-meta-number".to_owned(), n.to_string()),
        ],
    };
    bench.bucket.fill((0..small).map(object))?;
    for n in 0..large {
        bench.bucket.put_generated(&Bench::key("one", &format!("large/{n}")), large_bytes, n)?;
    }
    let service = bench.coffer.serve()?;
    let archive = bench.path("x.tar.gz");
    let archive = archive.to_str().context("the folder's name is not UTF-8")?;
    let plain = "{\"encryption\":\"none\"}";
    let json = "content-type: application/json";
    let export = ["-X", "POST", "-H", json, "-d", plain, "-o", archive];
    let import = ["-X", "POST", "-T", archive];
    for (job, path, arguments) in
        [("export", "/v1/apps/shop/one/export", &export[..]), ("import", "/v1/apps/shop/two/import", &import[..])]
    {
        service.memory().forget_peak()?;
        let started = Instant::now();
        let answer = service.call(path, arguments)?;
        let seconds = started.elapsed().max(Duration::from_millis(1)).as_secs_f64();
        ensure!(answer.status == 200, "{answer:?}");
        let peak = service.memory().ensure_peak_below(bound_bytes)?;
        let total = small as u64 * 4_096 + large * large_bytes;
        let rate = total as f64 / seconds / f64::from(1 << 20);
        let objects = small as f64 / seconds;
        say(format!(
            "{job} of {small} objects of 4 KiB and {large} of {}: {seconds:.1} s, {rate:.0} MiB/s, {objects:.0} objects/s, {} at most",
            mebibytes(large_bytes),
            mebibytes(peak)
        ));
    }
    bench.assert_same_objects("one", "two")
}
