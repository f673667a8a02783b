//! The words of the pages, in each language: `dashboards/strings/*.toml`.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};

/// Languages of the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Language {
    #[default]
    English,
    Russian,
}

const SOURCES: [(Language, &str); 2] = [
    (Language::English, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/strings/en.toml"))),
    (Language::Russian, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/strings/ru.toml"))),
];

/// Texts by language and key, as in `overview.rate`.
#[derive(Debug)]
pub(super) struct Strings(BTreeMap<Language, BTreeMap<String, String>>);

impl Language {
    /// The tag in `lang` attributes and cookies.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Russian => "ru",
        }
    }

    fn of_tag(tag: &str) -> Option<Self> {
        let main = tag.split(['-', '_']).next().unwrap_or_default();
        [Self::English, Self::Russian].into_iter().find(|language| language.tag().eq_ignore_ascii_case(main))
    }

    /// By the reader's choice, else by what the browser accepts, in its order.
    pub(super) fn of(chosen: Option<&str>, headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let tags = accepted.split(',').map(|item| item.split(';').next().unwrap_or_default().trim());
        chosen.into_iter().chain(tags).find_map(Self::of_tag).unwrap_or_default()
    }
}

impl Strings {
    /// Reads the tables that are built in.
    pub(super) fn read() -> Result<Self, String> {
        let read = |(language, source): (Language, &str)| {
            let tables: BTreeMap<String, BTreeMap<String, String>> =
                toml::from_str(source).map_err(|fault| format!("strings of {}: {fault}", language.tag()))?;
            let flat = tables
                .into_iter()
                .flat_map(|(table, texts)| texts.into_iter().map(move |(key, text)| (format!("{table}.{key}"), text)));
            Ok((language, flat.collect()))
        };
        SOURCES.into_iter().map(read).collect::<Result<_, String>>().map(Self)
    }

    /// The text of a key; none where there is no such key.
    pub(super) fn text(&self, language: Language, key: &str) -> Option<&str> {
        self.0.get(&language).and_then(|texts| texts.get(key)).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_the_same_keys_and_no_empty_text() {
        let strings = Strings::read().unwrap();
        let keys = |language| strings.0[&language].keys().collect::<Vec<_>>();
        assert_eq!(keys(Language::English), keys(Language::Russian));
        for (language, texts) in &strings.0 {
            for (key, text) in texts {
                assert!(!text.trim().is_empty(), "{language:?} {key}");
            }
        }
    }

    #[test]
    fn every_key_in_the_templates_has_a_text() {
        let strings = Strings::read().unwrap();
        let pattern = regex::Regex::new(r#"\bt\("([a-z0-9_.]+)"(?:\)|,)"#).unwrap();
        let mut seen = 0;
        for file in super::super::assets::TEMPLATES.files() {
            for found in pattern.captures_iter(file.contents_utf8().unwrap()) {
                assert!(strings.text(Language::English, &found[1]).is_some(), "{} in {:?}", &found[1], file.path());
                seen += 1;
            }
        }
        assert!(seen > 50);
    }

    #[test]
    fn placeholders_are_the_same_in_every_language() {
        let strings = Strings::read().unwrap();
        let places = |text: &str| text.matches('{').count();
        for (key, text) in &strings.0[&Language::English] {
            let other = strings.text(Language::Russian, key).unwrap();
            assert_eq!(places(text), places(other), "{key}");
        }
    }

    #[test]
    fn the_readers_choice_wins_over_the_browsers() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, "de, ru-RU;q=0.8, en;q=0.5".parse().unwrap());
        assert_eq!(Language::of(None, &headers), Language::Russian);
        assert_eq!(Language::of(Some("en"), &headers), Language::English);
        assert_eq!(Language::of(Some("xx"), &HeaderMap::new()), Language::English);
    }
}
