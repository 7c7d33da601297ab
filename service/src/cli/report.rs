//! What a command tells its user: lines for people, or one JSON object a line.

use std::io::{IsTerminal, Write};

use serde::Serialize;
use serde_json::{Value, json};

use crate::Error;
use crate::http::Problem;

/// How results and errors are told.
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
    pub(crate) fn summary(&self, text: &str, summary: &impl Serialize) {
        if self.json {
            self.object("summary", serde_json::to_value(summary).unwrap_or(Value::Null));
        } else {
            print(&mut std::io::stdout(), text);
        }
    }

    /// Something on the way that its user should know.
    pub(crate) fn status(&self, text: &str) {
        if self.json {
            self.object("status", json!({ "message": text }));
        } else {
            print(&mut std::io::stderr(), text);
        }
    }

    /// As [`Report::status`], but on standard error whatever is read: standard output has the data.
    pub(crate) fn note(&self, text: &str) {
        print(&mut std::io::stderr(), text);
    }

    pub(super) fn error(&self, error: &Error) {
        if self.json {
            let mut object = serde_json::to_value(Problem::from(error)).unwrap_or(Value::Null);
            if let Value::Object(object) = &mut object {
                object.insert("exit".into(), error.outcome().exit().into());
            }
            self.object("error", object);
        } else {
            print(&mut std::io::stderr(), &format!("error: {error}"));
        }
    }

    fn object(&self, message_type: &str, value: Value) {
        let mut line = json!({ "message_type": message_type });
        if let (Value::Object(line), Value::Object(value)) = (&mut line, value) {
            line.extend(value);
        }
        print(&mut std::io::stdout(), &line.to_string());
    }
}

/// Whether somebody looks at standard error.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Whoever closed the other end wants no more lines, and that is no failure.
fn print(out: &mut impl Write, line: &str) {
    drop(writeln!(out, "{line}"));
}
