//! The least of many names that come in any order, in memory that does not grow with their number.

use std::collections::BTreeMap;

/// What a name costs beyond its own bytes.
const OVERHEAD_BYTES: usize = 64;

/// The least names that fit a budget, each with what belongs to it.
pub(super) struct Smallest<V> {
    names: BTreeMap<Vec<u8>, V>,
    left_bytes: usize,
    left_out: bool,
}

impl<V> Smallest<V> {
    pub(super) fn new(budget_bytes: usize) -> Self {
        Self { names: BTreeMap::new(), left_bytes: budget_bytes, left_out: false }
    }

    /// Keeps the name, or leaves it or a greater one out.
    pub(super) fn offer(&mut self, name: Vec<u8>, value: V) {
        let is_beyond = |last: &Vec<u8>| *last < name;
        if self.left_out && self.names.last_key_value().is_some_and(|(last, _)| is_beyond(last)) {
            return;
        }
        let cost = name.len() + OVERHEAD_BYTES;
        while self.left_bytes < cost {
            let Some((last, last_value)) = self.names.pop_last() else { break };
            self.left_out = true;
            if last < name {
                self.names.insert(last, last_value);
                return;
            }
            self.left_bytes += last.len() + OVERHEAD_BYTES;
        }
        self.left_bytes = self.left_bytes.saturating_sub(cost);
        self.names.insert(name, value);
    }

    /// The last name that was kept, where greater ones were left out.
    pub(super) fn more_after(&self) -> Option<Vec<u8>> {
        self.names.last_key_value().filter(|_| self.left_out).map(|(last, _)| last.clone())
    }

    /// What was kept.
    pub(super) fn into_sorted(self) -> BTreeMap<Vec<u8>, V> {
        self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_give_every_name_once_and_in_order() {
        let names: Vec<_> = (0..500_u32).map(|n| format!("{:03}", n * 7 % 500).into_bytes()).collect();
        for budget_bytes in [0, 1, 100, 1_000, 10_000, 100_000] {
            let mut after = Some(Vec::new());
            let mut found = Vec::new();
            while let Some(last) = after {
                let mut kept = Smallest::new(budget_bytes);
                names.iter().filter(|name| **name > last).for_each(|name| kept.offer(name.clone(), name.len()));
                after = kept.more_after();
                found.extend(kept.into_sorted().into_keys());
            }
            let mut sorted = names.clone();
            sorted.sort();
            assert_eq!(found, sorted, "{budget_bytes}");
        }
    }
}
