//! The spool has no room: by its own limit, or because the disk is full.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use harness::wait::{PATIENCE, until_asked};
use harness::weir::Setup;
use harness::{Engine, Weir};

use crate::alone;
use crate::books::{Books, drained, gated_store};
use crate::gate::Gate;
use crate::load::{Answered, Load, Pace, fast_answer, latency};

const WORDY: Pace = Pace { clients: 8, pause: Duration::from_millis(8), prompt_bytes: 4000 };
/// As small as the limits may be, so that little load fills them.
const SMALL: &str = "spool = { max_record_bytes = \"64KiB\", segment_bytes = \"128KiB\", max_bytes = \"1MiB\", \
                     buffer_bytes = \"64KiB\", min_free_bytes = 0 }";
/// The disk ends before the spool does.
const ENDLESS: &str = "spool = { max_record_bytes = \"64KiB\", segment_bytes = \"128KiB\", buffer_bytes = \"64KiB\", \
                       min_free_bytes = 0 }";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_refuses_counts_and_tells_the_gap_when_the_store_is_back() {
    let _alone = alone().await;
    let (gate, url, books) = gated_store();
    let engine = Engine::start(fast_answer()).await;
    let config = format!("{SMALL}\n[engines.scripted]\nreplicas = [\"{}\"]\n", engine.url());
    let weir = Setup::config(config).variable("CLICKHOUSE_URL", &url).start().await;
    fill_and_recover(weir, gate, &books, "a full spool").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_records_but_no_answers_and_is_over_when_space_returns() {
    let _alone = alone().await;
    // Removes what the inner one cannot, because the disk is still mounted in it.
    let outer = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir_in(outer.path()).unwrap();
    let Some(_disk) = SmallDisk::mount(folder.path().join("data")) else { return };
    let (gate, url, books) = gated_store();
    let engine = Engine::start(fast_answer()).await;
    let config = format!("{ENDLESS}\n[engines.scripted]\nreplicas = [\"{}\"]\n", engine.url());
    let weir = Setup::config(config).variable("CLICKHOUSE_URL", &url).start_in(folder).await;
    fill_and_recover(weir, gate, &books, "a full disk").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_with_a_full_spool_does_not_forget_what_was_lost() {
    let _alone = alone().await;
    let (mut gate, url, books) = gated_store();
    let engine = Engine::start(fast_answer()).await;
    let config = format!("{SMALL}\n[engines.scripted]\nreplicas = [\"{}\"]\n", engine.url());
    let mut weir = Setup::config(config).variable("CLICKHOUSE_URL", &url).start().await;
    let load = Load::start(weir.data, WORDY);
    until_lost(&weir, 50.0).await;
    assert!(weir.terminate().await.success());
    let answered = load.stop().await;
    gate.open();
    let mut weir = weir.start_again().await;
    drained(&weir).await;
    assert!(weir.terminate().await.success());
    let (stored, lost) = (books.ids().await.len(), books.lost("spool_full").await as usize);
    println!("{} answered = {stored} stored + {lost} lost, over a stop with a full spool", answered.len());
    assert_eq!(stored + lost, answered.len());
}

/// Without a store until records are lost, then with one: everything answered is either
/// stored or counted in a gap.
async fn fill_and_recover(mut weir: Weir, mut gate: Gate, books: &Books, what: &str) {
    let load = Load::start(weir.data, WORDY);
    let began = Instant::now();
    until_lost(&weir, 0.0).await;
    let filling = (began, Instant::now());
    let began = Instant::now();
    load.more(600).await;
    let full = (began, Instant::now());
    let lost = weir.metric("weir_recorder_lost_total", &["reason=\"spool_full\""]).await.unwrap();
    let lines = weir.said().lines().count();
    assert!(lost >= 100.0, "{lost}");
    assert!(lines < 200, "Weir wrote {lines} lines about it");
    gate.open();
    until_asked("the spool has room again", PATIENCE, async || {
        let metrics = weir.metrics().await;
        let ready = harness::weir::sum_of(&metrics, "weir_store_ready", &[]) == Some(1.0);
        let waiting = harness::weir::sum_of(&metrics, "weir_spool_records", &[]).unwrap_or(0.0);
        (ready && waiting < 100.0).then_some(())
    })
    .await;
    load.more(200).await;
    let answered: Vec<Answered> = load.stop().await;
    assert!(answered.iter().all(|answer| answer.status == 200));
    until_asked("the gaps are told", PATIENCE, async || {
        drained(&weir).await;
        let counted = weir.metric("weir_recorder_lost_total", &["reason=\"spool_full\""]).await?;
        (books.lost("spool_full").await == counted as u64).then_some(())
    })
    .await;
    assert!(weir.terminate().await.success());
    let (stored, gaps) = (books.ids().await.len() as u64, books.lost("spool_full").await);
    let rows = books.number("SELECT count() FROM gaps FINAL").await;
    println!("{what}: {} answered = {stored} stored + {gaps} lost in {rows} gaps; {lines} log lines", answered.len());
    assert_eq!(stored + gaps, answered.len() as u64);
    latency(&answered, &[full]).assert_unmoved(latency(&answered, &[filling]), what);
}

async fn until_lost(weir: &Weir, records: f64) {
    until_asked("records are lost", 3 * PATIENCE, async || {
        weir.metric("weir_recorder_lost_total", &["reason=\"spool_full\""]).await.filter(|lost| *lost > records)
    })
    .await;
}

/// A file system of a few MiB in memory (tmpfs(5)).
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this process may not mount, which only root may not be told.
    fn mount(place: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&place).unwrap();
        let mounted = run("mount", &["-t", "tmpfs", "-o", "size=3m,mode=700", "none"], &place);
        if !mounted {
            let id = Command::new("id").arg("-u").output().unwrap().stdout;
            assert_ne!(String::from_utf8_lossy(&id).trim(), "0", "root may mount a tmpfs");
            println!("not run: only root may mount a small disk");
            return None;
        }
        Some(Self(place))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a Weir that is being killed may still hold its files.
        run("umount", &["-l"], &self.0);
    }
}

fn run(program: &str, arguments: &[&str], place: &Path) -> bool {
    Command::new(program).args(arguments).arg(place).status().is_ok_and(|status| status.success())
}
