//! Takes compressed bodies apart, with a limit on what comes out: a small body must not become a large one in memory.

use std::borrow::Cow;
use std::io::Read;

/// A body's `Content-Encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// gzip, of one or more members.
    Gzip,
    /// What HTTP calls deflate: zlib's format.
    Deflate,
    /// One block of snappy, without frames, as remote write uses it.
    Snappy,
    /// Zstandard (RFC 8878), of one or more frames.
    Zstd,
}

/// Largest window of a zstd frame, as a power of two: the 8 MiB that RFC 8878 asks decoders for.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Why a body could not be taken apart.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// What comes out is larger than allowed.
    #[error("the {format} body is larger than {limit} bytes when decompressed")]
    TooLarge {
        /// The format.
        format: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not this format, or damaged, or cut.
    #[error("decompress the {format} body: {reason}")]
    Damaged {
        /// The format.
        format: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// A `Content-Encoding` that we don't read.
    #[error("content encoding `{0}` is not known; identity, gzip, deflate, snappy and zstd are")]
    Unknown(String),
}

impl Encoding {
    /// Reads the header; an empty one is [`Encoding::Identity`].
    pub fn parse(header: &str) -> Result<Encoding, CompressionError> {
        Ok(match header.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Encoding::Identity,
            "gzip" | "x-gzip" => Encoding::Gzip,
            "deflate" => Encoding::Deflate,
            "snappy" => Encoding::Snappy,
            "zstd" => Encoding::Zstd,
            other => return Err(CompressionError::Unknown(other.chars().take(40).collect())),
        })
    }

    /// The body in plain, at most `limit` bytes; a plain one is not copied.
    pub fn open(self, body: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, CompressionError> {
        let mut memory = Vec::new();
        if self == Encoding::Identity {
            return self.open_into(body, limit, &mut memory).map(|_| Cow::Borrowed(body));
        }
        let len = self.open_into(body, limit, &mut memory)?.len();
        memory.truncate(len);
        Ok(Cow::Owned(memory))
    }

    /// The same into memory that is used again: what is in it and how long it is means nothing before and after.
    pub fn open_into<'a>(self, body: &'a [u8], limit: usize, memory: &'a mut Vec<u8>) -> Result<&'a [u8], CompressionError> {
        match self {
            Encoding::Identity if body.len() > limit => return Err(CompressionError::TooLarge { format: "plain", limit }),
            Encoding::Identity => return Ok(body),
            Encoding::Gzip => gunzip_limited(body, limit, memory)?,
            Encoding::Deflate => inflate_limited(body, limit, memory)?,
            Encoding::Zstd => unzstd_limited(body, limit, memory)?,
            Encoding::Snappy => return snappy_limited(body, limit, memory),
        }
        Ok(memory)
    }
}

/// Replaces `out` by the content of a gzip body, `limit` bytes at most.
pub fn gunzip_limited(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    read_limited("gzip", flate2::read::MultiGzDecoder::new(body), limit, out)
}

/// Replaces `out` by the content of a zlib body, `limit` bytes at most.
pub fn inflate_limited(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    read_limited("deflate", flate2::read::ZlibDecoder::new(body), limit, out)
}

/// Replaces `out` by the content of zstd frames, `limit` bytes at most, with a window of 8 MiB at most.
pub fn unzstd_limited(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    const FORMAT: &str = "zstd";
    let damaged = |error: std::io::Error| CompressionError::Damaged { format: FORMAT, reason: error.to_string() };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(damaged)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(damaged)?;
    read_limited(FORMAT, decoder, limit, out)
}

/// The content of a snappy block, `limit` bytes at most, in `memory`, which only grows: clearing it would cost as much as
/// unpacking. The length that the block claims is checked before memory is taken for it: against the limit, and
/// against what a block of this length can hold at all.
pub fn snappy_limited<'a>(body: &[u8], limit: usize, memory: &'a mut Vec<u8>) -> Result<&'a [u8], CompressionError> {
    const FORMAT: &str = "snappy";
    // The densest element of the format is a copy of 64 bytes in 3.
    const RATIO_MAX: usize = 22;
    let damaged = |reason: String| CompressionError::Damaged { format: FORMAT, reason };
    let len = snap::raw::decompress_len(body).map_err(|error| damaged(error.to_string()))?;
    if len > limit {
        return Err(CompressionError::TooLarge { format: FORMAT, limit });
    }
    if len > body.len().saturating_mul(RATIO_MAX) {
        return Err(damaged(format!("claims {len} bytes, which {} bytes can't hold", body.len())));
    }
    if memory.len() < len {
        memory.resize(len, 0);
    }
    let read = snap::raw::Decoder::new().decompress(body, &mut memory[..len]).map_err(|error| damaged(error.to_string()))?;
    Ok(&memory[..read])
}

