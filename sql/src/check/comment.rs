//! Comments, on what archives hold.

use pg_query::{
    Node, NodeEnum,
    protobuf::{CommentStmt, ObjectType},
};

use super::{Kind, Section, Statement, Verdict, object::listed, strings};

impl Statement<'_> {
    pub(super) fn comment(self, comment: &CommentStmt) -> Verdict<Kind> {
        let object = comment.object.as_deref();
        let (what, name) = match comment.objtype() {
            ObjectType::ObjectTable => ("table", self.own_name(listed(object))?),
            ObjectType::ObjectIndex => ("index", self.own_name(listed(object))?),
            ObjectType::ObjectSequence => ("sequence", self.own_name(listed(object))?),
            ObjectType::ObjectView => ("view", self.of_code("a view", listed(object))?),
            ObjectType::ObjectMatview => ("materialized view", self.of_code("a materialized view", listed(object))?),
            ObjectType::ObjectType => ("type", self.own_type(object)?),
            ObjectType::ObjectDomain => ("domain", self.own_type(object)?),
            ObjectType::ObjectDomconstraint => ("constraint", self.own_type(listed(object).first())?),
            ObjectType::ObjectColumn => ("column", self.part(object)?),
            ObjectType::ObjectTabconstraint => ("constraint", self.part(object)?),
            ObjectType::ObjectTrigger => {
                self.needs_code("a trigger")?;
                ("trigger", self.part(object)?)
            }
            ObjectType::ObjectPolicy => {
                self.needs_code("a policy")?;
                ("policy", self.part(object)?)
            }
            ObjectType::ObjectFunction => ("function", self.routine(object)?),
            ObjectType::ObjectProcedure => ("procedure", self.routine(object)?),
            _ => return Err("comments on that kind of object are not carried".into()),
        };
        Ok(Kind::new(Section::Either, &format!("comment on {what}"), name))
    }

    fn of_code<'a>(&'a self, what: &str, name: &'a [Node]) -> Verdict<&'a str> {
        self.needs_code(what)?;
        self.own_name(name)
    }

    fn own_type<'a>(&'a self, name: Option<&'a Node>) -> Verdict<&'a str> {
        match name.and_then(|name| name.node.as_ref()) {
            Some(NodeEnum::TypeName(name)) => self.own_name(&name.names),
            _ => Err("the comment is on no type".into()),
        }
    }

    /// What belongs to a table: its schema and name come before.
    fn part<'a>(&'a self, name: Option<&'a Node>) -> Verdict<&'a str> {
        match strings(listed(name)).as_deref() {
            Some([schema, _, part]) if *schema == self.rules.schema => Ok(part),
            _ => Err("the comment is on what is not named with the target's schema".into()),
        }
    }

    fn routine<'a>(&'a self, name: Option<&'a Node>) -> Verdict<&'a str> {
        self.needs_code("a function")?;
        match name.and_then(|name| name.node.as_ref()) {
            Some(NodeEnum::ObjectWithArgs(routine)) => self.own_name(&routine.objname),
            _ => Err("the comment is on no function".into()),
        }
    }
}
