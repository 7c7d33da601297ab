//! The long runs: what CI does with small numbers, with large ones. `just soak` prints the figures.

use anyhow::{Result, ensure};
use coffer_tests::postgres::{Crm, Postgres, effort_among, measure_table, seed_wide};
use coffer_tests::s3::{Bench, Ceph, measure_bucket};
use coffer_tests::{
    Coffer, assert_same_app, measure_entries, measure_extraction, measure_round_trip, mixed_files, say,
};

#[test]
fn an_app_of_2_gib_goes_round_under_96_mib() -> Result<()> {
    measure_round_trip(&Coffer::new(env!("CARGO_BIN_EXE_coffer"))?, 2_048, 96 << 20)
}

#[test]
fn a_thousand_files_and_one_of_200_mib_come_back_equal() -> Result<()> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    let (from, to) = (coffer.app("a"), coffer.app("b"));
    from.fill_awkward("UTF-16le")?;
    mixed_files(&from.files(), 200 << 20)?;
    coffer.make_identity()?;
    coffer.run_well(["export", "local/a", "-o", "x.coffer"])?;
    let told = coffer.run_well(["restore", "x.coffer", "--into", "local/b"])?;
    ensure!(coffer.path("x.coffer").metadata()?.len() > 100 << 20, "{}", String::from_utf8_lossy(&told));
    assert_same_app(&from, &to)
}

#[test]
fn a_million_objects_take_the_memory_of_a_thousand() -> Result<()> {
    measure_entries(&Coffer::new(env!("CARGO_BIN_EXE_coffer"))?, 1_000, 1_000_000)
}

#[test]
fn a_small_file_of_2_gib_and_100_000_objects_is_extracted_by_four_ranged_reads() -> Result<()> {
    measure_extraction(&Coffer::new(env!("CARGO_BIN_EXE_coffer"))?, 100_000, 21_500)
}

#[test]
fn a_table_of_1_gib_in_postgresql_goes_round_under_96_mib() -> Result<()> {
    let db = Postgres::shared()?.fresh_database("large")?;
    measure_table(&Crm::new(env!("CARGO_BIN_EXE_coffer"), &db)?, 1_024, 96 << 20)
}

/// The figures are for people: a loaded machine is slower.
#[test]
fn an_app_of_200_tables_among_10_000_schemas_is_read_by_its_own_part_of_the_catalogs() -> Result<()> {
    let db = Postgres::shared()?.fresh_database("many")?;
    let crm = Crm::new(env!("CARGO_BIN_EXE_coffer"), &db)?;
    seed_wide(&crm, "wide", 200)?;
    let effort = effort_among(&crm, "wide", 10_000)?;
    say(format!(
        "export of 200 tables without rows among 10,000 schemas: {:.3} s, {} rows",
        effort.seconds, effort.rows
    ));
    let started = std::time::Instant::now();
    let listed = crm.coffer().run_well(["apps"])?;
    let seconds = started.elapsed().as_secs_f64();
    say(format!("listing {} apps: {seconds:.3} s", listed.iter().filter(|&&byte| byte == b'\n').count()));
    Ok(())
}

/// On the disk: what goes round is as large as the memory of many a machine.
#[test]
fn a_hundred_thousand_objects_and_4_of_1_gib_in_a_bucket_go_round_under_96_mib() -> Result<()> {
    let ceph = Ceph::start_on_disk()?;
    let bench = Bench::of(env!("CARGO_BIN_EXE_coffer"), ceph.server().bucket()?, "")?;
    measure_bucket(&bench, 100_000, 4, 1 << 30, 96 << 20)
}
