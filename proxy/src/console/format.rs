//! Numbers, times and foreign text as people read them. Pure.

use std::fmt::Write;

/// Durations as `0.4 ms`, `12 ms`, `1.24 s`, `2 m 05 s`; three digits are enough to compare.
pub(super) fn seconds(value: f64) -> String {
    match value {
        v if !v.is_finite() => "–".to_owned(),
        v if v < 0.000_999_5 => format!("{:.0} µs", v * 1e6),
        v if v < 0.00995 => format!("{:.1} ms", v * 1e3),
        v if v < 0.9995 => format!("{:.0} ms", v * 1e3),
        v if v < 9.995 => format!("{v:.2} s"),
        v if v < 99.95 => format!("{v:.1} s"),
        v if v < 3600.0 => format!("{} m {:02} s", (v / 60.0) as u64, (v % 60.0) as u64),
        v if v < 86_400.0 => format!("{} h {:02} m", (v / 3600.0) as u64, (v % 3600.0 / 60.0) as u64),
        v => format!("{} d {} h", (v / 86_400.0) as u64, (v % 86_400.0 / 3600.0) as u64),
    }
}

/// Counts as `950`, `12.3 k`, `4.56 M`.
pub(super) fn count(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        v if !v.is_finite() => return "–".to_owned(),
        v if v < 999.5 => (value, ""),
        v if v < 999_500.0 => (value / 1e3, " k"),
        v if v < 999_500_000.0 => (value / 1e6, " M"),
        _ => (value / 1e9, " G"),
    };
    let digits = match scaled.abs() {
        _ if unit.is_empty() && value.fract() == 0.0 => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.digits$}{unit}")
}

/// Whole numbers with narrow spaces between thousands.
pub(super) fn whole(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Sizes as `512 B`, `12.3 KiB`, `4.56 MiB`.
pub(super) fn bytes(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = value;
    let mut unit = 0;
    while scaled >= 1000.0 && unit + 1 < units.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    match scaled {
        v if unit == 0 || v >= 99.95 => format!("{v:.0} {}", units[unit]),
        v if v >= 9.995 => format!("{v:.1} {}", units[unit]),
        v => format!("{v:.2} {}", units[unit]),
    }
}

/// Shares as `0 %`, `0.4 %`, `12 %`.
pub(super) fn share(ratio: f64) -> String {
    match ratio * 100.0 {
        v if !v.is_finite() => "–".to_owned(),
        v if v > 0.0 && v < 0.05 => "<0.1 %".to_owned(),
        v if v < 9.95 && v != 0.0 => format!("{v:.1} %"),
        v => format!("{v:.0} %"),
    }
}

/// A moment as RFC 3339 in UTC, to the millisecond; the browser turns it into local time.
pub(super) fn moment(micros: i64) -> String {
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(moment) => moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        Err(_) => "–".to_owned(),
    }
}

/// Escapes for HTML, and makes visible what a terminal or a browser would act on unseen:
/// control characters, marks that turn the direction of text and marks that hide in it
/// become their names in angle brackets. Line ends and tabs stay.
pub(super) fn escape(text: &str, out: &mut impl Write) -> std::fmt::Result {
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let special = matches!(c, '<' | '>' | '&' | '"' | '\'') || is_unseen(c);
        if !special {
            continue;
        }
        out.write_str(&text[plain..at])?;
        plain = at + c.len_utf8();
        match c {
            '<' => out.write_str("&lt;")?,
            '>' => out.write_str("&gt;")?,
            '&' => out.write_str("&amp;")?,
            '"' => out.write_str("&quot;")?,
            '\'' => out.write_str("&#39;")?,
            // A line's end as Windows writes it is a line's end.
            '\r' if text[plain..].starts_with('\n') => {}
            '\0'..='\u{1f}' => write!(out, "\u{27e8}{}\u{27e9}", CONTROLS[c as usize])?,
            other => write!(out, "\u{27e8}U+{:04X}\u{27e9}", u32::from(other))?,
        }
    }
    out.write_str(&text[plain..])
}

/// Names of the first control characters (ISO 646).
const CONTROLS: [&str; 32] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO", "SI", "DLE",
    "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
];

fn is_unseen(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        // Joiners (U+200C, U+200D) belong to scripts and emoji; they stay.
        '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => false,
    }
}

/// The first `limit` characters, and whether there are more.
pub(super) fn cut(text: &str, limit: usize) -> (&str, bool) {
    match text.char_indices().nth(limit) {
        Some((at, _)) => (&text[..at], true),
        None => (text, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        escape(text, &mut out).unwrap();
        out
    }

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let table = [
            (seconds(0.000_4), "400 µs"),
            (seconds(0.0042), "4.2 ms"),
            (seconds(0.123), "123 ms"),
            (seconds(1.234), "1.23 s"),
            (seconds(12.34), "12.3 s"),
            (seconds(125.0), "2 m 05 s"),
            (seconds(90_000.0), "1 d 1 h"),
            (count(7.0), "7"),
            (count(0.25), "0.25"),
            (count(1234.0), "1.23 k"),
            (count(2_500_000.0), "2.50 M"),
            (whole(1_234_567), "1\u{202f}234\u{202f}567"),
            (whole(12), "12"),
            (bytes(512.0), "512 B"),
            (bytes(12_595.0), "12.3 KiB"),
            (share(0.0), "0 %"),
            (share(0.004), "0.4 %"),
            (share(0.0001), "<0.1 %"),
            (share(0.5), "50 %"),
            (moment(1_500_000), "1970-01-01T00:00:01.500Z"),
        ];
        for (written, expected) in table {
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn markup_becomes_text() {
        assert_eq!(
            escaped("</script><img src=x onerror=\"a('b')\">&"),
            "&lt;/script&gt;&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt;&amp;"
        );
    }

    #[test]
    fn what_acts_unseen_is_shown() {
        assert_eq!(escaped("\u{1b}[31mred\u{7}"), "⟨ESC⟩[31mred⟨BEL⟩");
        assert_eq!(escaped("ab\u{202e}cd"), "ab⟨U+202E⟩cd");
        assert_eq!(escaped("a\u{200b}b\u{feff}"), "a⟨U+200B⟩b⟨U+FEFF⟩");
        assert_eq!(escaped("line\n\tnext\r\nlast\r"), "line\n\tnext\nlast⟨CR⟩");
        assert_eq!(escaped("👩\u{200d}🔬 привет"), "👩\u{200d}🔬 привет");
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("при", 2), ("пр", true));
        assert_eq!(cut("при", 3), ("при", false));
    }
}
