//! PromQL: any text is read or refused, and what is read means the same when it is written and read again.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(read) = query::parse(text) {
        let written = read.to_string();
        let again = query::parse(&written).unwrap_or_else(|error| panic!("{written:?} of {text:?}: {error}"));
        assert_eq!(again.to_string(), written, "{text:?}");
    }
});
