//! What makes two keys equal, and what does not.

use std::time::{Instant, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Method};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn request(body: &str) -> Request {
    Request {
        id: ExchangeId(Uuid::now_v7()),
        received_at: UNIX_EPOCH,
        arrived: Instant::now(),
        api: Api::Chat,
        method: Method::POST,
        target: "/v1/chat/completions".parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        facts: Facts::read(body.as_bytes()).unwrap_or_default(),
        again: None,
        deadline: None,
    }
}

/// A request with what stands beside it, to change one thing at a time.
struct Asked {
    request: Request,
    tenant: Name,
    route: Name,
    epochs: (u64, u64),
    engine: u64,
    variant: u32,
    keep_cut: bool,
    vary: Vec<HeaderName>,
}

impl Asked {
    fn new() -> Self {
        Self {
            request: request(
                r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}"#,
            ),
            tenant: name("t"),
            route: name("r"),
            epochs: (0, 0),
            engine: 7,
            variant: 0,
            keep_cut: false,
            vary: vec![HeaderName::from_static("x-user")],
        }
    }

    fn key(&self) -> Result<Key, Bypass> {
        let scope = Scope {
            tenant: &self.tenant,
            route: &self.route,
            tenant_epoch: self.epochs.0,
            route_epoch: self.epochs.1,
            engine: self.engine,
            variant: self.variant,
            keep_cut: self.keep_cut,
            vary: &self.vary,
            max_request_bytes: 1000,
        };
        key(&self.request, &scope)
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn body(&mut self, body: &str) {
        self.request.body = Bytes::copy_from_slice(body.as_bytes());
    }

    fn header(&mut self, header: &'static str, value: &str) {
        self.request.headers.append(header, value.parse().unwrap());
    }
}

type Change = fn(&mut Asked);

#[test]
fn what_does_not_change_the_answer_is_not_in_the_key() {
    let plain = Asked::new().key().unwrap();
    let changes: [(&str, Change); 6] = [
        ("id", |a| a.request.id = ExchangeId(Uuid::from_u128(1))),
        ("time", |a| a.request.received_at = std::time::SystemTime::now()),
        ("agent", |a| a.header("user-agent", "x")),
        ("trace", |a| a.header("traceparent", "00-1-1-00")),
        ("coding", |a| a.header("content-encoding", "Identity")),
        ("spelling", |a| {
            a.body(
                "{ \"messages\": [{\"content\":\"\\u0061\",\"role\":\"user\"},{\"role\":\"user\",\"content\":\"b\"}],\
                 \"stream\":true, \"stream_options\":{\"include_usage\":true},\"model\":\"m\"}",
            );
        }),
    ];
    for (what, change) in changes {
        assert_eq!(Asked::new().with(change).key().unwrap(), plain, "{what}");
    }
}

