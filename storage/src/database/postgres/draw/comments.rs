//! Comments on whatever is drawn.

use super::super::catalog::{Comment, class};
use super::*;

impl Drawing<'_> {
    pub(super) fn comments(&mut self) {
        let catalog = self.catalog;
        for comment in &catalog.comments {
            let Some((on, of)) = self.commented(comment) else { continue };
            if comment.is_label {
                self.strange.insert(format!("security label of {} on {on}", comment.text));
                continue;
            }
            if self.graph.maker(of).is_none() {
                // Of what a partition has from its table: its name, and so what the comment is on, is PostgreSQL's choice.
                self.strange.insert(shown(&on));
                continue;
            }
            let sql = format!("COMMENT ON {on} IS {}", literal(&comment.text));
            let node = self.graph.add(Rank::Comment, shown(&on), sql, []);
            self.late_need(node, of);
        }
    }

    /// What a comment is on, as SQL says it, and the thing that must be there.
    fn commented(&self, comment: &Comment) -> Option<(String, ObjectId)> {
        let (catalog, id) = (self.catalog, comment.object.id);
        let on_relation = |kind: &str, name: &str, relation: u32| {
            Some(format!("{kind} {} ON {}", ident(name), own(&catalog.relation(relation)?.name)))
        };
        let on = match comment.object.class {
            class::CLASS => self.commented_relation(comment)?,
            class::TYPE => {
                let entry = catalog.types.iter().find(|entry| entry.id == id)?;
                format!("{} {}", if entry.kind == "d" { "DOMAIN" } else { "TYPE" }, own(&entry.name))
            }
            class::PROC => {
                let function = catalog.functions.iter().find(|function| function.id == id)?;
                format!("{} {}", if function.kind == "p" { "PROCEDURE" } else { "FUNCTION" }, self.signature(function))
            }
            class::CONSTRAINT => {
                let constraint = catalog.constraints.iter().find(|constraint| constraint.id == id)?;
                match catalog.types.iter().find(|entry| entry.id == constraint.domain) {
                    Some(domain) => format!("CONSTRAINT {} ON DOMAIN {}", ident(&constraint.name), own(&domain.name)),
                    None => on_relation("CONSTRAINT", &constraint.name, constraint.relation)?,
                }
            }
            class::TRIGGER => {
                let trigger = catalog.triggers.iter().find(|trigger| trigger.id == id)?;
                on_relation("TRIGGER", &trigger.name, trigger.relation)?
            }
            class::POLICY => {
                let policy = catalog.policies.iter().find(|policy| policy.id == id)?;
                on_relation("POLICY", &policy.name, policy.relation)?
            }
            _ => return None,
        };
        Some((on, self.made_with(comment.object)))
    }

    /// A constraint trigger's constraint comes with the trigger.
    fn made_with(&self, object: ObjectId) -> ObjectId {
        let constraints = self.catalog.constraints.iter();
        let mut of_triggers =
            constraints.filter(|constraint| constraint.kind == "t" && object.class == class::CONSTRAINT);
        let Some(constraint) = of_triggers.find(|constraint| constraint.id == object.id) else { return object };
        let mut triggers = self.catalog.triggers.iter();
        let trigger =
            triggers.find(|trigger| trigger.relation == constraint.relation && trigger.name == constraint.name);
        trigger.map_or(object, |trigger| ObjectId { class: class::TRIGGER, id: trigger.id })
    }

    fn commented_relation(&self, comment: &Comment) -> Option<String> {
        let (catalog, id) = (self.catalog, comment.object.id);
        if let Some(index) = catalog.indexes.iter().find(|index| index.id == id) {
            return Some(format!("INDEX {}", own(&index.name)));
        }
        let (name, kind) = match catalog.relation(id) {
            Some(relation) => (&relation.name, relation.kind.as_str()),
            None => (&catalog.types.iter().find(|entry| entry.relation == id)?.name, "c"),
        };
        if comment.part != 0 {
            let column = catalog.columns.get(&id)?.iter().find(|column| column.number == comment.part)?;
            return Some(format!("COLUMN {}.{}", own(name), ident(&column.name)));
        }
        let kind = match kind {
            "v" => "VIEW",
            "m" => "MATERIALIZED VIEW",
            "S" => "SEQUENCE",
            "f" => "FOREIGN TABLE",
            _ => "TABLE",
        };
        Some(format!("{kind} {}", own(name)))
    }
}

/// What a comment is on, for people, who know of no placeholder.
fn shown(on: &str) -> String {
    format!("comment on {}", on.replace(&own("").replace("\"\"", ""), ""))
}
