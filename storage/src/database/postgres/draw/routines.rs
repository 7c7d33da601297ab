//! Functions and procedures, triggers, policies.

use super::super::catalog::{Function, Policy, Trigger, changed, class};
use super::*;

impl Drawing<'_> {
    pub(super) fn routines(&mut self) -> Result<()> {
        let catalog = self.catalog;
        for function in &catalog.functions {
            let object = ObjectId { class: class::PROC, id: function.id };
            let sql = match objection(function) {
                None => self.function(function)?,
                Some(_) => String::new(),
            };
            let node = self.graph.add(Rank::Function, self.function_label(function), sql, [object]);
            if let Some(why) = objection(function) {
                self.object_to(node, why);
            }
        }
        Ok(())
    }

    fn function(&self, function: &Function) -> Result<String> {
        let text = self.catalog.text.functions.get(&function.id).ok_or_else(|| changed("a function"))?;
        Ok(text.trim_end().replacen("CREATE OR REPLACE ", "CREATE ", 1))
    }

    /// `f(integer)` as SQL names it.
    pub(super) fn signature(&self, function: &Function) -> String {
        let arguments = self.catalog.text.arguments.get(&function.id).map(String::as_str).unwrap_or_default();
        format!("{}({arguments})", own(&function.name))
    }

    pub(super) fn function_label(&self, function: &Function) -> String {
        let kind = match function.kind.as_str() {
            "p" => "procedure",
            "a" => "aggregate",
            "w" => "window function",
            _ => "function",
        };
        let arguments = self.catalog.text.arguments.get(&function.id).map(String::as_str).unwrap_or_default();
        format!("{kind} {}({arguments})", function.name)
    }

    /// What hangs on tables: triggers and policies.
    pub(super) fn attached(&mut self) -> Result<()> {
        let catalog = self.catalog;
        for trigger in &catalog.triggers {
            self.trigger(trigger)?;
        }
        for policy in &catalog.policies {
            self.policy(policy);
        }
        Ok(())
    }

    fn trigger(&mut self, trigger: &Trigger) -> Result<()> {
        let Some(relation) = self.catalog.relation(trigger.relation) else { return Ok(()) };
        let on = ObjectId { class: class::CLASS, id: relation.id };
        let mut needed = None;
        if trigger.parent == 0 {
            let text = self.catalog.text.triggers.get(&trigger.id).ok_or_else(|| changed("a trigger"))?;
            let object = ObjectId { class: class::TRIGGER, id: trigger.id };
            let node =
                self.graph.add(Rank::Trigger, label_on("trigger", &trigger.name, &relation.name), text, [object]);
            self.late_need(node, on);
            needed = Some(node);
        }
        // Each begins enabled, a partition's that is made with its parent's too.
        let state = match trigger.enabled.as_str() {
            "O" => return Ok(()),
            "D" => "DISABLE",
            "R" => "ENABLE REPLICA",
            "A" => "ENABLE ALWAYS",
            _ => "ENABLE",
        };
        let sql = alter_table(&relation.name, &format!("{state} TRIGGER {}", ident(&trigger.name)));
        let node =
            self.graph.add(Rank::TriggerState, label_on("state of trigger", &trigger.name, &relation.name), sql, []);
        self.late_need(node, on);
        match needed {
            Some(trigger) => self.graph.needs(node, trigger),
            None => self.late_need(node, ObjectId { class: class::TRIGGER, id: trigger.parent }),
        }
        Ok(())
    }

    fn policy(&mut self, policy: &Policy) {
        let Some(relation) = self.catalog.relation(policy.relation) else { return };
        let command = match policy.command.as_str() {
            "r" => "SELECT",
            "a" => "INSERT",
            "w" => "UPDATE",
            "d" => "DELETE",
            _ => "ALL",
        };
        let kind = if policy.is_permissive { "" } else { " AS RESTRICTIVE" };
        let roles =
            policy.roles.as_ref().map(|roles| roles.iter().map(|role| ident(role)).collect::<Vec<_>>().join(", "));
        let mut sql = format!("CREATE POLICY {} ON {}{kind} FOR {command}", ident(&policy.name), own(&relation.name));
        sql.extend(roles.map(|roles| format!(" TO {roles}")));
        let text = &self.catalog.text;
        sql.extend(text.policy_uses.get(&policy.id).map(|uses| format!(" USING ({uses})")));
        sql.extend(text.policy_checks.get(&policy.id).map(|check| format!(" WITH CHECK ({check})")));
        let object = ObjectId { class: class::POLICY, id: policy.id };
        let node = self.graph.add(Rank::Policy, label_on("policy", &policy.name, &relation.name), sql, [object]);
        self.late_need(node, ObjectId { class: class::CLASS, id: relation.id });
    }
}

fn objection(function: &Function) -> Option<String> {
    match function.kind.as_str() {
        "f" | "p" if function.language != "sql" && function.language != "plpgsql" => {
            Some(format!("it is written in {}: SQL and PL/pgSQL are carried", function.language))
        }
        "f" | "p" if function.has_support => Some("it has a support function, which code in C is".into()),
        "f" | "p" if function.has_transforms => Some("it uses transforms".into()),
        "f" | "p" => None,
        _ => Some("it is no plain function".into()),
    }
}