#[test]
fn what_may_change_the_answer_or_its_holder_is_in_the_key() {
    let changes: [(&str, Change); 31] = [
        ("nothing", |_| {}),
        ("tenant", |a| a.tenant = name("t2")),
        ("route", |a| a.route = name("r2")),
        ("tenant and route", |a| (a.tenant, a.route) = (name("tr"), name("r"))),
        ("tenant's epoch", |a| a.epochs.0 = 1),
        ("route's epoch", |a| a.epochs.1 = 1),
        ("engine", |a| a.engine = 8),
        ("what is kept", |a| a.keep_cut = true),
        ("variant", |a| a.variant = 1),
        ("method", |a| a.request.method = Method::PUT),
        ("path", |a| a.request.target = "/chat/completions".parse().unwrap()),
        ("query", |a| a.request.target = "/v1/chat/completions?x=1".parse().unwrap()),
        ("policy", |a| a.vary.clear()),
        ("policy's header", |a| a.header("x-user", "1")),
        ("policy's header twice", |a| (0..2).for_each(|_| a.header("x-user", "1"))),
        ("authorization", |a| a.header("authorization", "Bearer a")),
        ("another authorization", |a| a.header("authorization", "Bearer b")),
        ("x-api-key", |a| a.header("x-api-key", "a")),
        ("api-key", |a| a.header("api-key", "a")),
        ("cookie", |a| a.header("cookie", "a")),
        ("origin", |a| a.header("origin", "a")),
        ("organization", |a| a.header("openai-organization", "a")),
        ("project", |a| a.header("openai-project", "a")),
        ("beta", |a| a.header("openai-beta", "a")),
        ("version", |a| a.header("anthropic-version", "a")),
        ("anthropic beta", |a| a.header("anthropic-beta", "a")),
        ("order", |a| {
            a.body(r#"{"model":"m","messages":[{"role":"user","content":"b"},{"role":"user","content":"a"}]}"#)
        }),
        ("unknown", |a| {
            a.body(r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}],"x":null}"#)
        }),
        ("model", |a| a.body(r#"{"model":"n","messages":[]}"#)),
        ("no messages", |a| a.body(r#"{"model":"m","messages":[]}"#)),
        ("null messages", |a| a.body(r#"{"model":"m","messages":null}"#)),
    ];
    let keys = changes.map(|(what, change)| (what, Asked::new().with(change).key().unwrap()));
    for (i, (what, key)) in keys.iter().enumerate() {
        for (other, second) in &keys[..i] {
            assert_ne!(key.full(), second.full(), "{what} and {other}");
            assert_ne!(key.digest(), second.digest(), "{what} and {other}");
        }
    }
}

#[test]
fn what_cannot_be_told_apart_or_is_too_large_has_no_key() {
    let changes: [(Change, Bypass); 4] = [
        (|a| a.header("content-encoding", "gzip"), Bypass::Unclear),
        (|a| a.body(r#"{"seed":1e30}"#), Bypass::Unclear),
        (|a| a.body(&format!("[{}", " ".repeat(980))), Bypass::TooLarge),
        (|a| a.request.target = format!("/?{}", "x".repeat(999)).parse().unwrap(), Bypass::TooLarge),
    ];
    for (change, expected) in changes {
        assert_eq!(Asked::new().with(change).key().unwrap_err(), expected);
    }
}

#[test]
fn a_policy_lets_through_what_may_be_kept() {
    let [deterministic, all] =
        [Mode::Deterministic, Mode::All].map(|mode| RoutePolicy { mode, ..RoutePolicy::default() });
    let table = [
        (Api::Chat, r#"{"temperature":0}"#, Ok(()), Ok(())),
        (Api::Completions, r#"{"seed":4}"#, Ok(()), Ok(())),
        (Api::Responses, "{}", Err(Bypass::Sampled), Ok(())),
        (Api::Messages, r#"{"temperature":1}"#, Err(Bypass::Sampled), Ok(())),
        (Api::Chat, r#"{"temperature":0,"n":2}"#, Err(Bypass::Choices), Err(Bypass::Choices)),
        (Api::Responses, r#"{"temperature":0,"store":true,"n":2}"#, Err(Bypass::Stateful), Err(Bypass::Stateful)),
        (Api::Embeddings, r#"{"input":"a"}"#, Ok(()), Ok(())),
        (Api::Models, "{}", Err(Bypass::Api), Err(Bypass::Api)),
        (Api::Opaque, r#"{"temperature":0}"#, Err(Bypass::Api), Err(Bypass::Api)),
    ];
    for (api, body, expected, of_all) in table {
        let request = Request { api, ..request(body) };
        assert_eq!(policy(&request, &deterministic), expected, "{api:?} {body}");
        assert_eq!(policy(&request, &all), of_all, "{api:?} {body}");
    }
}

#[test]
fn answers_drawn_by_lot_are_spread_over_their_variants_and_others_are_one() {
    let all = RoutePolicy { mode: Mode::All, variants: 4, ..RoutePolicy::default() };
    let share = |body: &str, policy: &RoutePolicy| {
        let mut seen = [0; 4];
        (0..2000).for_each(|_| seen[variant(&request(body), policy) as usize] += 1);
        seen
    };
    assert!(share("{}", &all).iter().all(|count| (400..600).contains(count)));
    assert_eq!(share(r#"{"temperature":0}"#, &all), [2000, 0, 0, 0]);
    assert_eq!(share("{}", &RoutePolicy { mode: Mode::Deterministic, ..all }), [2000, 0, 0, 0]);
    let same = request("{}");
    let all = RoutePolicy { mode: Mode::All, variants: 64, ..RoutePolicy::default() };
    assert_eq!(variant(&same, &all), variant(&same, &all));
}

proptest! {
    #[test]
    fn parts_never_run_into_each_other(a in "[ab.]{1,3}", b in "[ab.]{1,3}", c in "[ab]{0,3}", d in "[ab]{0,3}") {
        let of = |tenant: &str, route: &str, cookie: &str, user: &str| {
            let asked = Asked::new().with(|asked| {
                (asked.tenant, asked.route) = (name(tenant), name(route));
                asked.header("cookie", cookie);
                asked.header("x-user", user);
            });
            asked.key().unwrap()
        };
        let whole = of(&a, &b, &c, &d);
        prop_assert_eq!(of(&b, &a, &c, &d) == whole, a == b);
        prop_assert_eq!(of(&a, &b, &d, &c) == whole, c == d);
        prop_assert_ne!(of(&format!("{a}{b}"), &b, &c, &d), whole.clone());
        prop_assert_ne!(of(&a, &format!("{b}{c}a"), &c, &d), whole);
    }
}