fn read_limited(format: &'static str, reader: impl Read, limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    out.clear();
    let mut limited = reader.take((limit as u64).saturating_add(1));
    limited.read_to_end(out).map_err(|error| CompressionError::Damaged { format, reason: error.to_string() })?;
    if out.len() > limit {
        out.clear();
        return Err(CompressionError::TooLarge { format, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    const ALL: [Encoding; 5] = [Encoding::Identity, Encoding::Gzip, Encoding::Deflate, Encoding::Snappy, Encoding::Zstd];

    fn pack(encoding: Encoding, plain: &[u8]) -> Vec<u8> {
        match encoding {
            Encoding::Identity => plain.to_vec(),
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Snappy => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
            Encoding::Zstd => zstd::stream::encode_all(plain, 1).unwrap(),
        }
    }

    #[test]
    fn bombs_are_refused() {
        let plain = vec![0; 1_000_000];
        for encoding in ALL {
            let packed = pack(encoding, &plain);
            assert_eq!(encoding.open(&packed, plain.len()).unwrap().len(), plain.len());
            let error = encoding.open(&packed, plain.len() - 1).unwrap_err();
            assert!(matches!(error, CompressionError::TooLarge { limit: 999_999, .. }), "{error}");
        }
    }

    #[test]
    fn a_block_that_claims_too_much_costs_no_memory() {
        let mut out = Vec::new();
        // A length of 32 MiB - 1 and no content.
        let error = snappy_limited(&[0xff, 0xff, 0xff, 0x0f], 32 << 20, &mut out).unwrap_err();
        assert_eq!(error.to_string(), "decompress the snappy body: claims 33554431 bytes, which 4 bytes can't hold");
        assert_eq!(out.capacity(), 0);
    }

    #[test]
    fn a_window_that_is_too_large_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"a little").unwrap();
        let body = encoder.finish().unwrap();
        let error = Encoding::Zstd.open(&body, 1_000).unwrap_err();
        assert!(error.to_string().starts_with("decompress the zstd body: "), "{error}");
    }

    #[test]
    fn memory_is_used_again() {
        let mut memory = Vec::new();
        for plain in [&b"a longer text"[..], b"short", b""] {
            for encoding in ALL {
                let packed = pack(encoding, plain);
                assert_eq!(encoding.open_into(&packed, 100, &mut memory).unwrap(), plain);
            }
        }
    }

    #[test]
    fn headers() {
        assert_eq!(Encoding::parse(" GZIP").unwrap(), Encoding::Gzip);
        assert_eq!(Encoding::parse("").unwrap(), Encoding::Identity);
        assert!(Encoding::parse("br").unwrap_err().to_string().starts_with("content encoding `br`"));
    }

    #[test]
    fn members_follow_each_other() {
        let body = [pack(Encoding::Gzip, b"one "), pack(Encoding::Gzip, b"two")].concat();
        assert_eq!(Encoding::Gzip.open(&body, 100).unwrap().as_ref(), b"one two");
    }

    proptest! {
        #[test]
        fn there_and_back_and_never_a_panic(plain in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
            for encoding in ALL {
                let packed = pack(encoding, &plain);
                let opened = encoding.open(&packed, 300).unwrap();
                prop_assert_eq!(opened.as_ref(), plain.as_slice());
                if encoding != Encoding::Identity && cut < packed.len() {
                    // An empty gzip stream reads as nothing; every other cut is an error.
                    prop_assert!(encoding.open(&packed[..cut], 300).is_err() || cut == 0);
                }
                let _ = encoding.open(&plain, 300);
            }
        }
    }
}
