//! Tests of the whole way from a file to a configuration: each bad file in `testdata` holds
//! one mistake and is bound to its message.

use super::*;
use crate::exchange::{ByteSize, Name, Period};

/// Every bad file and what is said of it, without the file's name.
const BAD: &[(&str, &[&str])] = &[
    (
        "syntax.toml",
        &[
            "2:10: this is not TOML: string values must be quoted, expected literal string; correct the syntax (https://toml.io)",
        ],
    ),
    ("duplicate_key.toml", &["3:1: this is not TOML: duplicate key; correct the syntax (https://toml.io)"]),
    ("unknown_section.toml", &["1:2: telemtry: unknown key 'telemtry'; did you mean 'telemetry'?"]),
    ("unknown_key.toml", &["2:1: telemetry.logs.levle: unknown key 'levle'; did you mean 'level'?"]),
    (
        "unlike_any_key.toml",
        &["2:1: telemetry.logs.colour: unknown key 'colour'; [telemetry.logs] knows access, format, level"],
    ),
    ("wrong_type.toml", &["2:1: telemetry.traces.batch_spans: \"many\" is text; write a whole number"]),
    (
        "bad_word.toml",
        &[
            "2:1: telemetry.logs.format: \"jsno\" is no word of this key; did you mean \"json\"? write one of \"json\", \"compact\", \"pretty\"",
        ],
    ),
    (
        "bad_period.toml",
        &[
            "2:1: telemetry.traces.timeout: '5 minutes' is no period; write a number and ms, s, m, h or d, as in \"15s\" or \"1m 30s\"",
        ],
    ),
    (
        "period_without_quotes.toml",
        &["2:1: telemetry.traces.timeout: 5 is a whole number; write a period in quotes, as in \"15s\""],
    ),
    ("out_of_range.toml", &["2:1: telemetry.traces.batch_spans: 0 is too small; write at least 1"]),
    ("fraction.toml", &["2:1: telemetry.traces.batch_spans: 1.5 is a number with a fraction; write a whole number"]),
    ("table_expected.toml", &["2:1: telemetry.logs: \"json\" is text; write a table"]),
    (
        "bad_level.toml",
        &[
            "2:1: telemetry.logs.level: \"loud=very\" is no log level; write error, warn, info, debug or trace, or a list as in \"info,weir::inline=debug\"",
        ],
    ),
    (
        "bad_endpoint.toml",
        &[
            "2:1: telemetry.traces.endpoint: https is not spoken to collectors; write http://host:port of a collector (one beside Weir can add TLS)",
        ],
    ),
    ("no_time.toml", &["2:1: telemetry.traces.flush_every: 0s leaves no time; write a period, as in \"5s\""]),
    (
        "no_engine.toml",
        &[
            " engines: is empty, there is nothing to stand in front of; name one with --engine http://host:port, or under [engines.NAME]",
        ],
    ),
    (
        "bad_engine_address.toml",
        &[
            "2:13: engines.default.replicas[0]: '127.0.0.1:8000' does not begin with http://; write it as \"http://host:port\"",
        ],
    ),
    (
        "two_engines_no_route.toml",
        &[" routes: is empty, and there is more than one engine; say under [[routes]] which requests go to which"],
    ),
    ("bad_name.toml", &["1:10: engines.\"my gpu\": 'my gpu' is no name; use 1 to 64 letters, digits, '.', '_' or '-'"]),
    (
        "bad_engine_kind.toml",
        &[
            "2:1: engines.default.kind: \"vlm\" is no word of this key; did you mean \"vllm\"? write one of \"vllm\", \"sglang\", \"tensorrt-llm\", \"llama-cpp\", \"tgi\", \"openai\"",
        ],
    ),
    (
        "plain_key.toml",
        &[
            "2:15: tenants.search.key_hashes[0]: is no BLAKE3 hash; write the 64 hex digits that `weir key` prints, never the key itself",
        ],
    ),
    (
        "bad_size.toml",
        &["2:1: spool.max_bytes: '2GB' is no size; write bytes as a number, or KiB, MiB or GiB, as in \"64MiB\""],
    ),
    (
        "cache_that_cannot_keep.toml",
        &[
            "3:1: cache.max_entry_bytes: is 2MiB, more than `max_bytes` (1MiB); lower it, or raise `max_bytes`",
            "13:1: routes[0].cache.ttl: is 0; say `mode = \"off\"` to keep nothing",
            "14:1: routes[0].cache.variants: has no effect where only one answer can come; say `mode = \"all\"`, or leave it out",
            "15:9: routes[0].cache.vary[0]: 'x user' is no header name; correct it",
        ],
    ),
    ("per_cent.toml", &["2:1: sample.rate: 10 is no ratio; write a number from 0.0 to 1.0"]),
    (
        "bad_address.toml",
        &[
            "2:1: console.listen: invalid socket address syntax; write an IP address and a port, as in \"127.0.0.1:8080\"",
        ],
    ),
    ("table_for_list.toml", &["1:9: redact.rules: the value is a table; write a list, as in [\"a\", \"b\"]"]),
    (
        "route_to_nowhere.toml",
        &["6:12: routes[0].engines[0]: 'b' is not configured; use one of [a], or add it as [engines.NAME]"],
    ),
    (
        "many_faults.toml",
        &[
            "2:1: telemetry.logs.format: \"xml\" is no word of this key; write one of \"json\", \"compact\", \"pretty\"",
            "3:1: telemetry.logs.levle: unknown key 'levle'; did you mean 'level'?",
            "6:1: telemetry.traces.timeout: 'soon' is no period; write a number and ms, s, m, h or d, as in \"15s\" or \"1m 30s\"",
            "7:1: telemetry.traces.batch_spans: -1 is too small; write at least 1",
        ],
    ),
];

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/testdata")
}

