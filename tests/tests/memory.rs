//! The memory of the real process does not grow with the app.

use anyhow::Result;
use coffer_tests::{Coffer, measure_entries, measure_extraction, measure_round_trip};

#[test]
fn an_app_of_256_mib_goes_round_under_96_mib() -> Result<()> {
    measure_round_trip(&Coffer::new(env!("CARGO_BIN_EXE_coffer"))?, 256, 96 << 20)
}

/// So few that the records that wait for their index block are at their most already.
#[test]
fn forty_thousand_objects_take_the_memory_of_five_thousand() -> Result<()> {
    measure_entries(&Coffer::new(env!("CARGO_BIN_EXE_coffer"))?, 5_000, 40_000)
}

#[test]
fn a_small_file_is_extracted_by_four_ranged_reads() -> Result<()> {
    measure_extraction(&Coffer::new(env!("CARGO_BIN_EXE_coffer"))?, 10_000, 3_000)
}
