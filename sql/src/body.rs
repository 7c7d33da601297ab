//! Names of schemas where no parse tree shows them: in the bodies of functions and in strings.

use super::{
    Verdict, label,
    parse::Parsed,
    rename::SearchPath,
    token::{Token, is_plain, quote_name, quote_string, tokens},
    with_stack,
};
use crate::{Error, Result};

/// Where in a statement the schema is named by what PostgreSQL takes for mere text: "its body", or the strings that hold the name as
/// a word. Comments and the labels of enums are text indeed, and not looked into.
///
/// # Errors
/// `Unsupported` where the statement is none.
pub fn bodies_naming(sql: &str, schema: &str) -> Result<Vec<String>> {
    if cant_name(sql, schema) {
        return Ok(Vec::new());
    }
    let work = || {
        let tokens = tokens(sql)?;
        let naming = texts(&tokens).filter(|text| text.names(schema)).map(|text| text.describe());
        Ok(naming.collect())
    };
    with_stack(|| work().map_err(unsupported(sql)))
}

/// The statement with `to` for `from` in those places; all else is as it was.
///
/// # Errors
/// `Unsupported` where a string names it and `to` can't stand there without quotes, or the statement is none.
pub fn rewrite_body(sql: &str, from: &str, to: &str) -> Result<String> {
    if cant_name(sql, from) {
        return Ok(sql.to_owned());
    }
    with_stack(|| rewrite(sql, from, to).map_err(unsupported(sql)))
}

/// Whether the text alone shows that no string of it holds the name. One with a quote in it may be there in another spelling.
fn cant_name(sql: &str, schema: &str) -> bool {
    !schema.contains(['\'', '"', '\\']) && words(sql, schema).next().is_none()
}

fn unsupported(sql: &str) -> impl Fn(String) -> Error {
    move |why: String| Error::Unsupported { what: format!("{}: {why}", label(sql)) }
}

fn rewrite(sql: &str, from: &str, to: &str) -> Verdict<String> {
    let tokens = tokens(sql)?;
    let mut out = String::with_capacity(sql.len());
    let mut at = 0;
    for text in texts(&tokens).filter(|text| text.names(from)) {
        out.push_str(sql.get(at..text.token.start).unwrap_or_default());
        let string = text.string();
        let new = if text.is_body { renamed_body(&string, from, to)? } else { renamed_words(&string, from, to)? };
        out.push_str(&encode(text.token, &new));
        at = text.token.end();
    }
    out.push_str(sql.get(at..).unwrap_or_default());
    Parsed::of(&out)?;
    Ok(out)
}

/// A string of a statement that may name things.
struct Text<'a> {
    token: &'a Token<'a>,
    is_body: bool,
}

impl Text<'_> {
    fn string(&self) -> String {
        self.token.string().unwrap_or_default().into_owned()
    }

    fn names(&self, schema: &str) -> bool {
        let string = self.string();
        let mut found = words(&string, schema);
        if !self.is_body {
            return found.next().is_some();
        }
        let in_token = |token: &Token<'_>| {
            token.name().as_deref() == Some(schema)
                || token.string().is_some_and(|string| words(&string, schema).next().is_some())
        };
        found.next().is_some() && tokens(&string).map_or(true, |tokens| tokens.iter().any(in_token))
    }

    fn describe(&self) -> String {
        if self.is_body {
            return "its body".into();
        }
        let string = self.string();
        let start: String = string.chars().take(60).collect();
        if start.len() < string.len() { format!("the string '{start}…'") } else { format!("the string '{start}'") }
    }
}

/// The strings of a statement, without those that rename themselves and those that name nothing.
fn texts<'a>(tokens: &'a [Token<'a>]) -> impl Iterator<Item = Text<'a>> {
    let is = |index: usize, word| tokens.get(index).is_some_and(|token| token.is(word));
    let names_nothing = is(0, "comment") || (is(0, "create") && is(1, "type"));
    let makes_routine = is(0, "create") && (1..4).any(|index| is(index, "function") || is(index, "procedure"));
    let mut path = SearchPath::default();
    let mut after_as = false;
    tokens.iter().filter_map(move |token| {
        let in_path = path.holds(token);
        let is_body = makes_routine && after_as;
        after_as = token.is("as");
        (token.is_string() && !in_path && !names_nothing).then_some(Text { token, is_body })
    })
}

/// A body with another name for the schema: as an identifier where it is one, as a word in strings.
fn renamed_body(body: &str, from: &str, to: &str) -> Verdict<String> {
    let Ok(tokens) = tokens(body) else { return renamed_words(body, from, to) };
    let mut out = String::with_capacity(body.len());
    let mut at = 0;
    for token in &tokens {
        let new = if token.name().as_deref() == Some(from) {
            quote_name(to)
        } else if let Some(string) = token.string().filter(|string| words(string, from).next().is_some()) {
            encode(token, &renamed_words(&string, from, to)?)
        } else {
            continue;
        };
        out.push_str(body.get(at..token.start).unwrap_or_default());
        out.push_str(&new);
        at = token.end();
    }
    out.push_str(body.get(at..).unwrap_or_default());
    Ok(out)
}

fn renamed_words(text: &str, from: &str, to: &str) -> Verdict<String> {
    if !is_plain(to) || quote_name(to) != to {
        return Err(format!("a string names {from:?}, for which {to:?} can't be put without quotes"));
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for start in words(text, from) {
        out.push_str(text.get(at..start).unwrap_or_default());
        out.push_str(to);
        at = start + from.len();
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(out)
}

/// A string in the quotes that its token had, as far as they can hold it.
fn encode(token: &Token<'_>, string: &str) -> String {
    let Some(tag) = token.text.strip_prefix('$').and_then(|rest| rest.split_once('$')) else {
        return quote_string(string);
    };
    let mut quote = format!("${}$", tag.0);
    while format!("{string}{quote}").find(&quote) != Some(string.len()) {
        quote.insert(quote.len() - 1, '_');
    }
    format!("{quote}{string}{quote}")
}

/// Where a text holds a name as a whole word. A name that needs no quotes is found in any case, as PostgreSQL folds it.
fn words<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let any_case = is_plain(name);
    let is_part = |character: Option<char>| {
        character.is_some_and(|character| character.is_alphanumeric() || character == '_' || character == '$')
    };
    let is_name = move |found: &str| if any_case { found.eq_ignore_ascii_case(name) } else { found == name };
    let first = name.bytes().next().unwrap_or_default();
    let starts = memchr::memchr2_iter(first, first.to_ascii_uppercase(), text.as_bytes());
    let mut next = 0;
    starts.filter(move |start| {
        let end = start + name.len();
        let (Some(before), Some(found), Some(after)) = (text.get(..*start), text.get(*start..end), text.get(end..))
        else {
            return false;
        };
        let whole = !is_part(before.chars().next_back()) && !is_part(after.chars().next());
        let wanted = *start >= next && whole && is_name(found);
        if wanted {
            next = end;
        }
        wanted
    })
}
