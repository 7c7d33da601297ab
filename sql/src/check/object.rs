//! Types, domains and sequences.

use pg_query::{
    Node, NodeEnum,
    protobuf::{
        AlterDomainStmt, AlterSeqStmt, CompositeTypeStmt, ConstrType, Constraint, CreateDomainStmt, CreateEnumStmt,
        CreateRangeStmt, CreateSeqStmt, DefElem,
    },
};

use super::{
    Code, Evaluated, Kind, Section, Statement, Verdict, constant, definition, names_things, needs, plain_type,
    refuse_if, strings,
};

impl Statement<'_> {
    pub(super) fn enumeration(self, made: &CreateEnumStmt) -> Verdict<Kind> {
        Ok(Kind::new(Section::PreData, "type", self.own_name(&made.type_name)?))
    }

    pub(super) fn composite(self, made: &CompositeTypeStmt) -> Verdict<Kind> {
        let name = self.own(made.typevar.as_ref())?;
        for field in &made.coldeflist {
            match &field.node {
                Some(NodeEnum::ColumnDef(column)) if column.constraints.is_empty() => self.column(column)?,
                _ => return Err("a field of the type is more than a name and a type".into()),
            }
        }
        Ok(Kind::new(Section::PreData, "type", name))
    }

    pub(super) fn range(self, made: &CreateRangeStmt) -> Verdict<Kind> {
        let name = self.own_name(&made.type_name)?;
        for parameter in &made.params {
            let DefElem { defname, arg, .. } = definition(parameter)?;
            let Some(NodeEnum::TypeName(value)) = arg.as_deref().and_then(|arg| arg.node.as_ref()) else {
                return Err(format!("the value of {defname} is no name"));
            };
            plain_type(value)?;
            match defname.as_str() {
                "subtype" | "subtype_opclass" | "collation" => {}
                "multirange_type_name" => drop(self.own_name(&value.names)?),
                "subtype_diff" if self.rules.code == Code::Allowed => {}
                "subtype_diff" => self.guard(Evaluated::Now).function(&value.names).map_err(needs)?,
                other => return Err(format!("a range type with {other} is not carried")),
            }
        }
        Ok(Kind::new(Section::PreData, "type", name))
    }

    pub(super) fn domain(self, made: &CreateDomainStmt) -> Verdict<Kind> {
        let name = self.own_name(&made.domainname)?;
        plain_type(made.type_name.as_ref().ok_or("the domain has no type")?)?;
        refuse_if(made.type_name.as_ref().is_some_and(names_things), "its values would name things elsewhere")?;
        for constraint in &made.constraints {
            match &constraint.node {
                Some(NodeEnum::Constraint(constraint)) => self.domain_constraint(constraint)?,
                _ => return Err("a constraint of the domain is none".into()),
            }
        }
        Ok(Kind::new(Section::PreData, "domain", name))
    }

    pub(super) fn alter_domain(self, changed: &AlterDomainStmt) -> Verdict<Kind> {
        let AlterDomainStmt { subtype, type_name, def, .. } = changed;
        let name = self.own_name(type_name)?;
        match (subtype.as_str(), def.as_deref().and_then(|def| def.node.as_ref())) {
            ("C", Some(NodeEnum::Constraint(constraint))) => self.domain_constraint(constraint)?,
            _ => return Err("of ALTER DOMAIN only ADD CONSTRAINT is carried".into()),
        }
        Ok(Kind::new(Section::Either, "constraint of domain", name))
    }

    fn domain_constraint(self, constraint: &Constraint) -> Verdict {
        match constraint.contype() {
            ConstrType::ConstrCheck
            | ConstrType::ConstrDefault
            | ConstrType::ConstrNotnull
            | ConstrType::ConstrNull => self.constraint(constraint),
            _ => Err("domains have no constraints of that kind".into()),
        }
    }

    pub(super) fn sequence(self, made: &CreateSeqStmt) -> Verdict<Kind> {
        let CreateSeqStmt { sequence, options, owner_id, for_identity, if_not_exists } = made;
        let name = self.own(sequence.as_ref())?;
        let kept = sequence.as_ref().is_some_and(|sequence| matches!(sequence.relpersistence.as_str(), "p" | "u"));
        refuse_if(!kept, "temporary sequences are not carried")?;
        refuse_if(*owner_id != 0 || *for_identity || *if_not_exists, "it has IF NOT EXISTS")?;
        self.sequence_options(options)?;
        Ok(Kind::new(Section::PreData, "sequence", name))
    }

    pub(super) fn alter_sequence(self, changed: &AlterSeqStmt) -> Verdict<Kind> {
        let AlterSeqStmt { sequence, options, for_identity, missing_ok } = changed;
        let name = self.own(sequence.as_ref())?;
        refuse_if(*for_identity || *missing_ok, "it has IF EXISTS")?;
        self.sequence_options(options)?;
        Ok(Kind::new(Section::Either, "options of sequence", name))
    }

    /// The options of a sequence, an identity column's too.
    pub(super) fn sequence_options(self, options: &[Node]) -> Verdict {
        options.iter().try_for_each(|option| self.sequence_option(definition(option)?))
    }

    fn sequence_option(self, option: &DefElem) -> Verdict {
        let DefElem { defname, arg, .. } = option;
        match defname.as_str() {
            "as" | "cache" | "cycle" | "increment" | "maxvalue" | "minvalue" | "start" | "restart" => {
                refuse_if(!constant(arg.as_deref()), "an option of a sequence is no constant")
            }
            "owned_by" => self.owned_by(arg.as_deref()),
            "sequence_name" => self.own_name(listed(arg.as_deref())).map(drop),
            other => Err(format!("a sequence with {other} is not carried")),
        }
    }

    fn owned_by(self, column: Option<&Node>) -> Verdict {
        match strings(listed(column)).as_deref() {
            Some(["none"]) => Ok(()),
            Some([schema, _, _]) if *schema == self.rules.schema => Ok(()),
            _ => Err("a sequence's owner is not named with the target's schema".into()),
        }
    }
}

/// What a list holds; nothing, where there is none.
pub(super) fn listed(node: Option<&Node>) -> &[Node] {
    match node.and_then(|node| node.node.as_ref()) {
        Some(NodeEnum::List(list)) => &list.items,
        _ => &[],
    }
}
