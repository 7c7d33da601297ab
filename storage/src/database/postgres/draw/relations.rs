//! Tables with their columns, partitions and checks; views.

use super::super::catalog::{Column, Constraint, Relation, changed, class};
use super::*;

impl Drawing<'_> {
    pub(super) fn relations(&mut self) -> Result<()> {
        let catalog = self.catalog;
        for relation in &catalog.relations {
            match relation.kind.as_str() {
                "r" | "p" => self.table(relation)?,
                "v" => self.view(relation)?,
                "m" => self.materialized_view(relation)?,
                "S" => {}
                _ => {
                    let object = ObjectId { class: class::CLASS, id: relation.id };
                    let node = self.graph.add(Rank::Table, label("foreign table", &relation.name), "", [object]);
                    self.implied_types(relation, node);
                    self.object_to(node, "its rows are elsewhere");
                }
            }
        }
        self.checks()
    }

    fn columns(&self, relation: &Relation) -> &[Column] {
        self.catalog.columns.get(&relation.id).map(Vec::as_slice).unwrap_or_default()
    }

    fn implied_types(&mut self, relation: &Relation, node: NodeId) {
        for id in [relation.row_type, relation.array_type].into_iter().flatten() {
            self.graph.also_makes(node, ObjectId { class: class::TYPE, id });
        }
    }

    fn table(&mut self, relation: &Relation) -> Result<()> {
        let columns = self.columns(relation).iter().map(|column| self.column(column)).collect::<Result<Vec<_>>>()?;
        let unlogged = if relation.persistence == "u" { "UNLOGGED " } else { "" };
        let mut sql = format!("CREATE {unlogged}TABLE {} (", own(&relation.name));
        if !columns.is_empty() {
            sql.push_str(&format!("\n    {}\n", columns.join(",\n    ")));
        }
        sql.push(')');
        if relation.kind == "p" {
            let key =
                self.catalog.text.partition_keys.get(&relation.id).ok_or_else(|| changed("a partitioned table"))?;
            sql.push_str(&format!(" PARTITION BY {key}"));
        }
        sql.push_str(&with_options(&relation.options, &relation.toast_options));
        let generated = self
            .columns(relation)
            .iter()
            .filter(|column| !column.generated.is_empty())
            .filter_map(|column| column.default_id);
        let mut objects: Vec<_> = generated.map(|id| ObjectId { class: class::ATTRDEF, id }).collect();
        objects.push(ObjectId { class: class::CLASS, id: relation.id });
        let node = self.graph.add(Rank::Table, label("table", &relation.name), sql, objects);
        self.implied_types(relation, node);
        self.column_options(relation, node);
        self.defaults(relation, node)?;
        self.table_options(relation, node);
        self.attach(relation, node)
    }

    fn column(&self, column: &Column) -> Result<String> {
        let text = &self.catalog.text;
        let mut sql = format!("{} {}", ident(&column.name), text.type_name(column.type_id, column.modifier)?);
        sql.extend(column.collation.iter().map(|name| format!(" COLLATE {name}")));
        if !column.generated.is_empty() {
            let expression = self.default_text(column)?;
            let kind = if column.generated == "s" { "STORED" } else { "VIRTUAL" };
            sql.push_str(&format!(" GENERATED ALWAYS AS ({expression}) {kind}"));
        }
        if column.not_null {
            sql.push_str(" NOT NULL");
        }
        Ok(sql)
    }

    fn default_text(&self, column: &Column) -> Result<&str> {
        let text = column.default_id.and_then(|id| self.catalog.text.defaults.get(&id));
        text.map(String::as_str).ok_or_else(|| changed("a default"))
    }

    fn column_options(&mut self, relation: &Relation, table: NodeId) {
        let catalog = self.catalog;
        for column in catalog.columns.get(&relation.id).into_iter().flatten() {
            let mut actions = Vec::new();
            actions.extend(column.statistics.map(|target| format!("SET STATISTICS {target}")));
            actions.extend(column.storage.as_deref().and_then(storage).map(|storage| format!("SET STORAGE {storage}")));
            actions.extend(compression(&column.compression).map(|method| format!("SET COMPRESSION {method}")));
            if column.options.is_some() {
                actions.push(format!("SET{}", with_options(&column.options, &None).trim_start_matches(" WITH")));
            }
            for (number, action) in actions.into_iter().enumerate() {
                let sql = alter_table(&relation.name, &format!("ALTER COLUMN {} {action}", ident(&column.name)));
                let label = format!("option {number} of column {} of table {}", column.name, relation.name);
                let node = self.graph.add(Rank::TableOption, label, sql, []);
                self.graph.needs(node, table);
            }
        }
    }

    /// Defaults and identities. A view may have defaults too.
    fn defaults(&mut self, relation: &Relation, table: NodeId) -> Result<()> {
        let catalog = self.catalog;
        for column in catalog.columns.get(&relation.id).into_iter().flatten() {
            if !column.identity.is_empty() {
                self.identity(relation, column, table)?;
            }
            let Some(id) = column.default_id.filter(|_| column.generated.is_empty()) else { continue };
            let text = self.default_text(column)?;
            let sql = alter_table(&relation.name, &format!("ALTER COLUMN {} SET DEFAULT {text}", ident(&column.name)));
            let label = label_on("default of column", &column.name, &relation.name);
            let node = self.graph.add(Rank::Default, label, sql, [ObjectId { class: class::ATTRDEF, id }]);
            self.graph.needs(node, table);
        }
        Ok(())
    }

    fn identity(&mut self, relation: &Relation, column: &Column, table: NodeId) -> Result<()> {
        let catalog = self.catalog;
        let is_of_column =
            |found: (&str, &Column)| found.1.relation == column.relation && found.1.number == column.number;
        let sequences = catalog.relations.iter().filter(|sequence| sequence.kind == "S");
        let mut own_sequences = sequences.filter(|sequence| self.identity_of(sequence.id).is_some_and(is_of_column));
        // A partition's identity is its parent's.
        let Some(sequence) = own_sequences.next() else { return Ok(()) };
        let options = self.sequence_options(sequence.id).ok_or_else(|| changed("an identity"))?;
        // The type is the column's, and can't be said.
        let (type_name, options) = options.split_once(" START WITH ").ok_or_else(|| changed("an identity"))?;
        let options = format!("START WITH {options}");
        let when = if column.identity == "a" { "ALWAYS" } else { "BY DEFAULT" };
        let name = own(&sequence.name);
        let action = format!(
            "ALTER COLUMN {} ADD GENERATED {when} AS IDENTITY (SEQUENCE NAME {name} {options})",
            ident(&column.name)
        );
        // Said of the whole table: a partitioned one has it for its partitions too.
        let sql = format!("ALTER TABLE {} {action}", own(&relation.name));
        let object = ObjectId { class: class::CLASS, id: sequence.id };
        let node =
            self.graph.add(Rank::Default, label_on("identity of column", &column.name, &relation.name), sql, [object]);
        self.graph.needs(node, table);
        if self.catalog.text.type_name(column.type_id, column.modifier)? != type_name {
            self.object_to(node, "its sequence is of another type than the column");
        }
        if sequence.persistence != relation.persistence {
            let word = if sequence.persistence == "u" { "UNLOGGED" } else { "LOGGED" };
            let sql = format!("ALTER SEQUENCE {} SET {word}", own(&sequence.name));
            let option = self.graph.add(Rank::Default, label_on("option", &sequence.name, &relation.name), sql, []);
            self.graph.needs(option, node);
        }
        Ok(())
    }

    fn table_options(&mut self, relation: &Relation, table: NodeId) {
        let mut add = |rank, kind: &str, action: &str| {
            let node =
                self.graph.add(rank, label_on("option", kind, &relation.name), alter_table(&relation.name, action), []);
            self.graph.needs(node, table);
        };
        if relation.row_security {
            add(Rank::RowSecurity, "row-level security", "ENABLE ROW LEVEL SECURITY");
        }
        if relation.force_row_security {
            add(Rank::RowSecurity, "forced row-level security", "FORCE ROW LEVEL SECURITY");
        }
        match relation.replica_identity.as_str() {
            "f" => add(Rank::TableOption, "replica identity", "REPLICA IDENTITY FULL"),
            "n" => add(Rank::TableOption, "replica identity", "REPLICA IDENTITY NOTHING"),
            _ => {}
        }
    }

    fn attach(&mut self, relation: &Relation, node: NodeId) -> Result<()> {
        let Some(parent) = relation.parents.iter().flatten().next().filter(|_| relation.is_partition) else {
            return Ok(());
        };
        let object = ObjectId { class: class::CLASS, id: *parent };
        // A partition whose parent is left out is left out too.
        self.late_need(node, object);
        let Some(parent) = self.catalog.relation(*parent) else { return Ok(()) };
        let bounds = self.catalog.text.partition_bounds.get(&relation.id).ok_or_else(|| changed("a partition"))?;
        let sql = alter_table(&parent.name, &format!("ATTACH PARTITION {} {bounds}", own(&relation.name)));
        let attach = self.graph.add(Rank::Attach, label_on("partition", &relation.name, &parent.name), sql, []);
        self.graph.needs(attach, node);
        self.late_need(attach, object);
        Ok(())
    }

    fn checks(&mut self) -> Result<()> {
        let catalog = self.catalog;
        let mut made = Vec::new();
        for constraint in
            catalog.constraints.iter().filter(|constraint| constraint.kind == "c" && constraint.relation != 0)
        {
            let Some(relation) = catalog.relation(constraint.relation) else { continue };
            let object = ObjectId { class: class::CONSTRAINT, id: constraint.id };
            if !constraint.is_local {
                // It comes with that of the table that this is a partition of.
                self.object_to_inherited(constraint, relation);
                continue;
            }
            let text = self.constraint_text(constraint)?;
            let sql = format!("ALTER TABLE {} ADD CONSTRAINT {} {text}", own(&relation.name), ident(&constraint.name));
            let node =
                self.graph.add(Rank::Check, label_on("constraint", &constraint.name, &relation.name), sql, [object]);
            self.late_need(node, ObjectId { class: class::CLASS, id: relation.id });
            made.push((node, constraint, relation));
        }
        self.own_checks_before_inherited(&made);
        Ok(())
    }

    /// A partition's check that is valid where its parent's is not would come back as that one is.
    fn object_to_inherited(&mut self, constraint: &Constraint, relation: &Relation) {
        let parents: Vec<_> = relation.parents.iter().flatten().copied().collect();
        let mut above = self
            .catalog
            .constraints
            .iter()
            .filter(|above| above.name == constraint.name && parents.contains(&above.relation));
        if above.any(|above| above.is_validated != constraint.is_validated) {
            let name = label_on("constraint", &constraint.name, &relation.name);
            self.strange.insert(format!("{name} (it is validated, and that of the table it is a partition of is not)"));
        }
    }

    /// A partition's own check is merged with its parent's of that name, and stays its own, where it was there before.
    fn own_checks_before_inherited(&mut self, made: &[(NodeId, &Constraint, &Relation)]) {
        for (node, constraint, relation) in made {
            let is_above = |other: &(NodeId, &Constraint, &Relation)| {
                other.1.name == constraint.name && relation.parents.iter().flatten().any(|&parent| parent == other.2.id)
            };
            if let Some((parent, ..)) = made.iter().find(|other| is_above(other)) {
                self.graph.needs(*parent, *node);
            }
        }
    }

    fn view_text(&self, relation: &Relation) -> Result<&str> {
        let text = self.catalog.text.views.get(&relation.id).ok_or_else(|| changed("a view"))?;
        Ok(text.trim().trim_end_matches(';'))
    }

    fn view(&mut self, relation: &Relation) -> Result<()> {
        let options = with_options(&relation.options, &None);
        let sql = format!("CREATE VIEW {}{options} AS\n{}", own(&relation.name), self.view_text(relation)?);
        let node = self.add_view(Rank::View, "view", relation, sql);
        self.defaults(relation, node)
    }

    fn materialized_view(&mut self, relation: &Relation) -> Result<()> {
        let options = with_options(&relation.options, &relation.toast_options);
        let sql = format!(
            "CREATE MATERIALIZED VIEW {}{options} AS\n{}\nWITH NO DATA",
            own(&relation.name),
            self.view_text(relation)?
        );
        let node = self.add_view(Rank::View, "materialized view", relation, sql);
        self.column_options(relation, node);
        if relation.is_populated {
            let sql = format!("REFRESH MATERIALIZED VIEW {}", own(&relation.name));
            let refresh = self.graph.add(Rank::Refresh, label("rows of materialized view", &relation.name), sql, []);
            self.graph.needs(refresh, node);
            self.refreshes.insert(node, refresh);
        }
        Ok(())
    }

    fn add_view(&mut self, rank: Rank, kind: &str, relation: &Relation, sql: String) -> NodeId {
        let rules = self.catalog.rules.iter().filter(|rule| rule.relation == relation.id && rule.name == "_RETURN");
        let mut objects: Vec<_> = rules.map(|rule| ObjectId { class: class::REWRITE, id: rule.id }).collect();
        objects.push(ObjectId { class: class::CLASS, id: relation.id });
        let node = self.graph.add(rank, label(kind, &relation.name), sql, objects);
        self.implied_types(relation, node);
        node
    }

    /// A materialized view is filled after those that it reads, by way of other views too.
    pub(super) fn order_refreshes(&mut self) {
        let refreshes: Vec<_> = self.refreshes.iter().map(|(&view, &refresh)| (view, refresh)).collect();
        for (view, refresh) in &refreshes {
            let below = self.graph.closure([*view]);
            for (other, earlier) in refreshes.iter().filter(|(other, _)| other != view && below.contains(other)) {
                debug_assert!(below.contains(other));
                self.graph.needs(*refresh, *earlier);
            }
        }
    }
}

fn storage(letter: &str) -> Option<&'static str> {
    Some(match letter {
        "p" => "PLAIN",
        "e" => "EXTERNAL",
        "m" => "MAIN",
        "x" => "EXTENDED",
        _ => return None,
    })
}

fn compression(letter: &str) -> Option<&'static str> {
    Some(match letter {
        "p" => "pglz",
        "l" => "lz4",
        _ => return None,
    })
}
