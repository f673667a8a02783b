//! Settings are read by their kind, with defaults, and unknown keys are refused.

use weir_critic::config::{Built, Config};

fn read(text: &str) -> Result<Config, serde_json::Error> {
    serde_json::from_str(text)
}

#[test]
fn each_kind_is_built_from_its_settings() {
    for (text, asks) in [
        (r#"{"kind":"reference","measure":"rouge_l","at_least":0.3}"#, false),
        (r#"{"kind":"arithmetic"}"#, false),
        (r#"{"kind":"final_answer","last_number":false}"#, false),
        (r#"{"kind":"command","argv":["/bin/sh","-c","true"],"concurrency":1}"#, false),
        (r#"{"kind":"rubric","criteria":[{"name":"brief","text":"It is brief."}]}"#, true),
        (r#"{"kind":"pairwise"}"#, true),
        (r#"{"kind":"reflection","focus":"tool use"}"#, true),
    ] {
        let config = read(text).unwrap();
        assert!(config.faults().is_empty(), "{text}: {:?}", config.faults());
        assert_eq!(matches!(config.build().unwrap(), Built::Asking(_)), asks, "{text}");
        let wrote = serde_json::to_string(&config).unwrap();
        assert_eq!(read(&wrote).unwrap(), config);
    }
}

#[test]
fn unknown_keys_are_refused() {
    for kind in ["reference", "arithmetic", "final_answer", "command", "rubric", "pairwise", "reflection"] {
        assert!(read(&format!(r#"{{"kind":"{kind}","colour":"red"}}"#)).is_err(), "{kind}");
    }
}

#[test]
fn a_program_that_is_not_there_is_said_when_it_is_built() {
    let config = read(r#"{"kind":"command","argv":["/no/such/judge"]}"#).unwrap();
    assert!(config.build().unwrap_err().contains("/no/such/judge"));
}
