//! What the cache did with an exchange: the words of records, metrics, headers and the console.
//!
//! Each closed set gives the word of a value for labels and columns. [`Admit`] is the port
//! by which the background tells the cache what it read in an answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::completion::Completion;
use super::{ExchangeId, Record};

/// What became of an exchange at the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Caching {
    /// Its route has no cache, or it did not come so far.
    #[default]
    Off,
    /// It was not looked up, for this cause.
    Bypass(Bypass),
    /// It was looked up, and the engine asked.
    Miss(Miss),
    /// It shared a generation that was running, or had just ended.
    Collapsed,
    /// It was answered from the cache.
    Hit,
}

/// Why an exchange was not looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bypass {
    /// Answers of this API are not kept.
    Api,
    /// The answer is drawn by lot: no `temperature` of 0, and no `seed`.
    Sampled,
    /// More than one choice is asked for.
    Choices,
    /// It refers to state that the engine keeps (`previous_response_id`, `background` ...).
    Stateful,
    /// The client said `no-store`.
    NoStore,
    /// The body cannot be told apart from others beyond doubt (a number past 2^53 with a fraction).
    Unclear,
    /// The request is larger than the cache takes.
    TooLarge,
}

/// Why an exchange that was looked up went to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Miss {
    /// No such entry.
    Absent,
    /// The client said `no-cache`.
    NoCache,
    /// There is an entry, older than the client takes.
    Stale,
    /// There is an entry, or a running generation, that cannot be given as asked for without
    /// inventing something, or that is too large to be shared.
    Form,
}

/// Why a finished answer did not enter the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejected {
    /// The status was not 200.
    Status,
    /// It broke off, or nobody stayed to its end.
    Unfinished,
    /// It was cut at its token limit, or told no reason for its end.
    Cut,
    /// The engine or the model refused to answer.
    Refused,
    /// A tool call's arguments are no JSON object.
    ToolCall,
    /// It says nothing.
    Empty,
    /// It is larger than the cache takes.
    TooLarge,
    /// It could not be read: an unknown shape or an encoded body.
    Unreadable,
    /// The engine said `no-store`, or that the answer varies by more than the key holds.
    Forbidden,
    /// Another engine answered than the one that was to be asked.
    OtherEngine,
    /// A critic or a policy did not pass it.
    Verdict,
    /// Its record was lost before anybody had read it.
    Undecided,
}

/// Why an entry left the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evicted {
    /// Its time was up.
    Expired,
    /// Others needed the room.
    Size,
    /// A newer answer took its place.
    Replaced,
    /// A person removed it.
    Person,
    /// A later verdict or review found it bad.
    Verdict,
    /// Its route or tenant was flushed.
    Flushed,
}

impl Caching {
    /// Every outcome with every reason, for tables of metrics and tests.
    pub fn all() -> impl Iterator<Item = Self> {
        let bypasses = Bypass::ALL.into_iter().map(Self::Bypass);
        let misses = Miss::ALL.into_iter().map(Self::Miss);
        [Self::Off, Self::Collapsed, Self::Hit].into_iter().chain(bypasses).chain(misses)
    }

    /// The word of the outcome.
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Bypass(_) => "bypass",
            Self::Miss(_) => "miss",
            Self::Collapsed => "collapsed",
            Self::Hit => "hit",
        }
    }

    /// The word of the reason; empty where the outcome says it all.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Off | Self::Collapsed | Self::Hit => "",
            Self::Bypass(cause) => cause.as_str(),
            Self::Miss(cause) => cause.as_str(),
        }
    }
}

impl Bypass {
    /// Every cause.
    pub const ALL: [Self; 7] =
        [Self::Api, Self::Sampled, Self::Choices, Self::Stateful, Self::NoStore, Self::Unclear, Self::TooLarge];

    /// The word used in labels, columns and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Sampled => "sampled",
            Self::Choices => "choices",
            Self::Stateful => "stateful",
            Self::NoStore => "no_store",
            Self::Unclear => "unclear",
            Self::TooLarge => "too_large",
        }
    }
}

impl Miss {
    /// Every cause.
    pub const ALL: [Self; 4] = [Self::Absent, Self::NoCache, Self::Stale, Self::Form];

