//! What `pg_dump` writes, taken apart into the things it names.

use std::io::BufRead;

use anyhow::{Context, Result, ensure};

use super::name::without_schema;
use super::rows::Rows;

const END: &str = "\n--\n-- PostgreSQL database dump complete";

/// Kept from one thing to the next, and written only where it changes: belongs to all that follow.
const DEFAULTS: [&str; 2] = ["SET default_tablespace = ", "SET default_table_access_method = "];

/// Calls `take` with the header and the text of each thing.
pub(super) fn read_items(mut dump: impl BufRead, schema: &str, mut take: impl FnMut(String, String)) -> Result<()> {
    let mut reader = Reader { schema, lines: Vec::new(), header: None, defaults: Default::default(), ended: false };
    let mut line = Vec::new();
    while next_line(&mut dump, &mut line)? {
        let text = String::from_utf8(line.clone()).context("pg_dump's SQL is not UTF-8")?;
        let is_copy = text.starts_with("COPY ") && text.ends_with(" FROM stdin;");
        if let Some((header, item)) = reader.line(text) {
            take(header, item);
        }
        if is_copy && reader.is_data() {
            reader.lines.push(read_rows(&mut dump)?.told());
        }
    }
    if let Some((header, item)) = reader.item() {
        take(header, item);
    }
    ensure!(reader.ended, "pg_dump's output was cut");
    Ok(())
}

struct Reader<'a> {
    schema: &'a str,
    lines: Vec<String>,
    header: Option<String>,
    defaults: [String; 2],
    ended: bool,
}

impl Reader<'_> {
    /// Takes a line, and gives back the thing that it shows to be complete: the one before a header.
    fn line(&mut self, line: String) -> Option<(String, String)> {
        let after_dashes = self.lines.last().is_some_and(|last| last == "--");
        let header = line.strip_prefix("-- ").filter(|told| after_dashes && is_header(told)).map(str::to_owned);
        if header.is_none() {
            self.lines.push(line);
            return None;
        }
        self.lines.pop();
        let before = self.item();
        self.header = header;
        before
    }

    fn is_data(&self) -> bool {
        self.header.as_ref().is_some_and(|header| header.contains("; Type: TABLE DATA;"))
    }

    fn item(&mut self) -> Option<(String, String)> {
        let text = std::mem::take(&mut self.lines).join("\n");
        let (text, end) = text.split_once(END).map_or((text.as_str(), None), |(text, end)| (text, Some(end)));
        self.ended |= end.is_some();
        let header = self.header.take();
        let is_data = header.as_ref().is_some_and(|header| header.contains("; Type: TABLE DATA;"));
        let defaults = self.defaults.clone();
        let text = self.without_defaults(text);
        // The schema is the frame, not the picture: what it holds, its comment and its privileges are things of their own.
        let header = header.filter(|header| !header.contains("; Type: SCHEMA;"))?;
        let text = text.trim_start_matches("--\n").trim_matches('\n');
        let mut text = match is_data.then(|| text.split_once('\n')).flatten() {
            Some((copy, rows)) => format!("{}\n{rows}", without_schema(copy, self.schema)),
            None => without_schema(text, self.schema),
        };
        if text.starts_with("CREATE ") && !text.contains("\nPARTITION BY ") {
            text.extend(defaults.iter().filter(|default| !default.is_empty()).map(|default| format!("\n-- {default}")));
        }
        Some((without_schema(&header, self.schema), text))
    }

    /// Takes what holds for the things that follow from the end of this one.
    fn without_defaults<'a>(&mut self, text: &'a str) -> &'a str {
        let mut text = text.trim_end_matches('\n');
        while let Some((rest, last)) = text.rsplit_once('\n').or((!text.is_empty()).then_some(("", text))) {
            let Some(which) = DEFAULTS.iter().position(|default| last.starts_with(default)) else {
                break;
            };
            let ordinary = ["SET default_tablespace = '';", "SET default_table_access_method = heap;"];
            if let Some(default) = self.defaults.get_mut(which) {
                *default = if ordinary.contains(&last) { String::new() } else { last.to_owned() };
            }
            text = rest.trim_end_matches('\n');
        }
        text
    }
}

fn is_header(line: &str) -> bool {
    let is_named = line.starts_with("Name: ") || line.starts_with("Data for Name: ");
    is_named && line.contains("; Type: ") && line.contains("; Schema: ")
}

fn read_rows(dump: &mut impl BufRead) -> Result<Rows> {
    let (mut rows, mut line) = (Rows::default(), Vec::new());
    while next_line(dump, &mut line)? {
        if line == b"\\." {
            return Ok(rows);
        }
        rows.add(&line);
    }
    anyhow::bail!("pg_dump's rows were cut")
}

fn next_line(dump: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool> {
    line.clear();
    let read = dump.read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(read > 0)
}
