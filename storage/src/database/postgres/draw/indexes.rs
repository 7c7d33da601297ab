//! Keys, foreign keys, indexes, and how those of partitions hang together.

use super::super::catalog::{Constraint, Index, Relation, changed, class};
use super::*;

impl Drawing<'_> {
    pub(super) fn indexes(&mut self) -> Result<()> {
        let catalog = self.catalog;
        for index in &catalog.indexes {
            let Some(relation) = catalog.relation(index.relation) else { continue };
            let key = catalog.constraints.iter().find(|constraint| {
                constraint.index == index.id
                    && constraint.relation == index.relation
                    && matches!(constraint.kind.as_str(), "p" | "u" | "x")
            });
            let node = match key {
                Some(key) => self.key(relation, key, index)?,
                None => self.index(relation, index)?,
            };
            self.late_need(node, ObjectId { class: class::CLASS, id: relation.id });
            if !index.is_valid && relation.kind != "p" {
                self.object_to(node, "it is not valid: build it anew or drop it");
            }
            self.index_options(relation, index, node);
        }
        self.attach_indexes();
        self.foreign_keys()
    }

    fn key(&mut self, relation: &Relation, key: &Constraint, index: &Index) -> Result<NodeId> {
        let text = self.constraint_text(key)?;
        let text = match key.kind.as_str() {
            // That of an exclusion constraint has them already.
            "x" => text.to_owned(),
            _ => with_storage(text, &with_options(&index.options, &None)),
        };
        let sql = alter_table(&relation.name, &format!("ADD CONSTRAINT {} {text}", ident(&key.name)));
        let objects =
            [ObjectId { class: class::CONSTRAINT, id: key.id }, ObjectId { class: class::CLASS, id: index.id }];
        Ok(self.graph.add(Rank::Key, label_on("constraint", &key.name, &relation.name), sql, objects))
    }

    fn index(&mut self, relation: &Relation, index: &Index) -> Result<NodeId> {
        let text = self.catalog.text.indexes.get(&index.id).ok_or_else(|| changed("an index"))?;
        let object = ObjectId { class: class::CLASS, id: index.id };
        Ok(self.graph.add(Rank::Index, label_on("index", &index.name, &relation.name), text, [object]))
    }

    fn index_options(&mut self, relation: &Relation, index: &Index, node: NodeId) {
        let mut statements = Vec::new();
        let columns = self.catalog.index_columns.iter().filter(|column| column.index == index.id);
        statements.extend(columns.map(|column| {
            format!(
                "ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}",
                own(&index.name),
                column.number,
                column.statistics
            )
        }));
        if index.is_clustered {
            statements.push(format!("ALTER TABLE {} CLUSTER ON {}", own(&relation.name), ident(&index.name)));
        }
        if index.is_replica_identity {
            statements
                .push(alter_table(&relation.name, &format!("REPLICA IDENTITY USING INDEX {}", ident(&index.name))));
        }
        for (number, sql) in statements.into_iter().enumerate() {
            let option = self.graph.add(Rank::IndexOption, format!("option {number} of index {}", index.name), sql, []);
            self.graph.needs(option, node);
        }
    }

    fn attach_indexes(&mut self) {
        let catalog = self.catalog;
        for index in &catalog.indexes {
            let Some(parent) = index.parent.and_then(|id| catalog.indexes.iter().find(|parent| parent.id == id)) else {
                continue;
            };
            let sql = format!("ALTER INDEX {} ATTACH PARTITION {}", own(&parent.name), own(&index.name));
            let node = self.graph.add(Rank::IndexAttach, label_on("partition", &index.name, &parent.name), sql, []);
            for id in [index.id, parent.id] {
                self.graph.needs_object(node, ObjectId { class: class::CLASS, id });
            }
            // A foreign key to the partitioned table needs its whole key.
            if let Some(key) = self.graph.maker(ObjectId { class: class::CLASS, id: parent.id }) {
                self.index_attaches.entry(key).or_default().push(node);
            }
        }
    }

    fn foreign_keys(&mut self) -> Result<()> {
        let catalog = self.catalog;
        for key in catalog.constraints.iter().filter(|constraint| constraint.kind == "f" && constraint.parent == 0) {
            let Some(relation) = catalog.relation(key.relation) else { continue };
            let only = if relation.kind == "p" { "" } else { "ONLY " };
            let text = self.constraint_text(key)?;
            let sql = format!("ALTER TABLE {only}{} ADD CONSTRAINT {} {text}", own(&relation.name), ident(&key.name));
            let object = ObjectId { class: class::CONSTRAINT, id: key.id };
            let node =
                self.graph.add(Rank::ForeignKey, label_on("constraint", &key.name, &relation.name), sql, [object]);
            self.late_need(node, ObjectId { class: class::CLASS, id: relation.id });
        }
        Ok(())
    }

    /// The parts of a partitioned key stand before whatever needs the key.
    pub(super) fn order_index_attaches(&mut self) {
        let catalog = self.catalog;
        for key in catalog.constraints.iter().filter(|constraint| constraint.kind == "f" && constraint.index != 0) {
            let Some(node) = self.graph.maker(ObjectId { class: class::CONSTRAINT, id: key.id }) else { continue };
            let Some(needed) = self.graph.maker(ObjectId { class: class::CLASS, id: key.index }) else { continue };
            for attach in self.attaches_below(needed) {
                self.graph.needs(node, attach);
            }
        }
    }

    fn attaches_below(&self, key: NodeId) -> Vec<NodeId> {
        self.index_attaches.get(&key).cloned().unwrap_or_default()
    }
}

/// A key's text with its storage options, which stand before the word on when it is checked.
fn with_storage(text: &str, options: &str) -> String {
    const TAILS: [&str; 2] = [" DEFERRABLE INITIALLY DEFERRED", " DEFERRABLE"];
    let tail = TAILS.into_iter().find(|tail| text.ends_with(tail)).unwrap_or_default();
    format!("{}{options}{tail}", text.strip_suffix(tail).unwrap_or(text))
}
