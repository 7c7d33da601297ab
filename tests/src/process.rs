//! What Linux tells of a process's memory.

use anyhow::{Context, Result, ensure};

/// A process's resident memory.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    process_id: u32,
}

impl Memory {
    pub(crate) fn of(process_id: u32) -> Self {
        Self { process_id }
    }

    /// Bytes resident now (VmRSS).
    ///
    /// # Errors
    /// The process is gone.
    pub fn resident(self) -> Result<u64> {
        self.field("VmRSS:")
    }

    /// The most bytes that were resident since the process began, or since [`Memory::forget_peak`] (VmHWM).
    ///
    /// # Errors
    /// The process is gone.
    pub fn peak(self) -> Result<u64> {
        self.field("VmHWM:")
    }

    /// Begins the peak anew.
    ///
    /// # Errors
    /// The process is gone or another user's.
    pub fn forget_peak(self) -> Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.process_id), "5")?)
    }

    /// Checks that the peak is below `bytes`.
    ///
    /// # Errors
    /// It is not.
    pub fn ensure_peak_below(self, bytes: u64) -> Result<u64> {
        let peak = self.peak()?;
        ensure!(peak < bytes, "its memory went up to {} and had to stay under {}", mebibytes(peak), mebibytes(bytes));
        Ok(peak)
    }

    fn field(self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no such field")?;
        Ok(kibibytes.trim().parse::<u64>()? * 1_024)
    }
}

/// A number of bytes for people.
#[must_use]
pub fn mebibytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, (bytes >> 10 & 1_023) * 10 / 1_024)
}
