//! The entries of an archive, a line each: told as they are found, and never held.

use std::io::{BufWriter, ErrorKind, Stdout, Write};

use coffer_archive::{Listed, Passing};
use serde_json::json;

use super::report::{Report, object};
use crate::pipeline::Vanished;
use crate::{Error, Result};

/// What describes the other entries is no entry of its own in the index.
const DESCRIBING: [&str; 2] = ["index/", "summary.json"];

/// Writes lines to standard output.
pub(super) struct Entries {
    report: Report,
    /// None once whoever read along wants no more.
    out: Option<BufWriter<Stdout>>,
    vanished: Vanished,
    /// In one pass, the entry behind it shows whether this one counts.
    held: Option<(String, u64)>,
}

/// What the archive says of an entry.
#[derive(Clone, Copy)]
enum Mark {
    None,
    Void,
    Vanished,
}

impl Entries {
    pub(super) fn new(report: Report) -> Self {
        let out = Some(BufWriter::new(std::io::stdout()));
        Self { report, out, vanished: Vanished::default(), held: None }
    }

    /// Tells of a record of the index.
    pub(super) fn listed(&mut self, listed: &Listed) -> Result<()> {
        match listed {
            Listed::Entry(entry) => self.line(&entry.path, entry.size, Mark::None),
            Listed::Void(entry) => self.line(&entry.path, entry.size, Mark::Void),
            Listed::Vanished(path) => self.line(path, 0, Mark::Vanished),
        }
    }

    /// Tells of what passes through the reading of an archive.
    pub(super) fn pass(&mut self, passing: Passing<'_>) -> Result<()> {
        let mut gone = Vec::new();
        self.vanished.pass(passing, |path| gone.push(path.to_owned()));
        for path in gone {
            self.line(&path, 0, Mark::Vanished)?;
        }
        let Passing::Begin { path, size } = passing else { return Ok(()) };
        // An index block may stand between an attempt and the next.
        if !DESCRIBING.iter().any(|describing| path.starts_with(describing)) {
            self.settle(path)?;
            self.held = Some((path.to_owned(), size));
        }
        Ok(())
    }

    /// Tells of the last one.
    pub(super) fn finish(mut self) -> Result<()> {
        self.settle("")?;
        let flushed = self.out.as_mut().map_or(Ok(()), Write::flush);
        self.wrote(flushed)
    }

    fn settle(&mut self, next: &str) -> Result<()> {
        match self.held.take() {
            Some((path, size)) if path == next => self.line(&path, size, Mark::Void),
            Some((path, size)) => self.line(&path, size, Mark::None),
            None => Ok(()),
        }
    }

    fn line(&mut self, path: &str, size: u64, mark: Mark) -> Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        let line = match (self.report.is_json(), mark) {
            (true, Mark::None) => object("entry", json!({ "path": path, "size": size })),
            (true, Mark::Void) => object("entry", json!({ "path": path, "size": size, "void": true })),
            (true, Mark::Vanished) => object("entry", json!({ "path": path, "vanished": true })),
            (false, Mark::None) => format!("{size:>14} {}", shown(path)),
            (false, Mark::Void) => format!("{size:>14} {} (void: it changed and comes again)", shown(path)),
            (false, Mark::Vanished) => format!("{:>14} {} (vanished: it is not in the archive)", "-", shown(path)),
        };
        let written = writeln!(out, "{line}");
        self.wrote(written)
    }

    /// Whoever closed the other end wants no more, which is no failure.
    fn wrote(&mut self, written: std::io::Result<()>) -> Result<()> {
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                // What is left in the buffer is nobody's any more.
                drop(self.out.take().map(BufWriter::into_parts));
                Ok(())
            }
            written => written.map_err(|error| Error::file("writing standard output", error)),
        }
    }
}

/// A path as `coffer extract` takes it. The format has written control bytes as %XX; what else could make a terminal show
/// another text than is there (U+0080 to U+009F, marks of direction and of no width) is shown by its number.
fn shown(path: &str) -> String {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    path.chars().map(|c| if hides(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}
