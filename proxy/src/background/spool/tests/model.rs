//! Random use of a spool against a model that keeps everything in a map.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Flush,
    Read {
        records: usize,
        bytes: usize,
    },
    Acknowledge,
    /// The process dies; so much of the buffer reached the disk.
    Crash {
        written: u64,
    },
    /// A bit of a segment turns.
    Flip {
        segment: prop::sample::Index,
        bit: prop::sample::Index,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_usize..=210).prop_map(Step::Append),
        5 => Just(Step::Flush),
        4 => (1_usize..=6, 1_usize..=600).prop_map(|(records, bytes)| Step::Read { records, bytes }),
        3 => Just(Step::Acknowledge),
        2 => (0_u64..=700).prop_map(|written| Step::Crash { written }),
        1 => any::<(prop::sample::Index, prop::sample::Index)>()
            .prop_map(|(segment, bit)| Step::Flip { segment, bit }),
    ]
}

struct World {
    directory: tempfile::TempDir,
    disk: Arc<Faulty>,
    spool: Option<Spool>,
    model: Model,
}

#[derive(Default)]
struct Model {
    /// Flushed: must be delivered, unless their segment was hit.
    flushed: BTreeMap<u64, Vec<u8>>,
    /// In memory only.
    pending: BTreeMap<u64, Vec<u8>>,
    /// Died in memory or within a write: may or may not come back.
    maybe: BTreeMap<u64, Vec<u8>>,
    acknowledged: u64,
    out: Option<Batch>,
    /// First numbers of all segments ever seen, and of those that were hit.
    begun: BTreeSet<u64>,
    hit: BTreeSet<u64>,
    /// Makes every payload different from all others.
    appended: u64,
}

impl Model {
    fn is_excused(&self, seq: u64) -> bool {
        self.begun.range(..=seq).next_back().is_some_and(|first| self.hit.contains(first))
    }

    fn append(&mut self, seq: u64, payload: Vec<u8>) {
        // Numbers behind the damaged end of a segment may be used again, as nobody saw them.
        for gone in self.flushed.split_off(&seq).into_keys() {
            assert!(self.is_excused(gone), "{gone} was flushed and its number is used again");
        }
        self.maybe.split_off(&seq);
        assert!(seq > self.acknowledged && self.out.as_ref().is_none_or(|batch| seq > batch.last_seq.0));
        self.pending.insert(seq, payload);
    }

    fn check(&mut self, batch: Option<Batch>) {
        let Some(batch) = batch else {
            let owed = self.flushed.range(self.acknowledged + 1..).find(|(seq, _)| !self.is_excused(**seq));
            assert_eq!((owed, &self.out), (None, &None), "the spool says that it is empty");
            return;
        };
        assert_eq!(batch.first_seq.0, self.acknowledged + 1, "neither twice nor out of order");
        if let Some(out) = &self.out {
            assert_eq!((&batch.token, batch.last_seq), (&out.token, out.last_seq), "delivered again as it was");
            let hit = (out.first_seq.0..=out.last_seq.0).any(|seq| self.is_excused(seq));
            assert!(hit || batch == *out, "{batch:?} is not {out:?}");
        }
        let mut seen = BTreeSet::new();
        for (seq, payload) in &batch.records {
            let known = self.flushed.get(&seq.0).or_else(|| self.maybe.get(&seq.0));
            assert_eq!(known.map(|known| &known[..]), Some(&payload[..]), "record {seq}");
            assert!(seen.last().is_none_or(|last| *last < seq.0) && seen.insert(seq.0));
        }
        for damage in &batch.damage {
            assert_eq!(damage.lost, damage.to_seq.0 - damage.from_seq.0 + 1);
            for seq in damage.from_seq.0..=damage.to_seq.0 {
                assert!(seen.insert(seq), "{seq} is both here and lost");
                assert!(!self.flushed.contains_key(&seq) || self.is_excused(seq), "{seq} was flushed and is lost");
            }
        }
        let whole = seen.len() as u64 == batch.last_seq.0 - batch.first_seq.0 + 1;
        assert!(whole && seen.first() == Some(&batch.first_seq.0), "{batch:?} has a hole");
        self.out = Some(batch);
    }
}

