//! The main job at a size, with its figures.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{Coffer, Memory, assert_same_app, many_files, mebibytes, say};

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

/// Runs a command to its end and gives the most memory that it held: its peak, asked for over and over until it is gone.
pub(crate) fn peak_of(coffer: &Coffer, arguments: &[&str]) -> Result<u64> {
    let mut child = coffer.command().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let memory = Memory::of(child.id());
    let mut peak = 0;
    let status = loop {
        // Gone in between: what it held before stands.
        peak = memory.peak().unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_micros(500));
    };
    ensure!(status.success() && peak > 0, "{arguments:?} ended with {status}");
    Ok(peak)
}

/// How often each command is run: the run that took least counts.
const RUNS: usize = 3;

/// Writes and reads archives of `few` and of `many` empty objects, whole and at random, sealed, and checks that no
/// command's peak grows by more than 4 MiB between them.
///
/// # Errors
/// One of these did not hold.
pub fn measure_entries(coffer: &Coffer, few: u64, many: u64) -> Result<()> {
    coffer.make_identity()?;
    let mut peaks = Vec::new();
    for (app, count) in [("few", few), ("many", many)] {
        let files = coffer.app(app);
        files.fill_small()?;
        many_files(&files.files(), count, 0)?;
        let (source, archive) = (format!("local/{app}"), format!("{app}.coffer"));
        let last = format!("objects/{:04}/{:07}", (count - 1) / 1_000, count - 1);
        let commands: [(&str, &[&str]); 5] = [
            ("export", &["export", &source, "-o", &archive]),
            ("export with zstd", &["export", &source, "-o", "zstd.coffer", "--compression", "zstd"]),
            ("verify", &["verify", &archive]),
            ("inspect --entries", &["inspect", "--entries", &archive]),
            ("extract", &["extract", &archive, &last, "-C", app, "--force"]),
        ];
        let measured = commands.iter().map(|(name, command)| {
            // What threads happen to hold at once differs from run to run, and by more the busier the machine is; what grows with the
            // app is there in each run.
            let peaks = (0..RUNS).map(|_| peak_of(coffer, command)).collect::<Result<Vec<_>>>()?;
            Ok((*name, peaks.into_iter().min().unwrap_or_default()))
        });
        peaks.push(measured.collect::<Result<Vec<_>>>()?);
        ensure!(coffer.path(app).join(&last).is_file(), "{last} was not extracted");
    }
    for ((name, small), (_, large)) in peaks.remove(0).into_iter().zip(peaks.remove(0)) {
        say(format!("{name}: {} for {few} objects, {} for {many}", mebibytes(small), mebibytes(large)));
        ensure!(
            large < small + (4 << 20),
            "{name} takes {} for {many} objects and {} for {few}",
            mebibytes(large),
            mebibytes(small)
        );
    }
    Ok(())
}

/// Extracts one small file from an archive of `count` objects of `size_bytes` each, and checks that four ranged reads and
/// 3 MiB were enough.
///
/// # Errors
/// They were not.
pub fn measure_extraction(coffer: &Coffer, count: u64, size_bytes: usize) -> Result<()> {
    coffer.make_identity()?;
    let app = coffer.app("a");
    app.fill_small()?;
    many_files(&app.files(), count, size_bytes)?;
    for compression in ["gzip", "zstd", "none"] {
        coffer.run_well(["export", "local/a", "-o", "x.coffer", "--compression", compression])?;
        for n in [0, count / 2, count - 1] {
            let name = format!("{:04}/{n:07}", n / 1_000);
            let folder = format!("{compression}-{n}");
            let path = format!("objects/{name}");
            let run = coffer.run(["extract", "x.coffer", &path, "-C", &folder, "--json"])?;
            run.ends_with(0, &[])?;
            let summary = run
                .json_lines()?
                .into_iter()
                .find(|line| line.get("message_type").is_some_and(|kind| kind == "summary"));
            let summary = summary.context("no summary")?;
            let counted =
                |name| summary.get(name).and_then(|value| value.as_u64()).context("no count of what was read");
            let (ranges, bytes) = (counted("ranged_reads")?, counted("bytes_read")?);
            let size = coffer.path("x.coffer").metadata()?.len();
            say(format!("{path} of {} ({compression}): {ranges} ranged reads, {}", mebibytes(size), mebibytes(bytes)));
            ensure!(ranges <= 4 && bytes <= 3 << 20, "{ranges} ranged reads of {bytes} bytes");
            let (out, from) = (coffer.path(&folder).join(&path), app.files().join(&name));
            ensure!(std::fs::read(out)? == std::fs::read(from)?, "{name} came out otherwise");
        }
    }
    Ok(())
}
