//! The reasons for which records are lost.

/// Why a payload, or a record, was not kept. The word of each is a metric label and the
/// reason of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// The outbox was full when the request path offered a record.
    OutboxFull,
    /// The spool has reached its limit.
    SpoolFull,
    /// One payload is larger than the spool takes.
    TooLarge,
    /// The disk failed.
    SpoolFailed,
    /// It could not be encoded.
    Unencodable,
    /// Keeping it panicked: a fault of Weir.
    Panicked,
    /// The program stopped before its turn came.
    Stopped,
}

impl Lost {
    /// Every reason, for tables of metrics and tests.
    pub const ALL: [Self; 7] = [
        Self::OutboxFull,
        Self::SpoolFull,
        Self::TooLarge,
        Self::SpoolFailed,
        Self::Unencodable,
        Self::Panicked,
        Self::Stopped,
    ];

    /// The word used in labels and gaps.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutboxFull => "outbox_full",
            Self::SpoolFull => "spool_full",
            Self::TooLarge => "record_too_large",
            Self::SpoolFailed => "spool_failed",
            Self::Unencodable => "unencodable",
            Self::Panicked => "panicked",
            Self::Stopped => "stopped",
        }
    }
}
