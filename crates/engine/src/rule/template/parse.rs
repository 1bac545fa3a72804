//! Reads a template: texts and actions, blocks and their ends, pipes and their values. Every mistake has its place.

use query::Span;

use super::function::{FUNCTIONS, Function};
use super::{Call, Item, Node, Operand, Pipe, Template, TemplateError, printf};

/// Blocks and parentheses may stand inside each other so deep.
const DEPTH_MAX: usize = 32;
/// Variables that are always there.
const GIVEN: [&str; 5] = ["$", "$labels", "$value", "$externalLabels", "$externalURL"];

fn wrong(start: usize, end: usize, text: impl Into<String>) -> TemplateError {
    TemplateError { place: Span::new(start, end), text: text.into() }
}

/// A piece of the text: as it stands, or the inside of `{{ }}` with its place.
enum Piece<'a> {
    Text(&'a str),
    Action { start: usize, end: usize },
}

/// Cuts a text at its actions, blanks taken off where `-` asks for it.
fn pieces(source: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut trims = false;
    while at < source.len() {
        let open = source[at..].find("{{").map(|open| at + open);
        let mut text = &source[at..open.unwrap_or(source.len())];
        if trims {
            text = text.trim_start();
        }
        let Some(open) = open else {
            pieces.push(Piece::Text(text));
            break;
        };
        let Some(close) = close_of(source, open + 2) else {
            return Err(wrong(open, source.len(), "`{{` without `}}`"));
        };
        let mut inside = (open + 2, close);
        if source[inside.0..inside.1].strip_prefix('-').is_some_and(|rest| rest.starts_with(char::is_whitespace)) {
            text = text.trim_end();
            inside.0 += 1;
        }
        pieces.push(Piece::Text(text));
        trims = source[inside.0..inside.1].strip_suffix('-').is_some_and(|rest| rest.ends_with(char::is_whitespace));
        inside.1 -= usize::from(trims);
        let action = source[inside.0..inside.1].trim();
        if !(action.starts_with("/*") && action.ends_with("*/")) {
            pieces.push(Piece::Action { start: inside.0, end: inside.1 });
        }
        at = close + 2;
    }
    Ok(pieces)
}

/// Where an action ends; `}}` inside a text is not its end, but a text that is not closed ends with the action.
fn close_of(source: &str, from: usize) -> Option<usize> {
    let plain = source[from..].find("}}").map(|close| from + close)?;
    let mut at = from;
    while at < source.len() {
        let rest = &source[at..];
        if rest.starts_with("}}") {
            return Some(at);
        }
        let first = rest.chars().next()?;
        at += match first {
            '"' | '`' => match quoted_len(rest, first) {
                Some(len) => len,
                None => return Some(plain),
            },
            _ => first.len_utf8(),
        };
    }
    Some(plain)
}

fn quoted_len(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(place, c)| {
        let closes = c == quote && !escaped;
        escaped = quote == '"' && c == '\\' && !escaped;
        closes.then_some(place + 1)
    })
}

struct Parser<'a> {
    source: &'a str,
    pieces: std::iter::Peekable<std::vec::IntoIter<Piece<'a>>>,
    variables: Vec<String>,
    defined: Vec<(String, Vec<Node>)>,
    loops: usize,
}

/// How a block ended.
enum Ended<'a> {
    Text,
    Closed,
    /// `else`, with what stands behind it.
    Else(Words<'a>),
}

/// Compiles a text.
pub(super) fn template(source: &str) -> Result<Template, TemplateError> {
    let pieces = pieces(source)?.into_iter().peekable();
    let mut parser = Parser { source, pieces, variables: Vec::new(), defined: Vec::new(), loops: 0 };
    let (nodes, end) = parser.block(0, 0)?;
    match end {
        Ended::Text => Ok(Template { nodes, defined: parser.defined }),
        Ended::Closed => Err(wrong(0, source.len(), "`{{ end }}` without a block that it ends")),
        Ended::Else(words) => Err(wrong(words.start, words.end, "`else` stands outside of a block")),
    }
}

