//! The engine that the REST calls and the command line share: stages joined by bounded pipes, under one budget.

mod app;
mod archive_in;
mod archive_out;
mod budget;
mod check;
mod export;
mod extract;
mod import;
mod output;
mod passing;
mod pipe;
mod place;
mod random;
#[cfg(test)]
mod tests;
mod transfer;
mod trust;

pub use app::App;
pub use archive_in::ArchiveInput;
pub use budget::Budget;
pub use check::{Contents, check};
pub(crate) use export::EXPORT_BYTES;
pub use export::{Export, Made, Packing, Sealing};
pub(crate) use extract::{Extracted, Folder, Overwrite, Spool, Tell, Wanted, extract_random};
pub use import::{Imported, Origin, import};
pub(crate) use output::{GRACE, PATIENT, write_object, write_out};
pub(crate) use passing::Vanished;
pub use pipe::{PipeReader, PipeWriter, Receiver, Sender, pipe};
pub use place::ArchivePlace;
pub(crate) use random::{ArchiveHead, RandomArchive, ReadCount};
pub use transfer::{Cancel, Direction, Transfer, TransferState, Transfers};
pub use trust::{Expected, ReadKeys, Trust};
