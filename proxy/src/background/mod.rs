//! Work that no client waits for: outbox → sample → spool (disk) → sink → ClickHouse.

pub mod digest;
pub mod recorder;
pub mod redact;
pub mod sample;
pub mod sink;
pub mod spool;
pub mod store;
pub mod truncation;

use std::borrow::Cow;
use std::time::UNIX_EPOCH;

use crate::exchange::stored::Stored;
use crate::exchange::{Outcome, Record};

/// What the recorder does with each record: see → sample → digest (redact, judge the prompt).
pub struct Keep<See> {
    see: See,
    sampler: sample::Sampler,
    frequency: sample::Frequency,
    digester: digest::Digester,
    redactor: redact::Redactor,
    estimator: truncation::Estimator,
}

impl<See: FnMut(&Record)> Keep<See> {
    /// Joins the parts. `see` gets every record once, sampled or not: metrics and traces.
    /// `instance` is the name of this Weir in every row.
    pub fn new(
        sample: &sample::Config,
        redact: &redact::Config,
        digest: &digest::Config,
        instance: &str,
        see: See,
    ) -> Result<Self, redact::Error> {
        Ok(Self {
            see,
            sampler: sample::Sampler::new(sample),
            frequency: sample::Frequency::default(),
            digester: digest::Digester::new(digest, instance),
            redactor: redact::Redactor::new(redact)?,
            estimator: truncation::Estimator::default(),
        })
    }

    fn sample(&mut self, record: &Record) -> sample::Sampling {
        let course = match record.outcome {
            Outcome::Complete => sample::Course::Ordinary,
            Outcome::Refused => sample::Course::Refused,
            Outcome::EngineError | Outcome::Failed | Outcome::Broken | Outcome::ClientLeft => sample::Course::Error,
        };
        let since_epoch = record.request.received_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.sampler.decide(&sample::Facts {
            id: record.request.id,
            route: &record.route,
            course,
            took: record.timings.finished.unwrap_or_default(),
            seen: self.frequency.seen(&record.tenant, &record.route, since_epoch),
        })
    }
}

impl<See: FnMut(&Record) + Send> recorder::Keeper for Keep<See> {
    fn see(&mut self, record: &Record) {
        (self.see)(record);
    }

    fn keep(&mut self, record: &Record, out: &mut Vec<Stored>) {
        let sampling = self.sample(record);
        if !sampling.keep {
            return;
        }
        let inclusion = digest::Inclusion { probability: sampling.probability, reason: sampling.reason.as_str() };
        let (row, event) = self.digester.digest(record, inclusion, &self.redactor, &mut self.estimator);
        out.push(row);
        out.extend(event);
    }
}

impl digest::Redact for redact::Redactor {
    fn text<'a>(&self, text: Cow<'a, str>) -> (Cow<'a, str>, u32) {
        self.redact(text)
    }

    fn body<'a>(&self, content_type: &str, body: Cow<'a, str>) -> (Cow<'a, str>, u32) {
        self.redact_body(content_type, body)
    }

    fn headers(&self, headers: &http::HeaderMap) -> (Vec<(String, String)>, u32) {
        Self::headers(self, headers)
    }
}

impl digest::Expect for truncation::Estimator {
    fn prompt(&mut self, prompt: &digest::Prompt<'_>) -> digest::Expected {
        let mut sent = truncation::Sent::default();
        prompt.texts.iter().for_each(|text| sent.add(text));
        let lesson = if prompt.offers_tools { truncation::Lesson::WithExtras } else { truncation::Lesson::Whole };
        let expected = self.judge(prompt.engine, prompt.model, sent, lesson, prompt.counted);
        digest::Expected { tokens: expected.tokens, truncated: expected.truncated }
    }
}
