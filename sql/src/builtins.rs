//! What the target server's own functions and operators may be trusted with.

use std::collections::HashMap;

/// The functions and operators of the target server's `pg_catalog`, by name.
#[derive(Debug, Default)]
pub struct Builtins {
    functions: HashMap<String, Purity>,
    operators: HashMap<String, Purity>,
}

/// What calling something by its name may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purity {
    /// It computes: none of that name is volatile, and one at least is immutable.
    Safe,
    /// It may look at or change anything.
    Any,
    /// It gives a set.
    Set,
}

impl Builtins {
    /// Gives the rows that [`Builtins::from_rows`] takes: kind, name, whether it is safe. It names everything by its schema, so that
    /// no search path changes what it means.
    pub const QUERY: &'static str = "\
SELECT CASE WHEN pg_catalog.bool_or(p.proretset) THEN 'set' ELSE 'function' END::pg_catalog.text AS kind,
       p.proname::pg_catalog.text AS name,
       pg_catalog.bool_and(p.provolatile OPERATOR(pg_catalog.<>) 'v'::pg_catalog.\"char\" AND NOT p.proretset)
       AND pg_catalog.bool_or(p.provolatile OPERATOR(pg_catalog.=) 'i'::pg_catalog.\"char\") AS safe
  FROM pg_catalog.pg_proc p
 WHERE p.pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid
 GROUP BY p.proname
UNION ALL
SELECT 'operator'::pg_catalog.text, o.oprname::pg_catalog.text,
       pg_catalog.bool_and(p.provolatile OPERATOR(pg_catalog.<>) 'v'::pg_catalog.\"char\" AND NOT p.proretset)
       AND pg_catalog.bool_or(p.provolatile OPERATOR(pg_catalog.=) 'i'::pg_catalog.\"char\")
  FROM pg_catalog.pg_operator o
  JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) o.oprcode::pg_catalog.oid
 WHERE o.oprnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid
 GROUP BY o.oprname";

    /// From the rows of [`Builtins::QUERY`]. A kind that is not known is never safe.
    pub fn from_rows<K, N>(rows: impl IntoIterator<Item = (K, N, bool)>) -> Self
    where
        K: AsRef<str>,
        N: Into<String>,
    {
        let mut builtins = Self::default();
        for (kind, name, safe) in rows {
            let (names, otherwise) = match kind.as_ref() {
                "operator" => (&mut builtins.operators, Purity::Any),
                "function" => (&mut builtins.functions, Purity::Any),
                _ => (&mut builtins.functions, Purity::Set),
            };
            let safe = safe && otherwise == Purity::Any;
            names.insert(name.into(), if safe { Purity::Safe } else { otherwise });
        }
        builtins
    }

    pub(super) fn function(&self, name: &str) -> Option<Purity> {
        self.functions.get(name).copied()
    }

    pub(super) fn operator(&self, name: &str) -> Option<Purity> {
        self.operators.get(name).copied()
    }
}
