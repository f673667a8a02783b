//! The spool on a disk that is full, short or failing.

use std::os::unix::fs::FileExt;

use super::super::{AppendError, Cause, Reason};
use super::*;

fn refusal(result: Result<super::super::Pending, AppendError>) -> Reason {
    result.map(|pending| pending.0).unwrap_err().reason()
}

#[test]
fn a_full_disk_takes_nothing_back_and_the_spool_heals_when_space_returns() {
    let (directory, disk) = (place(), Arc::new(Faulty::default()));
    let mut spool = open_on(small(directory.path()), disk.clone());
    fill(&mut spool, 1..=2);
    let flushed = bytes_on_disk(directory.path());

    disk.room.store(150, Ordering::Relaxed);
    for n in 3..=4 {
        let _ = spool.writer.append(&payload(n)).unwrap();
    }
    let fault = spool.writer.flush().unwrap_err();
    assert_eq!((fault.pending, fault.source.reason()), (2, Reason::NoSpace));
    assert_eq!(bytes_on_disk(directory.path()), flushed, "the half written record is cut off");
    assert_eq!(spool.reader.waiting_records(), 2, "nothing unflushed is announced");

    disk.room.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(spool.writer.flush().unwrap().records, 2);
    assert_eq!(drain(&spool.reader), (numbered(1..=4), vec![]));
}

#[test]
fn while_the_disk_is_full_the_buffer_stays_within_its_limit() {
    let (directory, disk) = (place(), Arc::new(Faulty::default()));
    let mut spool = open_on(small(directory.path()), disk.clone());
    disk.room.store(0, Ordering::Relaxed);
    let taken = (1..=100).take_while(|n| spool.writer.append(&payload(*n)).is_ok()).count() as u64;
    assert!((1..=8).contains(&taken), "{taken} records of 116 bytes do not fit a buffer or segment");
    assert_eq!(refusal(spool.writer.append(&payload(0))), Reason::NoSpace);
    assert_eq!(spool.writer.pending(), taken);

    disk.room.store(u64::MAX, Ordering::Relaxed);
    spool.writer.flush().unwrap();
    assert_eq!(drain(&spool.reader), (numbered(1..=taken), vec![]));
}

#[test]
fn short_writes_are_carried_on() {
    let (directory, disk) = (place(), Arc::new(Faulty::default()));
    disk.longest_write.store(7, Ordering::Relaxed);
    let mut spool = open_on(small(directory.path()), disk);
    fill(&mut spool, 1..=9);
    assert_eq!(drain(&spool.reader), (numbered(1..=9), vec![]));
}

#[test]
fn what_could_not_be_cut_off_is_cut_off_before_the_next_write() {
    let (directory, disk) = (place(), Arc::new(Faulty::default()));
    let mut spool = open_on(small(directory.path()), disk.clone());
    fill(&mut spool, 1..=1);
    disk.room.store(50, Ordering::Relaxed);
    disk.truncate_fails.store(true, Ordering::Relaxed);
    let _ = spool.writer.append(&payload(2)).unwrap();
    spool.writer.flush().unwrap_err();
    disk.room.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(spool.writer.flush().unwrap_err().source.reason(), Reason::Io, "still not cut off");
    disk.truncate_fails.store(false, Ordering::Relaxed);
    spool.writer.flush().unwrap();
    fill(&mut spool, 3..=3);
    assert_eq!(drain(&spool.reader), (numbered(1..=3), vec![]));
}

#[test]
fn with_fsync_always_a_failed_fsync_acknowledges_nothing() {
    let (directory, disk) = (place(), Arc::new(Faulty::default()));
    let mut spool = open_on(Config { fsync: Fsync::Always, ..small(directory.path()) }, disk.clone());
    disk.sync_fails.store(true, Ordering::Relaxed);
    let _ = spool.writer.append(&payload(1)).unwrap();
    assert_eq!(spool.writer.flush().unwrap_err().source.reason(), Reason::Io);
    assert_eq!(bytes_on_disk(directory.path()), 0);
    disk.sync_fails.store(false, Ordering::Relaxed);
    spool.writer.flush().unwrap();
    assert_eq!(drain(&spool.reader), (numbered(1..=1), vec![]));
}

#[test]
fn below_the_floor_of_free_space_nothing_is_taken() {
    let (directory, disk) = (place(), Arc::new(Faulty::default()));
    let config = Config { min_free_bytes: ByteSize(1000), ..small(directory.path()) };
    disk.free.store(999, Ordering::Relaxed);
    let mut spool = open_on(config, disk.clone());
    assert_eq!(refusal(spool.writer.append(b"x")), Reason::LowSpace);
    disk.free.store(1000, Ordering::Relaxed);
    fill(&mut spool, 1..=1);
}

