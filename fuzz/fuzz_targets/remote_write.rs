//! Remote write, unpacked: the decoder against the common library for protobuf.
#![no_main]

#[allow(dead_code)]
#[path = "../../crates/wire/tests/it/reference/mod.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|body: &[u8]| reference::remote_write::agree(body));
