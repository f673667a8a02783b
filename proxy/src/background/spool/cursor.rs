//! The reader's place, on disk: who the spool is, what is acknowledged, which batch is out.
//!
//! Two slots in one small file, written in turn and forced to the disk each time: a write
//! that is cut off leaves the other slot, and that is the state before it. Cheaper than a
//! new file and a rename (one pwrite and one fdatasync of one page), as it is paid twice a batch.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::format::Seq;

const MAGIC: &[u8; 8] = b"weircurs";
const SLOT_BYTES: usize = 64;
/// Slots lie in different sectors, so that no single torn sector takes both.
const SLOT_DISTANCE: u64 = 4096;

/// What the cursor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Random identity of this spool, part of every batch's token. It lives here, so that
    /// whoever loses the cursor, and with it the numbers used so far, gets a new identity.
    pub(super) instance: [u8; 16],
    /// Everything up to here has left the spool.
    pub(super) acknowledged: Seq,
    /// First and last number of the batch that was handed out and is not acknowledged.
    pub(super) in_flight: Option<(Seq, Seq)>,
}

#[derive(Debug)]
pub(super) struct Cursor {
    file: File,
    generation: u64,
    state: State,
}

impl Cursor {
    /// Opens the cursor in a directory. A missing or unreadable one begins at `start` with a new identity.
    pub(super) fn open(directory: &Path, start: Seq) -> io::Result<Self> {
        let path = directory.join("cursor");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let newest = [0, SLOT_DISTANCE].into_iter().filter_map(|at| read_slot(&file, at)).max_by_key(|slot| slot.0);
        if let Some((generation, state)) = newest {
            return Ok(Self { file, generation, state });
        }
        // Takes the room of both slots now: on a full disk the reader must be able to go on,
        // as nothing else gives space back.
        file.write_all_at(&[0; 2 * SLOT_DISTANCE as usize], 0)?;
        let mut instance = [0; 16];
        getrandom::fill(&mut instance).map_err(io::Error::other)?;
        let state = State { instance, acknowledged: start, in_flight: None };
        let mut cursor = Self { file, generation: 0, state };
        cursor.store(state)?;
        File::open(directory)?.sync_all()?;
        Ok(cursor)
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Persists a state. After an error the old state holds, here and on disk.
    pub(super) fn store(&mut self, state: State) -> io::Result<()> {
        let generation = self.generation + 1;
        self.file.write_all_at(&encode(generation, state), (generation % 2) * SLOT_DISTANCE)?;
        self.file.sync_data()?;
        (self.generation, self.state) = (generation, state);
        Ok(())
    }
}

fn encode(generation: u64, state: State) -> [u8; SLOT_BYTES] {
    let (first, last) = state.in_flight.unwrap_or((Seq(0), Seq(0)));
    let mut slot = Vec::with_capacity(SLOT_BYTES);
    slot.extend_from_slice(MAGIC);
    slot.extend_from_slice(&generation.to_le_bytes());
    slot.extend_from_slice(&state.instance);
    for seq in [state.acknowledged, first, last] {
        slot.extend_from_slice(&seq.0.to_le_bytes());
    }
    let checksum = crc32fast::hash(&slot);
    slot.extend_from_slice(&checksum.to_le_bytes());
    let mut padded = [0; SLOT_BYTES];
    padded[..slot.len()].copy_from_slice(&slot);
    padded
}

fn read_slot(file: &File, at: u64) -> Option<(u64, State)> {
    let mut slot = [0; SLOT_BYTES];
    file.read_exact_at(&mut slot, at).ok()?;
    let number = |at: usize| slot[at..].first_chunk::<8>().map(|field| u64::from_le_bytes(*field));
    let checksum = slot[56..].first_chunk::<4>().map(|field| u32::from_le_bytes(*field))?;
    if &slot[..8] != MAGIC || crc32fast::hash(&slot[..56]) != checksum {
        return None;
    }
    let (first, last) = (number(40)?, number(48)?);
    let in_flight = (first > 0 && first <= last).then_some((Seq(first), Seq(last)));
    let instance = *slot[16..].first_chunk::<16>()?;
    Some((number(8)?, State { instance, acknowledged: Seq(number(32)?), in_flight }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_write_leaves_the_state_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut cursor = Cursor::open(directory.path(), Seq(0)).unwrap();
        let before = State { acknowledged: Seq(4), in_flight: Some((Seq(5), Seq(9))), ..cursor.state() };
        cursor.store(before).unwrap();
        let after = State { acknowledged: Seq(9), in_flight: None, ..before };
        cursor.store(after).unwrap();
        let newest = (cursor.generation % 2) * SLOT_DISTANCE;
        assert_eq!(Cursor::open(directory.path(), Seq(0)).unwrap().state(), after);

        cursor.file.write_all_at(b"torn", newest + 20).unwrap();
        assert_eq!(Cursor::open(directory.path(), Seq(0)).unwrap().state(), before);
    }

    #[test]
    fn a_lost_cursor_means_a_new_identity() {
        let directory = tempfile::tempdir().unwrap();
        let first = Cursor::open(directory.path(), Seq(0)).unwrap().state();
        std::fs::write(directory.path().join("cursor"), b"?").unwrap();
        let second = Cursor::open(directory.path(), Seq(41)).unwrap().state();
        assert_ne!(first.instance, second.instance);
        assert_eq!(second.acknowledged, Seq(41));
    }
}
