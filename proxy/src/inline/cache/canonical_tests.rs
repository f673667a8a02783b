//! The canonical form against a tree that knows what two bodies mean.

use proptest::prelude::*;

use super::*;

/// JSON as it means, before it is spelled.
#[derive(Clone, Debug, PartialEq)]
enum Json {
    Null,
    Bool(bool),
    /// An integer of JSON's, exact.
    Int(i128),
    /// So many quarters: a float, and an integer where four fit.
    Quarters(i64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The one tree of all that mean the same.
    fn meaning(&self) -> Self {
        match self {
            Self::Quarters(n) if n % 4 == 0 => Self::Int(i128::from(n / 4)),
            Self::Array(items) => Self::Array(items.iter().map(Self::meaning).collect()),
            Self::Object(members) => {
                let mut members: Vec<_> = members.iter().map(|(key, value)| (key.clone(), value.meaning())).collect();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                Self::Object(members)
            }
            other => other.clone(),
        }
    }

    fn is_switch(&self) -> bool {
        matches!(self, Self::Null | Self::Bool(_))
    }

    /// The tree of a body without what decides the form only.
    fn of_body(&self, api: Api) -> Self {
        let Self::Object(members) = self else { return self.meaning() };
        let has_options = matches!(api, Api::Chat | Api::Completions);
        let has_stream = has_options || matches!(api, Api::Responses | Api::Messages);
        let kept = members.iter().filter_map(|(key, value)| match (key.as_str(), value) {
            ("stream", value) if has_stream && value.is_switch() => None,
            ("stream_options", Self::Null) if has_options => None,
            ("stream_options", Self::Object(options)) if has_options => {
                let is_usage = |(key, value): &&(String, Json)| key == "include_usage" && value.is_switch();
                let options: Vec<_> = options.iter().filter(|option| !is_usage(option)).cloned().collect();
                (!options.is_empty()).then(|| (key.clone(), Self::Object(options)))
            }
            _ => Some((key.clone(), value.clone())),
        });
        Self::Object(kept.collect()).meaning()
    }

    /// Spells it, each choice of spelling drawn from `lot`.
    fn spell(&self, lot: &mut Lot, out: &mut String) {
        out.push_str(lot.one(&["", "", " ", "\n\t", "\r "]));
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(&value.to_string()),
            Self::Int(n) => {
                let tail = match n.unsigned_abs() {
                    0 => lot.one(&["", ".0", "e5", "E-9"]),
                    1..0x20_0000_0000_0000 => lot.one(&["", ".0", "e0", ".00E+0", "0e-1"]),
                    _ => "",
                };
                out.push_str(&format!("{n}{tail}"));
            }
            Self::Quarters(n) => {
                let (whole, fraction) = (n.abs() / 4, ["00", "25", "50", "75"][(n.abs() % 4) as usize]);
                let sign = if *n < 0 { "-" } else { "" };
                let plain = format!("{sign}{whole}.{fraction}");
                let shifted = format!("{sign}{whole}{fraction}e-2");
                let has_leading_zero = whole == 0;
                out.push_str(if has_leading_zero || lot.below(2) == 0 { &plain } else { &shifted });
                out.push_str(if has_leading_zero { lot.one(&["", "0", "e0"]) } else { "" });
            }
            Self::Text(text) => spell_text(text, lot, out),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    item.spell(lot, out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                let salt = lot.next();
                // Stable: members of one key stay in order.
                members.sort_by_key(|(key, _)| blake3::hash(format!("{salt}{key}").as_bytes()).as_bytes().to_owned());
                out.push('{');
                for (i, (key, value)) in members.into_iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    spell_text(key, lot, out);
                    out.push(':');
                    value.spell(lot, out);
                }
                out.push('}');
            }
        }
        out.push_str(lot.one(&["", "", " "]));
    }

    /// Changes the node of that number in some small way; the rest stays.
    fn edit(&mut self, at: &mut usize, how: usize) {
        if *at > 0 {
            *at -= 1;
            match self {
                Self::Array(items) => items.iter_mut().for_each(|item| item.edit_once(at, how)),
                Self::Object(members) => members.iter_mut().for_each(|(_, value)| value.edit_once(at, how)),
                _ => {}
            }
            return;
        }
        *at = usize::MAX;
        match self {
            Self::Array(items) if how == 0 => items.reverse(),
            Self::Array(items) if how == 1 => items.push(Self::Null),
            Self::Object(members) if how == 0 => members.reverse(),
            Self::Object(members) if how == 1 => members.push(("a".into(), Self::Null)),
            Self::Object(members) if how == 2 => drop(members.pop()),
            Self::Int(n) => *n += if *n > 9 { -1 } else { 1 },
            Self::Quarters(n) => *n = -*n,
            Self::Text(text) => text.push('\0'),
            other => *other = Self::Array(vec![other.clone()]),
        }
    }

    fn edit_once(&mut self, at: &mut usize, how: usize) {
        if *at != usize::MAX {
            self.edit(at, how);
        }
    }
}

