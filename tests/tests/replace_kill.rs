//! Imports that are killed at each of their places and at any moment: the app is the old one or the new one, whole, and nothing else
//! is left, whoever sees to it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_tests::postgres::Postgres;
use coffer_tests::replace::{
    FAILPOINTS, FAILPOINTS_OF_UNDO, Fingerprint, Folder, LONG_AGO, Place, Servers, Way, both, ensure_holds,
    ensure_no_traces, fingerprint, run_to, run_with, set_up, undo,
};
use coffer_tests::vault::kill_after;
use coffer_tests::{Random, say};

const COFFER: &str = env!("CARGO_BIN_EXE_coffer");
/// Runs that are killed at any moment.
const ROUNDS: usize = if cfg!(feature = "soak") { 200 } else { 10 };

/// An app `a` that is the old one, and archives of what it may become.
struct Scene<'p> {
    place: &'p dyn Place,
    name: String,
    old: Fingerprint,
    new: Fingerprint,
    /// What comes of the new one's archive where nothing was.
    fresh: Fingerprint,
}

impl<'p> Scene<'p> {
    fn set(place: &'p dyn Place) -> Result<Self> {
        set_up(place)?;
        let (old, new) = both(place)?;
        let fresh = fingerprint(place.coffer(), &place.name("b"))?;
        Ok(Self { place, name: place.name("a"), old, new, fresh })
    }

    /// Puts the old app back, whatever there is.
    fn reset(&self) -> Result<()> {
        let again = ["restore", "old", "--into", &self.name, "--replace"];
        run_with(self.place.coffer(), &[("COFFER_SERVER_KEEP_REPLACED", "0")], &again)?.ends_with(0, &[])?;
        self.ensure_is(&self.old)?;
        self.ensure_no_traces()
    }

    fn replacing(&self) -> [&str; 5] {
        ["restore", "new", "--into", &self.name, "--replace"]
    }

    fn ensure_is(&self, expected: &Fingerprint) -> Result<()> {
        ensure_holds(self.place.coffer(), &self.name, expected)
    }

    fn ensure_no_traces(&self) -> Result<()> {
        ensure_no_traces(self.place)
    }

    /// An import that ends at a place, and all that comes after it until the app is the old one again.
    fn replace_to(&self, failpoint: &str, way: Way, keep: &str) -> Result<()> {
        let coffer = self.place.coffer();
        run_to(coffer, failpoint, keep, &self.replacing())?;
        way.recover(self.place, "a", "third")?;
        if !lands(failpoint) {
            self.ensure_is(&self.old)?;
            return self.ensure_no_traces();
        }
        self.ensure_is(&self.new)?;
        if keep == "0" {
            self.ensure_no_traces()?;
            undo(coffer, &self.name)?.ends_with(10, &["kept"])?;
            return self.reset();
        }
        undo(coffer, &self.name)?.ends_with(0, &[])?;
        self.ensure_is(&self.old)?;
        self.ensure_no_traces()
    }

    /// An undo that ends at a place, until the app is the old one.
    fn undo_to(&self, failpoint: &str, way: Way) -> Result<()> {
        let coffer = self.place.coffer();
        coffer.run(self.replacing())?.ends_with(0, &[])?;
        run_to(coffer, failpoint, "24h", &["restore", "--undo", &self.name, "--discard-changes-since", LONG_AGO])?;
        way.recover(self.place, "a", "third")?;
        if !lands(failpoint) {
            self.ensure_is(&self.new)?;
            undo(coffer, &self.name)?.ends_with(0, &[]).context("the undo once more")?;
        }
        self.ensure_is(&self.old)?;
        self.ensure_no_traces()
    }

    /// An import into an app that is not there.
    fn create_to(&self, app: &str, failpoint: &str, way: Way) -> Result<()> {
        let (coffer, name) = (self.place.coffer(), self.place.name(app));
        let creating = ["restore", "new", "--into", &name];
        run_to(coffer, failpoint, "24h", &creating)?;
        if way == Way::Import {
            let again = coffer.run(creating)?;
            again.ends_with(i32::from(lands(failpoint)), if lands(failpoint) { &["not empty"] } else { &[] })?;
        } else {
            way.recover(self.place, app, "third")?;
        }
        if lands(failpoint) || way == Way::Import {
            ensure_holds(coffer, &name, &self.fresh)?;
        } else {
            ensure!(self.place.parts(app)?.is_empty(), "{failpoint}: it has {:?}", self.place.parts(app)?);
        }
        self.ensure_no_traces()
    }

    /// Imports that are killed at any moment, and seen to in turn by each way.
    fn kill_at_random(&self) -> Result<()> {
        let begun = Instant::now();
        self.place.coffer().run(self.replacing())?.ends_with(0, &[])?;
        let whole = begun.elapsed();
        undo(self.place.coffer(), &self.name)?.ends_with(0, &[])?;
        let seed = Random::seed();
        say(format!("an import takes {whole:?}, and is killed with COFFER_TESTS_SEED={seed}"));
        let (mut random, microseconds) = (Random::new(seed), usize::try_from(whole.as_micros())?);
        let (mut killed, mut landed) = (0, 0);
        for round in 0..ROUNDS {
            let keep = kept_in(round);
            // Each of the stretches of a run is met once.
            let delay = (round * microseconds + random.below(microseconds)) / ROUNDS;
            let mut command = self.place.coffer().command();
            command.args(self.replacing()).env("COFFER_SERVER_KEEP_REPLACED", keep);
            killed += usize::from(kill_after(&mut command, Duration::from_micros(delay.try_into()?))?);
            let way = Way::of(round);
            let about = || format!("round {round}, after {delay} µs, {way:?}, kept {keep}, COFFER_TESTS_SEED={seed}");
            landed += usize::from(self.after_kill(way).with_context(about)?);
        }
        say(format!("{killed} of {ROUNDS} imports were killed, and {landed} had come through"));
        ensure!(killed > ROUNDS / 3, "no import was killed in the middle");
        Ok(())
    }

