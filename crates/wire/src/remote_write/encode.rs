//! Writes requests as senders do: for tests, benchmarks and whoever sends.

use model::{Labels, Sample};

use crate::metadata::Metadata;
use crate::protobuf::{put_bytes, put_varint};

/// Writes a request as a snappy block: series with their samples, and metadata.
pub fn encode<'a>(series: impl IntoIterator<Item = (&'a Labels, &'a [Sample])>, meta: &[Metadata]) -> Vec<u8> {
    let plain = encode_plain(series, meta);
    snap::raw::Encoder::new().compress_vec(&plain).expect("a request is far below the 4 GiB of a snappy block")
}

/// The same before it is packed.
pub fn encode_plain<'a>(series: impl IntoIterator<Item = (&'a Labels, &'a [Sample])>, meta: &[Metadata]) -> Vec<u8> {
    let (mut request, mut message, mut part) = (Vec::new(), Vec::new(), Vec::new());
    for (labels, samples) in series {
        message.clear();
        for (name, value) in labels.iter() {
            part.clear();
            put_bytes(&mut part, 1, name.as_bytes());
            put_bytes(&mut part, 2, value.as_bytes());
            put_bytes(&mut message, 1, &part);
        }
        for sample in samples {
            part.clear();
            part.push(1 << 3 | 1);
            part.extend_from_slice(&sample.value.to_bits().to_le_bytes());
            part.push(2 << 3);
            put_varint(&mut part, sample.time.millis() as u64);
            put_bytes(&mut message, 2, &part);
        }
        put_bytes(&mut request, 1, &message);
    }
    for entry in meta {
        message.clear();
        message.push(1 << 3);
        put_varint(&mut message, entry.kind.number());
        put_bytes(&mut message, 2, entry.family.as_bytes());
        put_bytes(&mut message, 4, entry.help.as_bytes());
        put_bytes(&mut message, 5, entry.unit.as_bytes());
        put_bytes(&mut request, 3, &message);
    }
    request
}