impl<'a> Parser<'a> {
    /// Nodes up to the end of the block that was opened at `opened`.
    fn block(&mut self, depth: usize, opened: usize) -> Result<(Vec<Node>, Ended<'a>), TemplateError> {
        if depth > DEPTH_MAX {
            return Err(wrong(opened, opened + 2, format!("blocks stand more than {DEPTH_MAX} deep inside each other")));
        }
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (start, end) = match piece {
                Piece::Text("") => continue,
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.to_owned()));
                    continue;
                }
                Piece::Action { start, end } => (start, end),
            };
            let mut words = Words::of(self.source, start, end)?;
            match words.peek().map(|word| word.text) {
                Some("end") => return Ok((nodes, Ended::Closed)),
                Some("else") => {
                    words.next();
                    return Ok((nodes, Ended::Else(words)));
                }
                _ => nodes.extend(self.action(words, depth)?),
            }
        }
        Ok((nodes, Ended::Text))
    }

    fn action(&mut self, mut words: Words<'a>, depth: usize) -> Result<Option<Node>, TemplateError> {
        let (start, end) = (words.start, words.end);
        let scope = self.variables.len();
        let first = words.peek().map(|word| word.text);
        let node = match first {
            Some("if" | "with") => {
                words.next();
                let is_if = first == Some("if");
                let (arms, other) = self.arms(words, is_if, depth)?;
                if is_if { Node::If { arms, other } } else { Node::With { arms, other } }
            }
            Some("range") => {
                words.next();
                let pipe = self.pipe(&mut words, 2)?;
                self.loops += 1;
                let (body, ended) = self.block(depth + 1, start)?;
                self.loops -= 1;
                self.variables.truncate(scope);
                let other = self.rest_of(ended, depth, start, end)?;
                Node::Range { pipe, body, other }
            }
            Some("define") => {
                words.next();
                let name = words.name()?;
                let kept = std::mem::take(&mut self.variables);
                let (body, ended) = self.block(depth + 1, start)?;
                self.variables = kept;
                self.rest_of(ended, depth, start, end)?;
                self.defined.push((name, body));
                return Ok(None);
            }
            Some("template") => {
                words.next();
                let name = words.name()?;
                let pipe = if words.peek().is_some() { Some(self.pipe(&mut words, 0)?) } else { None };
                return Ok(Some(Node::Call { name, pipe }));
            }
            Some(word @ ("break" | "continue")) => {
                if self.loops == 0 {
                    return Err(wrong(start, end, format!("`{word}` stands outside of a range")));
                }
                return Ok(Some(if word == "break" { Node::Break } else { Node::Continue }));
            }
            _ => return Ok(Some(Node::Pipe(self.pipe(&mut words, 1)?))),
        };
        self.variables.truncate(scope);
        Ok(Some(node))
    }

    /// The conditions of an `if` or `with`, each with its body, and what stands behind `else`.
    #[expect(clippy::type_complexity, reason = "arms are conditions with bodies")]
    fn arms(
        &mut self,
        mut words: Words<'a>,
        is_if: bool,
        depth: usize,
    ) -> Result<(Vec<(Pipe, Vec<Node>)>, Vec<Node>), TemplateError> {
        let (start, end) = (words.start, words.end);
        let mut arms = Vec::new();
        loop {
            let pipe = self.pipe(&mut words, 1)?;
            let (body, ended) = self.block(depth + 1, start)?;
            arms.push((pipe, body));
            let Ended::Else(mut behind) = ended else {
                self.rest_of(ended, depth, start, end)?;
                return Ok((arms, Vec::new()));
            };
            match behind.peek().map(|word| word.text) {
                Some("if") if is_if => _ = behind.next(),
                Some("with") if !is_if => _ = behind.next(),
                _ => return Ok((arms, self.rest_of(Ended::Else(behind), depth, start, end)?)),
            }
            words = behind;
        }
    }

    /// What stands between `else` and `end`.
    fn rest_of(&mut self, ended: Ended<'a>, depth: usize, start: usize, end: usize) -> Result<Vec<Node>, TemplateError> {
        let ended = match ended {
            Ended::Closed => return Ok(Vec::new()),
            Ended::Text => Err(()),
            Ended::Else(mut words) => match words.next() {
                Some(word) => return Err(wrong(word.at, word.at + word.text.len(), "nothing stands behind this `else`")),
                None => self.block(depth + 1, start).map(Ok)?,
            },
        };
        match ended {
            Ok((nodes, Ended::Closed)) => Ok(nodes),
            _ => Err(wrong(start, end, "a block without its `{{ end }}`")),
        }
    }

    /// A pipe, with up to so many variables that take its result.
    fn pipe(&mut self, words: &mut Words<'a>, names_max: usize) -> Result<Pipe, TemplateError> {
        let (names, declares) = words.assigned(names_max)?;
        if !declares && let Some(unknown) = names.iter().find(|name| !self.knows(name)) {
            return Err(wrong(words.start, words.end, format!("the variable `{unknown}` is not known here: make it with :=")));
        }
        let calls = self.calls(words, 0, None)?;
        if declares {
            self.variables.extend(names.iter().cloned());
        }
        Ok(Pipe { names, declares, calls })
    }

    fn knows(&self, name: &str) -> bool {
        GIVEN.contains(&name) || self.variables.iter().any(|known| known == name)
    }

    fn calls(&self, words: &mut Words<'a>, depth: usize, closes: Option<usize>) -> Result<Vec<Call>, TemplateError> {
        let mut calls: Vec<Call> = Vec::new();
        loop {
            let call = self.call(words, !calls.is_empty(), depth)?;
            calls.push(call);
            match words.next() {
                None if closes.is_some() => return Err(wrong(words.start, words.end, "`(` without `)`")),
                None => return Ok(calls),
                Some(word) if word.text == ")" && closes.is_some() => return Ok(calls),
                Some(word) if word.text == "|" => {}
                Some(word) => {
                    return Err(wrong(word.at, word.at + word.text.len(), format!("`{}` is not expected here", word.text)));
                }
            }
        }
    }

    fn call(&self, words: &mut Words<'a>, piped: bool, depth: usize) -> Result<Call, TemplateError> {
        let (start, end) = (words.start, words.end);
        let Some(first) = words.peek().filter(|word| !matches!(word.text, "|" | ")")) else {
            return Err(wrong(start, end, "nothing stands here: write a value like $labels.instance or $value"));
        };
        let (at, until) = (first.at, first.at + first.text.len());
        let name = first.text;
        let starts_value = name.starts_with(['$', '.', '"', '`', '(']) || is_literal(name);
        if starts_value {
            let operand = self.operand(words, depth)?;
            let more = words.peek().is_some_and(|word| !matches!(word.text, "|" | ")"));
            if more || piped {
                return Err(wrong(at, until, format!("`{name}` is no function: it takes nothing")));
            }
            return Ok(Call::Value(operand));
        }
        let Some(function) = Function::named(name) else {
            let nearest = FUNCTIONS.iter().min_by_key(|function| strsim::damerau_levenshtein(function.name, name));
            let nearest = nearest.map_or("", |function| function.name);
            return Err(wrong(at, until, format!("`{name}` is not a function of rule templates; nearest: {nearest}")));
        };
        words.next();
        let mut operands = Vec::new();
        while words.peek().is_some_and(|word| !matches!(word.text, "|" | ")")) {
            operands.push(self.operand(words, depth)?);
        }
        let count = operands.len() + usize::from(piped);
        if !function.takes(count) {
            return Err(wrong(at, until, format!("`{name}` takes {}, {count} are given", function.takes_said())));
        }
        if name == "printf" {
            check_printf(&operands, count, at, until)?;
        }
        Ok(Call::Function(function, operands))
    }

    fn operand(&self, words: &mut Words<'a>, depth: usize) -> Result<Operand, TemplateError> {
        let Some(word) = words.next() else { return Err(wrong(words.start, words.end, "a value is missing")) };
        let (at, text) = (word.at, word.text);
        let until = at + text.len();
        let mut operand = match text.chars().next().unwrap_or(' ') {
            '(' => {
                if depth >= DEPTH_MAX {
                    return Err(wrong(at, until, format!("parentheses stand more than {DEPTH_MAX} deep")));
                }
                let calls = self.calls(words, depth + 1, Some(at))?;
                Operand::Inner(Box::new(Pipe { names: Vec::new(), declares: false, calls }))
            }
            '"' => {
                let inside = text.trim_matches('"').to_owned();
                return Ok(Operand::Item(Item::Text(serde_json::from_str(text).unwrap_or(inside))));
            }
            '`' => return Ok(Operand::Item(Item::Text(text.trim_matches('`').to_owned()))),
            '$' => {
                let (name, fields) = text.split_once('.').map_or((text, ""), |(name, fields)| (name, fields));
                if !self.knows(name) {
                    let text =
                        format!("`{name}` is not known here: there are $labels.NAME, $value, $externalLabels and $externalURL");
                    return Err(wrong(at, until, text));
                }
                with_fields(Operand::Variable(name.to_owned()), fields, at, until)?
            }
            '.' => with_fields(Operand::Dot, &text[1..], at, until)?,
            _ if is_literal(text) => return Ok(Operand::Item(literal(text))),
            _ => match Function::named(text) {
                Some(function) if function.takes(0) => Operand::Plain(function),
                _ => return Err(wrong(at, until, format!("`{text}` is not a value"))),
            },
        };
        // Fields of what stands in parentheses.
        while let Some(field) = words.peek().filter(|word| word.joined && word.text.len() > 1 && word.text.starts_with('.')) {
            words.next();
            operand = with_fields(operand, &field.text[1..], field.at, field.at + field.text.len())?;
        }
        Ok(operand)
    }
}

