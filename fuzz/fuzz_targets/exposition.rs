//! Prometheus' text and OpenMetrics: the decoder against the slow one of wire's tests.
#![no_main]

#[allow(dead_code)]
#[path = "../../crates/wire/tests/it/reference/mod.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|body: &[u8]| reference::exposition::agree(body));
