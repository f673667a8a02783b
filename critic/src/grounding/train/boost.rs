//! Gradient boosting of trees on binned features, for log loss.
//!
//! Friedman, "Greedy function approximation" (Annals of Statistics 29(5), 2001), with
//! second-order leaves and L2 as in XGBoost (arXiv 1603.02754), leaf-wise growth on
//! histograms as in LightGBM (NeurIPS 2017), and monotone directions kept by bounding the
//! values of children. One thread, and a generator of its own: the same rows and seed give
//! the same trees on every machine of the same arithmetic.

use super::super::trees::{Node, Trees, probability};

/// How trees are grown.
#[derive(Clone, Debug)]
pub(crate) struct Growth {
    /// Trees.
    pub(crate) trees: usize,
    /// Leaves of each.
    pub(crate) leaves: usize,
    /// What of each tree is kept.
    pub(crate) rate: f32,
    /// Sum of second derivatives that a leaf must have.
    pub(crate) least: f32,
    /// L2 penalty of leaves.
    pub(crate) ridge: f32,
    /// Share of rows that a tree sees.
    pub(crate) rows: f32,
    /// Share of features that a tree sees.
    pub(crate) features: f32,
    /// Seed of both choices.
    pub(crate) seed: u64,
}

/// Rows to learn from.
pub(crate) struct Rows<'a> {
    /// Values of each row.
    pub(crate) values: &'a [Vec<f32>],
    /// 1 for what is to be found, 0 for what is not.
    pub(crate) labels: &'a [f32],
    /// Weight of each row.
    pub(crate) weights: &'a [f32],
    /// Direction of each feature.
    pub(crate) signs: &'a [i8],
}

/// Bins of a feature.
const BINS: usize = 64;

/// Pseudo-random numbers: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
pub(crate) struct Random(u64);

impl Random {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly in 0..1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Evenly below a number above 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }
}

/// Grows trees.
pub(crate) fn grow(rows: &Rows, growth: &Growth) -> Trees {
    let binned = Binned::of(rows.values);
    let total: f32 = rows.weights.iter().sum();
    let share: f32 = rows.labels.iter().zip(rows.weights).map(|(y, w)| y * w).sum::<f32>() / total.max(f32::EPSILON);
    let share = share.clamp(1e-4, 1.0 - 1e-4);
    let base = (share / (1.0 - share)).ln();
    let mut margins = vec![base; rows.labels.len()];
    let mut random = Random::new(growth.seed);
    let mut trees = Vec::with_capacity(growth.trees);
    for _ in 0..growth.trees {
        let slopes: Vec<(f32, f32)> = margins
            .iter()
            .zip(rows.labels.iter().zip(rows.weights))
            .map(|(&margin, (label, weight))| {
                let p = probability(margin);
                (weight * (p - label), weight * (p * (1.0 - p)).max(1e-6))
            })
            .collect();
        let chosen: Vec<u32> = (0..rows.labels.len() as u32)
            .filter(|&row| random.unit() < growth.rows && rows.weights[row as usize] > 0.0)
            .collect();
        let features: Vec<usize> = (0..rows.signs.len()).filter(|_| random.unit() < growth.features).collect();
        let tree =
            Grower { binned: &binned, slopes: &slopes, features: &features, signs: rows.signs, growth }.tree(chosen);
        for (row, margin) in margins.iter_mut().enumerate() {
            *margin += binned.leaf(&tree, row);
        }
        trees.push(binned.unbin(&tree));
    }
    Trees { base, trees }
}

/// Features cut into bins: a value is in the first bin whose edge is not below it.
struct Binned {
    edges: Vec<Vec<f32>>,
    /// By feature, then row.
    bins: Vec<Vec<u8>>,
}

impl Binned {
    fn of(values: &[Vec<f32>]) -> Self {
        let features = values.first().map_or(0, Vec::len);
        let (mut edges, mut bins) = (Vec::new(), Vec::new());
        for feature in 0..features {
            let mut column: Vec<f32> = values.iter().map(|row| row[feature]).collect();
            column.sort_by(f32::total_cmp);
            let own = cuts(&column);
            bins.push(values.iter().map(|row| own.partition_point(|&edge| edge < row[feature]) as u8).collect());
            edges.push(own);
        }
        Self { edges, bins }
    }

    /// Thresholds of a grown tree are bins; the value of its leaf for a row.
    fn leaf(&self, tree: &[Node], row: usize) -> f32 {
        let mut at = 0;
        loop {
            let node = tree[at];
            if usize::from(node.2) == at {
                return node.1;
            }
            let left = f32::from(self.bins[usize::from(node.0)][row]) <= node.1;
            at = usize::from(if left { node.2 } else { node.3 });
        }
    }

