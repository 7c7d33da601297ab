//! Coffer streams an app's rows and files out of its database and object store into one encrypted archive, and back.
//!
//! This crate is the service: the command line, the REST calls, and the pipeline that both share. It knows the archive
//! format, the sealed layer and the stores, which do not know one another.

pub mod catalog;
mod cli;
pub mod config;
mod demo;
mod error;
mod failpoint;
pub mod http;
mod jobs;
pub mod name;
pub mod pipeline;
mod progress;
mod sheet;
pub mod staging;
pub mod vault;

pub use cli::run;
pub use error::{Error, Outcome, Result};
