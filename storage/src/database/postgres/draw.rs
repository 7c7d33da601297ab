//! A schema's structure as statements that are free of its name, and what of it can't be carried.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{Catalog, ObjectId, class};
use super::graph::{Graph, NodeId, Ordered, Rank};
use super::quote::{ident, literal, own};
use crate::{Error, Result};

mod comments;
mod indexes;
mod objections;
mod relations;
mod routines;
mod types;

/// A structure in statements.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) ordered: Ordered,
    /// The OIDs of tables that hold rows of their own, by name.
    pub(super) tables: BTreeMap<String, u32>,
    /// The OIDs of sequences, by name.
    pub(super) sequences: BTreeMap<String, u32>,
    /// By name, the schema that each is in.
    pub(super) extensions: BTreeMap<String, String>,
    /// What is not in it.
    pub(super) skipped: Vec<String>,
    carried: BTreeSet<ObjectId>,
}

impl Drawn {
    /// Whether a thing is in it.
    pub(super) fn carries(&self, class: u32, id: u32) -> bool {
        self.carried.contains(&ObjectId { class, id })
    }
}

/// The drawing under way.
struct Drawing<'a> {
    catalog: &'a Catalog,
    graph: Graph,
    /// What can't be carried, and why.
    objections: BTreeMap<NodeId, Vec<String>>,
    /// What can't be carried and has no statement.
    strange: BTreeSet<String>,
    /// Things that nobody here reads and that others may need.
    strange_objects: BTreeSet<ObjectId>,
    extensions: BTreeMap<String, String>,
    /// Needs of things that may be drawn later.
    late: Vec<(NodeId, ObjectId)>,
    /// What fills each materialized view.
    refreshes: BTreeMap<NodeId, NodeId>,
    /// What makes a partitioned index whole.
    index_attaches: BTreeMap<NodeId, Vec<NodeId>>,
}

/// Draws the structure.
///
/// # Errors
/// `Unsupported` with the complete list of what can't be carried, unless `skip` says to leave it out.
pub(super) fn draw(catalog: &Catalog, skip: bool) -> Result<Drawn> {
    let mut drawing = Drawing {
        catalog,
        graph: Graph::default(),
        objections: BTreeMap::new(),
        strange: BTreeSet::new(),
        strange_objects: BTreeSet::new(),
        extensions: BTreeMap::new(),
        late: Vec::new(),
        refreshes: BTreeMap::new(),
        index_attaches: BTreeMap::new(),
    };
    drawing.note_strange();
    drawing.types()?;
    drawing.sequences();
    drawing.relations()?;
    drawing.routines()?;
    drawing.indexes()?;
    drawing.attached()?;
    drawing.comments();
    drawing.connect();
    drawing.object_to_things();
    drawing.finish(skip)
}

impl Drawing<'_> {
    fn object_to(&mut self, node: NodeId, why: impl Into<String>) {
        let whys = self.objections.entry(node).or_default();
        let why = why.into();
        if !whys.contains(&why) {
            whys.push(why);
        }
    }

    /// Says that a statement comes after the one that makes a thing, which may be drawn later.
    fn late_need(&mut self, node: NodeId, object: ObjectId) {
        self.late.push((node, object));
    }

    /// Draws the edges that PostgreSQL knows of, and those that are said here.
    fn connect(&mut self) {
        let catalog = self.catalog;
        for (node, object) in std::mem::take(&mut self.late) {
            self.graph.needs_object(node, object);
        }
        for dependency in &catalog.dependencies {
            if dependency.described.is_some() || self.is_no_need(dependency) {
                continue;
            }
            let Some(node) = self.graph.maker(dependency.of) else { continue };
            match self.graph.maker(dependency.on) {
                Some(needed) => self.graph.needs(node, needed),
                None => self.look_abroad(node, dependency.on),
            }
        }
        self.order_refreshes();
        self.order_index_attaches();
    }

    /// An owned sequence stands by itself: a statement of its own says whose it is.
    fn is_no_need(&self, dependency: &super::catalog::Dependency) -> bool {
        let is_sequence = |id| self.catalog.relation(id).is_some_and(|relation| relation.kind == "S");
        dependency.of.class == class::CLASS && dependency.kind == "a" && is_sequence(dependency.of.id)
    }

    fn finish(self, skip: bool) -> Result<Drawn> {
        let fallen = self.graph.fallen(&self.objections.keys().copied().collect());
        let skipped = self.told(&fallen);
        if !skip && !skipped.is_empty() {
            return Err(Error::Unsupported { what: skipped });
        }
        let gone =
            |class: u32, id: u32| self.graph.maker(ObjectId { class, id }).is_none_or(|node| fallen.contains(&node));
        let named = |kinds: &'static [&'static str]| {
            let relations = self.catalog.relations.iter();
            relations
                .filter(|relation| kinds.contains(&relation.kind.as_str()) && !gone(class::CLASS, relation.id))
                .map(|relation| (relation.name.clone(), relation.id))
                .collect::<BTreeMap<_, _>>()
        };
        let (tables, sequences) = (named(&["r"]), named(&["S"]));
        let carried = self.graph.made_without(&fallen).collect();
        let circle =
            |labels: Vec<String>| Error::unsupported(format!("things that need each other: {}", labels.join(", ")));
        let ordered = self.graph.order(&fallen).map_err(circle)?;
        Ok(Drawn { ordered, tables, sequences, extensions: self.extensions, skipped, carried })
    }

    /// Everything that is left out, each with the reason.
    fn told(&self, fallen: &BTreeSet<NodeId>) -> Vec<String> {
        let label = |id: &NodeId| self.graph.node(*id).map(|node| node.label.clone()).unwrap_or_default();
        let direct = self.objections.iter().map(|(id, whys)| format!("{} ({})", label(id), whys.join("; ")));
        let behind = fallen
            .iter()
            .filter(|id| !self.objections.contains_key(id))
            .map(|id| format!("{} (needs what can't be carried)", label(id)));
        let all: BTreeSet<_> = self.strange.iter().cloned().chain(direct).chain(behind).collect();
        all.into_iter().collect()
    }
}

/// ` WITH (a=1, b=2)` of what a catalog keeps as `a=1`.
fn with_options(options: &Option<Vec<String>>, toast: &Option<Vec<String>>) -> String {
    let own = options.iter().flatten().map(|option| assignment("", option));
    let toast = toast.iter().flatten().map(|option| assignment("toast.", option));
    let all: Vec<_> = own.chain(toast).collect();
    if all.is_empty() { String::new() } else { format!(" WITH ({})", all.join(", ")) }
}

fn assignment(prefix: &str, option: &str) -> String {
    let (name, value) = option.split_once('=').unwrap_or((option, "true"));
    format!("{prefix}{}={}", ident(name), literal(value))
}

/// A label for messages.
fn label(kind: &str, name: &str) -> String {
    format!("{kind} {name}")
}

/// A label for a thing of a table.
fn label_on(kind: &str, name: &str, relation: &str) -> String {
    format!("{kind} {name} on {relation}")
}

/// The statement that a table is altered by.
fn alter_table(name: &str, action: &str) -> String {
    format!("ALTER TABLE ONLY {} {action}", own(name))
}