    /// The word used in labels, columns and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::NoCache => "no_cache",
            Self::Stale => "stale",
            Self::Form => "form",
        }
    }
}

impl Rejected {
    /// Every cause.
    pub const ALL: [Self; 12] = [
        Self::Status,
        Self::Unfinished,
        Self::Cut,
        Self::Refused,
        Self::ToolCall,
        Self::Empty,
        Self::TooLarge,
        Self::Unreadable,
        Self::Forbidden,
        Self::OtherEngine,
        Self::Verdict,
        Self::Undecided,
    ];

    /// The word used in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Unfinished => "unfinished",
            Self::Cut => "cut",
            Self::Refused => "refused",
            Self::ToolCall => "tool_call",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
            Self::Forbidden => "forbidden",
            Self::OtherEngine => "other_engine",
            Self::Verdict => "verdict",
            Self::Undecided => "undecided",
        }
    }
}

impl Evicted {
    /// Every cause.
    pub const ALL: [Self; 6] = [Self::Expired, Self::Size, Self::Replaced, Self::Person, Self::Verdict, Self::Flushed];

    /// The word used in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Size => "size",
            Self::Replaced => "replaced",
            Self::Person => "person",
            Self::Verdict => "verdict",
            Self::Flushed => "flushed",
        }
    }
}

/// The cache's part of a record.
#[derive(Debug, Default)]
pub struct Cached {
    /// What it did.
    pub caching: Caching,
    /// The answer that was given again; none but for hits.
    pub hit: Option<Hit>,
    /// Headers of the engine's answer that are to be given again with it.
    pub headers: HeaderMap,
    /// Who waits for what the background reads in the answer; none where it will not be kept.
    pub ticket: Option<Arc<dyn Admit>>,
}

/// An answer that was given again.
#[derive(Clone, Debug)]
pub struct Hit {
    /// What is known of it.
    pub about: Arc<About>,
    /// Time since it was made.
    pub age: Duration,
}

/// What is known of an answer that is kept.
#[derive(Clone, Debug)]
pub struct About {
    /// The exchange that it was made for; its record has the text of both.
    pub source: ExchangeId,
    /// Model that answered.
    pub model: String,
    /// Finish reason of each choice.
    pub finish_reasons: Vec<String>,
    /// Prompt tokens that no engine has to read again.
    pub prompt_tokens: u32,
    /// Completion tokens that no engine has to make again.
    pub completion_tokens: u32,
    /// What the engine took for it.
    pub engine_time: Duration,
    /// The beginning of the last user message, redacted, to show to people; empty where not kept.
    pub prompt: String,
}

/// An answer to give again.
#[derive(Clone, Debug)]
pub struct Again {
    /// `Content-Type` it came with.
    pub content_type: HeaderValue,
    /// Other headers it came with that belong to the answer.
    pub headers: HeaderMap,
    /// The whole body, in the form that was asked for.
    pub body: Bytes,
    /// Server-sent events in it; 0 where it is no stream.
    pub events: u32,
    /// Time until it is too old to be given.
    pub left: Duration,
}

/// Decides whether an answer enters the cache. Dropped without a call, it does not.
pub trait Admit: std::fmt::Debug + Send + Sync {
    /// Takes what the background read in the answer of a finished exchange.
    fn admit(&self, record: &Record, read: &Reading<'_>);

    /// Whether others stayed with the generation that this exchange began, after its client had
    /// left: then its tokens were not made for nobody, and another exchange answers for them.
    fn goes_on(&self) -> bool;

    /// Whether this exchange, which joined a generation, answers for the engine's work, because
    /// the one that began it left. True for one exchange of a generation at most; what was said
    /// once holds.
    fn takes_over(&self, record: &Record) -> bool;
}

/// What the background read in an answer.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The completion; none where the answer is of no known shape.
    pub completion: Option<&'a Completion>,
    /// The last user message, redacted, to show to people; empty where it is not kept.
    pub prompt: &'a str,
    /// Prompt tokens as counted for the record.
    pub prompt_tokens: u32,
    /// Completion tokens as counted for the record.
    pub completion_tokens: u32,
}
