//! What may be run of an archive's SQL: one statement of a kind that blueprints hold, which touches its own schema alone.
//!
//! Everything is by lists of what is allowed. Two things hold for each statement: what it makes or changes is named with the target's
//! schema, and each other name that has a schema has the target's, `pg_catalog` or an extension's. Names without one are found by the
//! search path of the connection, which must hold the target's schema alone.

mod alter;
mod code;
mod comment;
mod object;
mod table;

use pg_query::{
    Node, NodeEnum,
    protobuf::{DefElem, RangeVar},
};

use super::{
    Builtins, Verdict,
    expression::{Evaluated, Guard, kind_of, names_things, plain_type, strings},
    label,
    names::{Place, visit},
    parse::Parsed,
    with_stack,
};
use crate::{Error, Result};

/// The kinds of index that PostgreSQL has itself.
const INDEX_METHODS: &[&str] = &["btree", "hash", "gist", "gin", "spgist", "brin"];

/// What an import allows.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The target's schema.
    pub schema: &'a str,
    /// Whether the archive's code may come in.
    pub code: Code,
    /// The target server's functions and operators.
    pub builtins: &'a Builtins,
    /// Schemas of extensions, whose types, operator classes and the like may be named; with code, their functions too.
    pub extension_schemas: &'a [String],
    /// Kinds of index that extensions add.
    pub index_methods: &'a [String],
}

/// Whether a tenant's own code may come in: views, functions, triggers, policies, and expressions that call anything but immutable
/// functions of `pg_catalog`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It runs as a login of its own, or an admin said so.
    Allowed,
    /// It would run with the service's rights.
    Refused,
}

/// What a statement is.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The document that it belongs into.
    pub section: Section,
    /// What to call it where progress is shown, like `index orders_idx`.
    pub label: String,
}

/// The document that a statement belongs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Before the rows.
    PreData,
    /// After the rows.
    PostData,
    /// Wherever what it needs is there.
    Either,
}

impl Kind {
    fn new(section: Section, kind: &str, name: &str) -> Self {
        Self { section, label: format!("{kind} {name}") }
    }
}

/// Tells what a statement is, if it may be run.
///
/// # Errors
/// `Refused` with the statement and what is wrong with it.
pub fn check(sql: &str, rules: &Rules<'_>) -> Result<Kind> {
    let work = || {
        let parsed = Parsed::of(sql)?;
        let kind = Statement { rules }.kind(parsed.statement()?)?;
        foreign_names(&parsed, rules)?;
        Ok(kind)
    };
    with_stack(|| work().map_err(|why: String| Error::refused(label(sql), why)))
}

/// Sees that each schema named is one that may be.
fn foreign_names(parsed: &Parsed, rules: &Rules<'_>) -> Verdict {
    let mut foreign = Ok(());
    let allowed = |schema: &str| {
        schema == rules.schema || schema == "pg_catalog" || rules.extension_schemas.iter().any(|one| one == schema)
    };
    visit(&mut parsed.tree()?, &mut |place| {
        let why = match place {
            Place::Schema(schema) if !allowed(schema) => format!("it names the schema {schema:?}"),
            Place::TooLong(name) => format!("a name that begins with {name:?} has too many parts"),
            Place::Unknown(what) => format!("it holds {what}"),
            Place::Schema(_) | Place::Path(_) => return,
        };
        if foreign.is_ok() {
            foreign = Err(why);
        }
    });
    foreign
}

/// The rules, applied to one statement.
#[derive(Clone, Copy)]
struct Statement<'a> {
    rules: &'a Rules<'a>,
}