fn faults_of(file: &str) -> Vec<String> {
    let sources = Sources { file: Some(testdata().join(file)), overrides: Vec::new() };
    let faults = sources.load::<Config>().unwrap_err();
    let prefix = format!("{}:", faults.origin);
    faults.to_string().lines().map(|line| line.strip_prefix(&prefix).unwrap_or(line).to_owned()).collect()
}

#[test]
fn each_bad_file_is_bound_to_its_message() {
    for (file, expected) in BAD {
        assert_eq!(faults_of(file), *expected, "{file}");
    }
}

#[test]
fn every_file_of_the_testdata_is_in_the_table() {
    let mut found: Vec<String> =
        std::fs::read_dir(testdata()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut listed: Vec<&str> = BAD.iter().map(|(file, _)| *file).chain(["good.toml"]).collect();
    found.sort();
    listed.sort_unstable();
    assert_eq!(found, listed);
}

#[test]
fn the_good_file_sets_every_key() {
    let sources = Sources { file: Some(testdata().join("good.toml")), overrides: Vec::new() };
    let good = serde_json::to_value(sources.load::<Config>().unwrap_or_else(|faults| panic!("{faults}"))).unwrap();
    let same = same_leaves(&serde_json::to_value(Config::default()).unwrap(), &good, "");
    assert_eq!(same, Vec::<String>::new(), "these keys have their default in good.toml");
}

/// Paths of leaves that two trees share.
fn same_leaves(a: &Value, b: &Value, path: &str) -> Vec<String> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.iter().flat_map(|(key, value)| same_leaves(value, &b[key], &place::join(path, key))).collect()
        }
        // A secret never shows its value, so it cannot be seen to differ.
        _ if a == b && a != "***" => vec![path.to_owned()],
        _ => Vec::new(),
    }
}

#[test]
fn an_engine_and_no_file_give_the_defaults_and_a_missing_file_is_a_fault() {
    let flags = vec![Override::new("--engine", "engines.default.replicas", "[\"http://e:1\"]")];
    let config: Config = Sources::new(None, [], flags).load().unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.telemetry.logs.level, "info");
    let sources = Sources { file: Some(PathBuf::from("/nowhere/weir.toml")), overrides: Vec::new() };
    let text = sources.load::<Config>().unwrap_err().to_string();
    assert!(text.starts_with("/nowhere/weir.toml: the file cannot be read: "), "{text}");
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let environment = [("WEIR__TELEMETRY__LOGS__LEVEL", "debug"), ("WEIR__TELEMETRY__TRACES__BATCH_SPANS", "7")];
    let environment = environment.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let flags = vec![Override::new("--log-format", "telemetry.logs.format", "pretty")];
    let config: Config = Sources::new(Some(&testdata().join("good.toml")), environment, flags).load().unwrap();
    assert_eq!(config.telemetry.logs.level, "debug");
    assert_eq!(config.telemetry.logs.format, telemetry::logs::Format::Pretty);
    assert_eq!(config.telemetry.traces.batch_spans, 7);
}

