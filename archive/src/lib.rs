//! The two inner layers of an archive, as `docs/FORMAT.md` defines them: a pax tar in a sequence of gzip members.
//!
//! [`Writer`] makes an archive in one pass, without seeking and in fixed memory. [`Reader`] takes one apart in one pass
//! and vouches for it at the end: what it yields before [`Reader::next_event`] has returned `None` is unproven, and an
//! importer commits nothing of it. Both are plain, blocking and know neither encryption, databases nor networks.

mod entry;
mod error;
mod header;
mod index;
mod limits;
mod manifest;
mod member;
mod member_stream;
mod reader;
mod rows;
mod writer;

pub use entry::{EntryName, ObjectHeader, RowEncoding};
pub use error::{Error, Result};
pub use limits::Limits;
pub use manifest::{Engine, FORMAT, Manifest, ObjectTotals, Summary, TableSummary, fingerprint};
pub use reader::{Event, Reader};
pub use rows::CHUNK_MAX_BYTES;
pub use writer::Writer;
