//! What a command tells its user: lines for people, or one JSON object a line.

use std::io::{ErrorKind, IsTerminal, Write};

use serde::Serialize;
use serde_json::{Value, json};

use crate::http::Problem;
use crate::{Error, Result};

/// How results and errors are told.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    json: bool,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read along.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// The result: `text` for people, `summary` for programs.
    ///
    /// # Errors
    /// [`Error::File`] where standard output takes nothing. Whoever closed its other end wants no more, which is no failure.
    pub(crate) fn summary(&self, text: &str, summary: &impl Serialize) -> Result<()> {
        let line = match self.json {
            true => object("summary", serde_json::to_value(summary).unwrap_or(Value::Null)),
            false => text.to_owned(),
        };
        let mut out = std::io::stdout();
        match writeln!(out, "{line}").and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::file("writing standard output", error)),
            _ => Ok(()),
        }
    }

    /// Something on the way that its user should know.
    pub(crate) fn status(&self, text: &str) {
        if self.json {
            print(&mut std::io::stdout(), &object("status", json!({ "message": text })));
        } else {
            print(&mut std::io::stderr(), text);
        }
    }

    /// As [`Report::status`], but on standard error whatever is read: standard output has the data.
    pub(crate) fn note(&self, text: &str) {
        print(&mut std::io::stderr(), text);
    }

    /// As [`Report::note`], where it is people who read.
    pub(super) fn note_for_people(&self, text: &str) {
        if !self.json {
            self.note(text);
        }
    }

    pub(super) fn error(&self, error: &Error) {
        if self.json {
            let mut problem = serde_json::to_value(Problem::from(error)).unwrap_or(Value::Null);
            if let Value::Object(problem) = &mut problem {
                problem.insert("exit".into(), error.outcome().exit().into());
            }
            print(&mut std::io::stdout(), &object("error", problem));
        } else {
            print(&mut std::io::stderr(), &format!("error: {error}"));
        }
    }
}

/// One JSON object of a line.
pub(super) fn object(message_type: &str, value: Value) -> String {
    let mut line = json!({ "message_type": message_type });
    if let (Value::Object(line), Value::Object(value)) = (&mut line, value) {
        line.extend(value);
    }
    line.to_string()
}

/// Whether somebody looks at standard error.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// A word on the way: where nobody takes it, the work goes on.
fn print(out: &mut impl Write, line: &str) {
    drop(writeln!(out, "{line}"));
}
