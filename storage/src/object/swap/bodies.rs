//! Two bodies side by side.

use bytes::{Buf, Bytes};
use futures::StreamExt;

use crate::{ObjectBody, Result};

/// Whether two bodies have the same bytes. Neither is held.
pub(crate) async fn same_bytes(mut one: ObjectBody, mut other: ObjectBody) -> Result<bool> {
    let (mut left, mut right) = (Bytes::new(), Bytes::new());
    loop {
        let (has_left, has_right) = (fill(&mut one, &mut left).await?, fill(&mut other, &mut right).await?);
        if !has_left || !has_right {
            return Ok(has_left == has_right);
        }
        let length = left.len().min(right.len());
        if left.get(..length) != right.get(..length) {
            return Ok(false);
        }
        left.advance(length);
        right.advance(length);
    }
}

/// Takes the next piece where the last one is used up. Says whether there are bytes.
async fn fill(body: &mut ObjectBody, piece: &mut Bytes) -> Result<bool> {
    while piece.is_empty() {
        match body.next().await {
            Some(next) => *piece = next?,
            None => return Ok(false),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn cut(bytes: &'static [u8], length: usize) -> ObjectBody {
        stream::iter(bytes.chunks(length).map(|piece| Ok(Bytes::from_static(piece)))).boxed()
    }

    #[tokio::test]
    async fn pieces_may_be_cut_anywhere() {
        for (one, other, expected) in
            [(&b"0123456789"[..], &b"0123456789"[..], true), (b"0123456789", b"012345678", false), (b"", b"x", false)]
        {
            for length in 1..11 {
                assert_eq!(same_bytes(cut(one, 3), cut(other, length)).await.unwrap(), expected);
                assert_eq!(same_bytes(cut(other, length), cut(one, 3)).await.unwrap(), expected);
            }
        }
        assert!(!same_bytes(cut(b"aab", 2), cut(b"aac", 1)).await.unwrap());
        assert!(same_bytes(cut(b"", 1), cut(b"", 1)).await.unwrap());
    }
}
