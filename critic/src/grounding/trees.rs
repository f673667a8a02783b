//! Boosted trees: sums of small trees of thresholds, in flat arrays.

use serde::{Deserialize, Serialize};

/// A sum of trees; what it gives is a log-odds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trees {
    /// Log-odds before any tree.
    pub(crate) base: f32,
    /// The trees, each with its root first.
    pub(crate) trees: Vec<Vec<Node>>,
}

/// A node: `(feature, threshold, left, right)`; values up to the threshold go left. A leaf
/// has itself as both children and its value as its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node(pub(crate) u16, pub(crate) f32, pub(crate) u16, pub(crate) u16);

impl Trees {
    /// Log-odds for these values.
    pub(crate) fn margin(&self, values: &[f32]) -> f32 {
        self.base + self.trees.iter().map(|tree| leaf(tree, values)).sum::<f32>()
    }

    /// What is wrong with trees that were read, for so many features.
    pub(crate) fn fault(&self, features: usize) -> Option<&'static str> {
        for tree in &self.trees {
            if tree.is_empty() {
                return Some("a tree has no nodes");
            }
            for (at, node) in tree.iter().enumerate() {
                let (left, right) = (usize::from(node.2), usize::from(node.3));
                let is_leaf = left == at && right == at;
                // Children stand after their parents, so that every walk ends.
                if !is_leaf && (left <= at || right <= at || left >= tree.len() || right >= tree.len()) {
                    return Some("a tree's node has no place for its children");
                }
                if !is_leaf && usize::from(node.0) >= features || !node.1.is_finite() {
                    return Some("a tree's node asks for no feature or no number");
                }
            }
        }
        None
    }
}

fn leaf(tree: &[Node], values: &[f32]) -> f32 {
    let mut at = 0;
    loop {
        let node = tree[at];
        let next = usize::from(if values[usize::from(node.0)] <= node.1 { node.2 } else { node.3 });
        if next == at {
            return node.1;
        }
        at = next;
    }
}

/// The probability of a log-odds.
pub(crate) fn probability(margin: f32) -> f32 {
    1.0 / (1.0 + (-margin).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_sends_values_to_its_leaves() {
        let tree = vec![Node(1, 0.5, 1, 2), Node(0, -1.0, 1, 1), Node(0, 2.0, 2, 2)];
        let trees = Trees { base: 0.25, trees: vec![tree] };
        assert_eq!(trees.fault(2), None);
        assert_eq!(trees.margin(&[9.0, 0.5]), -0.75);
        assert_eq!(trees.margin(&[9.0, 0.6]), 2.25);
    }

    #[test]
    fn trees_that_could_be_walked_forever_are_refused() {
        let circle = vec![Node(0, 0.5, 1, 2), Node(0, 0.5, 0, 2), Node(0, 2.0, 2, 2)];
        assert!(Trees { base: 0.0, trees: vec![circle] }.fault(1).is_some());
        assert!(Trees { base: 0.0, trees: vec![vec![Node(3, 0.0, 1, 1), Node(0, 0.0, 1, 1)]] }.fault(2).is_some());
    }
}