    fn unbin(&self, tree: &[Node]) -> Vec<Node> {
        let value = |(at, node): (usize, &Node)| match usize::from(node.2) == at {
            true => *node,
            false => Node(node.0, self.edges[usize::from(node.0)][node.1 as usize], node.2, node.3),
        };
        tree.iter().enumerate().map(value).collect()
    }
}

/// Edges between bins of about equal size, halfway between neighbouring values.
fn cuts(sorted: &[f32]) -> Vec<f32> {
    let mut edges: Vec<f32> = Vec::new();
    for bin in 1..BINS {
        let at = bin * sorted.len() / BINS;
        let Some(next) = sorted[at..].iter().find(|value| **value > sorted[at]) else { break };
        let edge = sorted[at] + (next - sorted[at]) / 2.0;
        if edges.last().is_none_or(|last| edge > *last) {
            edges.push(edge);
        }
    }
    // Values that are seldom but most telling (one novel number in a hundred sentences) need an edge too.
    if edges.is_empty() && sorted.first() < sorted.last() {
        let next = sorted.iter().find(|value| **value > sorted[0]).copied().unwrap_or(sorted[0]);
        edges.push(sorted[0] + (next - sorted[0]) / 2.0);
    }
    edges
}

/// A leaf that may be split.
struct Leaf {
    node: usize,
    rows: Vec<u32>,
    /// Bounds of its value, by the directions of the splits above.
    bounds: (f32, f32),
    split: Option<Split>,
}

/// The best split of a leaf.
#[derive(Clone, Copy)]
struct Split {
    gain: f32,
    feature: usize,
    bin: u8,
    /// Values of the children.
    left: f32,
    right: f32,
}

struct Grower<'a> {
    binned: &'a Binned,
    slopes: &'a [(f32, f32)],
    features: &'a [usize],
    signs: &'a [i8],
    growth: &'a Growth,
}