impl World {
    fn new() -> Self {
        let (directory, disk) = (place(), Arc::new(Faulty::default()));
        let spool = Some(open_on(small(directory.path()), disk.clone()));
        Self { directory, disk, spool, model: Model::default() }
    }

    fn spool(&mut self) -> &mut Spool {
        self.spool.as_mut().unwrap()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Append(size) => self.append(size),
            Step::Flush => self.flush(),
            Step::Read { records, bytes } => {
                let limits = Limits { records, bytes, wait: Duration::ZERO };
                let batch = self.spool().reader.core().read(limits).unwrap();
                self.model.check(batch);
            }
            Step::Acknowledge => self.acknowledge(),
            Step::Crash { written } => self.crash(written),
            Step::Flip { segment, bit } => self.flip(segment, bit),
        }
        let held = bytes_on_disk(self.directory.path());
        assert!(held <= small(self.directory.path()).max_bytes.0, "{held} bytes on disk");
        let begun = segments(self.directory.path()).into_iter().map(|path| first_of(&path));
        self.model.begun.extend(begun);
    }

    fn append(&mut self, size: usize) {
        self.model.appended += 1;
        let mut payload = self.model.appended.to_le_bytes().to_vec();
        payload.resize(size.max(8), b'.');
        let before = self.spool().writer.pending();
        let result = self.spool().writer.append(&payload);
        let pending = self.spool().writer.pending();
        if pending < before + u64::from(result.is_ok()) {
            self.model.flushed.append(&mut self.model.pending);
        }
        if let Ok(taken) = result {
            self.model.append(taken.0.0, payload);
        }
    }

    fn flush(&mut self) {
        let done = self.spool().writer.flush().unwrap();
        assert_eq!(done.records, self.model.pending.len() as u64);
        self.model.flushed.append(&mut self.model.pending);
    }

    fn acknowledge(&mut self) {
        // A batch can be acknowledged only by who has read it, after a crash too.
        let Some(last) = self.model.out.as_ref().map(|batch| batch.last_seq) else { return };
        if self.spool().reader.core().acknowledge(last).is_ok() {
            self.model.acknowledged = last.0;
            self.model.out = None;
        }
    }

    fn crash(&mut self, written: u64) {
        self.disk.room.store(written, Ordering::Relaxed);
        self.disk.truncate_fails.store(true, Ordering::Relaxed);
        // Writes as much as there is room for and cannot cut it off.
        let whole = self.spool().writer.flush().is_ok();
        self.spool = None;
        let model = &mut self.model;
        if whole {
            model.flushed.append(&mut model.pending)
        } else {
            model.maybe.append(&mut model.pending)
        }
        self.disk = Arc::new(Faulty::default());
        self.spool = Some(open_on(small(self.directory.path()), self.disk.clone()));
    }

    fn flip(&mut self, segment: prop::sample::Index, bit: prop::sample::Index) {
        let found = segments(self.directory.path());
        if found.is_empty() {
            return;
        }
        let path = &found[segment.index(found.len())];
        let mut bytes = std::fs::read(path).unwrap();
        if bytes.is_empty() {
            return;
        }
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(path, bytes).unwrap();
        self.model.begun.insert(first_of(path));
        self.model.hit.insert(first_of(path));
    }

    /// A last restart, and then everything that is owed.
    fn settle(mut self) {
        self.crash(0);
        loop {
            self.take(Step::Read { records: 3, bytes: 400 });
            if self.model.out.is_none() {
                return;
            }
            self.acknowledge();
        }
    }
}

fn first_of(path: &Path) -> u64 {
    path.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_flushed_is_lost_doubled_or_reordered(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.settle();
    }
}
