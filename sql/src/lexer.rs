//! Where words, quotes and signs begin and end, without making a list of them.
//!
//! This is for what comes before PostgreSQL's own parser: finding the end of each statement and counting, in the memory that the text
//! takes already. Nothing rests on the two agreeing: a statement cut at the wrong place is one that the parser refuses.

use std::ops::Range;

use super::Verdict;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lexeme {
    /// A word without quotes, or a number.
    Word,
    /// A name in quotes.
    Name,
    /// A string, in quotes or between dollars.
    Text,
    /// `;`
    End,
    /// `(` or `[`
    Open,
    /// `)` or `]`
    Close,
    /// Any other character.
    Sign,
}

/// An iterator of what a text consists of, without space and comments. It ends after an error.
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn starts_with(&self, prefix: &[u8]) -> bool {
        self.rest().starts_with(prefix)
    }

    /// Goes behind the next `needle`, or fails at the text's end.
    fn skip_past(&mut self, needle: &[u8], what: &str) -> Verdict {
        match memchr::memmem::find(self.rest(), needle) {
            Some(found) => {
                self.at += found + needle.len();
                Ok(())
            }
            None => {
                self.at = self.bytes.len();
                Err(format!("{what} that nothing ends"))
            }
        }
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        self.at += self.rest().iter().take_while(|byte| wanted(**byte)).count();
    }

    /// Goes behind space and comments; tells whether a line ended among them.
    fn skip_space(&mut self) -> Verdict<bool> {
        let from = self.at;
        loop {
            self.skip_while(is_space);
            if self.starts_with(b"--") {
                self.skip_while(|byte| byte != b'\n' && byte != b'\r');
            } else if self.starts_with(b"/*") {
                self.skip_comment()?;
            } else {
                let passed = self.bytes.get(from..self.at).unwrap_or_default();
                return Ok(passed.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
            }
        }
    }

    /// Goes behind a comment, in which comments may stand.
    fn skip_comment(&mut self) -> Verdict {
        let mut depth = 0_usize;
        loop {
            if self.starts_with(b"/*") {
                (depth, self.at) = (depth + 1, self.at + 2);
            } else if self.starts_with(b"*/") {
                (depth, self.at) = (depth - 1, self.at + 2);
                if depth == 0 {
                    return Ok(());
                }
            } else if self.at < self.bytes.len() {
                self.at += 1;
            } else {
                return Err("a comment that nothing ends".into());
            }
        }
    }

    fn word(&mut self) -> Verdict<Lexeme> {
        let from = self.at;
        self.skip_while(|byte| is_word(byte) || byte == b'$');
        let escapes = matches!(self.bytes.get(from..self.at), Some(b"e" | b"E"));
        if escapes && self.peek(0) == Some(b'\'') { self.escaped() } else { Ok(Lexeme::Word) }
    }

    /// A string in which a backslash makes the next character harmless. One on the next line is part of it.
    fn escaped(&mut self) -> Verdict<Lexeme> {
        loop {
            self.at += 1;
            loop {
                self.skip_while(|byte| byte != b'\'' && byte != b'\\');
                match self.peek(0) {
                    Some(b'\\') => self.at = (self.at + 2).min(self.bytes.len()),
                    Some(_) => break,
                    None => return Err("a string that nothing ends".into()),
                }
            }
            self.at += 1;
            if self.peek(0) == Some(b'\'') {
                continue;
            }
            let end = self.at;
            if !(self.skip_space()? && self.peek(0) == Some(b'\'')) {
                self.at = end;
                return Ok(Lexeme::Text);
            }
        }
    }

    /// A string between dollars, or what only begins like one.
    fn dollar(&mut self) -> Verdict<Lexeme> {
        let tag = self.rest().iter().skip(1).take_while(|byte| is_word(**byte)).count();
        let starts_well = !self.peek(1).is_some_and(|byte| byte.is_ascii_digit());
        let Some(quote) = self.rest().get(..tag + 2).filter(|quote| starts_well && quote.ends_with(b"$")) else {
            self.at += 1;
            self.skip_while(|byte| byte.is_ascii_digit());
            return Ok(Lexeme::Sign);
        };
        self.at += quote.len();
        self.skip_past(quote, "a string between dollars")?;
        Ok(Lexeme::Text)
    }

    fn lexeme(&mut self, first: u8) -> Verdict<Lexeme> {
        match first {
            b'0'..=b'9' => {
                self.skip_while(|byte| is_word(byte) || byte == b'.');
                return Ok(Lexeme::Word);
            }
            b'$' => return self.dollar(),
            byte if is_word(byte) => return self.word(),
            _ => self.at += 1,
        }
        Ok(match first {
            b'\'' => {
                self.skip_past(b"'", "a string")?;
                Lexeme::Text
            }
            b'"' => {
                self.skip_past(b"\"", "a name in quotes")?;
                Lexeme::Name
            }
            b';' => Lexeme::End,
            b'(' | b'[' => Lexeme::Open,
            b')' | b']' => Lexeme::Close,
            _ => Lexeme::Sign,
        })
    }
}

impl Iterator for Lexer<'_> {
    type Item = Verdict<(Lexeme, Range<usize>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(why) = self.skip_space() {
            self.at = self.bytes.len();
            return Some(Err(why));
        }
        let from = self.at;
        let first = self.peek(0)?;
        Some(match self.lexeme(first) {
            Ok(lexeme) => Ok((lexeme, from..self.at)),
            Err(why) => {
                self.at = self.bytes.len();
                Err(why)
            }
        })
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Whether a byte may be in a word, `$` aside. Every character beyond ASCII may.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
