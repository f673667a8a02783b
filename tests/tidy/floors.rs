//! The import floors of the proxy: floor 0 (`exchange`) imports nothing of ours, a part
//! imports floor 0 and itself, wiring imports parts, `app` and the program import all.

use crate::File;

/// Folder whose files are parts' homes; a file or folder right below is one part.
const HOMES: &[&str] = &["inline", "background", "review"];
/// Parts that stand at the top.
const TOP_PARTS: &[&str] = &["console", "telemetry"];
/// Files that may import anything: they put parts together.
const WIRING: &[&str] =
    &["inline/mod", "background/mod", "background/adapters", "config/", "app", "cli", "main", "lib", "review/mod"];

/// Where a file or an import stands.
#[derive(Debug, PartialEq, Eq)]
enum Floor {
    /// The vocabulary.
    Words,
    /// One part, by its path.
    Part(String),
    /// May import everything.
    Wiring,
}

/// Imports of a file that its floor forbids.
pub(crate) fn findings(file: &File) -> Vec<String> {
    let Some(module) = file.path.strip_prefix("proxy/src/").and_then(|path| path.strip_suffix(".rs")) else {
        return Vec::new();
    };
    let here = floor(module);
    let code = without_comments(&file.text);
    let mut found = Vec::new();
    for (at, import) in absolute(&code).into_iter().chain(relative(&code, module)) {
        if !allowed(&here, &floor(&import)) {
            let place = format!("{}:{}", file.path, code[..at].matches('\n').count() + 1);
            found.push(format!("{place}: {here:?} imports {import}; a part may import `exchange` only"));
        }
    }
    found
}

/// A source with its line comments blanked, so that offsets and lines stay.
fn without_comments(text: &str) -> String {
    let line = |line: &str| match line.find("//") {
        Some(at) => format!("{}{}\n", &line[..at], " ".repeat(line.len() - at)),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn allowed(here: &Floor, there: &Floor) -> bool {
    match (here, there) {
        (Floor::Wiring, _) | (_, Floor::Words) => true,
        (Floor::Part(here), Floor::Part(there)) => here == there,
        _ => false,
    }
}

/// The floor of a module path, as in `inline/cache/key` or, for an import, `inline/cache`.
fn floor(module: &str) -> Floor {
    let is_wiring = |known: &&str| module == *known || (known.ends_with('/') && module.starts_with(*known));
    let mut steps = module.split('/');
    let first = steps.next().unwrap_or_default();
    if first == "exchange" {
        Floor::Words
    } else if WIRING.iter().any(is_wiring) || first == "config" {
        Floor::Wiring
    } else if TOP_PARTS.contains(&first) {
        Floor::Part(first.to_owned())
    } else if let (true, Some(second)) = (HOMES.contains(&first), steps.next()) {
        // The tests of a wiring file are wiring too.
        if second == "tests" { Floor::Wiring } else { Floor::Part(format!("{first}/{second}")) }
    } else {
        Floor::Wiring
    }
}

/// The module paths that a source imports or names with `crate::`, two steps deep, and
/// where; braces right behind `crate::` or behind the first step are opened.
fn absolute(code: &str) -> Vec<(usize, String)> {
    let starts = code.match_indices("crate::").filter(|(at, _)| begins_path(code, *at));
    let below =
        starts.flat_map(|(at, word)| paths(&code[at + word.len()..], 2).into_iter().map(move |path| (at, path)));
    below.collect()
}

/// The module paths that a source reaches with `super::`. Tests at the end of a file are one
/// level deeper and left out: they see what their file sees.
fn relative(code: &str, module: &str) -> Vec<(usize, String)> {
    let code = &code[..code.find("\n#[cfg(test)]\nmod tests {").unwrap_or(code.len())];
    let module = module.strip_suffix("/mod").unwrap_or(module);
    let steps: Vec<&str> = module.split('/').collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("super::").filter(|(at, _)| begins_path(code, *at)) {
        let mut rest = &code[at..];
        let mut level = steps.len();
        while let Some(below) = rest.strip_prefix("super::") {
            (rest, level) = (below, level.saturating_sub(1));
        }
        let base = &steps[..level];
        for path in paths(rest, 2) {
            found.push((at, base.iter().copied().chain([path.as_str()]).collect::<Vec<_>>().join("/")));
        }
    }
    found
}

/// Whether a path begins here, rather than goes on.
fn begins_path(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | '$' | ':'))
}

