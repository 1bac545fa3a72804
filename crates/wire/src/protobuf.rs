//! Reads and writes the few shapes of protobuf that the hot paths need, without copying.

/// What a protobuf body is wrong about, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct ProtobufError {
    /// The byte in the decompressed body.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

/// A field's content.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(Reader<'a>),
    Fixed32,
}

/// A message, or what is left of it; remembers where it lies in the whole body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    base: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0, base: 0 }
    }

    /// A message that lies within `bytes`, as it was found before.
    pub(crate) fn part(bytes: &'a [u8], base: usize, len: usize) -> Reader<'a> {
        Reader { bytes: &bytes[base..base + len], at: 0, base }
    }

    pub(crate) fn offset(&self) -> usize {
        self.base + self.at
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(crate) fn error(&self, reason: &'static str) -> ProtobufError {
        ProtobufError { offset: self.offset(), reason }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, ProtobufError> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.error("the body ends early"))?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, ProtobufError> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..70).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error("a number is longer than 64 bits"))
    }

    pub(crate) fn take(&mut self, len: u64) -> Result<&'a [u8], ProtobufError> {
        let len = usize::try_from(len).ok().filter(|len| *len <= self.bytes.len() - self.at);
        let len = len.ok_or_else(|| self.error("a length reaches over the end"))?;
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtobufError> {
        let taken = self.take(N as u64)?;
        Ok(std::array::from_fn(|place| taken[place]))
    }

    /// The next field's number and content, or `None` at the end of the message.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Option<(u64, Field<'a>)>, ProtobufError> {
        if self.is_done() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = self.varint()?;
                let base = self.offset();
                Field::Bytes(Reader { bytes: self.take(len)?, at: 0, base })
            }
            5 => {
                self.array::<4>()?;
                Field::Fixed32
            }
            _ => return Err(self.error("an unknown wire type")),
        };
        if tag >> 3 == 0 {
            return Err(self.error("field number 0"));
        }
        Ok(Some((tag >> 3, field)))
    }
}

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field of bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Small numbers for small distances in either direction.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The reverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