#[test]
fn a_full_spool_refuses_until_a_whole_segment_is_acknowledged() {
    let directory = place();
    let mut spool = open(small(directory.path()));
    let mut next = 1;
    while spool.writer.append(&payload(next)).is_ok() {
        spool.writer.flush().unwrap();
        next += 1;
    }
    assert_eq!(refusal(spool.writer.append(&payload(next))), Reason::Full);
    assert_eq!(refusal(spool.writer.append(&[0; 201])), Reason::TooLarge);
    assert!(bytes_on_disk(directory.path()) <= 2048);

    // A few records more, for what must be kept even then.
    let _ = spool.writer.append_reserved(&payload(next)).unwrap();
    spool.writer.flush().unwrap();
    next += 1;
    assert_eq!(refusal(spool.writer.append(&payload(next))), Reason::Full);

    let batch = read(&spool.reader, 4).unwrap().unwrap();
    spool.reader.core().acknowledge(batch.last_seq).unwrap();
    fill(&mut spool, next..=next);
    assert_eq!(drain(&spool.reader), (numbered(5..=next), vec![]));
    assert_eq!(segments(directory.path()).len(), 1, "the newest stays");
}

#[test]
fn a_directory_has_one_owner() {
    let directory = place();
    let spool = open(small(directory.path()));
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let second = super::super::open(small(directory.path()), metrics.clone());
    assert!(matches!(second, Err(Error::Locked(_))));
    drop(spool.writer);
    let third = super::super::open(small(directory.path()), metrics);
    assert!(matches!(third, Err(Error::Locked(_))), "the reader owns it too");
    drop(spool.reader);
    open(small(directory.path()));
}

/// Four records a segment: 1 to 4, 5 to 8, 9 to 12.
fn three_segments(directory: &Path) -> Spool {
    let mut spool = open(small(directory));
    fill(&mut spool, 1..=12);
    assert_eq!(segments(directory).len(), 3);
    spool
}

#[test]
fn damage_costs_the_rest_of_its_segment_and_is_reported_in_its_place() {
    type Spoil = fn(&Path);
    let table: [(Cause, u64, Spoil); 5] = [
        (Cause::Corrupt, 6, |path| {
            std::fs::File::options().write(true).open(path).unwrap().write_all_at(b"?", 170).unwrap()
        }),
        (Cause::Corrupt, 5, |path| {
            std::fs::File::options().write(true).open(path).unwrap().write_all_at(b"?", 3).unwrap()
        }),
        (Cause::TornTail, 8, |path| std::fs::File::options().write(true).open(path).unwrap().set_len(450).unwrap()),
        (Cause::Missing, 5, |path| std::fs::remove_file(path).unwrap()),
        (Cause::Unreadable, 5, |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        }),
    ];
    for (cause, from, spoil) in table {
        let directory = place();
        let spool = three_segments(directory.path());
        spoil(&segments(directory.path())[1]);
        let mut batch = read(&spool.reader, 100);
        for _ in 0..2 {
            batch = batch.or_else(|_| read(&spool.reader, 100));
        }
        let batch = batch.unwrap().unwrap();
        let found: Vec<_> = batch.damage.iter().map(|d| (d.cause, d.from_seq.0, d.to_seq.0, d.lost)).collect();
        assert_eq!(found, [(cause, from, 8, 9 - from)]);
        let seqs: Vec<u64> = batch.records.iter().map(|(seq, _)| seq.0).collect();
        assert_eq!(seqs, (1..from).chain(9..=12).collect::<Vec<_>>(), "{cause:?}");
    }
}

#[test]
fn damage_in_the_segment_that_is_written_to_does_not_stop_what_comes_after() {
    let directory = place();
    let mut spool = open(small(directory.path()));
    fill(&mut spool, 1..=2);
    let path = segments(directory.path()).remove(0);
    std::fs::File::options().write(true).open(path).unwrap().write_all_at(b"?", 60).unwrap();
    assert_eq!(drain(&spool.reader), (vec![], vec![1, 2]));
    fill(&mut spool, 3..=4);
    assert_eq!(drain(&spool.reader), (numbered(3..=4), vec![]));
}

