//! Tables with their columns and constraints, and indexes.

use pg_query::{
    Node, NodeEnum,
    protobuf::{
        ColumnDef, ConstrType, Constraint, CreateStmt, IndexElem, IndexStmt, OnCommitAction, PartitionBoundSpec,
        PartitionSpec,
    },
};

use super::{Evaluated, Kind, Section, Statement, Verdict, names_things, options, plain_type, refuse_if};

impl Statement<'_> {
    pub(super) fn table(self, made: &CreateStmt) -> Verdict<Kind> {
        let CreateStmt {
            relation,
            table_elts,
            inh_relations,
            partbound,
            partspec,
            of_typename,
            constraints,
            nnconstraints,
            options: with,
            oncommit,
            tablespacename,
            access_method,
            if_not_exists,
        } = made;
        let name = self.own(relation.as_ref())?;
        let kept = relation.as_ref().is_some_and(|table| matches!(table.relpersistence.as_str(), "p" | "u"));
        refuse_if(!kept, "temporary tables are not carried")?;
        refuse_if(!inh_relations.is_empty() || partbound.is_some(), "it inherits or is made as a partition")?;
        refuse_if(of_typename.is_some(), "it is a table of a type")?;
        refuse_if(!constraints.is_empty() || !nnconstraints.is_empty(), "it has constraints where none can be")?;
        refuse_if(*oncommit != OnCommitAction::OncommitNoop as i32, "it has ON COMMIT")?;
        refuse_if(!tablespacename.is_empty(), "it names a tablespace")?;
        refuse_if(!matches!(access_method.as_str(), "" | "heap"), "it has an access method of an extension")?;
        refuse_if(*if_not_exists, "it has IF NOT EXISTS")?;
        options(with)?;
        table_elts.iter().try_for_each(|element| self.element(element))?;
        partspec.as_ref().map_or(Ok(()), |spec| self.partition_key(spec))?;
        Ok(Kind::new(Section::PreData, "table", name))
    }

    fn element(self, element: &Node) -> Verdict {
        match &element.node {
            Some(NodeEnum::ColumnDef(column)) => self.column(column),
            Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint),
            _ => Err("it takes columns from elsewhere".into()),
        }
    }

    /// A column of a table, or a field of a composite type.
    pub(super) fn column(self, column: &ColumnDef) -> Verdict {
        let ColumnDef {
            type_name,
            is_from_type,
            identity_sequence,
            raw_default,
            cooked_default,
            fdwoptions,
            constraints,
            ..
        } = column;
        plain_type(type_name.as_ref().ok_or("a column has no type")?)?;
        // Generated values are made from the app's own; others would come with the rows.
        let is_generated = constraints.iter().any(|constraint| match &constraint.node {
            Some(NodeEnum::Constraint(constraint)) => constraint.contype() == ConstrType::ConstrGenerated,
            _ => false,
        });
        let names = type_name.as_ref().is_some_and(names_things);
        refuse_if(names && !is_generated, "its values would name things elsewhere")?;
        let odd = *is_from_type || identity_sequence.is_some() || raw_default.is_some() || cooked_default.is_some();
        refuse_if(odd || !fdwoptions.is_empty(), "a column has what only foreign tables have")?;
        constraints.iter().try_for_each(|constraint| match &constraint.node {
            Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint),
            _ => Err("a column has a constraint that is none".into()),
        })
    }

    /// A constraint of a column, table or domain, in the widest sense of PostgreSQL's grammar.
    pub(super) fn constraint(self, constraint: &Constraint) -> Verdict {
        let Constraint {
            raw_expr,
            cooked_expr,
            exclusions,
            options: with,
            indexname,
            indexspace,
            access_method,
            where_clause,
            pktable,
            old_conpfeqop,
            old_pktable_oid,
            ..
        } = constraint;
        refuse_if(!indexname.is_empty(), "a constraint takes over an index")?;
        refuse_if(!indexspace.is_empty(), "it names a tablespace")?;
        let cooked = !cooked_expr.is_empty() || !old_conpfeqop.is_empty() || *old_pktable_oid != 0;
        refuse_if(cooked, "a constraint has what no text can say")?;
        match constraint.contype() {
            ConstrType::Undefined => return Err("a constraint has no kind".into()),
            ConstrType::ConstrDefault => return self.expression(raw_expr.as_deref(), Evaluated::Later),
            ConstrType::ConstrCheck | ConstrType::ConstrGenerated => {
                return self.expression(raw_expr.as_deref(), Evaluated::Now);
            }
            ConstrType::ConstrIdentity => return self.sequence_options(with),
            ConstrType::ConstrForeign => {
                let table = pktable.as_ref().ok_or("a foreign key refers to nothing")?;
                let is_own = table.schemaname.is_empty() || table.schemaname == self.rules.schema;
                refuse_if(!is_own, "a foreign key refers to a table of another schema")?;
            }
            ConstrType::ConstrExclusion => {
                self.index_method(if access_method.is_empty() { "btree" } else { access_method })?;
                exclusions.iter().try_for_each(|pair| self.exclusion(pair))?;
            }
            ConstrType::ConstrNull
            | ConstrType::ConstrNotnull
            | ConstrType::ConstrPrimary
            | ConstrType::ConstrUnique
            | ConstrType::ConstrAttrDeferrable
            | ConstrType::ConstrAttrNotDeferrable
            | ConstrType::ConstrAttrDeferred
            | ConstrType::ConstrAttrImmediate
            | ConstrType::ConstrAttrEnforced
            | ConstrType::ConstrAttrNotEnforced => {}
        }
        refuse_if(raw_expr.is_some(), "a constraint has an expression where none can be")?;
        self.optional_expression(where_clause.as_deref())?;
        options(with)
    }

    /// A column or expression with the operator that excludes.
    fn exclusion(self, pair: &Node) -> Verdict {
        let Some(NodeEnum::List(pair)) = &pair.node else { return Err("an exclusion is none".into()) };
        for part in &pair.items {
            match &part.node {
                Some(NodeEnum::IndexElem(element)) => self.index_element(element)?,
                Some(NodeEnum::List(operator)) => self.operator(&operator.items)?,
                _ => return Err("an exclusion is none".into()),
            }
        }
        Ok(())
    }

    fn partition_key(self, spec: &PartitionSpec) -> Verdict {
        spec.part_params.iter().try_for_each(|part| match &part.node {
            Some(NodeEnum::PartitionElem(element)) => self.optional_expression(element.expr.as_deref()),
            _ => Err("a partition key is none".into()),
        })
    }

    pub(super) fn partition_bound(self, bound: &PartitionBoundSpec) -> Verdict {
        let PartitionBoundSpec { listdatums, lowerdatums, upperdatums, .. } = bound;
        let all = listdatums.iter().chain(lowerdatums).chain(upperdatums);
        all.map(Some).try_for_each(|value| self.expression(value, Evaluated::Now))
    }

    pub(super) fn index(self, made: &IndexStmt) -> Verdict<Kind> {
        let IndexStmt {
            idxname,
            relation,
            access_method,
            table_space,
            index_params,
            index_including_params,
            options: with,
            where_clause,
            exclude_op_names,
            idxcomment,
            index_oid,
            old_number,
            old_create_subid: _,
            old_first_relfilelocator_subid: _,
            unique: _,
            nulls_not_distinct: _,
            primary,
            isconstraint,
            iswithoutoverlaps,
            deferrable,
            initdeferred,
            transformed,
            concurrent,
            if_not_exists,
            reset_default_tblspc,
        } = made;
        self.own(relation.as_ref())?;
        refuse_if(idxname.is_empty(), "the index has no name")?;
        refuse_if(*concurrent || *if_not_exists, "it has CONCURRENTLY or IF NOT EXISTS")?;
        refuse_if(!table_space.is_empty(), "it names a tablespace")?;
        let odd = *primary || *isconstraint || *iswithoutoverlaps || *deferrable || *initdeferred || *transformed;
        let set = !exclude_op_names.is_empty() || !idxcomment.is_empty() || *index_oid != 0 || *old_number != 0;
        refuse_if(odd || set || *reset_default_tblspc, "it says what CREATE INDEX can't")?;
        self.index_method(access_method)?;
        for element in index_params.iter().chain(index_including_params) {
            match &element.node {
                Some(NodeEnum::IndexElem(element)) => self.index_element(element)?,
                _ => return Err("it indexes what is neither column nor expression".into()),
            }
        }
        options(with)?;
        self.optional_expression(where_clause.as_deref())?;
        Ok(Kind::new(Section::Either, "index", idxname))
    }

    fn index_element(self, element: &IndexElem) -> Verdict {
        let IndexElem { expr, opclassopts, .. } = element;
        self.optional_expression(expr.as_deref())?;
        options(opclassopts)
    }
}
