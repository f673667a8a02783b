//! A chosen threshold, written into the configuration without touching anything else in it.
//!
//! Comments, order and spaces stay. The file is replaced in one step, so that a running Weir
//! reads the old one or the new one; it is checked before, so that it never reads a broken one.

use std::io::Write;
use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, Value, value};
use weir_critic::config::{Config, Named};
use weir_critic::evaluate::Calibration;

/// Writes `threshold` and `calibration` under `[critics.NAME]`.
pub(super) fn write_threshold(file: &Path, name: &str, threshold: f64, from: &Calibration) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = with_threshold(&super::chosen::read(file)?, name, threshold, from).map_err(|error| said(&error))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let own = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{own}.{}", std::process::id()));
    let replace = || -> std::io::Result<()> {
        let mut new = std::fs::File::create(&beside)?;
        new.write_all(text.as_bytes())?;
        new.set_permissions(std::fs::metadata(file)?.permissions())?;
        new.sync_all()?;
        std::fs::rename(&beside, file)
    };
    replace().map_err(|error| {
        // What is left of an attempt helps nobody.
        let _ = std::fs::remove_file(&beside);
        said(&error)
    })
}

/// The text of a configuration with the threshold in it.
fn with_threshold(text: &str, name: &str, threshold: f64, from: &Calibration) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let critic = document.get_mut("critics").and_then(|critics| critics.get_mut(name));
    let Some(critic) = critic.and_then(Item::as_table_like_mut) else {
        return Err(format!("there is no table [critics.{name}]"));
    };
    match critic.get_mut("threshold").and_then(Item::as_value_mut) {
        // The comment behind the old value stays behind the new one.
        Some(old) => {
            let decor = old.decor().clone();
            *old = Value::from(threshold);
            *old.decor_mut() = decor;
        }
        None => {
            critic.insert("threshold", value(threshold));
        }
    }
    critic.insert("calibration", Item::Table(table(from)?));
    let text = document.to_string();
    let whole: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let critic = whole["critics"][name].clone();
    critic
        .try_into::<Named>()
        .map_err(|error| format!("critics.{name}: {error}; this kind has no threshold to choose"))?;
    Ok(text)
}

fn table(from: &Calibration) -> Result<Table, String> {
    let mut table = Table::new();
    let whole = toml::Value::try_from(from).map_err(|error| error.to_string())?;
    for (key, field) in whole.as_table().into_iter().flatten() {
        let field: Value = match field {
            toml::Value::String(text) => text.as_str().into(),
            toml::Value::Integer(number) => (*number).into(),
            toml::Value::Float(number) => rounded(*number).into(),
            toml::Value::Boolean(flag) => (*flag).into(),
            other => return Err(format!("{key} = {other} cannot be kept")),
        };
        table.insert(key, Item::Value(field));
    }
    Ok(table)
}

/// Six digits are more than any data decide.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// The same as lines to be put under a critic by hand.
pub(super) fn snippet(name: &str, settings: &Config, threshold: f64, from: &Calibration) -> Result<String, String> {
    let settings = serde_json::to_value(settings).map_err(|error| error.to_string())?;
    let kind = settings["kind"].as_str().unwrap_or_default();
    with_threshold(&format!("[critics.{name}]\nkind = \"{kind}\"\n"), name, threshold, from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration() -> Calibration {
        Calibration {
            method: "f1".to_owned(),
            data: "d".to_owned(),
            cases: 7,
            f1: Some(0.123_456_789),
            ..Calibration::default()
        }
    }

    #[test]
    fn a_kind_without_a_threshold_is_not_given_one_and_the_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weir.toml");
        let text = "# ours\n[critics.pii] # all traffic\nkind = \"personal_data\"\n";
        std::fs::write(&file, text).unwrap();
        let error = write_threshold(&file, "pii", 0.5, &calibration()).unwrap_err();
        assert!(error.contains("critics.pii") && error.contains("no threshold"), "{error}");
        let error = write_threshold(&file, "other", 0.5, &calibration()).unwrap_err();
        assert!(error.contains("[critics.other]"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn provenance_is_a_table_of_plain_values() {
        let table = table(&calibration()).unwrap();
        assert_eq!(table["f1"].as_float(), Some(0.123_457));
        assert_eq!((table["method"].as_str(), table["cases"].as_integer()), (Some("f1"), Some(7)));
        assert!(!table.contains_key("alpha"), "what does not apply is left out");
    }
}
