//! The store against a map that knows what it should hold.
//!
//! Moka's own clock runs beside the tests' moments: times to live are hours where it must not
//! interfere, and already over where it must.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use prometheus::Registry;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::exchange::cached::About;
use crate::exchange::completion::render::Form;
use crate::exchange::{Api, ByteSize, Facts, Name, Request};
use crate::inline::cache::key::{Scope, key};

const HOUR: Duration = Duration::from_secs(3600);
const ANY: Control =
    Control { no_store: false, no_cache: false, max_age: None, min_fresh: Duration::ZERO, only_if_cached: false };

fn store(max_bytes: u64, max_entry_bytes: u64) -> Store {
    let config = Config { max_bytes: ByteSize(max_bytes), max_entry_bytes: ByteSize(max_entry_bytes) };
    Store::new(&config, Metrics::register(&Registry::new()).unwrap())
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn id(number: u128) -> ExchangeId {
    ExchangeId(Uuid::from_u128(number))
}

/// Key of the request number so-and-so, made with the store's epochs of now.
fn key_of(store: &Store, tenant: &str, route: &str, number: usize) -> Key {
    let body = format!("{{\"number\":{number}}}");
    let request = Request {
        id: id(0),
        received_at: SystemTime::UNIX_EPOCH,
        arrived: Instant::now(),
        api: Api::Chat,
        method: Method::POST,
        target: http::uri::PathAndQuery::from_static("/v1/chat/completions"),
        headers: HeaderMap::new(),
        body: Bytes::from(body),
        facts: Facts::default(),
        again: None,
        deadline: None,
    };
    let (tenant, route) = (name(tenant), name(route));
    let scope = Scope {
        tenant: &tenant,
        route: &route,
        tenant_epoch: store.epochs().tenant(&tenant),
        route_epoch: store.epochs().route(&route),
        engine: 7,
        variant: 0,
        keep_cut: false,
        vary: &[],
        max_request_bytes: 1000,
    };
    key(&request, &scope).unwrap()
}

fn answer(key: Key, tenant: &str, route: &str, source: u128, made: Instant) -> Answer {
    let about = About {
        source: id(source),
        model: "Qwen".into(),
        finish_reasons: vec!["stop".into()],
        prompt_tokens: 1,
        completion_tokens: 2,
        engine_time: Duration::from_secs(1),
        prompt: format!("Question {source}"),
    };
    Answer {
        key,
        content_type: HeaderValue::from_static("application/json"),
        headers: http::HeaderMap::new(),
        exchanges: Vec::new(),
        body: Bytes::from(format!("answer {source}")),
        form: Form::Plain,
        events: 0,
        about: Arc::new(about),
        tenant: name(tenant),
        route: name(route),
        api: Api::Chat,
        made,
        made_at: SystemTime::now(),
        ttl: HOUR,
    }
}

/// Keeps the answer of exchange `source` to request `number`.
fn keep(store: &Store, number: usize, source: u128) -> Arc<Entry> {
    store.insert(answer(key_of(store, "t", "r", number), "t", "r", source, Instant::now())).unwrap()
}

#[test]
fn a_full_key_that_differs_under_an_equal_digest_is_no_hit() {
    let store = store(1 << 20, 1 << 16);
    let [asked, forged] = [1, 2].map(|number| key_of(&store, "t", "r", number));
    let poisoned = asked.forged(&forged);
    assert_eq!(poisoned.digest(), asked.digest());
    store.insert(answer(poisoned.clone(), "t", "r", 1, Instant::now())).unwrap();
    assert_eq!(store.lookup(&asked, Instant::now(), &ANY).unwrap_err(), Miss::Absent);
    assert!(store.lookup(&poisoned, Instant::now(), &ANY).is_ok());
}

#[test]
fn an_answer_is_given_while_it_is_good_and_as_fresh_as_asked_for() {
    let store = store(1 << 20, 1 << 16);
    let key = key_of(&store, "t", "r", 1);
    let made = Instant::now();
    store.insert(answer(key.clone(), "t", "r", 1, made)).unwrap();
    let minute = |n: u64| Duration::from_secs(60 * n);
    let aged = |age| Control { max_age: Some(age), ..ANY };
    let fresh = |min_fresh| Control { min_fresh, ..ANY };
    let table = [
        (minute(0), ANY, None),
        (minute(59), ANY, None),
        (minute(60), ANY, Some(Miss::Absent)),
        (minute(10), aged(minute(10)), None),
        (minute(11), aged(minute(10)), Some(Miss::Stale)),
        (minute(50), fresh(minute(10)), None),
        (minute(51), fresh(minute(10)), Some(Miss::Stale)),
        (minute(0), fresh(Duration::MAX), Some(Miss::Stale)),
        (minute(0), Control { no_cache: true, ..ANY }, Some(Miss::NoCache)),
    ];
    for (age, control, expected) in table {
        assert_eq!(store.lookup(&key, made + age, &control).err(), expected, "{age:?} {control:?}");
    }
    let entry = store.lookup(&key, made, &ANY).unwrap();
    assert_eq!((entry.hits(), entry.hit(made + minute(5)).age, entry.hits()), (0, minute(5), 1));
}

#[test]
fn what_is_over_its_time_leaves_as_expired() {
    let store = store(1 << 20, 1 << 16);
    let key = key_of(&store, "t", "r", 1);
    let Some(long_ago) = Instant::now().checked_sub(Duration::from_secs(1)) else { return };
    store.insert(Answer { ttl: Duration::from_millis(900), ..answer(key, "t", "r", 1, long_ago) }).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while store.totals().entries > 0 && Instant::now() < deadline {
        store.sweep();
        std::thread::yield_now();
    }
    assert_eq!(store.totals(), Totals { max_bytes: 1 << 20, ..Totals::default() });
    assert_eq!((store.metrics.evictions(Evicted::Expired), store.by_source.len()), (1, 0));
}

#[test]
fn an_answer_larger_than_one_may_be_does_not_enter() {
    let store = store(1 << 20, 4096);
    let small = answer(key_of(&store, "t", "r", 1), "t", "r", 1, Instant::now());
    let large = Answer { body: Bytes::from(vec![b'x'; 4096]), ..small.clone() };
    assert_eq!(store.insert(large).unwrap_err(), Rejected::TooLarge);
    assert_eq!(store.totals().entries, 0);
    let entry = store.insert(small).unwrap();
    assert_eq!(store.totals().bytes, u64::from(entry.weight()));
}

#[test]
fn a_flush_hides_all_of_one_route_or_tenant_at_once() {
    let store = store(1 << 20, 1 << 16);
    let places = [("t", "r"), ("t", "r2"), ("t2", "r"), ("t2", "r2")];
    let keep_all = || {
        for (source, (tenant, route)) in places.into_iter().enumerate() {
            let key = key_of(&store, tenant, route, 1);
            store.insert(answer(key, tenant, route, source as u128, Instant::now())).unwrap();
        }
    };
    let found =
        || places.map(|(tenant, route)| store.lookup(&key_of(&store, tenant, route, 1), Instant::now(), &ANY).is_ok());
    let seen = || store.live(Instant::now()).count();
    keep_all();
    let before = key_of(&store, "t", "r", 2);
    assert_eq!((found(), seen()), ([true; 4], 4));
    store.epochs().flush_route(&name("r"));
    assert_eq!((found(), seen()), ([false, true, false, true], 2));
    store.epochs().flush_tenant(&name("t2"));
    assert_eq!((found(), seen()), ([false, true, false, false], 1));
    assert!(store.made_by(id(0), Instant::now()).is_none());
    // Made before the flush, finished after it.
    store.insert(answer(before, "t", "r", 9, Instant::now())).unwrap();
    assert_eq!((seen(), store.metrics.evictions(Evicted::Flushed)), (1, 1));
    keep_all();
    assert_eq!(found(), [true; 4]);
}

#[test]
fn what_an_exchange_made_is_taken_out_by_its_id_and_a_newer_answer_stays() {
    let store = store(1 << 20, 1 << 16);
    keep(&store, 1, 10);
    let newer = keep(&store, 1, 11);
    assert_eq!(store.metrics.evictions(Evicted::Replaced), 1);
    assert!(!store.evict(id(10), Evicted::Verdict), "it was replaced");
    assert!(Arc::ptr_eq(&store.made_by(id(11), Instant::now()).unwrap(), &newer));
    assert!(store.evict(id(11), Evicted::Verdict));
    assert!(!store.evict(id(11), Evicted::Person), "it is gone");
    assert_eq!([Evicted::Verdict, Evicted::Person].map(|cause| store.metrics.evictions(cause)), [1, 0]);
    assert_eq!((store.totals().entries, store.totals().bytes, store.by_source.len()), (0, 0, 0));
}

#[test]
fn one_exchange_that_is_kept_twice_is_still_found() {
    let store = store(1 << 20, 1 << 16);
    keep(&store, 1, 10);
    keep(&store, 1, 10);
    assert_eq!((store.totals().entries, store.by_source.len()), (1, 1));
    assert!(store.evict(id(10), Evicted::Person));
}

#[test]
fn who_looked_in_vain_sees_when_another_look_may_find_it() {
    let store = store(1 << 20, 1 << 16);
    let key = key_of(&store, "t", "r", 1);
    let before = store.inserts(&key);
    assert!(store.lookup(&key, Instant::now(), &ANY).is_err());
    assert_eq!(store.inserts(&key), before, "a look changes nothing");
    store.insert(answer(key.clone(), "t", "r", 10, Instant::now())).unwrap();
    assert_ne!(store.inserts(&key), before);
}

#[test]
fn an_answer_is_taken_out_by_any_exchange_that_shared_it() {
    let store = store(1 << 20, 1 << 16);
    let key = key_of(&store, "t", "r", 1);
    let shared = Answer { exchanges: vec![id(3), id(4)], ..answer(key, "t", "r", 10, Instant::now()) };
    store.insert(shared).unwrap();
    for exchange in [id(10), id(3), id(4)] {
        assert!(store.made_by(exchange, Instant::now()).is_some());
    }
    assert!(store.evict(id(4), Evicted::Verdict));
    store.sweep();
    assert_eq!((store.totals().entries, store.by_source.len()), (0, 0), "and all of them forgotten");
    assert!(!store.evict(id(3), Evicted::Verdict));
}

#[test]
fn other_forms_are_rendered_once_and_never_take_more_room_than_was_paid_for() {
    let store = store(1 << 20, 1 << 16);
    let body = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
    let key = key_of(&store, "t", "r", 1);
    let chat = Answer { body: Bytes::from(body), ..answer(key, "t", "r", 10, Instant::now()) };
    let entry = store.insert(chat).unwrap();
    let weight = entry.weight();
    let stream = Form::Stream { include_usage: true };
    let (first, events) = entry.in_form(stream).unwrap();
    assert!(events > 3 && first.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(entry.in_form(stream).unwrap().0.as_ptr(), first.as_ptr(), "the same bytes");
    assert_eq!(entry.in_form(Form::Plain).unwrap(), (Bytes::from(body), 0));
    assert_eq!(entry.weight(), weight);
    assert!(keep(&store, 2, 11).in_form(stream).is_none(), "what is no chat becomes no stream");
}

/// What is done to the store and to the model.
#[derive(Clone, Debug)]
enum Act {
    Keep { number: usize, padding: usize },
    Lookup(usize),
    Evict(usize),
    Flush,
    Sweep,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_usize..12, 0_usize..3000).prop_map(|(number, padding)| Act::Keep { number, padding }),
        4 => (0_usize..12).prop_map(Act::Lookup),
        2 => (0_usize..40).prop_map(Act::Evict),
        1 => Just(Act::Flush),
        1 => Just(Act::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The model never runs out of room; a store that does may miss what the model has, and
    /// may never have what the model has not.
    #[test]
    fn it_holds_what_a_map_would(acts in proptest::collection::vec(act(), 1..60), is_small: bool) {
        let max_bytes = if is_small { 20_000 } else { 1 << 24 };
        let (store, mut model) = (store(max_bytes, 8000), HashMap::<usize, u128>::new());
        let (mut kept, mut flushed, now) = (0, HashSet::new(), Instant::now());
        for act in acts {
            match act {
                Act::Keep { number, padding } => {
                    kept += 1;
                    let key = key_of(&store, "t", "r", number);
                    let body = Bytes::from(vec![b'x'; padding]);
                    match store.insert(Answer { body, ..answer(key, "t", "r", kept, now) }) {
                        Ok(_) => _ = model.insert(number, kept),
                        Err(cause) => prop_assert!(cause == Rejected::TooLarge && padding > 2000),
                    }
                }
                Act::Lookup(number) => {
                    let found = store.lookup(&key_of(&store, "t", "r", number), now, &ANY);
                    let found = found.ok().map(|entry| entry.answer.about.source);
                    let expected = model.get(&number).copied().map(id);
                    prop_assert!(found == expected || is_small && found.is_none());
                }
                Act::Evict(source) => {
                    let number = model.iter().find(|(_, made)| **made == source as u128).map(|(number, _)| *number);
                    let is_out = store.evict(id(source as u128), Evicted::Person);
                    // What was flushed is out of reach, and can be taken out all the same.
                    let is_expected = number.is_some() || flushed.remove(&(source as u128));
                    prop_assert!(is_expected || !is_out);
                    prop_assert!(is_out || is_small || number.is_none());
                    model.retain(|_, made| *made != source as u128);
                }
                Act::Flush => {
                    store.epochs().flush_route(&name("r"));
                    flushed.extend(model.drain().map(|(_, source)| source));
                }
                Act::Sweep => store.sweep(),
            }
            prop_assert!(store.live(now).count() <= model.len());
        }
        store.sweep();
        let totals = store.totals();
        prop_assert!(totals.bytes <= max_bytes);
        prop_assert_eq!(totals.entries as usize, store.entries.iter().count());
        prop_assert_eq!(totals.entries as usize, store.by_source.len());
        let weighed: u64 = store.entries.iter().map(|(_, entry)| u64::from(entry.weight())).sum();
        prop_assert_eq!(totals.bytes, weighed);
    }
}
