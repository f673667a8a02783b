//! Questions of critics to an engine, as the judges see it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use weir_critic::{Question, Reply, Skip};

use super::Urgency;

/// What comes back: the reply and the time that the engine had the question.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Result<(Reply, Duration), Skip>> + Send + 'a>>;

/// Puts questions to an engine, few at a time.
pub trait Ask: Send + Sync {
    /// Asks. `model` is what the exchange under judgement asked for.
    fn ask<'a>(&'a self, question: Question, model: Option<&'a str>, urgency: Urgency) -> Asked<'a>;
}
