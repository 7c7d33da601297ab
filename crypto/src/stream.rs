//! A sealed archive as a stream: a writer that seals and a reader that opens.

mod opener;
mod sealer;

pub use opener::{Locked, Opener};
pub use sealer::Sealer;
