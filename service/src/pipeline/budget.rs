//! The memory that all transfers of the process share, counted in bytes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coffer_storage::Buffers;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::config::ByteSize;
use crate::{Error, Result};

/// One permit of the semaphore below.
const UNIT_BYTES: u64 = 1_024;
/// How long a transfer waits for its turn.
const PATIENCE: Duration = Duration::from_secs(60);

/// The largest part of the pieces' half that one piece counts for.
const PIECE_SHARE: u32 = 4;

/// The process's budget. Whoever buffers takes a permit of the buffer's own size, in the order of asking.
///
/// One half is for reserves: a transfer takes [`Budget::reserve`] once, before anything else, for what its stages hold
/// by construction. An eighth is for pieces on their way between stages, whose permits leave with them; another for objects that are
/// read ahead of their turn, which nobody waits for; a quarter for what is being sent to stores, which ends by itself. None of
/// them is waited for by whoever could only get it from a stage that waits for him: transfers wait for one another, but never
/// for ever.
#[derive(Clone)]
pub struct Budget {
    reserves: Share,
    pieces: Share,
    ahead: Buffers,
    sending: Buffers,
    passphrases: Share,
}

/// A semaphore and all that it can give.
#[derive(Clone)]
struct Share {
    units: Arc<Semaphore>,
    total: u32,
}

/// A part of the budget, given back on drop.
pub struct Permit {
    _units: Option<OwnedSemaphorePermit>,
}

impl Share {
    fn new(total: u32) -> Self {
        Self { units: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits for so many units, or for all there are where that is less.
    async fn acquire(&self, units: u32) -> Permit {
        let units = units.min(self.total);
        Permit { _units: Arc::clone(&self.units).acquire_many_owned(units).await.ok() }
    }
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(total: ByteSize) -> Self {
        let eighth = units(total.bytes() / 8).clamp(1, u32::MAX >> 6);
        Self {
            reserves: Share::new(4 * eighth),
            pieces: Share::new(eighth),
            ahead: Buffers::new(total.bytes() / 8),
            sending: Buffers::new(total.bytes() / 4),
            passphrases: Share::new(1),
        }
    }

    /// How many transfers that reserve so much each can run at once, none waiting for another.
    #[must_use]
    pub fn transfers_at_once(&self, bytes_each: u64) -> usize {
        (self.reserves.total / units(bytes_each).max(1)).max(1) as usize
    }

    /// Waits for what a transfer needs before it begins, for a minute at most.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where the transfers that run have not left enough by then.
    pub async fn reserve(&self, bytes: u64) -> Result<Permit> {
        timeout(PATIENCE, self.reserves.acquire(units(bytes))).await.map_err(|_| Error::Overloaded)
    }

    /// Waits for a permit of a piece's own size, and ties it to the piece: the last of its clones gives it back. A
    /// single value that is larger than its share counts as its share, and so comes through.
    pub async fn hold(&self, piece: Bytes) -> Bytes {
        let most = (self.pieces.total / PIECE_SHARE).max(1);
        let permit = self.pieces.acquire(units(piece.len() as u64).min(most)).await;
        Bytes::from_owner(Held { piece, _permit: permit })
    }

    /// What objects share that are read ahead of their turn.
    #[must_use]
    pub const fn ahead(&self) -> &Buffers {
        &self.ahead
    }

    /// What objects and parts share that are being sent.
    #[must_use]
    pub const fn sending(&self) -> &Buffers {
        &self.sending
    }

    /// As [`Budget::hold`], from a thread.
    #[must_use]
    pub fn blocking_hold(&self, piece: Bytes, runtime: &Handle) -> Bytes {
        runtime.block_on(self.hold(piece))
    }

    /// The turn to stretch a passphrase: one at a time, as each takes tens of MiB beside the budget.
    pub async fn passphrase_turn(&self) -> Permit {
        self.passphrases.acquire(1).await
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

struct Held {
    piece: Bytes,
    _permit: Permit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free_units(budget: &Budget) -> usize {
        budget.pieces.units.available_permits()
    }

    #[tokio::test]
    async fn a_piece_gives_its_permit_back_with_its_last_clone() {
        let budget = Budget::new("256KiB".parse().unwrap());
        let piece = budget.hold(Bytes::from(vec![0; 4_096])).await;
        assert_eq!(free_units(&budget), 28);
        let slice = piece.slice(10..20);
        drop(piece);
        assert_eq!(free_units(&budget), 28);
        drop(slice);
        assert_eq!(free_units(&budget), 32);
    }

    #[tokio::test]
    async fn a_piece_larger_than_its_share_comes_through() {
        let budget = Budget::new("256KiB".parse().unwrap());
        let large = budget.hold(Bytes::from(vec![0; 1 << 20])).await;
        assert_eq!(free_units(&budget), 24);
        drop(large);
        assert_eq!(free_units(&budget), 32);
    }
}
