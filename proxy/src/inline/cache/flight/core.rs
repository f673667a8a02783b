//! What a flight knows, under its lock: where its source stands, what came of it, and how far
//! each participant has read.

use bytes::Bytes;
use http::StatusCode;
use http::response::Parts;

use super::source::{Asked, Generated, Progress, Source};
use super::tape::{Reader, Tape};
use crate::exchange::{Error, ExchangeId, Kind};

pub(super) struct Core<B> {
    /// None while somebody polls it, and after the end.
    pub(super) source: Option<Box<Source<B>>>,
    pub(super) asked: Option<Asked>,
    pub(super) head: Option<Parts>,
    pub(super) tape: Tape,
    pub(super) ended: Option<Result<(), Error>>,
    pub(super) joinable: bool,
    /// Whether it is known what becomes of the answer.
    pub(super) decided: bool,
    /// Who answers for what the engine does.
    pub(super) bill: Bill,
    /// The exchanges that took part, the one that began it first, as many as are remembered.
    pub(super) exchanges: Vec<ExchangeId>,
    /// By seat; none where it is free.
    pub(super) readers: Vec<Option<Reader>>,
    pub(super) present: usize,
}

/// Which exchange answers for the engine's work, so that it is counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bill {
    /// The one that began the generation.
    Leader,
    /// That one left before the end: the first other one that asks.
    Open,
    /// One that asked.
    Taken,
}

/// What is left to do when the lock is free again.
#[must_use]
pub(super) struct After<B> {
    pub(super) ring: bool,
    pub(super) leave: bool,
    pub(super) _spent: Option<Box<Source<B>>>,
}

impl<B> Core<B> {
    /// The head of the answer, or the failure before it.
    pub(super) fn head(&self) -> Option<Result<Parts, Error>> {
        match (&self.head, &self.ended) {
            (Some(head), _) => Some(Ok(head.clone())),
            (None, Some(Err(error))) => Some(Err(error.clone())),
            (None, _) => None,
        }
    }

    /// The next piece for a seat; an inner none at the end.
    pub(super) fn piece(&mut self, seat: usize) -> Option<Option<Result<Bytes, Error>>> {
        let reader = self.readers[seat].as_mut()?;
        if reader.cut {
            let message = "the answer was read too slowly to be kept while others went on; read faster or ask again";
            return Some(Some(Err(Error::new(Kind::SlowReader, message))));
        }
        if let Some(piece) = self.tape.after(reader.at) {
            reader.at += piece.len() as u64;
            return Some(Some(Ok(piece)));
        }
        self.ended.clone().map(|ended| ended.err().map(Err))
    }

    /// The whole answer; an inner none where it was not kept.
    pub(super) fn whole(&self) -> Option<Result<Option<Bytes>, Error>> {
        match &self.ended {
            Some(Err(error)) => Some(Err(error.clone())),
            _ if !self.tape.is_whole() => Some(Ok(None)),
            Some(Ok(())) => Some(Ok(self.tape.all())),
            None => None,
        }
    }

    /// Whether a seat was given everything.
    pub(super) fn is_spent(&self, seat: usize) -> bool {
        let reader = self.readers[seat].unwrap_or_default();
        matches!(self.ended, Some(Ok(()))) && !reader.cut && reader.at == self.tape.end()
    }

    /// Ends the flight. One that failed cannot be joined.
    pub(super) fn end(&mut self, ended: Result<(), Error>) -> After<B> {
        let leave = ended.is_err() && self.detach();
        if ended.is_ok() {
            self.tape.join_up();
        }
        self.ended = Some(ended);
        After { ring: true, leave, _spent: self.source.take() }
    }

    /// Lets nobody join any more; whether somebody could.
    pub(super) fn detach(&mut self) -> bool {
        std::mem::replace(&mut self.joinable, false)
    }
}

impl<B: Generated> Core<B> {
    pub(super) fn settle(&mut self, progress: Progress<B>) -> After<B> {
        match progress {
            Progress::Asked(record, begun) => {
                self.asked = Some(Asked::of(*record));
                match begun {
                    Ok((head, body)) => self.begin(head, body),
                    Err(error) => self.end(Err(error)),
                }
            }
            Progress::Piece { data, is_last } => {
                self.tape.push(data, self.readers.iter_mut().flatten());
                let leave = !self.tape.is_whole() && self.detach();
                let end = if is_last { self.end(Ok(())) } else { self.go_on() };
                After { leave: end.leave || leave, ..end }
            }
            Progress::End(ended) => self.end(ended),
        }
    }

    fn begin(&mut self, head: Parts, body: B) -> After<B> {
        body.size_hint().exact().iter().for_each(|bytes| self.tape.expect(*bytes));
        let leave = (head.status != StatusCode::OK || !self.tape.is_whole()) && self.detach();
        self.head = Some(head);
        let end = match body.is_end_stream() {
            true => self.end(Ok(())),
            false => {
                let asking = self.source.replace(Box::new(Source::Flowing(body)));
                After { _spent: asking, ..self.go_on() }
            }
        };
        After { leave: end.leave || leave, ..end }
    }

    fn go_on(&self) -> After<B> {
        After { ring: self.present > 1, leave: false, _spent: None }
    }
}
