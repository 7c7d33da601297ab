//! The memory of the real process does not grow with the app.

use anyhow::Result;
use coffer_tests::{Coffer, measure_round_trip};

#[test]
fn an_app_of_256_mib_goes_round_under_96_mib() -> Result<()> {
    measure_round_trip(&Coffer::new(env!("CARGO_BIN_EXE_coffer"))?, 256, 96 << 20)
}
