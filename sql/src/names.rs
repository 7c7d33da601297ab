//! Where in a tree schemas are named.
//!
//! PostgreSQL's trees hold qualified names as lists of strings. Each field that may hold one is listed here, as is each field whose
//! strings are no name of that kind; a list of strings in any other field is told as unknown, so that nothing is overlooked.

use pg_query::protobuf::ObjectType;

use super::tree::{Node, Tree};

/// What was found.
pub(super) enum Place<'a> {
    /// The name of a schema.
    Schema(&'a mut String),
    /// One of the schemas of `SET search_path`.
    Path(&'a mut String),
    /// A name of more parts than a schema explains: a database's name, for one.
    TooLong(String),
    /// Something whose meaning is not known here.
    Unknown(String),
}

/// The fields that hold a name, perhaps with its schema.
const NAMES: &[&str] = &[
    "collation",
    "collname",
    "defnames",
    "domainname",
    "funcname",
    "name",
    "names",
    "objname",
    "opclass",
    "oper_name",
    "type_name",
    "use_op",
];
/// The fields whose strings are names without a schema, or no names.
const PLAIN: &[&str] = &[
    "aliascolnames",
    "aliases",
    "args",
    "attlist",
    "col_names",
    "colnames",
    "cols",
    "columns",
    "ctecolnames",
    "cycle_col_list",
    "fields",
    "fk_attrs",
    "fk_del_set_cols",
    "including",
    "indirection",
    "keys",
    "pk_attrs",
    "search_col_list",
    "using_clause",
    "vals",
];

/// Calls `found` for each place of the tree.
pub(super) fn visit(tree: &mut Tree, found: &mut impl FnMut(Place<'_>)) {
    match tree {
        Tree::List(items) => items.iter_mut().for_each(|item| visit(item, found)),
        Tree::Node(node) => visit_node(node, found),
        _ => {}
    }
}

fn visit_node(node: &mut Node, found: &mut impl FnMut(Place<'_>)) {
    match node.kind {
        "RangeVar" => relation(node, found),
        "TypeName" if node.number("pct_type") != 0 => found(Place::Unknown("%TYPE".into())),
        "VariableSetStmt" if node.text("name").eq_ignore_ascii_case("search_path") => return path(node, found),
        _ => {}
    }
    let own_parts = parts_without_schema(node);
    for (field, value) in &mut node.fields {
        match *field {
            "object" | "arg" if value.listed().is_some_and(|items| are_strings(items)) => {
                if let (Some(items), Some(own_parts)) = (value.listed(), own_parts) {
                    name(items, own_parts, found);
                }
            }
            "exclusions" => exclusions(value, found),
            // `schema.table.column`. What has two parts is a table's, which may have a schema's name as its alias.
            "fields" => {
                if value.items().len() > 2 {
                    name(value.items(), 2, found);
                }
                visit(value, found);
            }
            field if are_strings(value.items()) => match value.items() {
                items if NAMES.contains(&field) => name(items, 1, found),
                items if PLAIN.contains(&field) || items.len() == 1 => {}
                _ => found(Place::Unknown(field.to_owned())),
            },
            _ => visit(value, found),
        }
    }
}

fn relation(relation: &mut Node, found: &mut impl FnMut(Place<'_>)) {
    let catalog = relation.text("catalogname");
    if !catalog.is_empty() {
        found(Place::TooLong(catalog.to_owned()));
    }
    if let Some(Tree::Text(schema)) = relation.field_mut("schemaname") {
        found(Place::Schema(schema));
    }
}

/// The parts that a name has after its schema, where a field of the node holds a name in a list; none, where what it holds is a
/// function's body. Columns, and what belongs to a table, come after the table.
fn parts_without_schema(node: &Node) -> Option<usize> {
    match (node.kind, node.text("defname")) {
        ("DefElem", "as") => return None,
        ("DefElem", "owned_by") => return Some(2),
        _ => {}
    }
    let kind = i32::try_from(node.number("objtype")).ok().and_then(|kind| ObjectType::try_from(kind).ok());
    let of_table = matches!(
        kind,
        Some(
            ObjectType::ObjectColumn
                | ObjectType::ObjectTabconstraint
                | ObjectType::ObjectTrigger
                | ObjectType::ObjectPolicy
                | ObjectType::ObjectRule
        )
    );
    Some(if of_table { 2 } else { 1 })
}

fn name(items: &mut [Tree], own_parts: usize, found: &mut impl FnMut(Place<'_>)) {
    let parts_before = items.len().saturating_sub(own_parts);
    match items.first_mut().and_then(Tree::string) {
        Some(first) if parts_before == 1 => found(Place::Schema(first)),
        Some(first) if parts_before > 1 => found(Place::TooLong(first.clone())),
        _ => {}
    }
}

/// The elements of an exclusion constraint, each with its operator.
fn exclusions(pairs: &mut Tree, found: &mut impl FnMut(Place<'_>)) {
    for part in pairs.items().iter_mut().filter_map(Tree::listed).flatten() {
        match part.listed() {
            Some(operator) if are_strings(operator) => name(operator, 1, found),
            _ => visit(part, found),
        }
    }
}

fn path(set: &mut Node, found: &mut impl FnMut(Place<'_>)) {
    for schema in set.field_mut("args").map_or(&mut [][..], Tree::items) {
        let mut value = schema.node("AConst").and_then(|constant| constant.field_mut("val"));
        let text = value.as_mut().and_then(|value| value.node("String"));
        if text.is_some_and(|text| text.field("sval").is_none()) {
            // The empty path: what is built in, and nothing else.
            continue;
        }
        match value.and_then(Tree::string) {
            Some(schema) => found(Place::Path(schema)),
            None => found(Place::Unknown("search_path".into())),
        }
    }
}

/// Whether a list holds strings alone, and one at least.
fn are_strings(items: &[Tree]) -> bool {
    let is_string = |item: &Tree| matches!(item, Tree::Node(node) if node.kind == "String");
    !items.is_empty() && items.iter().all(is_string)
}
