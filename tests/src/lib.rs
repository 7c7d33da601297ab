//! The harness: the real `coffer` process, apps to give it, and foreign tools to judge what it did.
//!
//! Nothing here knows how the service works inside. [`Coffer`] runs the binary in a folder of its own, [`Service`] is
//! its `serve`, watched from outside: over HTTP by `curl` or a bare socket, in `/proc` for memory and open files. All of
//! it is gone when the value is dropped.

mod app;
mod coffer;
mod compare;
mod damage;
mod files;
mod foreign;
mod guardian;
mod http;
mod measure;
pub mod postgres;
mod process;
mod random;
pub mod recovery;
pub mod replace;
mod rewrite;
pub mod s3;
mod service;
mod tar;
pub mod vault;

pub use app::App;
pub use coffer::{Coffer, Outcome};
pub use compare::{assert_same_app, assert_same_database, assert_same_files, folder_listing};
pub use damage::Damage;
pub use files::{large_files, many_files, mixed_files};
pub use foreign::{say, shell, tool};
pub use http::{Answer, RawExchange};
pub(crate) use measure::peak_of;
pub use measure::{measure_entries, measure_extraction, measure_round_trip};
pub use process::{Memory, mebibytes};
pub use random::Random;
pub use rewrite::Contents;
pub use service::Service;
pub use tar::{TarEntry, decode_name, tar_entries};
