//! Any parse tree, as one that can be walked without knowing each kind of node.
//!
//! It is made through the nodes' own `Serialize`, which leaves nothing out; what is empty, zero or false takes no room, and names of
//! kinds and fields are not copied.

use pg_query::protobuf::RawStmt;
use serde::{
    Serialize, Serializer,
    de::value::Error,
    ser::{Error as _, Impossible, SerializeSeq, SerializeStruct},
};

/// A part of a parse tree.
#[derive(Debug, PartialEq)]
pub(super) enum Tree {
    /// Zero, false, an empty text or list, or nothing.
    Empty,
    Number(i64),
    Text(String),
    List(Vec<Tree>),
    Node(Node),
}

/// A node, with those of its fields that are not empty.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    pub(super) kind: &'static str,
    pub(super) fields: Vec<(&'static str, Tree)>,
}

impl Tree {
    pub(super) fn of(statement: &RawStmt) -> Result<Self, String> {
        statement.serialize(Builder).map_err(|error| error.to_string())
    }

    /// Takes out where in the text nodes stood, so that trees of two texts can be compared.
    pub(super) fn strip_locations(&mut self) {
        match self {
            Self::List(items) => items.iter_mut().for_each(Self::strip_locations),
            Self::Node(node) => {
                node.fields.retain(|(name, _)| !is_location(name));
                node.fields.iter_mut().for_each(|(_, field)| field.strip_locations());
            }
            _ => {}
        }
    }

    pub(super) fn node(&mut self, kind: &str) -> Option<&mut Node> {
        match self {
            Self::Node(node) if node.kind == kind => Some(node),
            _ => None,
        }
    }

    pub(super) fn items(&mut self) -> &mut [Self] {
        match self {
            Self::List(items) => items,
            _ => &mut [],
        }
    }

    /// The items of a `List` node.
    pub(super) fn listed(&mut self) -> Option<&mut [Self]> {
        self.node("List").map(|list| list.field_mut("items").map_or(&mut [][..], Self::items))
    }

    /// What a `String` node says.
    pub(super) fn string(&mut self) -> Option<&mut String> {
        match self.node("String")?.field_mut("sval")? {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Node {
    pub(super) fn field(&self, name: &str) -> Option<&Tree> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    pub(super) fn field_mut(&mut self, name: &str) -> Option<&mut Tree> {
        self.fields.iter_mut().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The text of a field; empty where it has none.
    pub(super) fn text(&self, name: &str) -> &str {
        match self.field(name) {
            Some(Tree::Text(text)) => text,
            _ => "",
        }
    }

    /// The number of a field; zero where it has none.
    pub(super) fn number(&self, name: &str) -> i64 {
        match self.field(name) {
            Some(Tree::Number(number)) => *number,
            _ => 0,
        }
    }

    /// How many items a field's list has.
    pub(super) fn count(&self, name: &str) -> usize {
        match self.field(name) {
            Some(Tree::List(items)) => items.len(),
            _ => 0,
        }
    }
}

fn is_location(field: &str) -> bool {
    field.ends_with("location")
        || matches!(field, "stmt_len" | "list_start" | "list_end" | "rexpr_list_start" | "rexpr_list_end")
}

/// Makes trees of what is serialized.
struct Builder;

type Built = Result<Tree, Error>;

fn number(number: impl TryInto<i64>) -> Built {
    match number.try_into() {
        Ok(0) => Ok(Tree::Empty),
        Ok(number) => Ok(Tree::Number(number)),
        Err(_) => Err(Error::custom("a number that no tree has")),
    }
}

/// Parse trees have none of this.
fn foreign<T>() -> Result<T, Error> {
    Err(Error::custom("what no parse tree has"))
}

impl Serializer for Builder {
    type Ok = Tree;
    type Error = Error;
    type SerializeSeq = Items;
    type SerializeStruct = Node;
    type SerializeTuple = Impossible<Tree, Error>;
    type SerializeTupleStruct = Impossible<Tree, Error>;
    type SerializeTupleVariant = Impossible<Tree, Error>;
    type SerializeMap = Impossible<Tree, Error>;
    type SerializeStructVariant = Impossible<Tree, Error>;

    fn serialize_bool(self, value: bool) -> Built {
        number(u8::from(value))
    }
    fn serialize_i8(self, value: i8) -> Built {
        number(value)
    }
    fn serialize_i16(self, value: i16) -> Built {
        number(value)
    }
    fn serialize_i32(self, value: i32) -> Built {
        number(value)
    }
    fn serialize_i64(self, value: i64) -> Built {
        number(value)
    }
    fn serialize_u8(self, value: u8) -> Built {
        number(value)
    }
    fn serialize_u16(self, value: u16) -> Built {
        number(value)
    }
    fn serialize_u32(self, value: u32) -> Built {
        number(value)
    }
    fn serialize_u64(self, value: u64) -> Built {
        number(value)
    }
    fn serialize_f32(self, _: f32) -> Built {
        foreign()
    }
    fn serialize_f64(self, _: f64) -> Built {
        foreign()
    }
    fn serialize_char(self, _: char) -> Built {
        foreign()
    }
    fn serialize_str(self, value: &str) -> Built {
        Ok(if value.is_empty() { Tree::Empty } else { Tree::Text(value.to_owned()) })
    }
    fn serialize_bytes(self, _: &[u8]) -> Built {
        foreign()
    }
    fn serialize_none(self) -> Built {
        Ok(Tree::Empty)
    }
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Built {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Built {
        foreign()
    }
    fn serialize_unit_struct(self, kind: &'static str) -> Built {
        Ok(Tree::Node(Node { kind, fields: Vec::new() }))
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Built {
        foreign()
    }
    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, _: &T) -> Built {
        foreign()
    }
    // The variants of a node's kind hold a struct of that name.
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Built {
        value.serialize(self)
    }
    fn serialize_seq(self, count: Option<usize>) -> Result<Items, Error> {
        Ok(Items(Vec::with_capacity(count.unwrap_or_default())))
    }
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        foreign()
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        foreign()
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        foreign()
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        foreign()
    }
    fn serialize_struct(self, kind: &'static str, _: usize) -> Result<Node, Error> {
        Ok(Node { kind, fields: Vec::new() })
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        foreign()
    }
}

impl SerializeStruct for Node {
    type Ok = Tree;
    type Error = Error;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        match value.serialize(Builder)? {
            Tree::Empty => {}
            value => self.fields.push((name, value)),
        }
        Ok(())
    }

    /// What is only an envelope, is left out for what it holds.
    fn end(mut self) -> Built {
        if self.kind == "Node" {
            return Ok(self.fields.pop().map_or(Tree::Empty, |(_, node)| node));
        }
        Ok(Tree::Node(self))
    }
}

/// A list in the making.
struct Items(Vec<Tree>);

impl SerializeSeq for Items {
    type Ok = Tree;
    type Error = Error;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        self.0.push(value.serialize(Builder)?);
        Ok(())
    }

    fn end(self) -> Built {
        Ok(if self.0.is_empty() { Tree::Empty } else { Tree::List(self.0) })
    }
}
