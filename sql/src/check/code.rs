//! What runs queries of the tenant's own: views, functions, triggers and policies.

use pg_query::{
    Node, NodeEnum,
    protobuf::{
        CreateFunctionStmt, CreatePolicyStmt, CreateTableAsStmt, CreateTrigStmt, DefElem, IntoClause, ObjectType,
        OnCommitAction, RefreshMatViewStmt, ViewStmt,
    },
};

use super::{Kind, Section, Statement, Verdict, definition, object::listed, options, refuse_if, strings};

impl Statement<'_> {
    pub(super) fn view(self, made: &ViewStmt) -> Verdict<Kind> {
        let ViewStmt { view, aliases: _, query, replace: _, options: with, with_check_option: _ } = made;
        let name = self.own(view.as_ref())?;
        self.needs_code("a view")?;
        refuse_if(view.as_ref().is_none_or(|view| view.relpersistence != "p"), "temporary views are not carried")?;
        select(query.as_deref())?;
        options(with)?;
        Ok(Kind::new(Section::Either, "view", name))
    }

    pub(super) fn materialized_view(self, made: &CreateTableAsStmt) -> Verdict<Kind> {
        let CreateTableAsStmt { query, into, objtype: _, is_select_into, if_not_exists } = made;
        let is_view = made.objtype() == ObjectType::ObjectMatview && !is_select_into;
        refuse_if(!is_view, "it makes a table of what a query gives")?;
        let IntoClause {
            rel, access_method, options: with, on_commit, table_space_name, view_query, skip_data, ..
        } = into.as_deref().ok_or("it makes nothing")?;
        let name = self.own(rel.as_ref())?;
        self.needs_code("a materialized view")?;
        refuse_if(!skip_data, "it lacks WITH NO DATA")?;
        refuse_if(*if_not_exists, "it has IF NOT EXISTS")?;
        refuse_if(!matches!(access_method.as_str(), "" | "heap"), "it has an access method of an extension")?;
        refuse_if(!table_space_name.is_empty(), "it names a tablespace")?;
        let odd = *on_commit != OnCommitAction::OncommitNoop as i32 || view_query.is_some();
        let kept = rel.as_ref().is_some_and(|view| view.relpersistence == "p");
        refuse_if(odd || !kept, "it says what materialized views can't")?;
        select(query.as_deref())?;
        options(with)?;
        Ok(Kind::new(Section::Either, "materialized view", name))
    }

    pub(super) fn refresh(self, filled: &RefreshMatViewStmt) -> Verdict<Kind> {
        let RefreshMatViewStmt { concurrent, skip_data: _, relation } = filled;
        let name = self.own(relation.as_ref())?;
        self.needs_code("a materialized view")?;
        refuse_if(*concurrent, "it has CONCURRENTLY")?;
        Ok(Kind::new(Section::PostData, "rows of materialized view", name))
    }

    pub(super) fn function(self, made: &CreateFunctionStmt) -> Verdict<Kind> {
        let CreateFunctionStmt { is_procedure, replace: _, funcname, parameters: _, return_type: _, options, sql_body } =
            made;
        let name = self.own_name(funcname)?;
        let what = if *is_procedure { "procedure" } else { "function" };
        self.needs_code(&format!("a {what}"))?;
        let mut language = sql_body.is_some();
        for option in options {
            let option = definition(option)?;
            function_option(option)?;
            language |= option.defname == "language";
        }
        refuse_if(!language, "it names no language")?;
        Ok(Kind::new(Section::Either, what, name))
    }

    pub(super) fn trigger(self, made: &CreateTrigStmt) -> Verdict<Kind> {
        let CreateTrigStmt { trigname, relation, constrrel, .. } = made;
        self.own(relation.as_ref())?;
        self.needs_code("a trigger")?;
        if constrrel.as_ref().is_some_and(|other| !other.schemaname.is_empty()) {
            self.own(constrrel.as_ref())?;
        }
        Ok(Kind::new(Section::PostData, "trigger", trigname))
    }

    pub(super) fn policy(self, made: &CreatePolicyStmt) -> Verdict<Kind> {
        let CreatePolicyStmt { policy_name, table, .. } = made;
        self.own(table.as_ref())?;
        self.needs_code("a policy")?;
        Ok(Kind::new(Section::PostData, "policy", policy_name))
    }
}

/// A query that only reads. PostgreSQL itself lets no view write.
fn select(query: Option<&Node>) -> Verdict {
    match query.and_then(|query| query.node.as_ref()) {
        Some(NodeEnum::SelectStmt(select)) if select.into_clause.is_none() => Ok(()),
        _ => Err("it is not of a query".into()),
    }
}

/// What may be said of a function. Its body is one text in a language that can't reach outside of the database.
fn function_option(option: &DefElem) -> Verdict {
    let DefElem { defname, arg, .. } = option;
    let arg = arg.as_deref().and_then(|arg| arg.node.as_ref());
    match (defname.as_str(), arg) {
        ("language", Some(NodeEnum::String(language))) if matches!(language.sval.as_str(), "sql" | "plpgsql") => Ok(()),
        ("language", _) => Err("it is neither in SQL nor in PL/pgSQL".into()),
        ("as", _) => match strings(listed(option.arg.as_deref())) {
            Some(parts) if parts.len() == 1 => Ok(()),
            _ => Err("it is of a library".into()),
        },
        ("volatility" | "parallel", Some(NodeEnum::String(_)))
        | ("strict" | "security" | "leakproof", Some(NodeEnum::Boolean(_)))
        | ("cost" | "rows", Some(NodeEnum::Integer(_) | NodeEnum::Float(_)))
        | ("set", Some(NodeEnum::VariableSetStmt(_))) => Ok(()),
        (other, _) => Err(format!("a function with {other} is not carried")),
    }
}
