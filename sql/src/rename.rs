//! A schema by another name, wherever the parse tree says that it is a schema's name, and nowhere else.
//!
//! The text stays PostgreSQL's own: only the tokens that name the schema are replaced. That this did what it should is not trusted but
//! shown: the new text's tree must be the old one's with the name replaced.

use std::{collections::HashSet, ops::Range};

use super::{
    PLACEHOLDER, Verdict, label,
    names::{Place, visit},
    parse::Parsed,
    token::{Token, mentions, quote_name, quote_string, tokens},
    tree::Tree,
    with_stack,
};
use crate::{Error, Result};

/// A statement of an app, with the placeholder for its schema's name. What strings and the bodies of functions say stays as it is.
/// The placeholder may stand in it already, where it is ours: [`sees_no_placeholder`] tells of what is not.
///
/// # Errors
/// `Unsupported` where the name can't be told from others.
pub fn release(sql: &str, own_schema: &str) -> Result<String> {
    if !mentions(sql, own_schema) {
        return Ok(sql.to_owned());
    }
    with_stack(|| {
        rename(sql, own_schema, PLACEHOLDER)
            .map_err(|why| Error::Unsupported { what: format!("{}: {why}", label(sql)) })
    })
}

/// A statement of an archive with the target schema's name for the placeholder.
///
/// # Errors
/// `Refused` where it can't be parsed or the placeholder can't be told from other names.
pub fn bind(sql: &str, target_schema: &str) -> Result<String> {
    if !mentions(sql, PLACEHOLDER) {
        return Ok(sql.to_owned());
    }
    with_stack(|| rename(sql, PLACEHOLDER, target_schema).map_err(|why| Error::refused(label(sql), why)))
}

/// Refuses a text of an app that holds the placeholder as a name or string, and would be taken for ours.
///
/// # Errors
/// `Unsupported` naming the text.
pub fn sees_no_placeholder(sql: &str) -> Result<()> {
    if !mentions(sql, PLACEHOLDER) {
        return Ok(());
    }
    let is_placeholder = |token: &Token<'_>| {
        token.name().as_deref() == Some(PLACEHOLDER) || token.string().as_deref() == Some(PLACEHOLDER)
    };
    match tokens(sql) {
        Ok(tokens) if !tokens.iter().any(is_placeholder) => Ok(()),
        _ => Err(Error::Unsupported {
            what: format!(
                "{}: it holds the name {PLACEHOLDER}, which archives have for the app's schema; rename it",
                label(sql)
            ),
        }),
    }
}

fn rename(sql: &str, from: &str, to: &str) -> Verdict<String> {
    let mut tree = Parsed::of(sql)?.tree()?;
    let mut others = HashSet::new();
    other_names(&tree, from, &mut others);
    let renamed = splice(sql, &places(&tokens(sql)?, from, to, &others))?;
    replace_schema(&mut tree, from, to)?;
    tree.strip_locations();
    let mut shown = Parsed::of(&renamed)?.tree()?;
    shown.strip_locations();
    if shown != tree {
        return Err(format!("its schema's name {from:?} can't be told from other names in it"));
    }
    Ok(renamed)
}

fn replace_schema(tree: &mut Tree, from: &str, to: &str) -> Verdict {
    let mut unknown = None;
    visit(tree, &mut |place| match place {
        Place::Schema(name) | Place::Path(name) if name == from => to.clone_into(name),
        Place::Schema(_) | Place::Path(_) => {}
        Place::TooLong(name) => unknown = Some(format!("a name that begins with {name:?} has too many parts")),
        Place::Unknown(what) => unknown = Some(format!("it is not known what names in its {what} mean")),
    });
    unknown.map_or(Ok(()), Err)
}

/// Where tokens stand that are followed by a dot as a schema's name is, but name something else: a table's alias, a column that is
/// assigned to, what an option belongs to.
fn other_names(tree: &Tree, from: &str, found: &mut HashSet<usize>) {
    match tree {
        Tree::List(items) => items.iter().for_each(|item| other_names(item, from, found)),
        Tree::Node(node) => {
            let is_other = match node.kind {
                "ColumnRef" => node.count("fields") < 3,
                "ResTarget" => node.text("name") == from && node.count("indirection") > 0,
                "DefElem" => node.text("defnamespace") == from,
                _ => false,
            };
            if is_other {
                found.extend(usize::try_from(node.number("location")));
            }
            node.fields.iter().for_each(|(_, field)| other_names(field, from, found));
        }
        _ => {}
    }
}

/// The tokens to replace, each with what takes its place.
fn places(tokens: &[Token<'_>], from: &str, to: &str, others: &HashSet<usize>) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    let mut path = SearchPath::default();
    let name = quote_name(to);
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        let is = |token: Option<&Token<'_>>, word| token.is_some_and(|token| token.is(word));
        let dotted = is(tokens.get(index + 1), ".") && !is(before, ".") && !is(before, "set");
        let in_path = path.holds(token);
        let range = token.start..token.end();
        if (in_path || dotted && !others.contains(&token.start)) && token.name().as_deref() == Some(from) {
            found.push((range, name.clone()));
        } else if in_path && token.string().as_deref() == Some(from) {
            found.push((range, quote_string(to)));
        }
    }
    found
}

fn splice(sql: &str, places: &[(Range<usize>, String)]) -> Verdict<String> {
    let mut out = String::with_capacity(sql.len() + places.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut at = 0;
    for (range, new) in places {
        out.push_str(sql.get(at..range.start).ok_or("tokens that overlap")?);
        out.push_str(new);
        at = range.end;
    }
    out.push_str(sql.get(at..).ok_or("a token outside of the text")?);
    Ok(out)
}

/// Follows the tokens of a statement, to know which are schemas in `SET search_path TO …`.
#[derive(Default, PartialEq)]
pub(super) enum SearchPath {
    #[default]
    Outside,
    Set,
    Named,
    /// A schema comes next.
    Open,
    /// A schema was seen: only a comma goes on.
    Filled,
}

impl SearchPath {
    /// Whether this token, which follows the one before, is one of the schemas.
    pub(super) fn holds(&mut self, token: &Token<'_>) -> bool {
        *self = match self {
            Self::Set if token.name().as_deref() == Some("search_path") => Self::Named,
            Self::Named if token.is("to") || token.is("=") => Self::Open,
            Self::Open => Self::Filled,
            Self::Filled if token.is(",") => Self::Open,
            _ if token.is("set") => Self::Set,
            _ => Self::Outside,
        };
        *self == Self::Filled
    }
}
