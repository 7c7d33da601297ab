//! The SQL of PostgreSQL archives: freed of its schema's name on the way out, split, bound and checked on the way in.
//!
//! In an archive the app's own schema is called [`PLACEHOLDER`], so that apps of one shape share their text. What comes in is a
//! stranger's: nothing of it is run that [`check`] has not read as one statement of a kind that blueprints hold.
//!
//! A part of `coffer-storage` that is compiled on its own: PostgreSQL's parse trees take long to compile.

mod body;
mod builtins;
mod check;
mod error;
mod expression;
mod lexer;
mod names;
mod parse;
mod rename;
mod split;
mod stack;
#[cfg(test)]
mod tests;
mod token;
mod tree;

pub use body::{bodies_naming, rewrite_body};
pub use builtins::Builtins;
pub use check::{Code, Kind, Rules, Section, check};
pub use error::{Error, Result};
pub use rename::{bind, release, sees_no_placeholder};
pub use split::split;
pub use stack::with_stack;

/// The name that the app's own schema has in an archive.
pub const PLACEHOLDER: &str = "coffer_schema";

/// Why a statement is not taken; its text is added where that is known.
type Verdict<T = ()> = std::result::Result<T, String>;

/// How errors call a statement: its first 100 characters, on one line.
fn label(sql: &str) -> String {
    let mut words = sql.split_whitespace().flat_map(|word| [" ", word]).flat_map(str::chars).skip(1);
    let start: String = words.by_ref().take(100).collect();
    let cut = if words.next().is_some() { "…" } else { "" };
    format!("statement `{start}{cut}`")
}
