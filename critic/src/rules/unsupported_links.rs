//! Links in the answer that nothing which was sent holds.
//!
//! An LLM makes up addresses that look right. Where an answer rests on a context, each link
//! in it (`http://`, `https://`, `www.`) must stand there, in the conversation or in a result
//! of a tool: without scheme, `www.` and trailing punctuation, hosts without their case.

use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::{Case, Critic, Effort, Finding, Judgement, Place, Skip};

/// What is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether answers without any context are judged too; false by default, since then the
    /// LLM's own knowledge was asked for.
    pub without_context: bool,
    /// Hosts to which any answer may link, with their subdomains; none by default.
    pub allowed_hosts: Vec<String>,
}

/// The critic.
#[derive(Debug)]
pub struct UnsupportedLinks {
    config: Config,
}

/// A link: bytes of the text, and what of it is compared.
struct Link<'a> {
    start: usize,
    end: usize,
    host: &'a str,
    path: &'a str,
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        match self.allowed_hosts.iter().find(|host| host.contains('/') || host.is_empty()) {
            Some(host) => {
                vec![Fault::new("allowed_hosts", format!("has `{host}`, which is no host"), "write `example.org`")]
            }
            None => Vec::new(),
        }
    }

    fn allows(&self, host: &str) -> bool {
        self.allowed_hosts.iter().any(|allowed| {
            let head = host.len().checked_sub(allowed.len()).and_then(|at| host.split_at_checked(at));
            head.is_some_and(|(head, tail)| {
                tail.eq_ignore_ascii_case(allowed) && (head.is_empty() || head.ends_with('.'))
            })
        })
    }
}

impl UnsupportedLinks {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        Self { config }
    }
}

impl Critic for UnsupportedLinks {
    fn version(&self) -> &str {
        "unsupported_links-1"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judge(&self, case: &Case) -> Judgement {
        if case.answers.is_empty() || (case.context.is_empty() && !self.config.without_context) {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let mut findings = Vec::new();
        for (place, text) in case.texts().filter(|(place, _)| matches!(place, Place::Text { .. })) {
            for link in links(text).filter(|link| !self.config.allows(link.host) && !is_known(case, link)) {
                let message =
                    format!("`{}` stands in nothing that was given; leave it out", &text[link.start..link.end]);
                findings.push(Finding::new("unsupported_link", place, message).at(link.start..link.end));
            }
        }
        Judgement::of(findings)
    }
}

/// The links of a text.
fn links(text: &str) -> impl Iterator<Item = Link<'_>> {
    let bytes = text.as_bytes();
    let schemes = memchr::memmem::find_iter(bytes, "://").filter_map(|at| {
        let start = at - bytes[..at].iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
        matches!(&text[start..at], "http" | "https" | "HTTP" | "HTTPS" | "Https" | "Http").then_some((start, at + 3))
    });
    let bare = memchr::memmem::find_iter(bytes, "www.").filter(|at| {
        let before = at.checked_sub(1).map(|before| bytes[before]);
        !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-'))
    });
    schemes.chain(bare.map(|at| (at, at))).filter_map(|(start, from)| read(text, start, from))
}

/// The link that begins at `start`, whose host begins at `from`.
fn read(text: &str, start: usize, from: usize) -> Option<Link<'_>> {
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`' | '|' | '\\' | '^' | '{' | '}' | '»' | '”' | '。' | '，')
    };
    let rest = &text[from..];
    let rest = &rest[..rest.find(ends).unwrap_or(rest.len())];
    let mut rest = rest.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_']);
    // `(see https://example.org/a)` and `[a](https://example.org/a)` close what they opened.
    while let Some(shorter) = rest.strip_suffix([')', ']']) {
        if rest.matches(['(', '[']).count() >= rest.matches([')', ']']).count() {
            break;
        }
        rest = shorter.trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_']);
    }
    let cut = rest.find("](").map_or(rest, |at| &rest[..at]);
    let end = from + cut.len();
    let named = cut.strip_prefix("www.").unwrap_or(cut);
    let (host, path) = named.split_at(named.find(['/', '?', '#']).unwrap_or(named.len()));
    let host = host.split(':').next().unwrap_or(host);
    host.contains('.').then(|| Link { start, end, host, path: path.trim_end_matches('/') })
}

/// Whether the link stands in the conversation, the context or an earlier tool's result.
fn is_known(case: &Case, link: &Link<'_>) -> bool {
    let turns = case.conversation.iter().map(|turn| turn.text.as_str());
    let mut texts = turns.chain(case.context.iter().map(|passage| passage.text.as_str()));
    texts.any(|text| holds(text, link))
}

fn holds(text: &str, link: &Link<'_>) -> bool {
    let (bytes, host) = (text.as_bytes(), link.host.as_bytes());
    let Some(first) = host.first() else { return false };
    memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), bytes).any(|at| {
        let end = at + host.len();
        let apart = at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'-');
        apart
            && bytes.get(at..end).is_some_and(|here| here.eq_ignore_ascii_case(host))
            && !bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            && path_follows(&text[end..], link.path)
    })
}

/// Whether the same path stands here, and does not go on.
fn path_follows(rest: &str, path: &str) -> bool {
    let rest = match rest.strip_prefix(':') {
        Some(port) => port.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let Some(rest) = rest.strip_prefix(path) else { return false };
    // The address of a page on a host does not support the address of the host's front page less.
    path.is_empty() || !rest.trim_start_matches('/').starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Outcome, Passage};

    fn judge(context: &str, answer: &str) -> Judgement {
        let context = vec![Passage { text: context.to_owned(), ..Passage::default() }];
        let answers = vec![Answer { text: answer.to_owned(), ..Answer::default() }];
        UnsupportedLinks::new(Config::default()).judge(&Case { context, answers, ..Case::default() })
    }

    #[test]
    fn a_link_that_was_given_may_be_said_in_any_common_form() {
        let context = "See http://www.Example.org/docs/Install, or https://ru.wikipedia.org/wiki/Река_(значения).";
        let good = [
            "Read https://example.org/docs/Install.",
            "Read [this](https://example.org/docs/Install/).",
            "(www.example.org/docs/Install)",
            "On example: https://EXAMPLE.org",
            "Смотри https://ru.wikipedia.org/wiki/Река_(значения)",
            "No link at all",
        ];
        for answer in good {
            assert_eq!(judge(context, answer).outcome, Outcome::Pass, "{answer}");
        }
    }

    #[test]
    fn a_link_that_was_made_up_is_found_where_it_stands() {
        let context = "See https://example.org/docs/install";
        let bad = [
            "https://example.org/docs/setup",
            "https://example.com/docs/install",
            "https://myexample.org",
            "https://example.org/docs/inst",
        ];
        for link in bad {
            let answer = format!("Ответ: {link}, там всё есть.");
            let judged = judge(context, &answer);
            let span = judged.findings.first().and_then(|finding| finding.span.clone());
            assert_eq!(span.map(|span| &answer[span]), Some(link), "{judged:?}");
        }
    }

    #[test]
    fn hosts_that_are_allowed_need_no_support() {
        let config = Config { allowed_hosts: vec!["example.com".to_owned()], without_context: true };
        let outcome = |text: &str| {
            let answers = vec![Answer { text: text.to_owned(), ..Answer::default() }];
            UnsupportedLinks::new(config.clone()).judge(&Case { answers, ..Case::default() }).outcome
        };
        assert_eq!(outcome("https://help.example.com/x"), Outcome::Pass);
        assert_eq!(outcome("https://notexample.com/x"), Outcome::Fail);
    }
}
