//! Numbered blocks of an answer, as Responses (`output_index`) and Messages (`index`) send
//! them: filled in any order, read in the order of their numbers.

use std::collections::BTreeMap;

use super::{Choice, MAX_PARTS, ToolCall};

/// One block: what of it was said so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) refusal: String,
    pub(super) reasoning: String,
    /// Told instead of the reasoning, by models that keep it to themselves.
    pub(super) summary: String,
    pub(super) call: Option<ToolCall>,
    /// It is of a kind that nobody here reads.
    pub(super) unknown: bool,
    /// Since it was last looked at, all of it was said again.
    pub(super) whole: bool,
    /// And it does not begin with what had been said before.
    pub(super) rewritten: bool,
}

impl Piece {
    /// Whether a final form says something else than what came before it.
    fn says_otherwise(&self, last: &Self) -> bool {
        let differs = |before: &str, last: &str| !before.is_empty() && before != last;
        let calls = self.call.as_ref().zip(last.call.as_ref());
        differs(&self.text, &last.text)
            || differs(&self.refusal, &last.refusal)
            || calls.is_some_and(|(before, last)| differs(&before.arguments, &last.arguments))
    }
}

/// The blocks by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    by_number: BTreeMap<usize, Piece>,
    /// Ids of blocks in order of arrival, for streams that do not number them.
    ids: Vec<String>,
    /// Something that was said is not here.
    partial: bool,
}

impl Piece {
    fn arguments(&self) -> &str {
        self.call.as_ref().map_or("", |call| &call.arguments)
    }

    fn continues(&self, before: &Self) -> bool {
        self.text.starts_with(&before.text)
            && self.refusal.starts_with(&before.refusal)
            && self.reasoning.starts_with(&before.reasoning)
            && self.summary.starts_with(&before.summary)
            && self.arguments().starts_with(before.arguments())
    }
}

impl Pieces {
    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// The blocks in the order of their numbers.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&usize, &mut Piece)> {
        self.by_number.iter_mut()
    }

    /// The block of that number; none once too many are held.
    pub(super) fn at(&mut self, number: usize) -> Option<&mut Piece> {
        if self.by_number.len() >= MAX_PARTS && !self.by_number.contains_key(&number) {
            self.partial = true;
            return None;
        }
        Some(self.by_number.entry(number).or_default())
    }

    /// The number of the block with that id: as many as came before it.
    pub(super) fn number_of(&mut self, id: &str) -> usize {
        if let Some(known) = self.ids.iter().position(|held| held == id) {
            return known;
        }
        if self.ids.len() < MAX_PARTS {
            self.ids.push(id.to_owned());
        }
        self.ids.len() - 1
    }

    /// Replaces a block by its final form.
    pub(super) fn set(&mut self, number: usize, piece: Piece) {
        let Some(slot) = self.at(number) else { return };
        let (replaces, unknown) = (slot.says_otherwise(&piece), piece.unknown);
        let before = std::mem::replace(slot, piece);
        slot.whole = true;
        slot.rewritten = before.rewritten || !slot.continues(&before);
        self.partial |= replaces || unknown;
    }

    /// Replaces all blocks by their final forms.
    pub(super) fn set_all(&mut self, pieces: impl Iterator<Item = Piece>) {
        let before = std::mem::take(&mut self.by_number);
        pieces.enumerate().for_each(|(number, piece)| self.set(number, piece));
        // Numbers may differ where an engine does not number its deltas: compared in order.
        let says = |pieces: &BTreeMap<usize, Piece>| -> String { pieces.values().map(|p| p.text.as_str()).collect() };
        let said = says(&before);
        self.partial |= !said.is_empty() && said != says(&self.by_number);
    }

    /// Whether something that was said is not here.
    pub(super) fn is_partial(&self) -> bool {
        self.partial
    }

    pub(super) fn has_token(&self) -> bool {
        self.by_number.values().any(|p| {
            let texts = [&p.text, &p.refusal, &p.reasoning, &p.summary];
            p.call.is_some() || texts.iter().any(|text| !text.is_empty())
        })
    }

    /// Appends everything to a choice.
    pub(super) fn into_choice(self, choice: &mut Choice) {
        for piece in self.by_number.into_values() {
            choice.text.push_str(&piece.text);
            choice.refusal.push_str(&piece.refusal);
            choice.reasoning.push_str(if piece.reasoning.is_empty() { &piece.summary } else { &piece.reasoning });
            choice.tool_calls.extend(piece.call);
        }
    }
}
