//! The statements of a blueprint and what each needs, put in an order that is the same whenever the structure is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::catalog::ObjectId;

/// What comes first where nothing else decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Type,
    Sequence,
    Table,
    TableOption,
    Attach,
    Function,
    View,
    Default,
    OwnedSequence,
    Check,
    Key,
    Index,
    IndexOption,
    IndexAttach,
    ForeignKey,
    Refresh,
    Trigger,
    TriggerState,
    RowSecurity,
    Policy,
    Comment,
}

impl Rank {
    /// Whether rows can't go in without it.
    const fn is_before_rows(self) -> bool {
        matches!(self, Self::Type | Self::Sequence | Self::Table | Self::TableOption | Self::Attach)
    }
}

/// A statement.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) rank: Rank,
    /// What it is about, for people: a kind and a name.
    pub(super) label: String,
    pub(super) sql: String,
    needs: BTreeSet<usize>,
}

/// The place of a node in its graph.
pub(super) type NodeId = usize;

/// Statements and what they need of each other.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    makers: HashMap<ObjectId, NodeId>,
}

/// The statements in an order that works, the part before the rows and the part after them.
#[derive(Debug)]
pub(super) struct Ordered {
    pub(super) before: Vec<Node>,
    pub(super) after: Vec<Node>,
}

