//! Go's templates as rules use them in labels and annotations: values, pipes, conditions, loops and Prometheus' functions.
//!
//! Compiled once, when the rule is loaded: what is wrong is found then, with its place. Filling never fails; what can only be
//! seen while filling, as a query that finds nothing to take the first of, stands in the text, as in Prometheus.

mod function;
mod number;
mod parse;
mod printf;
mod run;
#[cfg(test)]
mod tests;

use model::{Labels, Time};
use query::source::Source;
use query::{Features, Span};

use function::Function;

/// Longest text of a filled template, in bytes.
const FILLED_MAX: usize = 4 * 1024;

/// A compiled template.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    nodes: Vec<Node>,
    /// Named templates that it defines.
    defined: Vec<(String, Vec<Node>)>,
}

/// What fills a template.
pub(super) struct Filling<'a> {
    pub(super) labels: &'a Labels,
    pub(super) value: f64,
    pub(super) outside: &'a Outside,
    /// What `query` reads, and as of when; none where it may not.
    pub(super) source: Option<(&'a dyn Source, Time)>,
}

/// What rules know of the server: `$externalLabels` and `$externalURL` of templates, and how PromQL is evaluated.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Labels of this server.
    pub labels: Labels,
    /// Its address, without a slash at the end.
    pub url: String,
    /// What of PromQL the queries of templates may be made of, and how names go away.
    pub features: Features,
}

impl Default for Outside {
    fn default() -> Outside {
        Outside { labels: Labels::empty(), url: String::new(), features: Features::STABLE }
    }
}

/// Where a template is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TemplateError {
    pub(super) place: Span,
    pub(super) text: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    /// Printed, unless it names a variable.
    Pipe(Pipe),
    If {
        arms: Vec<(Pipe, Vec<Node>)>,
        other: Vec<Node>,
    },
    Range {
        pipe: Pipe,
        body: Vec<Node>,
        other: Vec<Node>,
    },
    With {
        arms: Vec<(Pipe, Vec<Node>)>,
        other: Vec<Node>,
    },
    Call {
        name: String,
        pipe: Option<Pipe>,
    },
    Break,
    Continue,
}

/// The calls of a pipe, each taking the result before it as its last argument.
#[derive(Clone, Debug, PartialEq)]
struct Pipe {
    /// Variables that take the result: one, or of a `range` two.
    names: Vec<String>,
    /// `:=` makes a variable, `=` changes one.
    declares: bool,
    calls: Vec<Call>,
}

#[derive(Clone, Debug, PartialEq)]
enum Call {
    Value(Operand),
    Function(&'static Function, Vec<Operand>),
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Item(Item),
    Dot,
    Variable(String),
    Inner(Box<Pipe>),
    /// A field of another.
    Field(Box<Operand>, String),
    /// A function that takes nothing, as `now`.
    Plain(&'static Function),
}

/// A value on its way through a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Nil,
    Bool(bool),
    Number(f64),
    Text(String),
    Labels(Labels),
    /// One row of a query's answer.
    Sample(Labels, f64),
    List(Vec<Item>),
    /// Named arguments, of `args`.
    Named(Vec<(String, Item)>),
    /// What the template is filled with: `.` at its top.
    Data,
}

impl Template {
    /// A text that is taken as it stands.
    pub(super) fn plain(text: &str) -> Template {
        Template { nodes: vec![Node::Text(text.to_owned())], defined: Vec::new() }
    }