    /// Whether it had come through. The app is the old one in the end.
    fn after_kill(&self, way: Way) -> Result<bool> {
        way.recover(self.place, "a", "third")?;
        let found = fingerprint(self.place.coffer(), &self.name)?;
        if found == self.old {
            self.ensure_no_traces()?;
            return Ok(false);
        }
        self.ensure_is(&self.new).context("it is not the old one; is it the new one?")?;
        let undone = undo(self.place.coffer(), &self.name)?;
        match undone.code {
            0 => {
                self.ensure_is(&self.old)?;
                self.ensure_no_traces()?;
            }
            10 => self.reset()?,
            _ => undone.ends_with(0, &[])?,
        }
        Ok(true)
    }
}

/// Whether the app is the new one, once whoever died there has been seen to.
fn lands(failpoint: &str) -> bool {
    let place = |name: &str| FAILPOINTS.iter().position(|point| *point == name);
    place(failpoint) >= place("swapped")
}

/// For how long the replaced app is kept: in every second round not at all.
fn kept_in(round: usize) -> &'static str {
    if round.is_multiple_of(2) { "24h" } else { "0" }
}

fn with_folder(journal_mode: &'static str, test: impl FnOnce(&Scene<'_>) -> Result<()>) -> Result<()> {
    let place = Folder::new(COFFER, journal_mode)?;
    test(&Scene::set(&place)?)
}

fn with_servers(name: &str, test: impl FnOnce(&Scene<'_>) -> Result<()>) -> Result<()> {
    let bucket = coffer_tests::s3::server()?.bucket()?;
    let place = Servers::new(COFFER, Postgres::shared()?.fresh_database(name)?, bucket)?;
    test(&Scene::set(&place)?)
}

fn replace_to_each(scene: &Scene<'_>) -> Result<()> {
    for (round, failpoint) in FAILPOINTS.into_iter().enumerate() {
        let (way, keep) = (Way::of(round), kept_in(round));
        scene.replace_to(failpoint, way, keep).with_context(|| format!("{failpoint}, {way:?}, kept {keep}"))?;
    }
    Ok(())
}

/// In another turn than imports.
fn undo_to_each(scene: &Scene<'_>) -> Result<()> {
    for (round, failpoint) in FAILPOINTS_OF_UNDO.into_iter().enumerate() {
        let way = Way::of(round + 1);
        scene.undo_to(failpoint, way).with_context(|| format!("an undo, {failpoint}, {way:?}"))?;
    }
    Ok(())
}

fn create_to_each(scene: &Scene<'_>) -> Result<()> {
    for (round, failpoint) in FAILPOINTS.into_iter().enumerate() {
        let way = Way::of(round + 2);
        scene
            .create_to(&format!("fresh{round}"), failpoint, way)
            .with_context(|| format!("a new app, {failpoint}, {way:?}"))?;
    }
    Ok(())
}

#[test]
fn a_folder_and_its_database_are_the_old_or_the_new_wherever_an_import_dies() -> Result<()> {
    with_folder("DELETE", replace_to_each)
}

#[test]
fn a_folder_and_its_database_in_wal_mode_are_the_old_or_the_new_wherever_an_import_dies() -> Result<()> {
    with_folder("WAL", |scene| {
        replace_to_each(scene)?;
        undo_to_each(scene)
    })
}

#[test]
fn a_folder_and_its_database_are_the_old_or_the_new_wherever_an_undo_dies() -> Result<()> {
    with_folder("DELETE", undo_to_each)
}

#[test]
fn a_folder_and_its_database_are_there_whole_or_not_at_all_wherever_an_import_dies() -> Result<()> {
    with_folder("DELETE", create_to_each)
}

#[test]
fn a_folder_and_its_database_are_the_old_or_the_new_whenever_an_import_dies() -> Result<()> {
    with_folder("WAL", |scene| scene.kill_at_random())
}

#[test]
fn a_schema_and_its_bucket_are_the_old_or_the_new_wherever_an_import_dies() -> Result<()> {
    with_servers("die", replace_to_each)
}

#[test]
fn a_schema_and_its_bucket_are_the_old_or_the_new_wherever_an_undo_dies() -> Result<()> {
    with_servers("undo", undo_to_each)
}

#[test]
fn a_schema_and_its_bucket_are_there_whole_or_not_at_all_wherever_an_import_dies() -> Result<()> {
    with_servers("create", create_to_each)
}

#[test]
fn a_schema_and_its_bucket_are_the_old_or_the_new_whenever_an_import_dies() -> Result<()> {
    with_servers("random", |scene| scene.kill_at_random())
}