#[test]
fn a_fault_of_an_override_names_the_variable() {
    let environment = [("WEIR__TELEMETRY__TRACES__BATCH_SPANS", "lots"), ("WEIR__TELEMETRY__LOGS__LEVLE", "info")];
    let environment = environment.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let text = Sources::new(None, environment, Vec::new()).load::<Config>().unwrap_err().to_string();
    let expected = [
        "WEIR__TELEMETRY__LOGS__LEVLE: telemetry.logs.levle: unknown key 'levle'; did you mean 'level'?",
        "WEIR__TELEMETRY__TRACES__BATCH_SPANS: telemetry.traces.batch_spans: \"lots\" is text; write a whole number",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

/// Shapes that sections use and telemetry does not: lists and maps of tables, tagged
/// choices, optional tables, sizes, secrets.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Shapes {
    /// Engines by name.
    engines: std::collections::BTreeMap<Name, Engine>,
    /// Routes in order.
    routes: Vec<Route>,
    /// Where answers go.
    sink: Option<Sink>,
    /// A limit.
    limit: Option<ByteSize>,
    /// A key.
    api_key: String,
}

/// An engine.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Engine {
    /// Addresses.
    replicas: Vec<String>,
    /// Patience.
    timeout: Option<Period>,
}

/// A route.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Route {
    /// Name of an engine.
    engine: String,
    /// Port.
    port: u16,
}

/// A choice.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Sink {
    /// To disk.
    Disk {
        /// Folder.
        path: String,
    },
    /// Nowhere.
    Discard,
}

impl Checked for Shapes {
    fn faults(&self) -> Vec<Fault> {
        let unknown = self
            .routes
            .iter()
            .enumerate()
            .filter(|(_, route)| !self.engines.keys().any(|name| name.as_str() == route.engine));
        unknown
            .map(|(at, _)| Fault::new(format!("routes[{at}].engine"), "no such engine", "name one of engines"))
            .collect()
    }
}

#[test]
fn faults_in_lists_maps_and_choices_are_said_as_plainly() {
    let table: &[(&str, &str)] = &[
        (
            "[engines.a]\nreplicas = [\"x\", 3]",
            "t:2:18: engines.a.replicas[1]: 3 is a whole number; write text in quotes",
        ),
        (
            "[engines.a]\ntimeout = \"x\"",
            "t:2:1: engines.a.timeout: 'x' is no period; write a number and ms, s, m, h or d, as in \"15s\" or \"1m 30s\"",
        ),
        (
            "[engines.\"a b\"]\nreplicas = []",
            "t:1:10: engines.\"a b\": 'a b' is no name; use 1 to 64 letters, digits, '.', '_' or '-'",
        ),
        ("[[routes]]\nport = 1", "t:1:1: routes[0]: the key 'engine' is missing; add engine = ..."),
        ("[[routes]]\nengine = \"a\"\nport = 70000", "t:3:1: routes[0].port: 70000 is too large; write at most 65535"),
        ("[[routes]]\nengine = \"a\"\nport = 1", "t:2:1: routes[0].engine: no such engine; name one of engines"),
        (
            "[sink]\nkind = \"dsik\"",
            "t:2:1: sink.kind: \"dsik\" is no word of this key; did you mean \"disk\"? write one of \"disk\", \"discard\"",
        ),
        ("[sink]\nkind = \"disk\"", "t:1:2: sink: the key 'path' is missing; add path = ..."),
        ("[sink]\nkind = \"disk\"\npath = \"p\"\npth = 1", "t:4:1: sink.pth: unknown key 'pth'; did you mean 'path'?"),
        (
            "limit = \"5KB\"",
            "t:1:1: limit: '5KB' is no size; write bytes as a number, or KiB, MiB or GiB, as in \"64MiB\"",
        ),
        ("limit = true", "t:1:1: limit: true is true or false; write a size, as in \"64MiB\""),
        ("api_key = 123456", "t:1:1: api_key: the value is a whole number; write text in quotes"),
    ];
    for (text, expected) in table {
        let faults = load_text::<Shapes>(text, "t", &[]).unwrap_err().to_string();
        assert_eq!(faults, *expected, "{text}");
    }
    let good = "limit = 5\napi_key = \"k\"\n[engines.a]\nreplicas = [\"x\"]\n[[routes]]\nengine = \"a\"\nport = 1\n[sink]\nkind = \"discard\"";
    load_text::<Shapes>(good, "t", &[]).unwrap_or_else(|faults| panic!("{faults}"));
}

