//! Expressions that the server evaluates while it imports, where no code of a tenant's is allowed.
//!
//! Each kind of node that may be in one is named here, with all that it holds; any other is refused.

use std::fmt::Write;

use pg_query::{
    Node, NodeEnum,
    protobuf::{AExpr, AExprKind, FuncCall, TypeName, a_const::Val},
};

use super::{
    Verdict,
    builtins::{Builtins, Purity},
};

/// When an expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evaluated {
    /// While importing, with our rights: only what computes from its arguments.
    Now,
    /// When the app inserts: as a default. Any function of `pg_catalog` that gives one value.
    Later,
}

/// Sees that an expression holds nothing but what is known to be harmless.
pub(super) struct Guard<'a> {
    /// The app's own, in which constants may name things.
    pub(super) schema: &'a str,
    pub(super) builtins: &'a Builtins,
    pub(super) evaluated: Evaluated,
}

impl Guard<'_> {
    pub(super) fn expression(&self, node: &Node) -> Verdict {
        let Some(node) = &node.node else { return Ok(()) };
        match node {
            NodeEnum::AConst(_) => Ok(()),
            NodeEnum::ColumnRef(column) => self.column(&column.fields),
            NodeEnum::TypeCast(cast) => {
                self.optional(cast.arg.as_deref())?;
                let Some(type_name) = &cast.type_name else { return Ok(()) };
                plain_type(type_name)?;
                if names_things(type_name) { self.own_thing(cast.arg.as_deref()) } else { Ok(()) }
            }
            NodeEnum::FuncCall(call) => self.call(call),
            NodeEnum::AExpr(operation) => self.operation(operation),
            NodeEnum::BoolExpr(all) => self.all(&all.args),
            NodeEnum::NullTest(test) => self.optional(test.arg.as_deref()),
            NodeEnum::BooleanTest(test) => self.optional(test.arg.as_deref()),
            NodeEnum::CaseExpr(case) => {
                self.optional(case.arg.as_deref())?;
                self.all(&case.args)?;
                self.optional(case.defresult.as_deref())
            }
            NodeEnum::CaseWhen(when) => {
                self.optional(when.expr.as_deref())?;
                self.optional(when.result.as_deref())
            }
            NodeEnum::CoalesceExpr(all) => self.all(&all.args),
            NodeEnum::MinMaxExpr(all) => self.all(&all.args),
            NodeEnum::AArrayExpr(array) => self.all(&array.elements),
            NodeEnum::RowExpr(row) => self.all(&row.args),
            NodeEnum::List(list) => self.all(&list.items),
            NodeEnum::NamedArgExpr(argument) => self.optional(argument.arg.as_deref()),
            NodeEnum::CollateClause(collate) => self.optional(collate.arg.as_deref()),
            NodeEnum::AIndirection(of) => {
                self.optional(of.arg.as_deref())?;
                of.indirection.iter().try_for_each(|part| self.part(part))
            }
            NodeEnum::SqlvalueFunction(_) if self.evaluated == Evaluated::Later => Ok(()),
            NodeEnum::SubLink(_) => Err("an expression holds a query".into()),
            other => Err(format!("an expression holds a {}", kind_of(other))),
        }
    }

    fn optional(&self, node: Option<&Node>) -> Verdict {
        node.map_or(Ok(()), |node| self.expression(node))
    }

    fn all(&self, nodes: &[Node]) -> Verdict {
        nodes.iter().try_for_each(|node| self.expression(node))
    }

    /// A name with dots: all after the first may be the names of functions, which `row.function` calls.
    fn column(&self, fields: &[Node]) -> Verdict {
        let text = |field: &Node| matches!(&field.node, Some(NodeEnum::String(_)));
        match fields.split_first() {
            Some((first, rest)) if text(first) => rest.iter().try_for_each(|part| self.part(part)),
            _ => Err("an expression names all columns".into()),
        }
    }

    /// What stands behind a value: an index, or a field's name, which may be that of a function.
    fn part(&self, part: &Node) -> Verdict {
        match &part.node {
            Some(NodeEnum::AIndices(at)) => {
                self.optional(at.lidx.as_deref())?;
                self.optional(at.uidx.as_deref())
            }
            Some(NodeEnum::String(name)) => match self.builtins.function(&name.sval) {
                None => Ok(()),
                found => self.purity(found, "function", &name.sval),
            },
            _ => Err("an expression names all fields of a row".into()),
        }
    }

    fn call(&self, call: &FuncCall) -> Verdict {
        let FuncCall { funcname, args, agg_order, agg_filter, over, agg_within_group, agg_star, agg_distinct, .. } =
            call;
        let name = builtin_name(funcname, "function")?;
        if !agg_order.is_empty()
            || agg_filter.is_some()
            || over.is_some()
            || *agg_within_group
            || *agg_star
            || *agg_distinct
        {
            return Err(format!("function {name} is called as an aggregate"));
        }
        let found = self.builtins.function(name);
        self.purity(found, "function", name)?;
        if found != Some(Purity::Safe) {
            // Its arguments may be of a type whose constants name things.
            let bare = args.iter().filter(|argument| constant_text(argument).is_some());
            bare.into_iter().try_for_each(|argument| self.own_thing(Some(argument)))?;
        }
        self.all(args)
    }

    /// Sees that what names a thing is a constant that names the app's own, or a built-in one: PostgreSQL looks for it with our rights,
    /// and keeps from then on whatever it found from being dropped.
    fn own_thing(&self, argument: Option<&Node>) -> Verdict {
        let text = argument.and_then(constant_text).ok_or("what names a thing is no constant")?;
        match schema_of(text) {
            None => Ok(()),
            Some(schema) if schema == self.schema || schema == "pg_catalog" => Ok(()),
            Some(schema) => Err(format!("a constant names a thing of the schema {schema:?}")),
        }
    }

    fn operation(&self, operation: &AExpr) -> Verdict {
        let AExpr { name, lexpr, rexpr, .. } = operation;
        match operation.kind() {
            AExprKind::Undefined => return Err("an expression holds an operation of no kind".into()),
            // These stand for the operators of that order, and have words in place of an operator.
            AExprKind::AexprBetween
            | AExprKind::AexprNotBetween
            | AExprKind::AexprBetweenSym
            | AExprKind::AexprNotBetweenSym => {
                for operator in ["<", "<=", ">", ">="] {
                    self.purity(self.builtins.operator(operator), "operator", operator)?;
                }
            }
            _ => self.operator(name)?,
        }
        self.optional(lexpr.as_deref())?;
        self.optional(rexpr.as_deref())
    }

    /// An operator by its name.
    pub(super) fn operator(&self, name: &[Node]) -> Verdict {
        let name = builtin_name(name, "operator")?;
        self.purity(self.builtins.operator(name), "operator", name)
    }

    /// A function by its name.
    pub(super) fn function(&self, name: &[Node]) -> Verdict {
        let name = builtin_name(name, "function")?;
        self.purity(self.builtins.function(name), "function", name)
    }

    fn purity(&self, found: Option<Purity>, kind: &str, name: &str) -> Verdict {
        match (found, self.evaluated) {
            (Some(Purity::Safe), _) | (Some(Purity::Any), Evaluated::Later) => Ok(()),
            (None, _) => Err(format!("{kind} {name} is not one of pg_catalog")),
            (Some(Purity::Set), _) => Err(format!("{kind} {name} gives a set")),
            (Some(Purity::Any), Evaluated::Now) => Err(format!("{kind} {name} is not immutable")),
        }
    }
}

