//! The two inner layers of an archive, as `docs/FORMAT.md` defines them: a pax tar in a sequence of gzip members.
//!
//! [`Writer`] makes an archive in one pass, without seeking and in fixed memory. [`Reader`] takes one apart in one pass
//! and vouches for it at the end: what it yields before [`Reader::next_event`] has returned `None` is unproven, and an
//! importer commits nothing of it. [`RandomReader`] takes out single entries, and reads no more than they need. All are plain, blocking and know neither encryption, databases nor networks.

mod compression;
mod entry;
mod error;
mod front;
mod header;
mod index;
mod json;
mod layer;
mod limits;
mod manifest;
mod member;
mod random;
mod reader;
mod rows;
mod tar_stream;
mod writer;

pub use compression::{Compression, GzipLevel, ZstdLevel};
pub use entry::{EntryName, ObjectHeader, RowEncoding};
pub use error::{Error, Result};
pub use limits::Limits;
pub use manifest::{Engine, FORMAT, Manifest, ObjectTotals, Signature, Summary, TableSummary, fingerprint};
pub use random::{CheckedIndex, Entry, Found, Listed, RandomReader, ReadAt, can_be_read_at_random};
pub use reader::{Event, Passing, Reader};
pub use rows::CHUNK_MAX_BYTES;
pub use writer::Writer;
