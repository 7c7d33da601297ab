//! PostgreSQL's own tokens of a text, and names and strings as tokens say them.

use std::borrow::Cow;

use pg_query::{
    NodeEnum,
    protobuf::{KeywordKind, Token as Raw, a_const::Val},
};

use super::{Verdict, parse::within_bounds};

/// The longest name in bytes: PostgreSQL cuts what is longer.
const MAX_NAME_BYTES: usize = 63;

/// One token.
pub(super) struct Token<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// Where its text begins.
    pub(super) start: usize,
    kind: Raw,
    keyword: KeywordKind,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this keyword, or a sign of one character.
    pub(super) fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }

    /// The name, where the token can be one: as PostgreSQL understands it, without quotes.
    pub(super) fn name(&self) -> Option<String> {
        let mut name = match self.kind {
            Raw::Uident => decode(self.text)?,
            Raw::Ident if self.text.starts_with('"') => self.text.get(1..self.text.len() - 1)?.replace("\"\"", "\""),
            Raw::Ident => self.text.to_ascii_lowercase(),
            _ if self.keyword != KeywordKind::NoKeyword => self.text.to_ascii_lowercase(),
            _ => return None,
        };
        name.truncate(name.floor_char_boundary(MAX_NAME_BYTES));
        Some(name)
    }

    pub(super) fn is_string(&self) -> bool {
        matches!(self.kind, Raw::Sconst | Raw::Usconst)
    }

    /// The string that the token says.
    pub(super) fn string(&self) -> Option<Cow<'_, str>> {
        if !self.is_string() {
            return None;
        }
        if self.text.starts_with('$') {
            let tag = self.text.get(1..)?.find('$')? + 2;
            return self.text.get(tag..self.text.len().checked_sub(tag)?).map(Cow::Borrowed);
        }
        let inner = self.text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        match inner {
            Some(inner) if !inner.contains('\'') => Some(Cow::Borrowed(inner)),
            _ => decode(self.text).map(Cow::Owned),
        }
    }
}

/// The tokens of a text, without comments.
pub(super) fn tokens(text: &str) -> Verdict<Vec<Token<'_>>> {
    within_bounds(text)?;
    let scanned = pg_query::scan(text).map_err(|error| error.to_string())?;
    let token = |raw: &pg_query::protobuf::ScanToken| {
        let (start, end) = (usize::try_from(raw.start).ok()?, usize::try_from(raw.end).ok()?);
        Some(Token { text: text.get(start..end)?, start, kind: raw.token(), keyword: raw.keyword_kind() })
    };
    let all = scanned.tokens.iter().filter(|raw| !matches!(raw.token(), Raw::SqlComment | Raw::CComment));
    all.map(|raw| token(raw).ok_or_else(|| "a token outside of the text".to_owned())).collect()
}

/// What a token of an unusual form says, by the parser.
fn decode(token: &str) -> Option<String> {
    let parsed = pg_query::parse(&format!("SELECT {token}"), 0).ok()?.protobuf;
    let NodeEnum::SelectStmt(select) = parsed.stmts.first()?.stmt.as_deref()?.node.as_ref()? else { return None };
    let NodeEnum::ResTarget(target) = select.target_list.first()?.node.as_ref()? else { return None };
    match target.val.as_deref()?.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            Val::Sval(string) => Some(string.sval.clone()),
            _ => None,
        },
        NodeEnum::ColumnRef(column) => match column.fields.first()?.node.as_ref()? {
            NodeEnum::String(string) => Some(string.sval.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// A name as it stands in SQL, in quotes where PostgreSQL's `quote_identifier` sets them.
pub(super) fn quote_name(name: &str) -> String {
    let keyword = || {
        let word =
            pg_query::scan(name).ok().and_then(|scanned| scanned.tokens.first().map(|token| token.keyword_kind()));
        !matches!(word, Some(KeywordKind::NoKeyword | KeywordKind::UnreservedKeyword))
    };
    if is_plain(name) && !keyword() { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A string as it stands in SQL, as PostgreSQL's `quote_literal` has it.
pub(super) fn quote_string(string: &str) -> String {
    let quoted = string.replace('\'', "''");
    if string.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Whether a name needs no quotes, keywords aside.
pub(super) fn is_plain(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    starts_well && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether a text holds the name in some way; where it doesn't, nothing of it names it.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    let (text, name) = (text.as_bytes(), name.as_bytes());
    let found = |name: &[u8]| memchr::memmem::find(text, name).is_some();
    let other_case = || text.windows(name.len().max(1)).any(|window| window.eq_ignore_ascii_case(name));
    let in_quotes = || name.contains(&b'"') && found(&name.iter().flat_map(|byte| doubled(*byte)).collect::<Vec<u8>>());
    found(name) || found(b"U&\"") || found(b"u&\"") || in_quotes() || other_case()
}

fn doubled(byte: u8) -> impl Iterator<Item = u8> {
    std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 })
}
