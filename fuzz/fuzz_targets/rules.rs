//! Rule files: any text is compiled or refused.
#![no_main]

use model::config::RuleGroup;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    groups: Vec<RuleGroup>,
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(file) = serde_saphyr::from_str::<RuleFile>(text) {
        let _ = engine::rule::Rules::compile(&file.groups);
    }
});
