//! Each way to compress, sealed and plain, and archives that other programs packed anew.

use std::fs::File;
use std::io::Write;

use anyhow::{Context, Result, ensure};
use coffer_crypto::{Identity, Recipients, Sealer};
use coffer_tests::{Coffer, assert_same_app, shell};

const KINDS: [(&str, &str, &str); 3] =
    [("gzip", "tar.gz", "gzip"), ("zstd", "tar.zst", "zstd"), ("none", "tar.gz", "gzip")];

/// A small app `local/a` with an object that compresses, and the identity of the default configuration.
fn with_app() -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.make_identity()?;
    coffer.app("a").fill_small()?;
    coffer.app("a").put("texts/long.txt", &b"all the same\n".repeat(100_000))?;
    coffer.app("a").put("texts/Grüße, 世界.html", b"<p>hello")?;
    Ok(coffer)
}

/// Length of a file.
fn length(coffer: &Coffer, name: &str) -> Result<u64> {
    Ok(coffer.path(name).metadata()?.len())
}

#[test]
fn each_kind_comes_back_equal_through_the_command_line() -> Result<()> {
    let coffer = with_app()?;
    for (kind, extension, program) in KINDS {
        let sealed = format!("{kind}.coffer");
        let plain = format!("{kind}.{extension}");
        coffer.run_well(["export", "local/a", "-o", &sealed, "--compression", kind])?;
        coffer.run_well(["export", "local/a", "-o", &plain, "--compression", kind, "--no-encryption"])?;
        for (archive, to) in [(&sealed, format!("{kind}-sealed")), (&plain, format!("{kind}-plain"))] {
            coffer.run_well(["verify", archive])?;
            coffer.run_well(["restore", archive, "--into", &format!("local/{to}")])?;
            assert_same_app(&coffer.app("a"), &coffer.app(&to)).context(to)?;
        }
        let names = shell(
            coffer.folder(),
            &format!("{program} -t -q {plain}; tar tf {plain} --warning=no-unknown-keyword --{program}"),
        )?;
        ensure!(names.starts_with("manifest.json\n") && names.ends_with("summary.json\n"), "{names}");
    }
    ensure!(length(&coffer, "none.coffer")? > length(&coffer, "gzip.coffer")? + 1_000_000, "nothing was compressed");
    Ok(())
}

