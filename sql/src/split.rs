//! A document into its statements.

use super::{
    Verdict,
    lexer::{Lexeme, Lexer},
    parse::{MAX_STATEMENT_BYTES, MAX_TOKENS},
};
use crate::{Error, Result};

/// The statements of a document, each without the `;` that ends it. They are parts of the document; nothing is parsed yet.
///
/// # Errors
/// `Refused` where a statement, quote or comment has no end, for a statement that is empty or too large, and for what is not
/// UTF-8 or holds a NUL.
pub fn split(document: &[u8]) -> Result<Vec<&str>> {
    let refused = |why: String| Error::refused("the archive's SQL", why);
    let text = std::str::from_utf8(document).map_err(|error| refused(error.to_string()))?;
    if let Some(at) = memchr::memchr(0, document) {
        return Err(refused(format!("a NUL at byte {at}")));
    }
    statements(text).map_err(refused)
}

fn statements(text: &str) -> Verdict<Vec<&str>> {
    let mut found = Vec::new();
    let (mut from, mut tokens, mut nesting) = (None, 0_usize, Nesting::default());
    for lexeme in Lexer::new(text) {
        let (lexeme, range) = lexeme.map_err(|why| format!("{why}, in statement {}", found.len() + 1))?;
        let start = *from.get_or_insert(range.start);
        if lexeme == Lexeme::End && nesting.is_outside() {
            let statement = text.get(start..range.start).unwrap_or_default().trim_end();
            if statement.is_empty() {
                return Err(format!("statement {} is empty", found.len() + 1));
            }
            found.push(statement);
            (from, tokens, nesting) = (None, 0, Nesting::default());
            continue;
        }
        tokens += 1;
        if range.end - start > MAX_STATEMENT_BYTES || tokens > MAX_TOKENS {
            return Err(format!(
                "statement {} is longer than {MAX_STATEMENT_BYTES} bytes or {MAX_TOKENS} words",
                found.len() + 1
            ));
        }
        nesting.take(lexeme, text.get(range).unwrap_or_default());
    }
    match from {
        None => Ok(found),
        Some(_) => Err(format!("statement {} does not end with a semicolon", found.len() + 1)),
    }
}

/// What a `;` stands within. `BEGIN ATOMIC … END` is looked for in functions and procedures only, as psql does.
#[derive(Default)]
struct Nesting {
    brackets: usize,
    words: [Word; 4],
    seen: usize,
    blocks: usize,
}

/// The words that tell a function with a body of statements.
#[derive(Clone, Copy, Default, PartialEq)]
enum Word {
    #[default]
    Other,
    Create,
    Or,
    Replace,
    Routine,
}

impl Nesting {
    fn is_outside(&self) -> bool {
        self.brackets == 0 && self.blocks == 0
    }

    fn take(&mut self, lexeme: Lexeme, text: &str) {
        match lexeme {
            Lexeme::Open => self.brackets += 1,
            Lexeme::Close => self.brackets = self.brackets.saturating_sub(1),
            Lexeme::Word => self.word(text),
            _ => {}
        }
    }

    fn word(&mut self, text: &str) {
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        if let Some(place) = self.words.get_mut(self.seen) {
            *place = match () {
                () if is("create") => Word::Create,
                () if is("or") => Word::Or,
                () if is("replace") => Word::Replace,
                () if is("function") || is("procedure") => Word::Routine,
                () => Word::Other,
            };
            self.seen += 1;
        }
        if self.brackets > 0 || !self.makes_routine() {
            return;
        }
        if is("begin") || (is("case") && self.blocks > 0) {
            self.blocks += 1;
        } else if is("end") {
            self.blocks = self.blocks.saturating_sub(1);
        }
    }

    fn makes_routine(&self) -> bool {
        matches!(self.words, [Word::Create, Word::Routine, ..] | [Word::Create, Word::Or, Word::Replace, Word::Routine])
    }
}