    /// The text of a template without actions.
    pub(super) fn as_plain(&self) -> Option<&str> {
        match self.nodes.as_slice() {
            [] => Some(""),
            [Node::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether nothing but labels goes into it: the same labels make the same text.
    pub(super) fn only_labels(&self) -> bool {
        fn of_labels(operand: &Operand) -> bool {
            match operand {
                Operand::Variable(name) => name == "$labels",
                Operand::Field(of, name) => match &**of {
                    Operand::Dot => name == "Labels",
                    of => of_labels(of),
                },
                Operand::Item(_) => true,
                Operand::Dot | Operand::Inner(_) | Operand::Plain(_) => false,
            }
        }
        self.nodes.iter().all(|node| match node {
            Node::Text(_) => true,
            Node::Pipe(pipe) => pipe.calls.iter().all(|call| match call {
                Call::Value(value) => of_labels(value),
                Call::Function(function, operands) => function.is_pure() && operands.iter().all(of_labels),
            }),
            _ => false,
        })
    }

    /// The texts that `query` gets where they stand in the template as they are.
    pub(super) fn queries(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.nodes.iter().for_each(|node| node.queries(&mut found));
        self.defined.iter().flat_map(|(_, nodes)| nodes).for_each(|node| node.queries(&mut found));
        found
    }

    /// Compiles a text.
    pub(super) fn parse(source: &str) -> Result<Template, TemplateError> {
        parse::template(source)
    }

    /// The text with everything filled in; cut where it grows too long.
    pub(super) fn fill(&self, filling: &Filling<'_>) -> String {
        let mut out = run::run(self, filling);
        if out.len() > FILLED_MAX {
            let cut = (0..=FILLED_MAX).rev().find(|cut| out.is_char_boundary(*cut)).unwrap_or(0);
            out.truncate(cut);
        }
        out
    }
}

impl Node {
    fn queries<'a>(&'a self, found: &mut Vec<&'a str>) {
        let mut below = |pipes: &mut dyn Iterator<Item = &'a Pipe>, nodes: &mut dyn Iterator<Item = &'a Node>| {
            pipes.for_each(|pipe| pipe.queries(found));
            nodes.for_each(|node| node.queries(found));
        };
        match self {
            Node::Pipe(pipe) => pipe.queries(found),
            Node::If { arms, other } | Node::With { arms, other } => {
                below(&mut arms.iter().map(|(pipe, _)| pipe), &mut arms.iter().flat_map(|(_, body)| body).chain(other));
            }
            Node::Range { pipe, body, other } => below(&mut [pipe].into_iter(), &mut body.iter().chain(other)),
            Node::Call { pipe, .. } => below(&mut pipe.iter(), &mut [].iter()),
            Node::Text(_) | Node::Break | Node::Continue => {}
        }
    }
}

impl Pipe {
    fn queries<'a>(&'a self, found: &mut Vec<&'a str>) {
        let mut piped = None;
        for call in &self.calls {
            let mut constant = None;
            match call {
                Call::Value(operand) => {
                    operand.queries(found);
                    constant = operand.as_text();
                }
                Call::Function(function, operands) => {
                    operands.iter().for_each(|operand| operand.queries(found));
                    if function.name == "query" {
                        found.extend(operands.first().map_or(piped, Operand::as_text));
                    }
                }
            }
            piped = constant;
        }
    }
}

impl Operand {
    fn queries<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Operand::Inner(pipe) => pipe.queries(found),
            Operand::Field(of, _) => of.queries(found),
            Operand::Item(_) | Operand::Dot | Operand::Variable(_) | Operand::Plain(_) => {}
        }
    }

    fn as_text(&self) -> Option<&str> {
        match self {
            Operand::Item(Item::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// A value as it is printed.
fn text(item: &Item) -> String {
    match item {
        Item::Nil => "<no value>".to_owned(),
        Item::Bool(value) => value.to_string(),
        Item::Number(number) => number::shortest(*number),
        Item::Text(text) => text.clone(),
        Item::Labels(labels) => {
            let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            format!("map[{}]", pairs.join(" "))
        }
        Item::Sample(labels, value) => format!("{labels} => {}", number::shortest(*value)),
        Item::List(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(" ")),
        Item::Named(items) => {
            let pairs: Vec<String> = items.iter().map(|(name, item)| format!("{name}:{}", text(item))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        Item::Data => String::new(),
    }
}

/// A value as a number; a text that is none counts as not a number.
fn number(item: &Item) -> f64 {
    match item {
        Item::Number(number) | Item::Sample(_, number) => *number,
        Item::Text(text) => text.trim().parse().unwrap_or(f64::NAN),
        Item::Bool(value) => f64::from(u8::from(*value)),
        _ => f64::NAN,
    }
}

/// What `if` asks: anything but nothing.
fn truth(item: &Item) -> bool {
    match item {
        Item::Nil => false,
        Item::Bool(value) => *value,
        Item::Number(number) => *number != 0.0,
        Item::Text(text) => !text.is_empty(),
        Item::Labels(labels) => !labels.is_empty(),
        Item::List(items) => !items.is_empty(),
        Item::Named(items) => !items.is_empty(),
        Item::Sample(..) | Item::Data => true,
    }
}
