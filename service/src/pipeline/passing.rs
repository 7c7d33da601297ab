//! What passes through the reading of an archive, for whoever looks on.

use coffer_archive::Passing;
use serde::Deserialize;

const INDEX: &str = "index/";
/// No line of an index block is longer.
const LINE_MAX_BYTES: usize = 1 << 20;

/// Hears of objects that had vanished: the records of index blocks alone tell of them.
#[derive(Default)]
pub(crate) struct Vanished {
    in_index: bool,
    line: Vec<u8>,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    path: std::borrow::Cow<'a, str>,
    #[serde(default)]
    vanished: bool,
}

impl Vanished {
    /// Looks at what passes, and gives the path of each object that had vanished to `each`.
    pub(crate) fn pass(&mut self, passing: Passing<'_>, mut each: impl FnMut(&str)) {
        match passing {
            Passing::Begin { path, .. } => {
                self.in_index = path.starts_with(INDEX);
                self.line.clear();
            }
            Passing::Bytes(bytes) if self.in_index => {
                for part in bytes.split_inclusive(|&byte| byte == b'\n') {
                    if self.line.len() + part.len() <= LINE_MAX_BYTES {
                        self.line.extend_from_slice(part);
                    }
                    if part.ends_with(b"\n") {
                        self.end_line(&mut each);
                    }
                }
            }
            Passing::Bytes(_) | Passing::End => {}
        }
    }

    fn end_line(&mut self, each: &mut impl FnMut(&str)) {
        if let Ok(Record { path, vanished: true }) = serde_json::from_slice(&self.line) {
            each(&path);
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vanished_objects_are_heard_of_wherever_the_block_is_cut() {
        let block = b"{\"path\":\"objects/a\",\"size\":1}\n{\"path\":\"objects/\\u00fc\",\"vanished\":true}\n";
        for cut in 0..block.len() {
            let (mut vanished, mut heard) = (Vanished::default(), Vec::new());
            let (head, tail) = block.split_at(cut);
            for passing in [
                Passing::Begin { path: "objects/x", size: 9 },
                Passing::Bytes(block),
                Passing::End,
                Passing::Begin { path: "index/00000000.jsonl", size: 9 },
                Passing::Bytes(head),
                Passing::Bytes(tail),
                Passing::End,
            ] {
                vanished.pass(passing, |path| heard.push(path.to_owned()));
            }
            assert_eq!(heard, ["objects/ü"], "{cut}");
        }
    }
}