fn with_fields(of: Operand, fields: &str, at: usize, until: usize) -> Result<Operand, TemplateError> {
    if fields.is_empty() {
        return Ok(of);
    }
    fields.split('.').try_fold(of, |of, field| {
        let plain = !field.is_empty() && field.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !plain {
            return Err(wrong(at, until, "not a label's name"));
        }
        Ok(Operand::Field(Box::new(of), field.to_owned()))
    })
}

fn is_literal(word: &str) -> bool {
    matches!(word, "true" | "false" | "nil") || word.parse::<f64>().is_ok_and(|_| word.contains(|c: char| c.is_ascii_digit()))
}

fn literal(word: &str) -> Item {
    match word {
        "true" => Item::Bool(true),
        "false" => Item::Bool(false),
        "nil" => Item::Nil,
        number => Item::Number(number.parse().unwrap_or(f64::NAN)),
    }
}

fn check_printf(operands: &[Operand], count: usize, start: usize, end: usize) -> Result<(), TemplateError> {
    let Some(Operand::Item(Item::Text(format))) = operands.first() else {
        // A format that is computed is looked at when it is there.
        return Ok(());
    };
    let Some(verbs) = printf::places(format) else {
        return Err(wrong(start, end, "printf knows %s %v %d %f %e %g %q %t %x and %%, with flags, width and precision"));
    };
    if verbs != count - 1 {
        return Err(wrong(start, end, format!("the format has {verbs} places, {} values are given", count - 1)));
    }
    Ok(())
}

