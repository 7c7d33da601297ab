//! Archives that an independent program made, right and wrong in each way that the format names: `vectors/README.md` tells
//! what a vector is.

#![cfg(test)]

#[path = "vectors/vector.rs"]
mod vector;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use coffer_crypto::{Opener, RandomOpener, SEGMENT_SIZE};
use vector::{Outcome, Vector, inner, refusal};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors"))
}

/// In one pass, with reads of a size that divides no segment.
fn read_as_stream(vector: &Vector) -> Outcome {
    let mut opener = match Opener::new(vector.archive.as_slice(), &vector.unlock()) {
        Ok(opener) => opener,
        Err(error) => return refusal(Vec::new(), &error),
    };
    let (mut released, mut buffer) = (Vec::new(), [0; 10_007]);
    loop {
        match opener.read(&mut buffer) {
            Ok(0) => return Outcome::success(released, opener.archive_id()),
            Ok(n) => released.extend_from_slice(&buffer[..n]),
            Err(error) => return refusal(released, &inner(error)),
        }
    }
}

/// Segment by segment, in their order.
fn read_at_random(vector: &Vector) -> Outcome {
    let opener = match RandomOpener::open(vector.archive.as_slice(), &vector.unlock()) {
        Ok(opener) => opener,
        Err(error) => return refusal(Vec::new(), &error),
    };
    let (size, mut released) = (usize::try_from(opener.size()).unwrap(), Vec::new());
    while released.len() < size {
        let mut part = vec![0; SEGMENT_SIZE.min(size - released.len())];
        match opener.read_exact_at(released.len() as u64, &mut part) {
            Ok(()) => released.extend(part),
            Err(error) => return refusal(released, &inner(error)),
        }
    }
    Outcome::success(released, opener.archive_id())
}

/// All at once.
fn read_whole(vector: &Vector) -> Outcome {
    let opener = match RandomOpener::open(vector.archive.as_slice(), &vector.unlock()) {
        Ok(opener) => opener,
        Err(error) => return refusal(Vec::new(), &error),
    };
    let mut released = vec![0; usize::try_from(opener.size()).unwrap()];
    match opener.read_exact_at(0, &mut released) {
        Ok(()) => Outcome::success(released, opener.archive_id()),
        Err(error) => {
            assert!(released.iter().all(|byte| *byte == 0), "{}: a failed read gives nothing out", vector.name);
            refusal(Vec::new(), &inner(error))
        }
    }
}

/// What readers made of a vector and was not expected. A reader at random may refuse before it gives out anything.
fn wrong_outcomes(vector: &Vector) -> Vec<String> {
    let expected = vector.expected();
    let right = |found: &Outcome| found.said == expected.said && (*found == expected || found.released_nothing());
    let readers = [
        ("in one pass", read_as_stream(vector)),
        ("at random", read_at_random(vector)),
        ("at once", read_whole(vector)),
    ];
    readers
        .iter()
        .filter(|(way, found)| if *way == "in one pass" { *found != expected } else { !right(found) })
        .map(|(way, found)| format!("{} {way}: {found:?}", vector.name))
        .collect()
}

#[test]
fn every_vector_has_its_outcome_in_one_pass_and_at_random() {
    let vectors = Vector::read_all(folder());
    let wrong: Vec<_> = vectors.iter().flat_map(wrong_outcomes).collect();
    assert!(wrong.is_empty(), "{} outcomes:\n{}", wrong.len(), wrong.join("\n"));
    let outcomes: BTreeSet<&str> = vectors.iter().map(|vector| vector.field("expect").unwrap()).collect();
    let all = [
        "CutShort",
        "EmptySegment",
        "EnvelopeDamaged",
        "EnvelopeTooLong",
        "ExcessiveWork",
        "HeaderTag",
        "KeyLength",
        "NotSealed",
        "SegmentTag",
        "TrailingData",
        "UnsupportedVersion",
        "WrongKey",
        "success",
    ];
    assert_eq!(outcomes, BTreeSet::from(all), "every way to fail has its vector");
    assert!(vectors.len() >= 178, "{}", vectors.len());
}

#[test]
fn the_generator_makes_these_vectors() {
    let made = tempfile::tempdir().unwrap();
    let python = Command::new("python3").arg("-B").arg(folder().join("make.py")).arg(made.path()).output();
    let output = python.expect("this test needs the programs python3, openssl and age");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (here, there) = (Vector::read_all(folder()), Vector::read_all(made.path()));
    let names = |vectors: &[Vector]| vectors.iter().map(|vector| vector.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&here), names(&there));
    for (one, other) in here.iter().zip(&there) {
        assert!(one == other, "{} is made otherwise", one.name);
    }
}
