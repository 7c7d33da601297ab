//! The engine that the REST calls and the command line share: stages joined by bounded pipes, under one budget.

mod app;
mod archive_in;
mod archive_out;
mod budget;
mod check;
mod export;
mod import;
mod pipe;
#[cfg(test)]
mod tests;
mod transfer;

pub use app::App;
pub use archive_in::ArchiveInput;
pub use budget::Budget;
pub use check::{Contents, check};
pub use export::{Export, Sealing};
pub use import::{Imported, import};
pub use pipe::{PipeReader, PipeWriter, Receiver, Sender, pipe};
pub use transfer::{Cancel, Direction, Transfer, TransferState, Transfers};