#[test]
fn a_torn_tail_is_reported_once_however_often_the_spool_is_opened() {
    let directory = place();
    drop(three_segments(directory.path()));
    let newest = segments(directory.path()).pop().unwrap();
    std::fs::File::options().write(true).open(newest).unwrap().set_len(450).unwrap();
    for _ in 0..3 {
        let spool = open(small(directory.path()));
        assert_eq!((spool.recovery.torn_records, spool.recovery.waiting_records), (1, 12));
    }
    let mut spool = open(small(directory.path()));
    fill(&mut spool, 13..=13);
    drop(spool);
    let spool = open(small(directory.path()));
    assert_eq!(drain(&spool.reader), (numbered((1..=11).chain(13..=13)), vec![12]));
}

#[test]
fn numbers_that_were_handed_out_are_never_used_again() {
    let directory = place();
    let spool = three_segments(directory.path());
    let batch = read(&spool.reader, 100).unwrap().unwrap();
    drop(spool);
    for path in segments(directory.path()) {
        std::fs::remove_file(path).unwrap();
    }
    let mut spool = open(small(directory.path()));
    fill(&mut spool, 13..=13);
    let again = read(&spool.reader, 100).unwrap().unwrap();
    assert_eq!((again.token, again.records.len(), again.damage[0].lost), (batch.token, 0, 12));
    spool.reader.core().acknowledge(again.last_seq).unwrap();
    assert_eq!(drain(&spool.reader), (numbered(13..=13), vec![]));
}

#[test]
fn a_segment_of_a_newer_version_is_left_alone() {
    let directory = place();
    let mut head = b"weirspol\x02\0\0\0".to_vec();
    head.extend_from_slice(&[0; 8]);
    head.extend_from_slice(&1_u64.to_le_bytes());
    head.extend_from_slice(&crc32fast::hash(&head).to_le_bytes());
    let path = directory.path().join("00000000000000000001.spool");
    std::fs::write(&path, &head).unwrap();
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let result = super::super::open(small(directory.path()), metrics);
    assert!(matches!(result, Err(Error::Version { version: 2, .. })));
    assert_eq!(std::fs::read(path).unwrap(), head);
}

#[tokio::test]
async fn a_waiting_reader_gets_a_full_batch_without_waiting_to_the_end() {
    let directory = place();
    let Spool { mut writer, mut reader, .. } = open(small(directory.path()));
    let limits = Limits { records: 3, bytes: 1 << 20, wait: Duration::from_secs(3600) };
    let recorder = std::thread::spawn(move || {
        for n in 1..=3 {
            let _ = writer.append(&payload(n)).unwrap();
            writer.flush().unwrap();
        }
        writer
    });
    let batch = reader.next_batch(limits).await.unwrap().unwrap();
    assert_eq!((batch.first_seq, batch.last_seq), (Seq(1), Seq(3)));
    assert_eq!(reader.next_batch(limits).await.unwrap().unwrap(), batch, "it is still out");
    assert!(matches!(reader.acknowledge(Seq(2)).await, Err(ReadError::NotInFlight(Seq(2)))));
    reader.acknowledge(Seq(3)).await.unwrap();

    let mut writer = recorder.join().unwrap();
    let _ = writer.append(&payload(4)).unwrap();
    writer.flush().unwrap();
    drop(writer);
    let batch = reader.next_batch(limits).await.unwrap().unwrap();
    assert_eq!(batch.last_seq, Seq(4), "nothing more will come, so there is nothing to wait for");
    assert!(!reader.is_drained());
    reader.acknowledge(Seq(4)).await.unwrap();
    assert!(reader.is_drained());
    assert!(reader.next_batch(limits).await.unwrap().is_none());
}

#[test]
fn the_metrics_follow_the_disk() {
    let directory = place();
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let config = small(directory.path());
    let mut spool = opened(&config, Arc::new(Local), &metrics);
    fill(&mut spool, 1..=12);
    let _ = spool.writer.append(&[0; 201]).unwrap_err();
    let gauges = |metrics: &Metrics| (metrics.records.get(), metrics.segments.get(), metrics.bytes.get() as u64);
    assert_eq!(gauges(&metrics), (12, 3, bytes_on_disk(directory.path())));
    assert_eq!((metrics.flushed_records.get(), metrics.refused(Reason::TooLarge).get()), (12, 1));
    assert!(metrics.oldest.get() > 0);
    drop(spool);

    let reopened = Metrics::register(&prometheus::Registry::new()).unwrap();
    let spool = opened(&config, Arc::new(Local), &reopened);
    assert_eq!(gauges(&reopened), gauges(&metrics));
    std::fs::remove_file(&segments(directory.path())[1]).unwrap();
    drain(&spool.reader);
    assert_eq!(gauges(&reopened), (0, 1, bytes_on_disk(directory.path())));
    assert_eq!((reopened.acknowledged.get(), reopened.damaged.get(), reopened.oldest.get()), (12, 4, 0));
}