fn spell_text(text: &str, lot: &mut Lot, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        if letter < ' ' || matches!(letter, '"' | '\\') || lot.below(4) == 0 {
            letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04X}")));
        } else {
            out.push(letter);
        }
    }
    out.push('"');
}

/// Draws from a seed (xorshift), so that proptest can shrink one number.
struct Lot(u64);

impl Lot {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// Few different values, so that two bodies often mean the same by chance.
fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        (-2_i128..3).prop_map(Json::Int),
        prop_oneof![Just(i128::from(u64::MAX)), Just(i128::from(i64::MIN)), Just(1 << 53)].prop_map(Json::Int),
        (-9_i64..10).prop_map(Json::Quarters),
        "[a\u{0}é\u{1F980}\"\\\\]{0,3}".prop_map(Json::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            members(inner).prop_map(Json::Object)
        ]
    })
}

fn members(value: impl Strategy<Value = Json>) -> impl Strategy<Value = Vec<(String, Json)>> {
    let keys = "a|b|ab|é|stream|stream_options|include_usage";
    proptest::collection::vec((keys, value), 0..5)
}

fn body() -> impl Strategy<Value = Json> {
    members(json()).prop_map(Json::Object)
}

fn spelled(json: &Json, seed: u64) -> String {
    let mut out = String::new();
    json.spell(&mut Lot(seed | 1), &mut out);
    out
}

fn form(api: Api, body: &str) -> Result<Vec<u8>, Unclear> {
    let mut out = b"before".to_vec();
    canonical(api, body.as_bytes(), &mut out)?;
    assert!(out.starts_with(b"before"));
    Ok(out)
}

