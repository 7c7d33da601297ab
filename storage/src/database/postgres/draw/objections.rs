//! What can't be carried: told whole, by name.

use super::super::catalog::{Column, Relation, class};
use super::*;

/// What has a lower OID came with the server, `information_schema` too (transam.h: FirstNormalObjectId).
const FIRST_NORMAL_ID: u32 = 16_384;

/// Types of columns whose values are names or numbers of things that an import has in no place yet, or elsewhere.
const UNCARRIED_TYPES: &[&str] = &[
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regtype",
];

impl Drawing<'_> {
    /// Kinds of things that nobody here reads.
    pub(super) fn note_strange(&mut self) {
        for (object, described) in self.catalog.members.strange() {
            self.strange.insert(described);
            self.strange_objects.insert(object);
        }
        for extension in self.catalog.members.extensions() {
            self.extensions.insert(extension.to_owned(), self.catalog.schema.clone());
        }
        for extension in &self.catalog.extensions {
            self.extensions.insert(extension.name.clone(), extension.schema.clone().unwrap_or_default());
        }
        self.strange.extend(self.catalog.beside.iter().map(|beside| format!("{beside}, beside the schema")));
        for extension in self.catalog.members.tables_of_extensions() {
            self.strange.insert(format!("rows of tables that extension {extension} keeps in the schema"));
        }
        for dependency in &self.catalog.dependencies {
            if let Some(described) = &dependency.described {
                self.strange.insert(described.clone());
                self.strange_objects.insert(dependency.of);
            }
        }
    }

    pub(super) fn object_to_things(&mut self) {
        let catalog = self.catalog;
        for relation in &catalog.relations {
            let Some(node) = self.graph.maker(ObjectId { class: class::CLASS, id: relation.id }) else { continue };
            for why in self.objections_to(relation) {
                self.object_to(node, why);
            }
        }
        for entry in &catalog.types {
            let held = self.uncarried(entry.id, -1, &mut BTreeSet::new());
            if let (Some(held), Some(node)) = (held, self.graph.maker(ObjectId { class: class::TYPE, id: entry.id })) {
                self.object_to(node, format!("its values hold those of type {held}, which may mean nothing elsewhere"));
            }
        }
        for rule in catalog.rules.iter().filter(|rule| rule.name != "_RETURN") {
            let relation = catalog.relation(rule.relation).map(|relation| relation.name.as_str()).unwrap_or_default();
            self.strange.insert(format!("rule {} on {relation}", rule.name));
        }
        for index in catalog.indexes.iter().filter(|index| index.tablespace.is_some()) {
            self.strange.insert(format!("the tablespace of index {}", index.name));
        }
    }

    fn objections_to(&mut self, relation: &Relation) -> Vec<String> {
        let mut whys = Vec::new();
        if relation.is_typed {
            whys.push("it is a table of a type".to_owned());
        }
        if relation.parents.is_some() && !relation.is_partition {
            whys.push("it inherits from another table".to_owned());
        }
        if let Some(method) = relation.method.as_deref().filter(|&method| method != "heap") {
            whys.push(format!("its access method is {method}"));
        }
        let is_here = |id: &u32| self.catalog.relation(*id).is_some();
        if relation.is_partition && !relation.parents.iter().flatten().all(is_here) {
            whys.push("it is a partition of a table in another schema".to_owned());
        }
        if !relation.children.iter().flatten().all(is_here) {
            whys.push("a partition or child of it is in another schema".to_owned());
        }
        let columns = self.catalog.columns.get(&relation.id).into_iter().flatten();
        let columns = columns.filter(|column| relation.kind == "r" && column.generated.is_empty());
        whys.extend(columns.filter_map(|column| self.objection_to_column(column)));
        if relation.tablespace.is_some() {
            self.strange.insert(format!("the tablespace of {}", relation.name));
        }
        whys
    }

    fn objection_to_column(&self, column: &Column) -> Option<String> {
        let held = self.uncarried(column.type_id, column.modifier, &mut BTreeSet::new())?;
        Some(format!("column {} holds values of type {held}, which may mean nothing elsewhere", column.name))
    }

    /// What a type holds that can't be carried, looked for in its base, its elements and its parts.
    fn uncarried(&self, id: u32, modifier: i32, seen: &mut BTreeSet<u32>) -> Option<String> {
        if !seen.insert(id) {
            return None;
        }
        let catalog = self.catalog;
        let name = catalog.text.types.get(&(id, modifier)).map(|name| name.trim_end_matches("[]"));
        if let Some(name) = name.filter(|name| UNCARRIED_TYPES.contains(name)) {
            return Some(name.to_owned());
        }
        let elements = catalog.types.iter().filter(|entry| entry.array_type == Some(id)).map(|entry| (entry.id, -1));
        let rows = catalog
            .relations
            .iter()
            .filter(|relation| relation.array_type == Some(id))
            .filter_map(|relation| Some((relation.row_type?, -1)));
        let bases = catalog.domains.get(&id).map(|domain| (domain.base, domain.modifier));
        let ranges = catalog
            .ranges
            .iter()
            .filter(|(range, kind)| **range == id || kind.multirange == Some(id))
            .map(|(_, kind)| (kind.subtype, -1));
        let composites =
            catalog.types.iter().filter(|entry| entry.id == id && entry.kind == "c").map(|entry| entry.relation);
        let tables =
            catalog.relations.iter().filter(|relation| relation.row_type == Some(id)).map(|relation| relation.id);
        let parts = composites.chain(tables).filter_map(|relation| catalog.columns.get(&relation)).flatten();
        let parts = parts.map(|column| (column.type_id, column.modifier));
        let mut all: Vec<_> = elements.chain(rows).chain(bases).chain(ranges).chain(parts).collect();
        all.dedup();
        all.into_iter().find_map(|(id, modifier)| self.uncarried(id, modifier, seen))
    }

    /// A thing that is not of this schema: an extension's is needed, a built-in one is always there, another's can't be carried.
    pub(super) fn look_abroad(&mut self, node: NodeId, on: ObjectId) {
        if on.class == class::NAMESPACE && on.id == self.catalog.schema_id {
            return;
        }
        if self.strange_objects.contains(&on) {
            let what = self.catalog.foreign.get(&on).map(|foreign| foreign.described.clone());
            return self.object_to(node, format!("it needs {}", what.as_deref().unwrap_or("what can't be carried")));
        }
        let Some(foreign) = self.catalog.foreign.get(&on) else { return };
        if on.id < FIRST_NORMAL_ID && foreign.extension.is_none() {
            return;
        }
        match (&foreign.extension, on.class) {
            (Some(extension), _) if extension == "plpgsql" => {}
            (Some(extension), _) => {
                let schema = foreign.extension_schema.clone().unwrap_or_default();
                self.extensions.insert(extension.clone(), schema);
            }
            (None, class::LANGUAGE) => {}
            (None, class::EXTENSION) => {}
            (None, _) => self.object_to(node, format!("it needs {}, which is not in the schema", foreign.described)),
        }
    }
}