impl Statement<'_> {
    fn kind(self, statement: &NodeEnum) -> Verdict<Kind> {
        match statement {
            NodeEnum::CreateEnumStmt(made) => self.enumeration(made),
            NodeEnum::CompositeTypeStmt(made) => self.composite(made),
            NodeEnum::CreateRangeStmt(made) => self.range(made),
            NodeEnum::CreateDomainStmt(made) => self.domain(made),
            NodeEnum::AlterDomainStmt(changed) => self.alter_domain(changed),
            NodeEnum::CreateSeqStmt(made) => self.sequence(made),
            NodeEnum::AlterSeqStmt(changed) => self.alter_sequence(changed),
            NodeEnum::CreateStmt(made) => self.table(made),
            NodeEnum::AlterTableStmt(changed) => self.alter(changed),
            NodeEnum::IndexStmt(made) => self.index(made),
            NodeEnum::ViewStmt(made) => self.view(made),
            NodeEnum::CreateTableAsStmt(made) => self.materialized_view(made),
            NodeEnum::RefreshMatViewStmt(filled) => self.refresh(filled),
            NodeEnum::CreateFunctionStmt(made) => self.function(made),
            NodeEnum::CreateTrigStmt(made) => self.trigger(made),
            NodeEnum::CreatePolicyStmt(made) => self.policy(made),
            NodeEnum::CommentStmt(comment) => self.comment(comment),
            other => Err(format!("statements of its kind ({}) have no place in an archive", kind_of(other))),
        }
    }

    /// Sees that code may come in.
    fn needs_code(self, what: &str) -> Verdict {
        match self.rules.code {
            Code::Allowed => Ok(()),
            Code::Refused => Err(format!("{what} is code, which needs --allow-code or import_database")),
        }
    }

    /// The name of what the statement makes or changes, which must be in the target's schema.
    fn own(self, relation: Option<&RangeVar>) -> Verdict<&str> {
        let relation = relation.ok_or("it names no relation")?;
        if relation.catalogname.is_empty() && relation.schemaname == self.rules.schema && relation.alias.is_none() {
            return Ok(&relation.relname);
        }
        Err(format!("{} is not named with the target's schema", relation.relname))
    }

    /// The same for what is no relation.
    fn own_name(self, name: &[Node]) -> Verdict<&str> {
        match strings(name).as_deref() {
            Some([schema, name]) if *schema == self.rules.schema => Ok(name),
            Some(parts) => Err(format!("{} is not named with the target's schema", parts.join("."))),
            None => Err("it makes or changes what has no name".into()),
        }
    }

    /// An expression that an import evaluates, or a default.
    fn expression(self, node: Option<&Node>, evaluated: Evaluated) -> Verdict {
        let Some(node) = node else { return Err("an expression is missing".into()) };
        match self.rules.code {
            Code::Allowed => Ok(()),
            Code::Refused => self.guard(evaluated).expression(node).map_err(needs),
        }
    }

    fn optional_expression(self, node: Option<&Node>) -> Verdict {
        node.map_or(Ok(()), |node| self.expression(Some(node), Evaluated::Now))
    }

    /// An operator by which the server compares while it imports.
    fn operator(self, name: &[Node]) -> Verdict {
        match self.rules.code {
            Code::Allowed => Ok(()),
            Code::Refused => self.guard(Evaluated::Now).operator(name).map_err(needs),
        }
    }

    fn guard(&self, evaluated: Evaluated) -> Guard<'_> {
        Guard { schema: self.rules.schema, builtins: self.rules.builtins, evaluated }
    }

    fn index_method(self, method: &str) -> Verdict {
        if INDEX_METHODS.contains(&method) || self.rules.index_methods.iter().any(|known| known == method) {
            return Ok(());
        }
        Err(format!("{method} is no kind of index that is known here"))
    }
}

fn needs(why: String) -> String {
    format!("{why}, which needs --allow-code or import_database")
}

/// Refuses what a condition tells.
fn refuse_if(condition: bool, why: &str) -> Verdict {
    if condition { Err(why.into()) } else { Ok(()) }
}

/// Storage options: a name and a constant each.
fn options(options: &[Node]) -> Verdict {
    for option in options {
        let DefElem { defnamespace, defname, arg, .. } = definition(option)?;
        if !matches!(defnamespace.as_str(), "" | "toast") || !constant(arg.as_deref()) {
            return Err(format!("the option {defname} is not of the kind that tables and indexes have"));
        }
    }
    Ok(())
}

fn definition(node: &Node) -> Verdict<&DefElem> {
    match &node.node {
        Some(NodeEnum::DefElem(definition)) => Ok(definition),
        _ => Err("an option is none".into()),
    }
}

/// Whether an option's value is a number, a word or nothing.
fn constant(value: Option<&Node>) -> bool {
    match value.map(|value| &value.node) {
        None | Some(None) => true,
        Some(Some(
            NodeEnum::Integer(_)
            | NodeEnum::Float(_)
            | NodeEnum::Boolean(_)
            | NodeEnum::String(_)
            | NodeEnum::AConst(_),
        )) => true,
        Some(Some(NodeEnum::TypeName(name))) => plain_type(name).is_ok(),
        _ => false,
    }
}
