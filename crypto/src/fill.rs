//! Reads as much as there is room for.

use std::io::{ErrorKind, Read, Result};

/// Reads until the buffer is full or the input ends, and gives the number of bytes read: fewer than the buffer's length
/// only at the end of the input. Goes on where a read was interrupted. After an error it is not known how much was
/// read.
pub(crate) fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
