//! The manifest: which parts the history is made of. One file that is replaced as a whole, with the same text in it twice.

use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::bits::{Reader, put_signed, put_varint};
use crate::error::StoreError;
use crate::files::{Files, replace, retry};

/// The newest format that this program reads, and the one that it writes.
pub(crate) const VERSION: u8 = 1;
const MAGIC: &[u8; 8] = b"flybhist";
const HEAD_LEN: usize = 16;
/// The second copy begins on a page of its own.
const COPY_ALIGN: usize = 4096;

/// A part as the manifest knows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    pub number: u64,
    pub day: i64,
    pub bytes: u64,
}

/// What the history is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Manifest {
    /// Rises by one each time.
    pub generation: u64,
    /// No part has this number or a greater one.
    pub next_number: u64,
    /// Nothing was published as this or later.
    pub next_published: u64,
    /// No series in a part has this id or a greater one.
    pub id_end: u64,
    /// What the last publisher said it had written.
    pub position: u64,
    pub parts: Vec<Listed>,
}

/// What lay in the folder.
pub(super) enum Loaded {
    /// There is none yet.
    Fresh,
    /// The manifest, and whether one of its copies is damaged.
    Good(Manifest, bool),
    /// Both copies are damaged.
    Damaged,
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("manifest")
}

impl Manifest {
    fn write(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let heads = [self.generation, self.next_number, self.next_published, self.id_end, self.position];
        heads.into_iter().for_each(|number| put_varint(&mut body, number));
        put_varint(&mut body, self.parts.len() as u64);
        for part in &self.parts {
            put_varint(&mut body, part.number);
            put_signed(&mut body, part.day);
            put_varint(&mut body, part.bytes);
        }
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend([VERSION, 0, 0, 0]);
        out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        out.extend_from_slice(&body);
        out.extend_from_slice(&xxh3_64(&out).to_le_bytes());
        out.resize(out.len().next_multiple_of(COPY_ALIGN), 0);
        out.extend_from_within(..);
        out
    }

    /// `Ok(None)` where these bytes are no whole manifest.
    fn read(bytes: &[u8], file: &Path) -> Result<Option<Manifest>, StoreError> {
        let whole = |bytes: &[u8]| {
            let len = u32::from_le_bytes(bytes.get(12..HEAD_LEN)?.try_into().ok()?) as usize;
            let end = HEAD_LEN.checked_add(len)?;
            let sum = u64::from_le_bytes(bytes.get(end..end.checked_add(8)?)?.try_into().ok()?);
            (bytes.starts_with(MAGIC) && xxh3_64(&bytes[..end]) == sum).then_some((bytes[8], HEAD_LEN..end))
        };
        let Some((version, body)) = whole(bytes) else { return Ok(None) };
        if version > VERSION {
            return Err(StoreError::Newer { file: file.to_owned(), version, known: VERSION });
        }
        Ok(Manifest::read_body(&mut Reader::new(&bytes[body])))
    }

    fn read_body(from: &mut Reader<'_>) -> Option<Manifest> {
        let mut manifest = Manifest {
            generation: from.varint()?,
            next_number: from.varint()?,
            next_published: from.varint()?,
            id_end: from.varint()?,
            position: from.varint()?,
            parts: Vec::new(),
        };
        for _ in 0..from.count()? {
            let (number, day, bytes) = (from.varint()?, from.signed()?, from.varint()?);
            manifest.parts.push(Listed { number, day, bytes });
        }
        from.rest.is_empty().then_some(manifest)
    }

    /// Reads the newest of a folder.
    pub fn load(files: &dyn Files, dir: &Path) -> Result<Loaded, StoreError> {
        let path = path(dir);
        let bytes = match retry(|| files.read(&path, 0, 1 << 30)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::Fresh),
            read => read.map_err(StoreError::io("read", &path))?,
        };
        // Where the file was cut, the second copy is not in its middle; the first may be whole.
        let copies = [Manifest::read(&bytes, &path)?, Manifest::read(&bytes[bytes.len() / 2..], &path)?];
        let damaged = copies.contains(&None);
        Ok(match copies.into_iter().flatten().next() {
            Some(manifest) => Loaded::Good(manifest, damaged),
            None => Loaded::Damaged,
        })
    }

    /// Puts it in the place of the one before; durable when this returns.
    pub fn store(&self, files: &dyn Files, dir: &Path) -> Result<(), StoreError> {
        let path = path(dir);
        replace(files, &path, &self.write()).map_err(StoreError::io("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Random, Simulated};

    /// F-04 of the manifest.
    #[test]
    fn a_flipped_bit_costs_nothing() {
        let dir = Path::new("/data");
        let files = Simulated::new(1);
        let listed = |number: u64| Listed { number, day: number as i64 - 3, bytes: number * 1_000 };
        let manifest =
            Manifest { generation: 7, next_number: 99, id_end: 5, parts: (0..20).map(listed).collect(), ..Default::default() };
        assert!(matches!(Manifest::load(&files, dir).unwrap(), Loaded::Fresh));
        manifest.store(&files, dir).unwrap();
        let good = files.contents(&path(dir)).unwrap();
        let mut random = Random::new(1);
        for place in 0..good.len() {
            let mut bytes = good.clone();
            bytes[place] ^= 1 << random.below(8);
            files.put(&path(dir), bytes);
            let Loaded::Good(back, _) = Manifest::load(&files, dir).unwrap() else { panic!("byte {place}") };
            assert_eq!(back, manifest);
        }
        for cut in 0..good.len() {
            files.put(&path(dir), good[..cut].to_vec());
            if let Loaded::Good(back, damaged) = Manifest::load(&files, dir).unwrap() {
                assert!(damaged && back == manifest);
            }
        }
        let mut newer = good;
        newer[8] = VERSION + 1;
        let len = u32::from_le_bytes(newer[12..16].try_into().unwrap()) as usize + HEAD_LEN;
        let sum = xxh3_64(&newer[..len]).to_le_bytes();
        newer[len..len + 8].copy_from_slice(&sum);
        files.put(&path(dir), newer);
        let refused = Manifest::load(&files, dir).err().unwrap().to_string();
        assert!(refused.contains("format version 2"), "{refused}");
    }
}