#[test]
fn the_reference_has_a_section_for_every_shape() {
    let page = reference::markdown(&schema::of::<Shapes>(), environment::FOREIGN, &["routes"]);
    let expected = [
        "| `limit` | size | none | A limit. |",
        "| `api_key` | text | none | A key. |",
        "## `[engines.<name>]`\n\nEngines by name.\n",
        "| `replicas` | list of text | `[]` | Addresses. |",
        "## `[[routes]]`\n\nRoutes in order.\n",
        "| `engine` | text | required | Name of an engine. |",
        "| `port` | whole number, 0 to 65535 | required | Port. |",
        "## `[sink]`\n\nWhere answers go.\n",
        "| `kind` | `\"disk\"`, `\"discard\"` |",
        "| `timeout` | period | none | Patience. |",
        "- `routes`\n",
    ];
    for part in expected {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}

fn live(file: &Path) -> (Live<Config>, prometheus::Registry) {
    let registry = prometheus::Registry::new();
    let metrics = live::Metrics::register(&registry).unwrap();
    let sources = Sources { file: Some(file.to_owned()), overrides: Vec::new() };
    let initial = sources.load().unwrap();
    (Live::new(initial, Some(file.to_owned()), move || sources.load(), NEEDS_RESTART, metrics), registry)
}

fn reloads(registry: &prometheus::Registry, outcome: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "weir_config_reloads_total").unwrap();
    let metric = family.get_metric().iter().find(|metric| metric.get_label()[0].value() == outcome).unwrap();
    metric.get_counter().get_value()
}

#[test]
fn a_reload_swaps_a_good_configuration_and_keeps_the_last_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.toml");
    std::fs::write(&file, "[telemetry.logs]\nlevel = \"info\"\n[engines.a]\nreplicas = [\"http://e:1\"]").unwrap();
    let (live, registry) = live(&file);
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let copy = told.clone();
    live.subscribe(move |config| copy.lock().unwrap().push(config.telemetry.logs.level.clone()));

    assert_eq!(live.reload().unwrap(), Change::default());
    std::fs::write(
        &file,
        "[telemetry.logs]\nlevel = \"debug\"\nformat = \"json\"\n[engines.a]\nreplicas = [\"http://e:1\"]",
    )
    .unwrap();
    let change = live.reload().unwrap();
    assert_eq!(change.changed, ["telemetry.logs.format", "telemetry.logs.level"]);
    assert_eq!(change.needs_restart, ["telemetry.logs.format"]);
    std::fs::write(&file, "[telemetry.logs]\nlevel = 5").unwrap();
    assert_eq!(live.reload().unwrap_err().list.len(), 1);

    assert_eq!(live.load().telemetry.logs.level, "debug");
    assert_eq!(*told.lock().unwrap(), ["info", "debug"]);
    assert_eq!(["applied", "unchanged", "refused"].map(|outcome| reloads(&registry, outcome)), [1.0, 1.0, 1.0]);
}

#[tokio::test]
async fn a_changed_file_is_taken_over_without_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.toml");
    std::fs::write(&file, "[telemetry.logs]\nlevel = \"info\"\n[engines.a]\nreplicas = [\"http://e:1\"]").unwrap();
    let (live, _) = live(&file);
    let live = std::sync::Arc::new(live);
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    live.subscribe(move |config| sender.send(config.telemetry.logs.level.clone()).unwrap());
    let watch = tokio::spawn(live.clone().watch(std::time::Duration::from_millis(5)));
    std::fs::write(&file, "[telemetry.logs]\nlevel = \"debug,weir=trace\"\n[engines.a]\nreplicas = [\"http://e:1\"]")
        .unwrap();
    let level = tokio::time::timeout(std::time::Duration::from_secs(10), seen.recv()).await;
    watch.abort();
    assert_eq!(level.unwrap().unwrap(), "debug,weir=trace");
}