impl Graph {
    /// Adds a statement, which makes `objects`.
    pub(super) fn add(
        &mut self,
        rank: Rank,
        label: impl Into<String>,
        sql: impl Into<String>,
        objects: impl IntoIterator<Item = ObjectId>,
    ) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(Node { rank, label: label.into(), sql: sql.into(), needs: BTreeSet::new() });
        self.makers.extend(objects.into_iter().map(|object| (object, id)));
        id
    }

    /// Says that a statement makes one more thing.
    pub(super) fn also_makes(&mut self, node: NodeId, object: ObjectId) {
        self.makers.insert(object, node);
    }

    /// Says that one statement comes after another.
    pub(super) fn needs(&mut self, node: NodeId, needed: NodeId) {
        if node != needed
            && let Some(node) = self.nodes.get_mut(node)
        {
            node.needs.insert(needed);
        }
    }

    /// Says that a statement comes after the one that makes a thing, if any does.
    pub(super) fn needs_object(&mut self, node: NodeId, object: ObjectId) {
        if let Some(maker) = self.maker(object) {
            self.needs(node, maker);
        }
    }

    /// The statement that makes a thing.
    pub(super) fn maker(&self, object: ObjectId) -> Option<NodeId> {
        self.makers.get(&object).copied()
    }

    /// All things that are made by other statements than `left_out`.
    pub(super) fn made_without(&self, left_out: &BTreeSet<NodeId>) -> impl Iterator<Item = ObjectId> {
        self.makers.iter().filter(|(_, maker)| !left_out.contains(maker)).map(|(object, _)| *object)
    }

    /// A statement.
    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// All statements.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate()
    }

    /// All that a statement needs, directly or not.
    pub(super) fn closure(&self, roots: impl IntoIterator<Item = NodeId>) -> BTreeSet<NodeId> {
        let mut found = BTreeSet::new();
        let mut open: Vec<_> = roots.into_iter().collect();
        while let Some(id) = open.pop() {
            if found.insert(id) {
                open.extend(self.nodes.get(id).into_iter().flat_map(|node| node.needs.iter().copied()));
            }
        }
        found
    }

    /// All statements that can't stand without one of `gone`, `gone` included.
    pub(super) fn fallen(&self, gone: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let mut fallen = gone.clone();
        loop {
            let more: Vec<_> = self
                .nodes()
                .filter(|(id, node)| !fallen.contains(id) && !node.needs.is_disjoint(&fallen))
                .map(|(id, _)| id)
                .collect();
            if more.is_empty() {
                return fallen;
            }
            fallen.extend(more);
        }
    }

    /// Functions that rows call may call others, of which nobody but their text knows: all that can come early do, where one must.
    fn with_functions(&self, mut early: BTreeSet<NodeId>, left_out: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let is_function = |id: &NodeId| self.node(*id).is_some_and(|node| node.rank == Rank::Function);
        if !early.iter().any(is_function) {
            return early;
        }
        for (id, _) in self.nodes().filter(|(id, _)| is_function(id) && !left_out.contains(id)) {
            let closure = self.closure([id]);
            let can_come = |id: &NodeId| {
                self.node(*id).is_some_and(|node| node.rank.is_before_rows() || node.rank == Rank::Function)
            };
            if closure.iter().all(can_come) {
                early.extend(closure);
            }
        }
        early
    }

    /// Puts all statements but `left_out` in order: what is needed first, then by rank, then by label.
    ///
    /// # Errors
    /// The labels of statements that need each other in a circle.
    pub(super) fn order(mut self, left_out: &BTreeSet<NodeId>) -> Result<Ordered, Vec<String>> {
        let early: Vec<_> = self
            .nodes()
            .filter(|(id, node)| node.rank.is_before_rows() && !left_out.contains(id))
            .map(|(id, _)| id)
            .collect();
        let early = self.with_functions(self.closure(early), left_out);
        let mut waiting: BTreeMap<NodeId, usize> = BTreeMap::new();
        let mut needed_by: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        let mut ready = BTreeSet::new();
        for (id, node) in self.nodes().filter(|(id, _)| !left_out.contains(id)) {
            let needs: Vec<_> = node.needs.iter().filter(|needed| !left_out.contains(needed)).collect();
            needs.iter().for_each(|&&needed| needed_by.entry(needed).or_default().push(id));
            match needs.len() {
                0 => drop(ready.insert((node.rank, node.label.clone(), id))),
                count => drop(waiting.insert(id, count)),
            }
        }
        let mut order = Vec::new();
        while let Some((_, _, id)) = ready.pop_first() {
            order.push(id);
            for &later in needed_by.get(&id).into_iter().flatten() {
                let Some(count) = waiting.get_mut(&later) else { continue };
                *count -= 1;
                if *count == 0
                    && let Some(node) = self.nodes.get(later)
                {
                    waiting.remove(&later);
                    ready.insert((node.rank, node.label.clone(), later));
                }
            }
        }
        if !waiting.is_empty() {
            return Err(waiting.keys().filter_map(|&id| self.node(id)).map(|node| node.label.clone()).collect());
        }
        let mut nodes: Vec<_> = std::mem::take(&mut self.nodes).into_iter().map(Some).collect();
        let mut ordered = Ordered { before: Vec::new(), after: Vec::new() };
        for id in order {
            let part = if early.contains(&id) { &mut ordered.before } else { &mut ordered.after };
            part.extend(nodes.get_mut(id).and_then(Option::take));
        }
        Ok(ordered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(nodes: &[Node]) -> Vec<&str> {
        nodes.iter().map(|node| node.label.as_str()).collect()
    }

    #[test]
    fn what_rows_need_comes_before_them_and_all_of_it_in_an_order_that_works() {
        let mut graph = Graph::default();
        let index = graph.add(Rank::Index, "index", "", []);
        let view = graph.add(Rank::View, "view", "", []);
        let table = graph.add(Rank::Table, "table b", "", []);
        let other = graph.add(Rank::Table, "table a", "", []);
        let function = graph.add(Rank::Function, "function", "", []);
        graph.needs(index, table);
        graph.needs(view, index);
        graph.needs(table, function);
        assert_eq!(graph.fallen(&BTreeSet::from([function])), BTreeSet::from([index, view, table, function]));
        let ordered = graph.order(&BTreeSet::new()).unwrap();
        assert_eq!(labels(&ordered.before), ["table a", "function", "table b"]);
        assert_eq!(labels(&ordered.after), ["index", "view"]);
        let _ = other;
    }

    #[test]
    fn where_rows_need_a_function_all_come_before_them_that_can() {
        let mut graph = Graph::default();
        let table = graph.add(Rank::Table, "table", "", []);
        let function = graph.add(Rank::Function, "called", "", []);
        let _ = graph.add(Rank::Function, "calls nobody knows", "", []);
        let late = graph.add(Rank::Function, "of a view", "", []);
        let view = graph.add(Rank::View, "view", "", []);
        graph.needs(late, view);
        graph.needs(table, function);
        let ordered = graph.order(&BTreeSet::new()).unwrap();
        assert_eq!(labels(&ordered.before), ["called", "table", "calls nobody knows"]);
        assert_eq!(labels(&ordered.after), ["view", "of a view"]);
    }

    #[test]
    fn a_circle_is_told() {
        let mut graph = Graph::default();
        let (one, two) = (graph.add(Rank::View, "one", "", []), graph.add(Rank::View, "two", "", []));
        graph.needs(one, two);
        graph.needs(two, one);
        assert_eq!(graph.order(&BTreeSet::new()).unwrap_err(), ["one", "two"]);
    }
}
