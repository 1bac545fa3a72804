//! A file of /proc that is opened once and read again and again.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Longest text that is read; /proc/stat of a machine with 1,000 cores has less.
const LEN_MAX: usize = 4 * 1024 * 1024;

/// One file, kept open.
#[derive(Debug)]
pub struct ProcFile {
    path: &'static str,
    file: Option<File>,
    absent: bool,
}

impl ProcFile {
    /// Opened at the first reading.
    pub fn new(path: &'static str) -> ProcFile {
        ProcFile { path, file: None, absent: false }
    }

    /// Reads it into `text`. False if there is no such file, or nothing in it.
    pub fn read(&mut self, text: &mut String) -> bool {
        text.clear();
        if self.absent {
            return false;
        }
        if self.file.is_none() {
            match File::open(self.path) {
                Ok(file) => self.file = Some(file),
                Err(_) => {
                    // A kernel without it will not get it later.
                    self.absent = true;
                    return false;
                }
            }
        }
        let Some(file) = &self.file else { return false };
        let mut bytes = std::mem::take(text).into_bytes();
        let mut len = 0;
        loop {
            if bytes.len() < len + 4096 {
                bytes.resize((len + 4096).next_power_of_two(), 0);
            }
            match file.read_at(&mut bytes[len..], len as u64) {
                Ok(0) => break,
                Ok(got) if len + got <= LEN_MAX => len += got,
                _ => {
                    // /proc/pressure may be switched off while it is open.
                    self.file = None;
                    len = 0;
                    break;
                }
            }
        }
        bytes.truncate(len);
        *text = String::from_utf8(bytes).unwrap_or_default();
        !text.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_twice_and_absent() {
        let mut stat = ProcFile::new("/proc/stat");
        let mut text = String::new();
        for _ in 0..2 {
            assert!(stat.read(&mut text) && text.starts_with("cpu ") && text.contains("\nbtime "));
        }
        let mut absent = ProcFile::new("/proc/absent");
        assert!(!absent.read(&mut text) && text.is_empty());
    }
}
