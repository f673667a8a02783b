//! Every kind of critic has its page, and the index of the rules leads to pages that are there.
#![allow(clippy::unwrap_used, reason = "all of this is tests, functions that they share included")]

use std::path::Path;

use weir_critic::config::Config;

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Every kind, as the settings' own error lists them.
fn kinds() -> Vec<String> {
    let fault = serde_json::from_str::<Config>(r#"{"kind":"?"}"#).unwrap_err().to_string();
    let listed = fault.split_once("expected one of").unwrap().1;
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_kind_of_critic_has_a_page_under_its_name() {
    let kinds = kinds();
    assert!(kinds.len() > 20, "{kinds:?}");
    let pages: Vec<String> =
        std::fs::read_dir(docs()).unwrap().map(|page| std::fs::read_to_string(page.unwrap().path()).unwrap()).collect();
    for kind in kinds {
        // `# rubric, pairwise, reflection: critics that ask an LLM` is the page of three.
        let is_its_page = |page: &String| {
            let title = page.lines().next().unwrap_or_default().trim_start_matches("# ");
            title.split(':').next().unwrap_or_default().split(", ").any(|name| name == kind)
        };
        let page = pages.iter().find(|page| is_its_page(page));
        let page = page.unwrap_or_else(|| panic!("no page of critic/docs begins with `# {kind}`"));
        assert!(page.contains("## Settings"), "the page of {kind} has no settings");
    }
}

#[test]
fn the_index_of_the_rules_names_pages_that_are_there() {
    let index = std::fs::read_to_string(docs().join("rules.md")).unwrap();
    let pages: Vec<&str> =
        index.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(page, _)| page).collect();
    assert!(pages.len() >= 13, "{pages:?}");
    for page in pages.into_iter().filter(|page| !page.contains("://")) {
        assert!(docs().join(page).is_file(), "{page}");
    }
}