/// A word inside an action.
#[derive(Clone, Copy, Debug)]
struct Word<'a> {
    at: usize,
    text: &'a str,
    /// No blank before it.
    joined: bool,
}

/// The words of an action: a quoted text is one, `|`, `(`, `)` and `,` stand alone.
struct Words<'a> {
    start: usize,
    end: usize,
    words: Vec<Word<'a>>,
    next: usize,
}

impl<'a> Words<'a> {
    fn of(source: &'a str, start: usize, end: usize) -> Result<Words<'a>, TemplateError> {
        let mut words = Vec::new();
        let mut at = start;
        let mut joined = false;
        while at < end {
            let rest = &source[at..end];
            let first = rest.chars().next().unwrap_or(' ');
            let len = match first {
                c if c.is_whitespace() => {
                    at += c.len_utf8();
                    joined = false;
                    continue;
                }
                '|' | '(' | ')' | ',' => 1,
                '"' | '`' => quoted_len(rest, first).ok_or_else(|| wrong(at, end, "a text without its closing quote"))?,
                ':' if rest.starts_with(":=") => 2,
                _ => rest.find(|c: char| c.is_whitespace() || matches!(c, '|' | '(' | ')' | ',')).unwrap_or(rest.len()),
            };
            words.push(Word { at, text: &rest[..len], joined });
            at += len;
            joined = true;
        }
        Ok(Words { start, end, words, next: 0 })
    }

    fn peek(&self) -> Option<Word<'a>> {
        self.words.get(self.next).copied()
    }

    fn next(&mut self) -> Option<Word<'a>> {
        let word = self.peek();
        self.next += 1;
        word
    }

    /// `"name"` of a template.
    fn name(&mut self) -> Result<String, TemplateError> {
        match self.next() {
            Some(word) if word.text.starts_with('"') => Ok(word.text.trim_matches('"').to_owned()),
            _ => Err(wrong(self.start, self.end, "a template's name stands in quotes")),
        }
    }

    /// `$a :=`, `$a, $b :=` or `$a =` at the beginning.
    fn assigned(&mut self, names_max: usize) -> Result<(Vec<String>, bool), TemplateError> {
        let sign = self.words[self.next..].iter().position(|word| matches!(word.text, ":=" | "="));
        let Some(sign) = sign else { return Ok((Vec::new(), false)) };
        let names: Vec<&Word> = self.words[self.next..self.next + sign].iter().filter(|word| word.text != ",").collect();
        if let Some(bad) = names.iter().find(|word| !word.text.starts_with('$') || word.text.contains('.')) {
            return Err(wrong(bad.at, bad.at + bad.text.len(), "a variable begins with $ and has no dot"));
        }
        if names.is_empty() || names.len() > names_max {
            return Err(wrong(self.start, self.end, format!("{} variables, {names_max} at most", names.len())));
        }
        let names = names.iter().map(|word| word.text.to_owned()).collect();
        let declares = self.words[self.next + sign].text == ":=";
        self.next += sign + 1;
        Ok((names, declares))
    }
}
