//! The memory of the real process does not grow with the objects in a bucket.

use anyhow::Result;
use coffer_tests::s3::{Bench, measure_bucket};

#[test]
fn small_objects_and_a_large_one_go_round_under_96_mib() -> Result<()> {
    measure_bucket(&Bench::new(env!("CARGO_BIN_EXE_coffer"))?, 3_000, 1, 150 << 20, 96 << 20)
}
