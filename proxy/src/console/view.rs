//! Templates into pages: escaping, words, figures.
//!
//! Promises: every value is escaped by [`super::format::escape`], whatever the template
//! says; only [`Html`] values, made here from escaped parts, pass as they are. A template
//! is built in, never taken from data, so `{{` in an answer is just text.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Html;
use minijinja::value::{Kwargs, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, context};

use super::assets::TEMPLATES;
use super::error::Failure;
use super::format;
use super::guard::cookie;
use super::strings::{Language, Strings};

/// How the reader wants the pages: from cookies, else from the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reader {
    pub(super) language: Language,
    pub(super) theme: Theme,
}

/// Colours; `Auto` follows the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    fn tag(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let theme = match cookie(&parts.headers, "weir_theme") {
            Some("light") => Theme::Light,
            Some("dark") => Theme::Dark,
            _ => Theme::Auto,
        };
        let language = Language::of(cookie(&parts.headers, "weir_lang"), &parts.headers);
        Ok(Self { language, theme })
    }
}

/// All templates, one environment per language.
#[derive(Debug)]
pub(super) struct View {
    environments: BTreeMap<Language, Environment<'static>>,
}

impl View {
    /// Reads what is built in; a fault here is a fault of the build.
    pub(super) fn new() -> Result<Self, String> {
        let strings = Arc::new(Strings::read()?);
        let languages = [Language::English, Language::Russian];
        let made = languages.map(|language| Ok((language, environment(language, strings.clone())?)));
        let environments = made.into_iter().collect::<Result<_, Error>>().map_err(|fault| fault.to_string())?;
        Ok(Self { environments })
    }

    /// Renders a page or a part of one.
    pub(super) fn render(&self, name: &str, reader: &Reader, page: Value) -> Result<Html<String>, Failure> {
        let fault = |fault: Error| {
            tracing::error!(template = name, %fault, "a page could not be drawn");
            Failure::Page(fault.kind().to_string())
        };
        let environment = self.environments.get(&reader.language);
        let environment = environment.ok_or_else(|| Failure::Page("no such language".into()))?;
        let reader = context! {language => reader.language.tag(), theme => reader.theme.tag()};
        let page = context! {reader, ..page};
        environment.get_template(name).and_then(|template| template.render(page)).map(Html).map_err(fault)
    }
}

fn environment(language: Language, strings: Arc<Strings>) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(write_value);
    for file in TEMPLATES.files() {
        let name = file.path().to_string_lossy().into_owned();
        let source = file.contents_utf8().unwrap_or_default().to_owned();
        environment.add_template_owned(name, source)?;
    }
    add_words(&mut environment, language, strings);
    add_figures(&mut environment);
    Ok(environment)
}

/// Escapes by our own rule, so that control characters are shown on every page.
fn write_value(out: &mut minijinja::Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let fault = |_| Error::new(ErrorKind::WriteFailure, "the page could not be written");
    if value.is_none() || value.is_undefined() {
        return Ok(());
    }
    match value.as_str() {
        Some(text) if value.is_safe() => out.write_str(text).map_err(fault),
        Some(text) => format::escape(text, out).map_err(fault),
        None => format::escape(&value.to_string(), out).map_err(fault),
    }
}

/// `t("key", n=3)`: the words of a key with its places filled; `word("outcome", value)`: the
/// words for a value of a closed set, or the value itself where it is unknown.
fn add_words(environment: &mut Environment<'static>, language: Language, strings: Arc<Strings>) {
    let texts = strings.clone();
    let t = move |key: &str, places: Kwargs| -> Result<String, Error> {
        let missing = || Error::new(ErrorKind::UndefinedError, format!("no text for {key}"));
        let mut text = texts.text(language, key).ok_or_else(missing)?.to_owned();
        for name in places.args() {
            let value: Value = places.get(name)?;
            text = text.replace(&format!("{{{name}}}"), &value.to_string());
        }
        Ok(text)
    };
    environment.add_function("t", t);
    let word = move |set: &str, value: &str| -> String {
        strings.text(language, &format!("{set}.{value}")).unwrap_or(value).to_owned()
    };
    environment.add_function("word", word);
}

fn add_figures(environment: &mut Environment<'static>) {
    environment.add_filter("seconds", |value: f64| format::seconds(value));
    environment.add_filter("micros", |value: f64| format::seconds(value / 1e6));
    environment.add_filter("count", |value: f64| format::count(value));
    environment.add_filter("whole", |value: u64| format::whole(value));
    environment.add_filter("bytes", |value: f64| format::bytes(value));
    environment.add_filter("share", |value: f64| format::share(value));
    environment.add_filter("moment", |value: i64| format::moment(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_in_an_answer_is_text() {
        let mut environment = environment(Language::English, Arc::new(Strings::read().unwrap())).unwrap();
        environment.add_template("test.html", "<p>{{ answer }}</p>").unwrap();
        let template = environment.get_template("test.html").unwrap();
        let page = template.render(context! {answer => "{{7*7}}{% raw %}<b>\u{1b}\u{202e}"}).unwrap();
        assert_eq!(page, "<p>{{7*7}}{% raw %}&lt;b&gt;⟨ESC⟩⟨U+202E⟩</p>");
    }

    #[test]
    fn every_template_is_valid_in_every_language() {
        assert_eq!(View::new().unwrap().environments.len(), 2);
    }
}