impl Grower<'_> {
    fn tree(&self, rows: Vec<u32>) -> Vec<Node> {
        let (g, h) = self.sums(&rows);
        let mut nodes = vec![Node(0, self.value(g, h) * self.growth.rate, 0, 0)];
        let bounds = (f32::NEG_INFINITY, f32::INFINITY);
        let split = self.best(&rows, bounds);
        let mut leaves = vec![Leaf { node: 0, rows, bounds, split }];
        while leaves.len() < self.growth.leaves {
            let gain = |leaf: &Leaf| leaf.split.map_or(0.0, |split| split.gain);
            let best = leaves.iter().enumerate().max_by(|a, b| gain(a.1).total_cmp(&gain(b.1))).map(|(at, _)| at);
            let Some(at) = best.filter(|&at| gain(&leaves[at]) > 0.0) else { break };
            let leaf = leaves.swap_remove(at);
            let Some(split) = leaf.split else { break };
            leaves.extend(self.part(leaf, split, &mut nodes));
        }
        nodes
    }

    fn part(&self, leaf: Leaf, split: Split, nodes: &mut Vec<Node>) -> [Leaf; 2] {
        let bins = &self.binned.bins[split.feature];
        let (left, right): (Vec<u32>, Vec<u32>) = leaf.rows.iter().partition(|&&row| bins[row as usize] <= split.bin);
        let first = nodes.len();
        nodes[leaf.node] = Node(split.feature as u16, f32::from(split.bin), first as u16, first as u16 + 1);
        let middle = (split.left + split.right) / 2.0;
        let (low, high) = leaf.bounds;
        let bounds = match self.signs[split.feature] {
            0 => [leaf.bounds, leaf.bounds],
            1.. => [(low, middle), (middle, high)],
            _ => [(middle, high), (low, middle)],
        };
        let mut child = |at: usize, rows: Vec<u32>, value: f32, bounds: (f32, f32)| {
            nodes.push(Node(0, value * self.growth.rate, at as u16, at as u16));
            let split = self.best(&rows, bounds);
            Leaf { node: at, rows, bounds, split }
        };
        [child(first, left, split.left, bounds[0]), child(first + 1, right, split.right, bounds[1])]
    }

    fn sums(&self, rows: &[u32]) -> (f32, f32) {
        rows.iter().fold((0.0, 0.0), |(g, h), &row| {
            let own = self.slopes[row as usize];
            (g + own.0, h + own.1)
        })
    }

    fn value(&self, g: f32, h: f32) -> f32 {
        -g / (h + self.growth.ridge)
    }

    fn best(&self, rows: &[u32], bounds: (f32, f32)) -> Option<Split> {
        let (g, h) = self.sums(rows);
        if h < 2.0 * self.growth.least {
            return None;
        }
        let whole = self.score(g, h, self.value(g, h).clamp(bounds.0, bounds.1));
        let mut best: Option<Split> = None;
        for &feature in self.features {
            let mut sums = [(0f32, 0f32); BINS];
            let bins = &self.binned.bins[feature];
            for &row in rows {
                let (own, sum) = (self.slopes[row as usize], &mut sums[usize::from(bins[row as usize])]);
                (sum.0, sum.1) = (sum.0 + own.0, sum.1 + own.1);
            }
            let (mut left_g, mut left_h) = (0.0, 0.0);
            for (bin, own) in sums.iter().enumerate().take(self.binned.edges[feature].len()) {
                (left_g, left_h) = (left_g + own.0, left_h + own.1);
                let (right_g, right_h) = (g - left_g, h - left_h);
                if left_h < self.growth.least || right_h < self.growth.least {
                    continue;
                }
                let left = self.value(left_g, left_h).clamp(bounds.0, bounds.1);
                let right = self.value(right_g, right_h).clamp(bounds.0, bounds.1);
                if f32::from(self.signs[feature]) * (right - left) < 0.0 {
                    continue;
                }
                let gain = self.score(left_g, left_h, left) + self.score(right_g, right_h, right) - whole;
                if gain > best.map_or(1e-6, |split| split.gain) {
                    best = Some(Split { gain, feature, bin: bin as u8, left, right });
                }
            }
        }
        best
    }

    /// What a leaf of that value takes off the loss, twice.
    fn score(&self, g: f32, h: f32, value: f32) -> f32 {
        -(2.0 * g * value + (h + self.growth.ridge) * value * value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth() -> Growth {
        Growth { trees: 1, leaves: 2, rate: 1.0, least: 0.0, ridge: 0.0, rows: 2.0, features: 2.0, seed: 7 }
    }

    #[test]
    fn one_split_has_the_values_that_pencil_and_paper_give() {
        let values: Vec<Vec<f32>> = [0.0, 0.0, 0.0, 1.0, 1.0].iter().map(|&x| vec![x]).collect();
        let rows = Rows { values: &values, labels: &[0.0, 0.0, 1.0, 1.0, 1.0], weights: &[1.0; 5], signs: &[0] };
        let trees = grow(&rows, &growth());
        assert!((trees.base - 1.5f32.ln()).abs() < 1e-6);
        // p = .6: left g = .6+.6-.4 = .8, h = .72; right g = -.8, h = .48.
        assert_eq!(trees.trees[0][0].1, 0.5);
        assert!((trees.margin(&[0.0]) - trees.base + 0.8 / 0.72).abs() < 1e-5);
        assert!((trees.margin(&[1.0]) - trees.base - 0.8 / 0.48).abs() < 1e-5);
    }

    #[test]
    fn a_direction_is_kept_even_against_the_rows() {
        let mut random = Random::new(3);
        let values: Vec<Vec<f32>> = (0..400).map(|_| vec![random.unit(), random.unit()]).collect();
        let labels: Vec<f32> = values.iter().map(|v| f32::from((v[0] - 0.5).abs() + 0.3 * v[1] > 0.4)).collect();
        let rows = Rows { values: &values, labels: &labels, weights: &[1.0; 400], signs: &[1, 0] };
        let trees = grow(&rows, &Growth { trees: 30, leaves: 8, rate: 0.3, ..growth() });
        for step in 0..50 {
            let at = step as f32 / 50.0;
            assert!(trees.margin(&[at, 0.5]) <= trees.margin(&[at + 0.02, 0.5]));
        }
    }

    #[test]
    fn what_was_grown_is_found_again_by_seed_and_tells_the_rows_apart() {
        let mut random = Random::new(5);
        let values: Vec<Vec<f32>> = (0..600).map(|_| vec![random.unit(), random.unit(), random.unit()]).collect();
        let labels: Vec<f32> = values.iter().map(|v| f32::from((v[0] > 0.5) != (v[1] > 0.5))).collect();
        let rows = Rows { values: &values, labels: &labels, weights: &[1.0; 600], signs: &[0, 0, 0] };
        let growth = Growth { trees: 40, leaves: 6, rate: 0.3, rows: 0.7, ..growth() };
        let trees = grow(&rows, &growth);
        assert_eq!(trees, grow(&rows, &growth));
        let right = values.iter().zip(&labels).filter(|(v, y)| (trees.margin(v) > 0.0) == (**y > 0.5)).count();
        assert!(right > 580, "{right} of 600");
        assert_eq!(trees.fault(3), None);
    }
}
