//! The sealed layer of an archive: whoever opens one gets the bytes that were sealed, in their order and to their end,
//! or an error.
//!
//! [`Sealer`] encrypts what is written to it for a list of [`Recipients`]; [`Opener`] gives it back to whoever has an
//! [`Unlock`] that fits. Both work in one pass, without seeking, in memory that does not grow with the archive.
//! [`RandomOpener`] reads any part of an archive that can be read at any place, [`rewrap_header`] makes an archive one
//! for other recipients, and a [`SigningKey`] tells who wrote it.
//!
//! ```
//! use std::io::{Read, Write};
//! use coffer_crypto::{Identity, Opener, Recipients, Sealer, Unlock};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let identity = Identity::generate();
//! let mut sealer = Sealer::new(Vec::new(), &Recipients::keys(vec![identity.recipient()])?)?;
//! sealer.write_all(b"rows and objects")?;
//! let sealed = sealer.finish()?;
//!
//! let unlock = Unlock { identities: vec![identity], ..Unlock::default() };
//! let mut opener = Opener::new(sealed.as_slice(), &unlock)?;
//! let mut plaintext = [0; 16];
//! opener.read_exact(&mut plaintext)?;
//! assert_eq!(&plaintext, b"rows and objects");
//! # Ok(())
//! # }
//! ```
//!
//! The seal proves that an archive is whole, not who wrote it: whoever knows a recipient can seal to it. What comes out
//! of an [`Opener`] is still untrusted input, unless a signature in it was verified.

mod agefile;
mod envelope;
mod error;
mod fill;
mod hex;
mod id;
mod identity;
mod key;
mod passphrase;
mod random;
mod recipient;
mod rewrap;
mod segment;
mod signature;
mod stream;
#[cfg(test)]
mod tests;

pub use envelope::{MAGIC, is_sealed};
pub use error::{Error, Result, WrongKey};
pub use id::ArchiveId;
pub use identity::{Identity, Unlock};
pub use key::ArchiveKey;
pub use passphrase::{Passphrase, WorkFactor};
pub use random::{LockedRandom, RandomOpener, ReadAt};
pub use recipient::{Recipient, Recipients};
pub use rewrap::{Rewrapped, rewrap_header};
pub use segment::{Position, SEGMENT_SIZE, SegmentKeys, SegmentNumber, TAG_SIZE};
pub use signature::{SigningKey, VerifyingKey};
pub use stream::{Locked, Opener, Sealer};
