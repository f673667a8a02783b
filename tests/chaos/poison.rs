//! The spool's files are damaged while Weir is stopped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::Engine;
use harness::weir::Setup;
use weir::background::spool::{RECORD_HEADER_BYTES, scan};

use crate::alone;
use crate::books::{drained, gated_store};
use crate::load::{Load, Pace, fast_answer};

const WORDY: Pace = Pace { clients: 8, pause: Duration::from_millis(2), prompt_bytes: 3000 };
const SPOOL: &str = "spool = { max_record_bytes = \"64KiB\", segment_bytes = \"128KiB\", buffer_bytes = \"16KiB\" }";

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_spool_becomes_gaps_and_the_rest_arrives() {
    let _alone = alone().await;
    let (mut gate, url, books) = gated_store();
    let engine = Engine::start(fast_answer()).await;
    let config = format!("{SPOOL}\n[engines.scripted]\nreplicas = [\"{}\"]\n", engine.url());
    let mut weir = Setup::config(config).variable("CLICKHOUSE_URL", &url).start().await;
    let load = Load::start(weir.data, WORDY);
    load.more(500).await;
    let answered = load.stop().await;
    assert!(weir.terminate().await.success());
    let expected = damage(&weir.data_folder().join("spool"));

    let mut weir = weir.start_again().await;
    gate.open();
    drained(&weir).await;
    assert!(weir.terminate().await.success());
    let found = books.texts("SELECT concat(reason, ' ', toString(sum(lost))) FROM gaps FINAL GROUP BY reason").await;
    let found: BTreeMap<&str, u64> = found.iter().map(|line| line.split_once(' ').unwrap()).map(number).collect();
    let stored = books.ids().await.len() as u64;
    println!("{} answered, {stored} stored, gaps {found:?}", answered.len());
    assert_eq!(found, expected);
    assert_eq!(stored + expected.values().sum::<u64>(), answered.len() as u64);
    let aside = fs::read_dir(weir.data_folder().join("sink/rejected")).unwrap().count();
    assert_eq!(aside, 1, "the record that nobody understands is set aside");
}

fn number<'a>((reason, lost): (&'a str, &'a str)) -> (&'a str, u64) {
    (reason, lost.parse().unwrap())
}

/// Damages five segments in five ways; gives what is lost by each reason. The first ones,
/// which may hold events of the service, are left alone.
fn damage(spool: &Path) -> BTreeMap<&'static str, u64> {
    let mut segments: Vec<PathBuf> = fs::read_dir(spool).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "spool"));
    segments.sort();
    assert!(segments.len() >= 12, "{} segments", segments.len());
    let records = |path: &Path| scan(&fs::read(path).unwrap()).records;
    let (flipped, headless, missing, foreign) = (&segments[2], &segments[4], &segments[6], &segments[8]);
    let torn = segments.last().unwrap();

    let spans = records(flipped);
    edit(flipped, |bytes| bytes[spans[5].payload.start + 7] ^= 0x10);
    let mut corrupt = spans.len() as u64 - 5;
    corrupt += records(headless).len() as u64;
    edit(headless, |bytes| bytes[..16].fill(0xff));
    let gone = records(missing).len() as u64;
    fs::remove_file(missing).unwrap();
    let span = records(foreign)[3].payload.clone();
    edit(foreign, |bytes| {
        bytes[span.clone()].fill(0xc1);
        // A checksum that fits: what is wrong is the content (0xc1 is never used in MessagePack).
        let checksum = crc32fast::hash(&bytes[span.start - 8..span.end]);
        let at = span.start - RECORD_HEADER_BYTES + 4;
        bytes[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
    });
    edit(torn, |bytes| bytes.truncate(bytes.len() - 10));
    BTreeMap::from([("corrupt", corrupt), ("missing", gone), ("rejected", 1), ("torn_tail", 1)])
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}
