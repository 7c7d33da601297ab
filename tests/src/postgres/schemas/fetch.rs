//! Public packages, brought by their registries' own clients and kept for the next run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::postgres::cluster::major_version;
use crate::postgres::{cache_folder, path, publish};
use crate::shell;

/// Debian's package, unpacked: `usr/` and what lies beside it. The version is the one that the release has now.
pub(super) fn debian(package: &str) -> Result<PathBuf> {
    // A machine may have no lists of packages yet.
    let script = format!(
        "apt-get download -q {package} || {{ apt-get update -q && apt-get download -q {package}; }}
         dpkg-deb -x {package}_*.deb . && rm {package}_*.deb"
    );
    cached(package, &script)
}

/// A package of PyPI, unpacked.
pub(super) fn pypi(package: &str, version: &str) -> Result<PathBuf> {
    let script = format!(
        "python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: {package}=={version}
         python3 -m zipfile -e *.whl . && rm *.whl"
    );
    cached(&format!("{package}-{version}"), &script)
}

/// A package of npm, unpacked.
pub(super) fn npm(package: &str, version: &str) -> Result<PathBuf> {
    let script = format!("npm pack --silent {package}@{version} && tar -xzf *.tgz --strip-components=1 && rm *.tgz");
    cached(&format!("{package}-{version}"), &script)
}

/// `src/test/regress` of PostgreSQL's source, of the newest release that Debian's mirror still has of the server's version.
pub(super) fn regression_tests() -> Result<PathBuf> {
    let package = format!("postgresql-{}", major_version()?);
    let script = format!(
        r#"
        mkdir -p apt/parts apt/lists/partial
        for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
            [ -e "$list" ] && sed -n 's/^deb /deb-src /p' "$list" >"apt/parts/$(basename "$list").list"
        done
        for list in /etc/apt/sources.list.d/*.sources; do
            [ -e "$list" ] && sed 's/^Types:.*/Types: deb-src/' "$list" >"apt/parts/$(basename "$list")"
        done
        apt=(-q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$PWD/apt/parts"
             -o "Dir::State::lists=$PWD/apt/lists" -o APT::Sandbox::User=)
        apt-get "${{apt[@]}}" update
        versions=$(apt-cache "${{apt[@]}}" showsrc {package} | sed -n 's/^Version: //p' | sort -Vr)
        for version in $versions; do
            apt-get "${{apt[@]}}" source --download-only "{package}=$version" && break
        done
        tar -xf {package}_*.orig.tar.* --strip-components=4 --wildcards '*/src/test/regress'
        rm -r apt {package}_*
        "#
    );
    cached(&format!("{package}-regress"), &script)
}

/// The folder that a script of bash has filled, now or long ago.
fn cached(name: &str, script: &str) -> Result<PathBuf> {
    let folder = cache_folder()?.join("packages");
    std::fs::create_dir_all(&folder)?;
    let wanted = folder.join(name.replace('/', "-"));
    if !wanted.exists() {
        let made = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(&folder)?;
        shell(made.path(), script).with_context(|| format!("the public package {name} can't be had"))?;
        publish_readable(&made.keep(), &wanted)?;
    }
    Ok(wanted)
}

fn publish_readable(made: &Path, wanted: &Path) -> Result<()> {
    shell(made, "chmod -R a+rX .")?;
    publish(made, wanted)
}

/// Copies a folder to where a server that runs as another user can read it.
pub(super) fn copy_for_server(from: &Path, to: &Path) -> Result<()> {
    shell(Path::new("/"), &format!("cp -r '{}' '{}' && chmod -R a+rwX '{}'", path(from), path(to), path(to))).map(drop)
}