/// Paths that begin a text, up to so many steps, joined by `/`.
fn paths(text: &str, depth: usize) -> Vec<String> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        return items(group).iter().flat_map(|item| paths(item, depth)).collect();
    }
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    let (step, rest) = text.split_at(end);
    // A step that begins with a capital is an item, not a module.
    if step.is_empty() || step.starts_with(char::is_uppercase) {
        return Vec::new();
    }
    match rest.strip_prefix("::").filter(|_| depth > 1).map(|rest| paths(rest, depth - 1)) {
        Some(below) if !below.is_empty() => below.iter().map(|below| format!("{step}/{below}")).collect(),
        _ => vec![step.to_owned()],
    }
}

/// The items of a brace group, split at its own commas; an open group ends with the line.
fn items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&group[start..at]);
                return found;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&group[start..]);
    found
}

#[test]
fn imports_are_found_however_they_are_written() {
    let table: &[(&str, &[&str])] = &[
        ("use crate::exchange::{Record, units};", &["exchange/units"]),
        ("use crate::exchange::Record;", &["exchange"]),
        ("    let x = crate::background::spool::Spool::new();", &["background/spool"]),
        ("use crate::{exchange, inline::cache};", &["exchange", "inline/cache"]),
        ("use crate::background::{sample::Config, spool::{self, Spool}};", &["background/sample", "background/spool"]),
        ("pub(crate) fn a() {} // crate::inline", &[]),
        ("mycrate::inline::cache", &[]),
        ("use crate::{\n    exchange,\n    inline::{\n        cache,\n    },\n};", &["exchange", "inline/cache"]),
    ];
    for (line, expected) in table {
        let code = without_comments(line);
        let found: Vec<String> = absolute(&code).into_iter().map(|(_, path)| path).collect();
        assert_eq!(found, *expected, "{line}");
    }
}

#[test]
fn a_part_that_imports_another_part_is_found() {
    let table = [
        ("inline/engine/mod.rs", "use crate::inline::engine::dialect;", true),
        ("inline/engine/mod.rs", "use crate::exchange::Api;", true),
        ("inline/engine/mod.rs", "use crate::inline::cache::Key;", false),
        ("inline/engine/mod.rs", "use crate::config::Config;", false),
        ("background/spool/writer.rs", "use crate::background::sink;", false),
        ("background/redact.rs", "crate::telemetry::metrics::Metrics", false),
        ("console/api.rs", "use crate::console::auth;", true),
        ("console/api.rs", "use crate::background::store;", false),
        ("exchange/record.rs", "use crate::exchange::Name;", true),
        ("exchange/record.rs", "use crate::telemetry;", false),
        ("inline/mod.rs", "use crate::inline::cache;", true),
        ("config/mod.rs", "use crate::telemetry;", true),
        ("inline/engine/mod.rs", "use super::cache::Key;", false),
        ("inline/engine/pool.rs", "use super::dialect::Dialect;", true),
        ("inline/engine/pool.rs", "use super::super::cache::Key;", false),
        ("inline/decide.rs", "use super::cache;", false),
        ("inline/decide.rs", "fn a() {}\n#[cfg(test)]\nmod tests { use super::helper; }", true),
        ("telemetry/logs.rs", "use super::metrics;", true),
        ("telemetry/logs.rs", "use super::super::console;", false),
        ("exchange/record.rs", "use super::Name;", true),
        ("exchange/completion/sse.rs", "use super::super::super::inline;", false),
        ("app.rs", "use crate::background::sink;", true),
    ];
    for (path, text, is_good) in table {
        let file = File { path: format!("proxy/src/{path}"), text: text.to_owned() };
        assert_eq!(findings(&file).is_empty(), is_good, "{path}: {text}");
    }
}
