//! Tests of comparisons: equals, betters and what only one judged.

use super::*;
use crate::Skip;
use crate::evaluate::measure::tests::{honest, seen};

/// The same cases with the score dulled by a share of noise.
fn dulled(cases: &[Observed], share: f64) -> Vec<Observed> {
    let mut draws = weir_stats::random::Draws::new(8);
    let one = |case: &Observed| {
        let score = (1.0 - share) * case.score.unwrap() + share * draws.unit();
        seen(case.bad, score, 0.5, case.group)
    };
    cases.iter().map(one).collect()
}

#[test]
fn a_better_critic_is_found_and_the_way_round_matters() {
    let good = honest(1500, 4);
    let poor = dulled(&good, 0.7);
    let up = compare(&poor, &good, 1);
    let down = compare(&good, &poor, 1);
    assert_eq!((up.conclusion, down.conclusion), (Conclusion::Better, Conclusion::Worse));
    assert!(up.auroc.unwrap().low.unwrap() > 0.0 && up.auroc_p.unwrap() < 1e-4 && up.verdicts_p < 0.01, "{up:?}");
    assert_eq!((up.only_new_right, up.only_old_right), (down.only_old_right, down.only_new_right));
}

#[test]
fn a_critic_is_not_better_than_itself_nor_by_chance() {
    let cases = honest(800, 5);
    let same = compare(&cases, &cases, 1);
    assert_eq!((same.conclusion, same.verdicts_p, same.only_new_right), (Conclusion::Undecided, 1.0, 0));
}

#[test]
fn equals_are_told_apart_no_more_often_than_promised_whether_cases_share_sources_or_not() {
    for answers in [1, 5] {
        let shown = (0..200).filter(|seed| {
            let mut draws = weir_stats::random::Draws::new(1000 + seed);
            let mut pairs = Vec::new();
            for group in 0..60 {
                // How hard the text is for each of the two: equally often, but not the same texts.
                let luck = [draws.unit(), draws.unit()];
                for _ in 0..answers {
                    let bad = draws.unit() < 0.5;
                    let truth = if bad { 0.65 } else { 0.35 };
                    let score = |luck: f64, noise: f64| 0.4 * truth + 0.3 * luck + 0.3 * noise;
                    let (one, other) = (score(luck[0], draws.unit()), score(luck[1], draws.unit()));
                    pairs.push((seen(bad, one, 0.5, group), seen(bad, other, 0.5, group)));
                }
            }
            let (old, new): (Vec<Observed>, Vec<Observed>) = pairs.into_iter().unzip();
            compare(&old, &new, 1).conclusion != Conclusion::Undecided
        });
        let count = shown.count();
        assert!(count <= 18, "{count} of 200 with {answers} answers to a text");
    }
}

#[test]
fn only_pairs_are_compared() {
    let mut old = honest(10, 6);
    let new = honest(10, 6);
    old[3].outcome = Outcome::Skipped(Skip::TimedOut);
    let found = compare(&old, &new, 1);
    assert_eq!((found.pairs, found.judged_by_one), (9, 1));
    let nothing = compare(&[], &[], 1);
    assert_eq!((nothing.pairs, nothing.conclusion), (0, Conclusion::Undecided));
}
