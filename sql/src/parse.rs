//! PostgreSQL's own parser, within bounds.

use pg_query::{NodeEnum, protobuf};

use super::{Verdict, lexer::Lexer, tree::Tree};

/// The longest statement, in bytes.
pub(super) const MAX_STATEMENT_BYTES: usize = 4 << 20;
/// The most words, signs and constants of a statement: each makes up to a kilobyte of tree.
pub(super) const MAX_TOKENS: usize = 32_000;

/// One statement.
pub(super) struct Parsed(protobuf::RawStmt);

impl Parsed {
    /// Parses what must be exactly one statement. Only where the stack is large: the tree may be thousands of levels deep.
    pub(super) fn of(sql: &str) -> Verdict<Self> {
        within_bounds(sql)?;
        let parsed = pg_query::parse(sql, 0).map_err(|error| error.to_string())?.protobuf;
        let mut statements = parsed.stmts;
        match (statements.pop(), statements.len()) {
            (Some(statement), 0) => Ok(Self(statement)),
            (Some(_), others) => Err(format!("{} statements where one should be", others + 1)),
            (None, _) => Err("there is no statement in it".into()),
        }
    }

    /// The statement.
    pub(super) fn statement(&self) -> Verdict<&NodeEnum> {
        self.0.stmt.as_deref().and_then(|statement| statement.node.as_ref()).ok_or_else(|| "it is empty".into())
    }

    /// The same as a tree that can be walked without knowing each kind of node; nothing is left out of it.
    pub(super) fn tree(&self) -> Verdict<Tree> {
        Tree::of(&self.0)
    }
}

/// Sees that parsing the statement takes a bounded amount of memory.
pub(super) fn within_bounds(sql: &str) -> Verdict {
    if sql.len() > MAX_STATEMENT_BYTES {
        return Err(format!("it has {} bytes; the most is {MAX_STATEMENT_BYTES}", sql.len()));
    }
    let mut tokens = 0_usize;
    for token in Lexer::new(sql) {
        token?;
        tokens += 1;
        if tokens > MAX_TOKENS {
            return Err(format!("it has more than {MAX_TOKENS} words and signs"));
        }
    }
    Ok(())
}
