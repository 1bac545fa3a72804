//! Packed bodies: whatever they claim, what comes out has a limit, and so has the memory.
#![no_main]

use wire::compression::Encoding;

const LIMIT: usize = 1 << 20;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let mut memory = Vec::new();
    for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Snappy, Encoding::Zstd] {
        if let Ok(plain) = encoding.open_into(body, LIMIT, &mut memory) {
            assert!(plain.len() <= LIMIT);
        }
        assert!(memory.capacity() <= 4 * LIMIT, "{encoding:?} took {} bytes", memory.capacity());
    }
});