fn api() -> impl Strategy<Value = Api> {
    prop_oneof![
        Just(Api::Chat),
        Just(Api::Completions),
        Just(Api::Responses),
        Just(Api::Messages),
        Just(Api::Embeddings)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn two_spellings_of_one_body_have_one_form(api in api(), body in body(), a: u64, b: u64) {
        prop_assert_eq!(form(api, &spelled(&body, a)).unwrap(), form(api, &spelled(&body, b)).unwrap());
    }

    #[test]
    fn forms_are_equal_only_where_meanings_are(api in api(), a in body(), at in 0_usize..12, how in 0_usize..4, seed: u64) {
        let mut b = a.clone();
        b.edit_once(&mut at.clone(), how);
        let forms = form(api, &spelled(&a, seed)).unwrap() == form(api, &spelled(&b, seed.rotate_left(7))).unwrap();
        prop_assert_eq!(forms, a.of_body(api) == b.of_body(api), "{:?}\n{:?}", a, b);
    }

    #[test]
    fn forms_of_unrelated_bodies_are_equal_only_where_meanings_are(api in api(), a in json(), b in json(), seed: u64) {
        let [a, b] = [a, b].map(|value| Json::Object(vec![("a".into(), value)]));
        let forms = form(api, &spelled(&a, seed)).unwrap() == form(api, &spelled(&b, !seed)).unwrap();
        prop_assert_eq!(forms, a.of_body(api) == b.of_body(api));
    }

    #[test]
    fn a_form_begins_no_other(a in json(), b in json()) {
        let [a, b] = [a, b].map(|value| form(Api::Embeddings, &spelled(&value, 1)).unwrap());
        prop_assert!(a == b || !(a.starts_with(&b) || b.starts_with(&a)));
    }

    #[test]
    fn no_bytes_trip_it(bytes: Vec<u8>, text in "[\\[\\]{}\":,0-9eE.+\\-a\\\\u]{0,40}") {
        let _ = canonical(Api::Chat, &bytes, &mut Vec::new());
        let _ = canonical(Api::Chat, text.as_bytes(), &mut Vec::new());
    }
}

#[test]
fn what_may_mean_two_things_is_unclear() {
    for body in [
        r#"{"a":9007199254740993.0}"#,
        r#"{"a":-9007199254740992.0}"#,
        r#"{"a":1e300}"#,
        r#"{"a":1e999}"#,
        r#"{"a":18446744073709551616}"#,
        r#"{"a":-9223372036854775809}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":1"#,
        "{} {}",
        "",
    ] {
        assert_eq!(form(Api::Chat, body), Err(Unclear), "{body}");
    }
    for body in [r#"{"a":9007199254740993}"#, r#"{"a":9007199254740991.0}"#, r#"{"a":1e-7}"#, r#"{"a":-0.0}"#] {
        assert!(form(Api::Chat, body).is_ok(), "{body}");
    }
}

#[test]
fn only_switches_of_form_are_left_out() {
    let table = [
        (Api::Chat, r#"{"stream":true,"stream_options":{"include_usage":true}}"#, "{}", true),
        (Api::Completions, r#"{"stream":null,"stream_options":null}"#, "{}", true),
        (Api::Chat, r#"{"stream_options":{"include_usage":true,"x":1}}"#, r#"{"stream_options":{"x":1}}"#, true),
        (Api::Chat, r#"{"stream":"yes"}"#, "{}", false),
        (Api::Chat, r#"{"stream_options":[]}"#, "{}", false),
        (Api::Chat, r#"{"stream_options":{"include_usage":1}}"#, "{}", false),
        (Api::Chat, r#"{"include_usage":true}"#, "{}", false),
        (Api::Chat, r#"{"a":{"stream":true}}"#, r#"{"a":{}}"#, false),
        (Api::Responses, r#"{"stream":true}"#, "{}", true),
        (Api::Responses, r#"{"stream_options":{}}"#, "{}", false),
        (Api::Messages, r#"{"stream":false}"#, "{}", true),
        (Api::Embeddings, r#"{"stream":true}"#, "{}", false),
        (Api::Chat, r#"{"a":null}"#, "{}", false),
        (Api::Chat, r#"{"a":1,"a":1}"#, r#"{"a":1}"#, false),
        (Api::Chat, r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#, false),
        (Api::Chat, r#"{"a":0.1}"#, r#"{"a":0.10000000000000002}"#, false),
    ];
    for (api, a, b, equal) in table {
        assert_eq!(form(api, a) == form(api, b), equal, "{api:?} {a} {b}");
    }
}

#[test]
fn a_body_made_to_be_sorted_at_every_depth_is_refused() {
    let nested = |depth: usize, text: &str| format!("{}{text}{}", r#"{"b":"#.repeat(depth), r#","a":0}"#.repeat(depth));
    let text = format!("\"{}\"", "x".repeat(100_000));
    assert!(form(Api::Chat, &nested(10, &text)).is_ok());
    assert_eq!(form(Api::Chat, &nested(100, &text)), Err(Unclear));
}
