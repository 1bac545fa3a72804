//! Patterns of paths as promtool reads them, which are Go's: `*`, `?`, `[a-c]`, `[^a-c]` and `\\` within each element of a path.

use std::path::{Component, Path, PathBuf};

/// The paths that a pattern names, in order; none where nothing fits. What can't be read does not fit. A pattern that is not
/// well-formed is an error.
pub(super) fn matching(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let malformed = || format!("{pattern}: syntax error in pattern");
    let mut found = vec![PathBuf::new()];
    // The folder is no pattern, whatever its name.
    if Path::new(pattern).is_relative() {
        found = vec![folder.to_owned()];
    }
    for component in Path::new(pattern).components() {
        let Component::Normal(element) = component else {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        };
        let element = element.to_str().ok_or_else(malformed)?;
        let parts = parts(element).ok_or_else(malformed)?;
        found = match plain(&parts) {
            Some(name) => found.into_iter().map(|path| path.join(&name)).filter(|path| path.exists()).collect(),
            None => found.iter().flat_map(|path| fitting(path, &parts)).collect(),
        };
    }
    Ok(found)
}

/// The entries of a folder that fit, in order.
fn fitting(folder: &Path, parts: &[Part]) -> Vec<PathBuf> {
    let read = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = std::fs::read_dir(read).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| fits(parts, &name.chars().collect::<Vec<_>>())).collect();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// A piece of a pattern's element.
#[derive(Debug, PartialEq)]
enum Part {
    /// This character.
    One(char),
    /// Any one.
    Any,
    /// Any number of any.
    Many,
    /// One of these spans, or one of none of them.
    Class { wanted: bool, spans: Vec<(char, char)> },
}

/// The parts of an element; none where a class or an escape does not end.
fn parts(element: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = element.chars().peekable();
    while let Some(c) = rest.next() {
        parts.push(match c {
            '*' => Part::Many,
            '?' => Part::Any,
            '\\' => Part::One(rest.next()?),
            '[' => {
                let wanted = rest.next_if_eq(&'^').is_none();
                let mut spans = Vec::new();
                while spans.is_empty() || rest.next_if_eq(&']').is_none() {
                    let low = bound(&mut rest)?;
                    let high = if rest.next_if_eq(&'-').is_some() { bound(&mut rest)? } else { low };
                    spans.push((low, high));
                }
                Part::Class { wanted, spans }
            }
            c => Part::One(c),
        });
    }
    Some(parts)
}

fn bound(rest: &mut impl Iterator<Item = char>) -> Option<char> {
    match rest.next()? {
        '\\' => rest.next(),
        '-' | ']' => None,
        c => Some(c),
    }
}

/// The name that an element without wildcards is.
fn plain(parts: &[Part]) -> Option<String> {
    let one = |part: &Part| if let Part::One(c) = part { Some(*c) } else { None };
    parts.iter().map(one).collect()
}

fn fits(parts: &[Part], name: &[char]) -> bool {
    let Some((part, parts)) = parts.split_first() else { return name.is_empty() };
    if *part == Part::Many {
        return (0..=name.len()).any(|taken| fits(parts, &name[taken..]));
    }
    let Some((c, name)) = name.split_first() else { return false };
    let here = match part {
        Part::One(one) => one == c,
        Part::Class { wanted, spans } => spans.iter().any(|(low, high)| (low..=high).contains(&c)) == *wanted,
        Part::Any | Part::Many => true,
    };
    here && fits(parts, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_files() {
        for (pattern, name, expected) in [
            ("*.yml", "a.yml", Some(true)),
            ("*.yml", "a.yaml", Some(false)),
            ("a?c*", "abcd", Some(true)),
            ("a?c*", "ac", Some(false)),
            ("*", "", Some(true)),
            ("**x", "x", Some(true)),
            ("[a-c]x[^0-9]", "bxy", Some(true)),
            ("[a-c]x[^0-9]", "bx7", Some(false)),
            ("[ax]", "b", Some(false)),
            ("[\\]a]\\*", "]*", Some(true)),
            ("[a-c", "a", None),
            ("[]a]", "a", None),
            ("a\\", "a", None),
        ] {
            let chars: Vec<char> = name.chars().collect();
            assert_eq!(parts(pattern).map(|parts| fits(&parts, &chars)), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_stand_in_any_element() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["rules/b/x.yml", "rules/a/x.yml", "rules/a/y.yml", "rules/[c]/x.yml", "rules/x.yml"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let found = matching(folder.path(), pattern).unwrap();
            found.iter().map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string()).collect()
        };
        assert_eq!(found("rules/*/x.yml"), ["rules/[c]/x.yml", "rules/a/x.yml", "rules/b/x.yml"]);
        assert_eq!(found("rules/[ab]/[!-x]*.yml"), ["rules/a/x.yml", "rules/b/x.yml"]);
        assert_eq!(found("ru*/x.yml"), ["rules/x.yml"]);
        assert_eq!(found("rules/a/../x.yml"), ["rules/a/../x.yml"]);
        assert_eq!((found("rules/*/z.yml"), found("nothing.yml"), found("nothing/*.yml")), (vec![], vec![], vec![]));
        let whole = folder.path().join("rules/a/y*").display().to_string();
        assert_eq!(matching(Path::new("elsewhere"), &whole).unwrap(), [folder.path().join("rules/a/y.yml")]);
        assert_eq!(matching(folder.path(), "ru[les/x.yml").unwrap_err(), "ru[les/x.yml: syntax error in pattern");
    }
}
