//! One mistake in the configuration, as people read it: file:line:column, what is wrong, the line, what would be right.

use std::fmt;

use serde_saphyr::Error;

/// A mistake with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, relative to the folder.
    pub file: String,
    /// Line from 1; 0 where the file as a whole is meant.
    pub line: u64,
    /// Column from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
    /// The line.
    pub source_line: Option<String>,
}

impl Diagnostic {
    /// A mistake at a place of a file.
    pub(crate) fn at(file: &str, text: &str, place: Option<(u64, u64)>, message: impl Into<String>) -> Diagnostic {
        let (line, column) = place.unwrap_or((0, 0));
        let source_line =
            (line > 0).then(|| text.lines().nth(line as usize - 1).map(|line| line.chars().take(200).collect())).flatten();
        Diagnostic { file: file.to_owned(), line, column, message: message.into(), hint: None, source_line }
    }

    /// A mistake of a file as a whole.
    pub(crate) fn of_file(file: &str, message: String) -> Diagnostic {
        Diagnostic::at(file, "", None, message)
    }

    /// Says what would be right.
    pub(crate) fn hint(mut self, hint: Option<String>) -> Diagnostic {
        self.hint = hint;
        self
    }

    /// Says which of the known names is nearest.
    pub(crate) fn nearest<'a>(self, wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Diagnostic {
        let nearest = nearest(wrong, known);
        self.hint(nearest.map(|name| format!("Nearest: `{name}`.")))
    }

    /// What the YAML reader found.
    pub(crate) fn of_yaml(file: &str, text: &str, error: &Error) -> Diagnostic {
        let error = error.without_snippet();
        let place = error.location().map(|place| (place.line(), place.column())).filter(|(line, _)| *line > 0);
        let at = |message: String| Diagnostic::at(file, text, place, message);
        match error {
            Error::SerdeUnknownField { field, expected, .. } => {
                at(format!("unknown key `{field}`")).nearest(field, expected.iter().copied())
            }
            Error::SerdeUnknownVariant { variant, expected, .. } => {
                at(format!("`{variant}` is no value of this key")).hint(Some(format!("It is one of: {}.", expected.join(", "))))
            }
            Error::SerdeMissingField { field, .. } => at(format!("the key `{field}` is missing")),
            Error::DuplicateMappingKey { key, .. } => at(format!("`{}` stands twice", key.as_deref().unwrap_or("a key"))),
            other => at(first_sentence(&other.render())),
        }
    }
}

/// The reader's own words without its place and its picture of the text: ours stand beside.
fn first_sentence(rendered: &str) -> String {
    let line = rendered.lines().next().unwrap_or("not YAML");
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let line = line.rsplit_once(" at line ").map_or(line, |(sentence, _)| sentence);
    match line.split_once(": ") {
        Some((head, rest)) if head.starts_with("line ") => rest.to_owned(),
        _ => line.to_owned(),
    }
}

/// The known name that differs least, if it differs little enough to be meant.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= 1 + wrong.chars().count().max(name.chars().count()) / 3)
        .min()
        .map(|(_, name)| name)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message)?,
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message)?,
        }
        if !self.message.ends_with('?') {
            f.write_str(".")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, " {hint}")?;
        }
        if let Some(line) = &self.source_line {
            let column = (self.column.max(1) - 1) as usize;
            let mark: String = line.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n{:>5} | {line}\n      | {mark}^", self.line)?;
        }
        Ok(())
    }
}