/// Types whose constants name things, wherever these are.
const NAMING_TYPES: &[&str] = &[
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regtype",
];

/// Whether a type is one whose values name things in a schema.
pub(super) fn names_things(name: &TypeName) -> bool {
    strings(&name.names).and_then(|parts| parts.last().copied()).is_some_and(|last| NAMING_TYPES.contains(&last))
}

fn constant_text(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(Val::Sval(text)) => Some(&text.sval),
            _ => None,
        },
        _ => None,
    }
}

/// The schema in the name of a thing, as PostgreSQL reads it from a text: folded where it is not in quotes.
fn schema_of(text: &str) -> Option<String> {
    let (mut schema, mut quoted) = (String::new(), false);
    let mut characters = text.trim_start().chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => schema.push('"'),
            '"' => quoted = !quoted,
            '.' if !quoted => return Some(schema.trim_end().to_owned()),
            '(' if !quoted => return None,
            character if quoted => schema.push(character),
            character => schema.extend(character.to_lowercase()),
        }
    }
    None
}

/// The name of what must be in `pg_catalog`.
fn builtin_name<'a>(name: &'a [Node], kind: &str) -> Verdict<&'a str> {
    match strings(name).as_deref() {
        Some([name] | ["pg_catalog", name]) => Ok(name),
        Some(parts) => Err(format!("{kind} {} is not one of pg_catalog", parts.join("."))),
        None => Err(format!("the name of a {kind} is none")),
    }
}

/// A name's parts.
pub(super) fn strings(name: &[Node]) -> Option<Vec<&str>> {
    name.iter().map(string).collect()
}

fn string(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::String(string)) => Some(&string.sval),
        _ => None,
    }
}

/// Sees that a type is only named: no set, and numbers and words alone for its parameters.
pub(super) fn plain_type(name: &TypeName) -> Verdict {
    if name.setof || name.pct_type {
        return Err("a type is a set or another's".into());
    }
    let constant = |node: &Node| match &node.node {
        Some(NodeEnum::AConst(_) | NodeEnum::Integer(_)) => true,
        Some(NodeEnum::ColumnRef(column)) => column.fields.len() == 1,
        _ => false,
    };
    if name.typmods.iter().chain(&name.array_bounds).all(constant) {
        Ok(())
    } else {
        Err("a type's parameter is not a constant".into())
    }
}

/// The kind of a node, as PostgreSQL's sources call it.
pub(super) fn kind_of(node: &NodeEnum) -> String {
    let mut start = Start(String::new());
    // An error only says that the rest is not wanted.
    write!(start, "{node:?}").ok();
    start.0.split(|character: char| !character.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// Takes the beginning of what is written and stops the writer, as a node may hold much.
struct Start(String);

impl Write for Start {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.push_str(text);
        if self.0.contains('(') { Err(std::fmt::Error) } else { Ok(()) }
    }
}