#[test]
fn each_kind_comes_back_equal_over_http() -> Result<()> {
    let coffer = with_app()?;
    let service = coffer.serve()?;
    for (kind, extension, _) in KINDS {
        for (encryption, media_type, extension) in [
            ("", "application/vnd.coffer", "coffer"),
            (
                r#","encryption":"none""#,
                if kind == "zstd" { "application/zstd" } else { "application/gzip" },
                extension,
            ),
        ] {
            let to = format!("{kind}-{extension}");
            let archive = coffer.path(&to);
            let archive = archive.to_str().context("not UTF-8")?;
            let request = format!(r#"{{"compression":"{kind}"{encryption}}}"#);
            let answer = service.call("/v1/apps/local/a/export", &["-f", "--json", &request, "-o", archive])?;
            ensure!(answer.header("content-type") == media_type, "{answer:?}");
            let disposition = answer.header("content-disposition");
            ensure!(disposition.contains(&format!("\"a.{extension}\"")), "{disposition}");
            let to = to.replace(".tar", "");
            let answer = service.call(&format!("/v1/apps/local/{to}/import"), &["-X", "POST", "-T", archive])?;
            ensure!(answer.status == 200, "{answer:?}");
            assert_same_app(&coffer.app("a"), &coffer.app(&to)).context(to)?;
        }
    }
    Ok(())
}

#[test]
fn a_higher_level_is_smaller_and_one_that_is_none_is_refused() -> Result<()> {
    let coffer = with_app()?;
    coffer.app("a").fill_rows(2)?;
    for (kind, most) in [("gzip", "12"), ("zstd", "19")] {
        for level in ["1", most] {
            let to = format!("{kind}-{level}");
            coffer.run_well(["export", "local/a", "-o", &to, "--compression", kind, "--level", level])?;
        }
        let (fast, small) = (format!("{kind}-1"), format!("{kind}-{most}"));
        ensure!(length(&coffer, &small)? < length(&coffer, &fast)?, "{kind}: the level changes nothing");
    }
    coffer.run_well(["export", "local/a", "-o", "gzip-alone", "--level", "12"])?;
    // Ids and times differ from one to the next, and compress otherwise.
    let difference = length(&coffer, "gzip-alone")?.abs_diff(length(&coffer, "gzip-12")?);
    ensure!(difference < 100, "a level alone is not gzip's: {difference} bytes more or less");
    let service = coffer.serve()?;
    for (kind, level) in [("gzip", "13"), ("gzip", "0"), ("zstd", "20"), ("none", "1")] {
        let arguments = ["export", "local/a", "-o", "x", "--compression", kind, "--level", level];
        coffer.run(arguments)?.ends_with(2, &["level", level, kind])?;
        let request = format!(r#"{{"compression":"{kind}","level":{level}}}"#);
        let answer = service.call("/v1/apps/local/a/export", &["--json", &request])?;
        answer.ensure_problem(400, &["level", level, kind])?;
    }
    coffer.run(["export", "local/a", "-o", "x", "--compression", "xz"])?.ends_with(2, &["xz"])?;
    let answer = service.call("/v1/apps/local/a/export", &["--json", r#"{"compression":"xz"}"#])?;
    answer.ensure_problem(400, &["zstd"])?;
    ensure!(!coffer.path("x").exists(), "a refused export left a file");
    Ok(())
}

/// Unpacks `x.tar.gz` or `x.tar.zst` and packs it again with GNU tar.
fn repack(coffer: &Coffer, plain: &str, packing: &str) -> Result<()> {
    let script = format!(
        "export LC_ALL=C.UTF-8
        rm -rf unpacked; mkdir unpacked
        tar tf {plain} --quoting-style=literal --warning=no-unknown-keyword > names
        tar xf {plain} --warning=no-unknown-keyword -C unpacked
        cd unpacked && tar --verbatim-files-from -T ../names {packing}"
    );
    shell(coffer.folder(), &script).map(drop)
}

#[test]
fn what_gnu_tar_packs_anew_comes_back_equal() -> Result<()> {
    let coffer = with_app()?;
    for (n, (kind, packing)) in [
        ("gzip", "-czf ../y"),
        ("gzip", "--format=pax -cf - | gzip -1 > ../y"),
        ("zstd", "--format=ustar -cf - | zstd -q > ../y"),
        ("none", "--format=gnu --zstd -cf ../y"),
    ]
    .into_iter()
    .enumerate()
    {
        let plain = if kind == "zstd" { "x.tar.zst" } else { "x.tar.gz" };
        coffer.run_well(["export", "local/a", "-o", plain, "--compression", kind, "--no-encryption"])?;
        repack(&coffer, plain, packing)?;
        let to = format!("b{n}");
        coffer.run_well(["verify", "y"]).context(packing)?;
        coffer.run_well(["restore", "y", "--into", &format!("local/{to}")]).context(packing)?;
        assert_same_app(&coffer.app("a"), &coffer.app(&to)).context(packing)?;
        // Cut, it is not taken for whole.
        let whole = std::fs::read(coffer.path("y"))?;
        std::fs::write(coffer.path("cut"), &whole[..whole.len() - 9])?;
        coffer.run(["restore", "cut", "--into", "local/c"])?.ends_with(13, &[])?;
        ensure!(!coffer.app("c").exists(), "something of a cut archive is there");
    }
    Ok(())
}

#[test]
fn what_gnu_tar_packs_with_other_content_is_refused() -> Result<()> {
    let coffer = with_app()?;
    for change in ["echo more >> unpacked/objects/readme.txt", "rm unpacked/objects/readme.txt; sed -i /readme/d names"]
    {
        coffer.run_well(["export", "local/a", "-o", "x.tar.gz", "--no-encryption"])?;
        repack(&coffer, "x.tar.gz", "-czf ../unchanged")?;
        shell(coffer.folder(), &format!("{change}; cd unpacked; tar --verbatim-files-from -T ../names -czf ../y"))?;
        coffer.run_well(["verify", "unchanged"])?;
        coffer.run(["restore", "y", "--into", "local/b"])?.ends_with(13, &[]).context(change)?;
        ensure!(!coffer.app("b").exists(), "something of a changed archive is there: {change}");
    }
    Ok(())
}

#[test]
fn within_a_seal_nothing_but_our_own_members_is_taken() -> Result<()> {
    let coffer = with_app()?;
    let identity = std::fs::read_to_string(coffer.path("coffer-data/coffer.key"))?;
    let identity = Identity::parse_file(&identity)?.remove(0);
    coffer.run_well(["export", "local/a", "-o", "x", "--no-encryption"])?;
    shell(coffer.folder(), "gzip -dc x | gzip > foreign; gzip -dc x | zstd -q > foreign-zstd")?;
    // Sealed as it is, the id in the manifest is another than the header's: that would be refused in any case, but later.
    for (inner, words) in [("foreign", "members"), ("foreign-zstd", "members"), ("x", "id")] {
        let recipients = Recipients::keys(vec![identity.recipient()])?;
        let mut sealer = Sealer::new(File::create(coffer.path("sealed"))?, &recipients)?;
        sealer.write_all(&std::fs::read(coffer.path(inner))?)?;
        sealer.finish()?;
        coffer.run(["verify", "sealed"])?.ends_with(13, &[words]).context(inner)?;
        coffer.run(["restore", "sealed", "--into", "local/b"])?.ends_with(13, &[words]).context(inner)?;
        coffer.run(["inspect", "sealed"])?.ends_with(13, &[]).context(inner)?;
        ensure!(!coffer.app("b").exists(), "something of {inner} is there");
    }
    Ok(())
}
