//! The main job at a size, with its figures.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::{Coffer, assert_same_app, mebibytes, say};

/// Exports an app of about `size_mebibytes` over HTTP and imports it as another, checks that both are equal and that the
/// service never held `bound_bytes`, and says how fast it was.
///
/// # Errors
/// One of these did not hold.
pub fn measure_round_trip(coffer: &Coffer, size_mebibytes: u64, bound_bytes: u64) -> Result<()> {
    let (from, to) = (coffer.app("a"), coffer.app("b"));
    from.fill_large(size_mebibytes)?;
    let service = coffer.serve()?;
    let archive = coffer.path("x.coffer");
    let archive = archive.to_str().context("the folder's name is not UTF-8")?;
    for (job, path, arguments) in [
        ("export", "/v1/apps/local/a/export", ["-X", "POST", "-o", archive]),
        ("import", "/v1/apps/local/b/import", ["-X", "POST", "-T", archive]),
    ] {
        service.memory().forget_peak()?;
        let started = Instant::now();
        let answer = service.call(path, &arguments)?;
        let elapsed = started.elapsed();
        ensure!(answer.status == 200, "{answer:?}");
        let peak = service.memory().ensure_peak_below(bound_bytes)?;
        let rate = size_mebibytes as f64 / elapsed.as_secs_f64();
        let seconds = elapsed.as_secs_f64();
        say(format!("{job} of {size_mebibytes} MiB: {seconds:.1} s, {rate:.0} MiB/s, {} at most", mebibytes(peak)));
    }
    assert_same_app(&from, &to)
}
