//! JSON text laid out for reading, token by token, without changing one byte of a value.
//!
//! Foreign bytes: what is no JSON comes back as nothing, and the caller shows it as it is.
//! Order of keys and the spelling of numbers stay, which a parsed tree would lose.

use std::fmt::Write;

use super::format::{cut, escape, whole};

/// Longest text that is laid out; more is shown raw.
const MAX_BYTES: usize = 512 << 10;
/// Characters of one string that are shown: images in a request are megabytes of base64.
const MAX_STRING: usize = 4000;
/// Deepest nesting that is laid out.
const MAX_DEPTH: usize = 64;

/// HTML of the JSON text, escaped, with a `<span>` per token: `k` key, `s` string, `n` number,
/// `b` literal.
pub(super) fn html(text: &str) -> Option<String> {
    if text.len() > MAX_BYTES || serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return None;
    }
    let mut writer = Writer { out: String::with_capacity(text.len() * 2), depth: 0 };
    let mut rest = text;
    while let Some((token, after)) = token(rest) {
        writer.put(token, after)?;
        rest = after;
    }
    Some(writer.out)
}

#[derive(Clone, Copy)]
enum Token<'a> {
    Open(char),
    Close(char),
    Comma,
    Colon,
    Text(&'a str),
    Plain(&'a str),
}

/// The next token of valid JSON, and what follows it.
fn token(text: &str) -> Option<(Token<'_>, &str)> {
    let text = text.trim_start();
    let first = text.chars().next()?;
    let single = match first {
        '{' | '[' => Some(Token::Open(first)),
        '}' | ']' => Some(Token::Close(first)),
        ',' => Some(Token::Comma),
        ':' => Some(Token::Colon),
        _ => None,
    };
    if let Some(token) = single {
        return Some((token, &text[1..]));
    }
    if first == '"' {
        let end = end_of_string(text)?;
        return Some((Token::Text(&text[..end]), &text[end..]));
    }
    let end = text.find(|c: char| matches!(c, ',' | '}' | ']' | ':') || c.is_whitespace()).unwrap_or(text.len());
    Some((Token::Plain(&text[..end]), &text[end..]))
}

fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

struct Writer {
    out: String,
    depth: usize,
}

impl Writer {
    fn put(&mut self, token: Token<'_>, after: &str) -> Option<()> {
        match token {
            Token::Open(bracket) => {
                self.out.push(bracket);
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return None;
                }
                let close = if bracket == '{' { '}' } else { ']' };
                if !after.trim_start().starts_with(close) {
                    self.line();
                }
            }
            Token::Close(bracket) => {
                self.depth = self.depth.checked_sub(1)?;
                if !self.out.ends_with(['{', '[']) {
                    self.line();
                }
                self.out.push(bracket);
            }
            Token::Comma => {
                self.out.push(',');
                self.line();
            }
            Token::Colon => self.out.push_str(": "),
            Token::Text(text) => {
                let class = if after.trim_start().starts_with(':') { 'k' } else { 's' };
                self.span(class, text);
            }
            Token::Plain(text) => {
                let class = if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') { 'n' } else { 'b' };
                self.span(class, text);
            }
        }
        Some(())
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }

    fn span(&mut self, class: char, text: &str) {
        let (shown, more) = cut(text, MAX_STRING);
        // Writing to a String cannot fail.
        let _ = write!(self.out, "<span class=\"j-{class}\">");
        let _ = escape(shown, &mut self.out);
        if more {
            let _ = write!(self.out, "</span><span class=\"j-cut\">… {} B</span>", whole(text.len() as u64));
        } else {
            self.out.push_str("</span>");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(json: &str) -> Option<String> {
        let html = html(json)?;
        let mut text = String::new();
        let mut inside = false;
        for c in html.chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                c if !inside => text.push(c),
                _ => {}
            }
        }
        Some(text)
    }

    #[test]
    fn order_of_keys_and_spelling_of_numbers_stay() {
        let laid_out = plain(r#"{"z":1.00,"a":[1e3,{}],"e":[]}"#).unwrap();
        assert_eq!(
            laid_out,
            "{\n  &quot;z&quot;: 1.00,\n  &quot;a&quot;: [\n    1e3,\n    {}\n  ],\n  &quot;e&quot;: []\n}"
        );
    }

    #[test]
    fn a_hostile_string_stays_text() {
        let laid_out = html(r#"{"a":"</pre><script>alert(1)</script>","b\"}":"\\"}"#).unwrap();
        assert!(!laid_out.contains("<script"), "{laid_out}");
        assert!(laid_out.contains("&lt;script&gt;"));
    }

    #[test]
    fn what_is_no_json_gives_nothing() {
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        for text in ["", "{", "data: {}", "{\"a\":}", "nul", deep.as_str()] {
            assert!(html(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_long_string_is_cut_and_says_so() {
        let json = format!("{{\"image\":\"{}\"}}", "A".repeat(100_000));
        let html = html(&json).unwrap();
        assert!(html.len() < 10_000);
        assert!(html.contains("j-cut"));
    }

    proptest::proptest! {
        #[test]
        fn values_survive_the_layout(text in "\\PC{0,40}", number in proptest::num::i64::ANY) {
            let json = serde_json::json!({"text": text, "list": [number, null, true, {"text": text}]});
            let laid_out = plain(&json.to_string()).unwrap();
            let unescaped = laid_out.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            let unescaped = unescaped.replace("&#39;", "'").replace("&amp;", "&");
            if !unescaped.contains('⟨') && !text.contains(['<', '>']) {
                proptest::prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&unescaped).unwrap(), json);
            }
        }
    }
}
