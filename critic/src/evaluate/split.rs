//! Cases apart for training and for testing, never one source text on both sides.

use super::labelled::Labelled;
use weir_stats::random::Draws;

/// Parts cases into those to learn from and those held out: of all groups about that `share`
/// is held out. The same groups are held out whatever the order and whatever else is there.
pub fn hold_out(cases: Vec<Labelled>, share: f64, seed: u64) -> (Vec<Labelled>, Vec<Labelled>) {
    cases.into_iter().partition(|case| place(&case.group, seed) >= share)
}

/// Where a group stands in [0, 1).
pub fn place(group: &str, seed: u64) -> f64 {
    // FNV-1a (Fowler, Noll and Vo), its 64 bits then mixed by the generator.
    let hash = group
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    Draws::new(hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unit()
}

/// Numbers for groups, in order of appearance.
pub fn numbers<'a>(groups: impl Iterator<Item = &'a str>) -> Vec<u32> {
    let mut known = std::collections::HashMap::new();
    groups
        .map(|group| {
            let next = known.len() as u32;
            *known.entry(group).or_insert(next)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Case;

    #[test]
    fn a_group_is_never_on_both_sides_and_the_seed_decides_where() {
        let case = |i: usize| Labelled::new(Case::default(), false).named(None, Some(format!("g{}", i / 6)));
        let cases: Vec<Labelled> = (0..6000).map(case).collect();
        let (train, test) = hold_out(cases.clone(), 0.2, 1);
        assert_eq!(train.len() + test.len(), 6000);
        assert!((900..1500).contains(&test.len()), "{}", test.len());
        assert!(test.iter().all(|held| train.iter().all(|other| other.group != held.group)));
        assert_eq!(hold_out(cases.clone(), 0.2, 1).1, test);
        assert_ne!(hold_out(cases, 0.2, 2).1, test);
        assert_eq!(numbers(["a", "b", "a"].into_iter()), [0, 1, 0]);
    }
}
