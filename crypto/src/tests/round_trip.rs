//! What was sealed comes out, at every size and however it is written and read.

use super::*;
use crate::SEGMENT_SIZE as S;

#[test]
fn every_size_comes_back() {
    let identity = Identity::generate();
    for size in [0, 1, S - 1, S, S + 1, 2 * S, 3 * S, 3 * S + 17] {
        let sealed = seal(&to(&[&identity]), &sample(size));
        let count = size.div_ceil(S).max(1);
        assert_eq!(sealed.len(), header_length(&sealed) + size + 32 * count, "{size}");
        let (plaintext, end) = open(sealed.as_slice(), &with(&identity));
        end.unwrap();
        assert_eq!(plaintext, sample(size), "{size}");
    }
}

#[test]
fn sizes_of_writes_and_reads_do_not_matter() {
    let identity = Identity::generate();
    let plaintext = sample(2 * S + 5);
    for piece in [1, 7, 4_095, S - 1, S, S + 1, 3 * S] {
        let mut sealer = Sealer::new(Vec::new(), &to(&[&identity])).unwrap();
        for piece in plaintext.chunks(piece) {
            sealer.write_all(piece).unwrap();
            sealer.flush().unwrap();
            assert_eq!(sealer.write(&[]).unwrap(), 0);
        }
        let sealed = sealer.finish().unwrap();
        assert_eq!(segments(&sealed).iter().map(|segment| segment.len()).collect::<Vec<_>>(), [S + 32, S + 32, 5 + 32]);

        let mut opener = Opener::new(sealed.as_slice(), &with(&identity)).unwrap();
        let (mut read, mut buffer) = (Vec::new(), vec![0; piece]);
        loop {
            assert_eq!(opener.read(&mut []).unwrap(), 0);
            let n = opener.read(&mut buffer).unwrap();
            if n == 0 {
                break;
            }
            read.extend_from_slice(&buffer[..n]);
        }
        assert_eq!(opener.read(&mut buffer).unwrap(), 0);
        assert_eq!(opener.segments_read(), 3);
        assert!(read == plaintext, "pieces of {piece}");
    }
}

#[test]
fn two_writings_share_nothing() {
    let identity = Identity::generate();
    let mut one = Sealer::new(Vec::new(), &to(&[&identity])).unwrap();
    let two = Sealer::new(Vec::new(), &to(&[&identity])).unwrap();
    assert_ne!(one.archive_id(), two.archive_id());
    one.write_all(b"x").unwrap();
    let id = one.archive_id();
    let sealed = one.finish().unwrap();
    assert_eq!(Opener::new(sealed.as_slice(), &with(&identity)).unwrap().archive_id(), id);
    assert_ne!(segments(&seal(&to(&[&identity]), &sample(99))), segments(&seal(&to(&[&identity]), &sample(99))));
}

#[test]
fn one_write_all_a_segment_and_a_flush_at_the_end() {
    /// Of writes; 0 for a flush.
    struct Sizes(Vec<usize>);
    impl Write for Sizes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.push(0);
            Ok(())
        }
    }
    let mut sealer = Sealer::new(Sizes(Vec::new()), &to(&[&Identity::generate()])).unwrap();
    sealer.write_all(&sample(2 * S)).unwrap();
    assert_eq!(sealer.write(&[]).unwrap(), 0);
    let sizes = sealer.finish().unwrap().0;
    assert_eq!(sizes[1..], [S + 32, S + 32, 0]);
}
