//! Bytes from hexadecimal digits, without a copy on the way: they may be a secret.

/// In which letters digits stand. Those in the other case are refused, so that bytes have one text alone.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Lower,
    Upper,
}

/// Fills `bytes` from two digits each, and tells whether the text is exactly that. Otherwise the bytes are anything.
pub(crate) fn decode(text: &str, case: Case, bytes: &mut [u8]) -> bool {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if !odd.is_empty() || pairs.len() != bytes.len() {
        return false;
    }
    bytes.iter_mut().zip(pairs).all(|(byte, &[high, low])| match (value(high, case), value(low, case)) {
        (Some(high), Some(low)) => {
            *byte = high << 4 | low;
            true
        }
        _ => false,
    })
}

fn value(digit: u8, case: Case) -> Option<u8> {
    match (digit, case) {
        (b'0'..=b'9', _) => Some(digit - b'0'),
        (b'a'..=b'f', Case::Lower) => Some(digit - b'a' + 10),
        (b'A'..=b'F', Case::Upper) => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_in_both_cases() {
        for byte in 0..=u8::MAX {
            let mut read = [!byte];
            assert!(decode(&format!("{byte:02x}"), Case::Lower, &mut read) && read == [byte]);
            let mut read = [!byte];
            assert!(decode(&format!("{byte:02X}"), Case::Upper, &mut read) && read == [byte]);
        }
    }

    #[test]
    fn refuses_what_is_no_digit_of_its_case_and_other_lengths() {
        for (text, case) in [
            ("0", Case::Lower),
            ("000", Case::Lower),
            ("00000", Case::Lower),
            ("000000", Case::Lower),
            ("00AB", Case::Lower),
            ("00ab", Case::Upper),
            ("00a/", Case::Lower),
            ("00:a", Case::Lower),
            ("00`a", Case::Lower),
            ("00ag", Case::Lower),
            ("00@A", Case::Upper),
            ("00AG", Case::Upper),
            ("+0-0", Case::Lower),
            ("0äb", Case::Lower),
        ] {
            assert!(!decode(text, case, &mut [0; 2]), "{text}");
        }
    }
}
