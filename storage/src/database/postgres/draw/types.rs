//! Enums, domains, composite types, ranges; sequences that stand by themselves.

use super::super::catalog::{Constraint, TypeEntry, class};
use super::*;

impl Drawing<'_> {
    pub(super) fn types(&mut self) -> Result<()> {
        let catalog = self.catalog;
        for entry in &catalog.types {
            let label = label("type", &entry.name);
            let mut objects = vec![ObjectId { class: class::TYPE, id: entry.id }];
            objects.extend(entry.array_type.map(|id| ObjectId { class: class::TYPE, id }));
            let (sql, objection) = match entry.kind.as_str() {
                "e" => (self.enumeration(entry), None),
                "d" => (self.domain(entry, &mut objects)?, None),
                "c" => {
                    objects.push(ObjectId { class: class::CLASS, id: entry.relation });
                    (self.composite(entry)?, None)
                }
                "r" => self.range(entry, &mut objects)?,
                _ if !entry.is_defined => (String::new(), Some("a shell")),
                _ => (String::new(), Some("a base type, which code in C makes")),
            };
            let node = self.graph.add(Rank::Type, label, sql, objects);
            if let Some(why) = objection {
                self.object_to(node, why);
            }
            self.late_domain_constraints(entry, node);
        }
        for (object, of_type) in catalog.members.with_types() {
            if let Some(node) = self.graph.maker(ObjectId { class: class::TYPE, id: of_type }) {
                self.graph.also_makes(node, object);
            }
        }
        Ok(())
    }

    fn enumeration(&self, entry: &TypeEntry) -> String {
        let labels = self.catalog.enums.get(&entry.id).map(|entry| entry.labels.as_slice()).unwrap_or_default();
        let labels: Vec<_> = labels.iter().map(|label| literal(label)).collect();
        format!("CREATE TYPE {} AS ENUM ({})", own(&entry.name), labels.join(", "))
    }

    fn composite(&self, entry: &TypeEntry) -> Result<String> {
        let columns = self.catalog.columns.get(&entry.relation).map(Vec::as_slice).unwrap_or_default();
        let columns = columns.iter().map(|column| {
            let collation = column.collation.iter().map(|name| format!(" COLLATE {name}")).collect::<String>();
            let type_name = self.catalog.text.type_name(column.type_id, column.modifier)?;
            Ok(format!("{} {type_name}{collation}", ident(&column.name)))
        });
        Ok(format!("CREATE TYPE {} AS ({})", own(&entry.name), columns.collect::<Result<Vec<_>>>()?.join(", ")))
    }

    fn domain(&self, entry: &TypeEntry, objects: &mut Vec<ObjectId>) -> Result<String> {
        let Some(domain) = self.catalog.domains.get(&entry.id) else {
            return Err(super::super::catalog::changed("a domain"));
        };
        let mut sql = format!(
            "CREATE DOMAIN {} AS {}",
            own(&entry.name),
            self.catalog.text.type_name(domain.base, domain.modifier)?
        );
        sql.extend(domain.collation.iter().map(|name| format!(" COLLATE {name}")));
        sql.extend(self.catalog.text.domain_defaults.get(&entry.id).map(|text| format!(" DEFAULT {text}")));
        if domain.not_null {
            sql.push_str(" NOT NULL");
        }
        for constraint in
            self.domain_constraints(entry).filter(|constraint| constraint.is_validated && constraint.kind == "c")
        {
            sql.push_str(&format!(" CONSTRAINT {} {}", ident(&constraint.name), self.constraint_text(constraint)?));
        }
        let constraints =
            self.domain_constraints(entry).filter(|constraint| constraint.is_validated || constraint.kind != "c");
        objects.extend(constraints.map(|constraint| ObjectId { class: class::CONSTRAINT, id: constraint.id }));
        Ok(sql)
    }

    fn domain_constraints(&self, entry: &TypeEntry) -> impl Iterator<Item = &Constraint> {
        self.catalog.constraints.iter().filter(move |constraint| constraint.domain == entry.id)
    }

    /// Those that rows which are there need not meet.
    fn late_domain_constraints(&mut self, entry: &TypeEntry, node: NodeId) {
        let late: Vec<_> = self
            .catalog
            .constraints
            .iter()
            .filter(|constraint| constraint.domain == entry.id && !constraint.is_validated && constraint.kind == "c")
            .collect();
        for constraint in late {
            let Ok(text) = self.constraint_text(constraint) else { continue };
            let sql = format!("ALTER DOMAIN {} ADD CONSTRAINT {} {text}", own(&entry.name), ident(&constraint.name));
            let label = label_on("constraint", &constraint.name, &entry.name);
            let late =
                self.graph.add(Rank::Check, label, sql, [ObjectId { class: class::CONSTRAINT, id: constraint.id }]);
            self.graph.needs(late, node);
        }
    }

    fn range(&self, entry: &TypeEntry, objects: &mut Vec<ObjectId>) -> Result<(String, Option<&'static str>)> {
        let Some(range) = self.catalog.ranges.get(&entry.id) else {
            return Err(super::super::catalog::changed("a range type"));
        };
        let made = [range.multirange, range.multirange_array].into_iter().flatten();
        objects.extend(made.map(|id| ObjectId { class: class::TYPE, id }));
        let mut options = vec![format!("subtype = {}", self.catalog.text.type_name(range.subtype, -1)?)];
        options.extend(range.operator_class.iter().map(|name| format!("subtype_opclass = {name}")));
        options.extend(range.collation.iter().map(|name| format!("collation = {name}")));
        options.extend(range.difference.iter().map(|name| format!("subtype_diff = {name}")));
        options.push(format!("multirange_type_name = {}", own(&range.multirange_name)));
        let sql = format!("CREATE TYPE {} AS RANGE ({})", own(&entry.name), options.join(", "));
        Ok((sql, range.has_canonical.then_some("a range with a canonical function, which code in C is")))
    }

    pub(super) fn constraint_text(&self, constraint: &Constraint) -> Result<&str> {
        let text = self.catalog.text.constraints.get(&constraint.id);
        text.map(String::as_str).ok_or_else(|| super::super::catalog::changed("a constraint"))
    }

    /// Sequences, but those of identity columns, which their tables bring.
    pub(super) fn sequences(&mut self) {
        let catalog = self.catalog;
        for relation in catalog.relations.iter().filter(|relation| relation.kind == "S") {
            let Some(options) = self.sequence_options(relation.id) else { continue };
            if self.identity_of(relation.id).is_some() {
                continue;
            }
            let unlogged = if relation.persistence == "u" { "UNLOGGED " } else { "" };
            let sql = format!("CREATE {unlogged}SEQUENCE {} AS {options}", own(&relation.name));
            let object = ObjectId { class: class::CLASS, id: relation.id };
            let node = self.graph.add(Rank::Sequence, label("sequence", &relation.name), sql, [object]);
            self.own_sequence(relation, node);
        }
    }

    /// `type START …`, all of it said.
    pub(super) fn sequence_options(&self, id: u32) -> Option<String> {
        let sequence = self.catalog.sequences.iter().find(|sequence| sequence.id == id)?;
        let cycle = if sequence.cycles { "CYCLE" } else { "NO CYCLE" };
        Some(format!(
            "{} START WITH {} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {} {cycle}",
            sequence.type_name, sequence.start, sequence.increment, sequence.minimum, sequence.maximum, sequence.cache
        ))
    }

    fn owner_column(&self, sequence: u32, kind: &str) -> Option<(&str, &super::super::catalog::Column)> {
        let of_sequence = ObjectId { class: class::CLASS, id: sequence };
        let mut dependencies = self.catalog.dependencies.iter();
        let owned = dependencies.find(|dependency| {
            dependency.of == of_sequence
                && dependency.kind == kind
                && dependency.on.class == class::CLASS
                && dependency.on_part > 0
        })?;
        let table = self.catalog.relation(owned.on.id)?;
        let column = self.catalog.columns.get(&table.id)?.iter().find(|column| column.number == owned.on_part)?;
        Some((&table.name, column))
    }

    /// The table and column that a sequence gives the identity of.
    pub(super) fn identity_of(&self, sequence: u32) -> Option<(&str, &super::super::catalog::Column)> {
        self.owner_column(sequence, "i")
    }

    fn own_sequence(&mut self, relation: &super::super::catalog::Relation, node: NodeId) {
        let Some((table, column)) = self.owner_column(relation.id, "a") else { return };
        let sql = format!("ALTER SEQUENCE {} OWNED BY {}.{}", own(&relation.name), own(table), ident(&column.name));
        let table = ObjectId { class: class::CLASS, id: column.relation };
        let owned = self.graph.add(Rank::OwnedSequence, label("owner of sequence", &relation.name), sql, []);
        self.graph.needs(owned, node);
        self.late_need(owned, table);
    }
}
