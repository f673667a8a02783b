//! What a tenant can learn by a clock: nothing of what another tenant has asked.
//!
//! B asks in pairs, what A has asked before and what nobody ever has, over one connection. A
//! coin decides which comes first. Where both are equally fast, the coin alone decides the
//! sign of each difference, whatever else the machine does meanwhile: Wilcoxon's signed-rank
//! test (Individual comparisons by ranking methods, 1945) then gives |z| > 3.89 once in 10,000
//! measurements. The same figure of a tenant's own hits shows that the test can see one.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use harness::client::request;
use harness::{Answer, Client};

use crate::scene::{CHAT, Scene, timed};

const PAIRS: usize = 400;
/// Two-sided, once in 10,000.
const LIMIT: f64 = 3.89;
/// Takes what there is, and what an engine says where there is nothing.
const ANY: &str = "max-age=3600";
/// Lets no engine be asked, whose time would hide a small difference.
const KEPT: &str = "only-if-cached";
const GOOD: &str = r#"{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;

/// One tenant's connection.
struct Tenant {
    client: Client,
    key: &'static str,
    /// Its `Cache-Control`.
    control: &'static str,
}

/// Times in microseconds of pairs: of what may be known, and of what nobody has asked.
type Pair = (f64, f64);

impl Tenant {
    async fn of(scene: &Scene, key: &'static str, control: &'static str) -> Self {
        Self { client: scene.client().await, key, control }
    }

    /// The time of one answer, its status and what the cache says of it.
    async fn ask(&mut self, scene: &Scene, word: &str, number: usize) -> (f64, String) {
        let body =
            format!(r#"{{"model":"m","temperature":0,"messages":[{{"role":"user","content":"{word} {number:05}"}}]}}"#);
        let headers = [("Authorization", &*format!("Bearer {}", self.key)), ("Cache-Control", self.control)];
        let bytes = request("POST", CHAT, &headers, body.as_bytes());
        scene.asking(1);
        let (response, took) = timed(async {
            self.client.send(&bytes).await.unwrap();
            self.client.response().await.unwrap()
        })
        .await;
        let said = format!("{} {}", response.status(), response.header("cache-status").unwrap_or("none"));
        (took.as_secs_f64() * 1e6, said)
    }
}

async fn scene(answer: Answer) -> Scene {
    let hash = |key: &str| blake3::hash(key.as_bytes()).to_string();
    let rest =
        format!("[tenants.a]\nkey_hashes = [\"{}\"]\n[tenants.b]\nkey_hashes = [\"{}\"]", hash("ka"), hash("kb"));
    Scene::keeping(&rest, answer).await
}

/// A tenant asks everything that is known.
async fn fill(scene: &Scene, key: &'static str) {
    let mut tenant = Tenant::of(scene, key, ANY).await;
    for number in 0..PAIRS {
        assert_eq!(tenant.ask(scene, "known", number).await.1, "200 weir; fwd=miss");
    }
    scene.until_metric("weir_cache_entries", &[], PAIRS as f64).await;
}

/// A tenant asks each of what is known beside what nobody has asked. What it is told of the
/// two must begin like this.
async fn measure(scene: &Scene, mut tenant: Tenant, known: &str, never: &str) -> Vec<Pair> {
    let mut pairs = Vec::new();
    // Drawn anew in each run: what the machine does in the meantime may follow any pattern.
    let coins = RandomState::new();
    for number in 0..PAIRS {
        let known_first = coins.hash_one(number) & 1 == 0;
        let words = if known_first { ["known", "never"] } else { ["never", "known"] };
        let mut times = [0.0; 2];
        for word in words {
            let (took, said) = tenant.ask(scene, word, number).await;
            let expected = if word == "known" { known } else { never };
            assert!(said.starts_with(expected), "{word} {number}: {said}");
            times[usize::from(word == "never")] = took;
        }
        pairs.push((times[0], times[1]));
    }
    pairs
}

/// Wilcoxon's signed-rank statistic of the differences, as a standard normal value where
/// there is none to be seen. Equal sizes share their mean rank.
fn signed_rank(pairs: &[Pair]) -> f64 {
    let mut differences: Vec<f64> = pairs.iter().map(|(a, b)| a - b).filter(|d| *d != 0.0).collect();
    differences.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let (mut above, mut variance, mut rank) = (0.0, 0.0, 0.0);
    for ties in differences.chunk_by(|a, b| a.abs() == b.abs()) {
        let mean = rank + (ties.len() as f64 + 1.0) / 2.0;
        above += mean * ties.iter().filter(|d| **d > 0.0).count() as f64;
        variance += mean * mean * ties.len() as f64 / 4.0;
        rank += ties.len() as f64;
    }
    if variance == 0.0 { 0.0 } else { (above - rank * (rank + 1.0) / 4.0) / variance.sqrt() }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn tell(what: &str, pairs: &[Pair]) -> f64 {
    let (known, never) = (median(pairs.iter().map(|pair| pair.0)), median(pairs.iter().map(|pair| pair.1)));
    let difference = median(pairs.iter().map(|(a, b)| a - b));
    let deviation = median(pairs.iter().map(|(a, b)| (a - b - difference).abs()));
    let z = signed_rank(pairs);
    println!(
        "{what}: median {known:.0} us, of what nobody asked {never:.0} us, \
         of differences {difference:.1} us (median deviation {deviation:.0} us), z = {z:.2}"
    );
    z
}

#[tokio::test]
async fn a_tenant_cannot_learn_by_timing_what_another_has_asked() {
    let scene = scene(Answer::json(GOOD)).await;
    fill(&scene, "ka").await;
    for (control, said) in [(KEPT, "504 weir; fwd=miss"), (ANY, "200 weir; fwd=miss")] {
        let tenant = Tenant::of(&scene, "kb", control).await;
        let z = tell(&format!("what another tenant asked, {control}"), &measure(&scene, tenant, said, said).await);
        assert!(z.abs() < LIMIT, "z = {z}: a tenant can tell what another has asked, with {control}");
    }
    assert_eq!(scene.reached(), 3 * PAIRS);
    scene.settle().await;
}

#[tokio::test]
async fn its_own_hits_are_seen_by_the_same_test() {
    let scene = scene(Answer::json(GOOD).after(Duration::from_millis(2))).await;
    fill(&scene, "kb").await;
    let tenant = Tenant::of(&scene, "kb", ANY).await;
    let pairs = measure(&scene, tenant, "200 weir; hit", "200 weir; fwd=miss").await;
    let z = tell("what the tenant asked itself", &pairs);
    assert!(z < -LIMIT, "z = {z}: the test above could not see a hit");
    assert_eq!(scene.reached(), 2 * PAIRS);
    scene.settle().await;
}

#[test]
fn the_statistic_is_the_one_of_the_books() {
    let signs = |signs: &[f64]| signs.iter().map(|d| (d.max(0.0), (-d).max(0.0))).collect::<Vec<_>>();
    // W+ = 1 + 2 + 4 = 7 of 15, mean 7.5, variance 55 / 4.
    assert!((signed_rank(&signs(&[1.0, 2.0, -3.0, 4.0, -5.0])) + 0.5 / 13.75_f64.sqrt()).abs() < 1e-12);
    // Two of equal size share rank 1.5 and a pair without difference does not count.
    assert!((signed_rank(&signs(&[1.0, -1.0, 2.0, 0.0])) - 1.5 / (13.5_f64 / 4.0).sqrt()).abs() < 1e-12);
    assert_eq!(signed_rank(&[]), 0.0);
}
