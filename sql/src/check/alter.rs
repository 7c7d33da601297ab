//! `ALTER TABLE`, and what is said like it of indexes and views.

use pg_query::{
    Node, NodeEnum,
    protobuf::{AlterTableCmd, AlterTableStmt, AlterTableType as Do, ConstrType, ObjectType, PartitionCmd},
};

use super::{Evaluated, Kind, Section, Statement, Verdict, constant, options, refuse_if};

impl Statement<'_> {
    pub(super) fn alter(self, changed: &AlterTableStmt) -> Verdict<Kind> {
        let AlterTableStmt { relation, cmds, objtype: _, missing_ok } = changed;
        let name = self.own(relation.as_ref())?;
        refuse_if(*missing_ok, "it has IF EXISTS")?;
        let what = match changed.objtype() {
            ObjectType::ObjectTable => "table",
            ObjectType::ObjectIndex => "index",
            ObjectType::ObjectView => "view",
            ObjectType::ObjectSequence => "sequence",
            ObjectType::ObjectMatview => "materialized view",
            _ => return Err("ALTER of that kind of object is not carried".into()),
        };
        if matches!(changed.objtype(), ObjectType::ObjectView | ObjectType::ObjectMatview) {
            self.needs_code(&format!("a {what}"))?;
        }
        let mut section = None;
        for command in cmds {
            let Some(NodeEnum::AlterTableCmd(command)) = &command.node else {
                return Err("a part of it is no command".into());
            };
            let one = self.command(changed.objtype(), command)?;
            section = Some(if section.is_none_or(|other| other == one) { one } else { Section::Either });
        }
        let section = section.ok_or("it changes nothing")?;
        Ok(Kind::new(section, &format!("change of {what}"), name))
    }

    fn command(self, object: ObjectType, command: &AlterTableCmd) -> Verdict<Section> {
        refuse_if(command.newowner.is_some(), "it gives an owner")?;
        refuse_if(command.missing_ok, "it has IF EXISTS or IF NOT EXISTS")?;
        let def = command.def.as_deref();
        let (subtype, is_table) = (command.subtype(), object == ObjectType::ObjectTable);
        match subtype {
            Do::AtSetStatistics | Do::AtSetRelOptions if object != ObjectType::ObjectView => {}
            Do::AtAttachPartition if object == ObjectType::ObjectIndex => {}
            Do::AtSetStorage | Do::AtSetCompression | Do::AtSetOptions | Do::AtClusterOn
                if is_table || object == ObjectType::ObjectMatview => {}
            Do::AtColumnDefault if is_table || object == ObjectType::ObjectView => {}
            Do::AtSetLogged | Do::AtSetUnLogged if object == ObjectType::ObjectSequence => {}
            Do::AtSetLogged | Do::AtSetUnLogged => return Err("a table is made as it is".into()),
            _ if is_table => {}
            _ => return Err(format!("{} is not carried for that kind of object", subtype.as_str_name())),
        }
        self.change(subtype, def)
    }

    fn change(self, subtype: Do, def: Option<&Node>) -> Verdict<Section> {
        match subtype {
            Do::AtColumnDefault => {
                def.map_or(Ok(()), |default| self.expression(Some(default), Evaluated::Later))?;
                Ok(Section::Either)
            }
            Do::AtSetStatistics | Do::AtSetStorage | Do::AtSetCompression | Do::AtSetNotNull => {
                refuse_if(!constant(def), "a column's setting is no constant").map(|()| Section::Either)
            }
            Do::AtSetOptions | Do::AtSetRelOptions => options(super::object::listed(def)).map(|()| Section::Either),
            Do::AtSetLogged | Do::AtSetUnLogged => Ok(Section::Either),
            Do::AtAddIdentity => self.added(def, true).map(|()| Section::Either),
            Do::AtAddConstraint => self.added(def, false).map(|()| Section::Either),
            Do::AtAttachPartition => self.attach(def).map(|()| Section::Either),
            Do::AtReplicaIdentity | Do::AtClusterOn => Ok(Section::Either),
            Do::AtEnableTrig | Do::AtEnableAlwaysTrig | Do::AtEnableReplicaTrig | Do::AtDisableTrig => {
                self.needs_code("a trigger").map(|()| Section::PostData)
            }
            Do::AtEnableRowSecurity | Do::AtForceRowSecurity => {
                self.needs_code("row-level security").map(|()| Section::PostData)
            }
            other => Err(format!("{} is not carried", other.as_str_name())),
        }
    }

    fn added(self, def: Option<&Node>, identity: bool) -> Verdict {
        let Some(NodeEnum::Constraint(constraint)) = def.and_then(|def| def.node.as_ref()) else {
            return Err("it adds what is no constraint".into());
        };
        let fits = match constraint.contype() {
            ConstrType::ConstrIdentity => identity,
            ConstrType::ConstrNotnull
            | ConstrType::ConstrCheck
            | ConstrType::ConstrPrimary
            | ConstrType::ConstrUnique
            | ConstrType::ConstrExclusion
            | ConstrType::ConstrForeign => !identity,
            _ => false,
        };
        refuse_if(!fits, "it adds a constraint of another kind")?;
        self.constraint(constraint)
    }

    fn attach(self, def: Option<&Node>) -> Verdict {
        let Some(NodeEnum::PartitionCmd(PartitionCmd { name, bound, concurrent })) =
            def.and_then(|def| def.node.as_ref())
        else {
            return Err("it attaches what is no partition".into());
        };
        self.own(name.as_ref())?;
        refuse_if(*concurrent, "it has CONCURRENTLY")?;
        bound.as_ref().map_or(Ok(()), |bound| self.partition_bound(bound))
    }
}
