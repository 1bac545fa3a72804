//! Fills a template: walks its nodes with the variables that are in scope. What goes wrong ends the text with a remark.

use model::Labels;

use super::function::Around;
use super::{Call, FILLED_MAX, Filling, Item, Node, Operand, Pipe, Template, text, truth};

/// Templates may call templates so deep.
const CALLS_MAX: usize = 16;
/// A filling ends after so many nodes.
const STEPS_MAX: usize = 100_000;

/// How a list of nodes ended.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Run<'a> {
    template: &'a Template,
    filling: &'a Filling<'a>,
    variables: Vec<(String, Item)>,
    out: String,
    steps: usize,
    calls: usize,
}

/// The text of a template.
pub(super) fn run(template: &Template, filling: &Filling<'_>) -> String {
    let mut run = Run { template, filling, variables: Vec::new(), out: String::new(), steps: 0, calls: 0 };
    match run.nodes(&template.nodes, &Item::Data) {
        Ok(_) => run.out,
        Err(why) => format!("<error expanding template: {why}>"),
    }
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Item) -> Result<Flow, String> {
        for node in nodes {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Err("it does not come to an end".into());
            }
            if self.out.len() > FILLED_MAX {
                return Ok(Flow::Break);
            }
            let flow = self.node(node, dot)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, node: &Node, dot: &Item) -> Result<Flow, String> {
        let scope = self.variables.len();
        let flow = match node {
            Node::Text(text) => {
                self.out.push_str(text);
                Flow::On
            }
            Node::Pipe(pipe) => {
                let item = self.pipe(pipe, dot)?;
                if pipe.names.is_empty() {
                    self.out.push_str(&text(&item));
                }
                // Its variable lives on to the end of the block.
                return Ok(Flow::On);
            }
            Node::If { arms, other } => self.arms(arms, other, dot, false)?,
            Node::With { arms, other } => self.arms(arms, other, dot, true)?,
            Node::Range { pipe, body, other } => self.range(pipe, body, other, dot)?,
            Node::Call { name, pipe } => {
                let item = match pipe {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Item::Nil,
                };
                self.call(name, &item)?
            }
            Node::Break => Flow::Break,
            Node::Continue => Flow::Continue,
        };
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn arms(&mut self, arms: &[(Pipe, Vec<Node>)], other: &[Node], dot: &Item, with: bool) -> Result<Flow, String> {
        for (pipe, body) in arms {
            let item = self.pipe(pipe, dot)?;
            if truth(&item) {
                return self.nodes(body, if with { &item } else { dot });
            }
        }
        self.nodes(other, dot)
    }

    fn range(&mut self, pipe: &Pipe, body: &[Node], other: &[Node], dot: &Item) -> Result<Flow, String> {
        // Variables take each entry, not the list.
        let over = self.calls_of(&pipe.calls, dot)?;
        let entries: Vec<(Item, Item)> = match over {
            Item::List(items) => items.into_iter().enumerate().map(|(place, item)| (Item::Number(place as f64), item)).collect(),
            Item::Labels(labels) => {
                labels.iter().map(|(name, value)| (Item::Text(name.to_owned()), Item::Text(value.to_owned()))).collect()
            }
            Item::Named(items) => items.into_iter().map(|(name, item)| (Item::Text(name), item)).collect(),
            Item::Number(count) if count >= 0.0 => {
                (0..count.min(1_000.0) as u64).map(|place| (Item::Number(place as f64), Item::Number(place as f64))).collect()
            }
            Item::Nil => Vec::new(),
            other => return Err(format!("range can't iterate over {}", text(&other))),
        };
        if entries.is_empty() {
            return self.nodes(other, dot);
        }
        for (key, item) in entries {
            let scope = self.variables.len();
            match pipe.names.as_slice() {
                [name] => self.set(name, item.clone(), pipe.declares),
                [first, second] => {
                    self.set(first, key, pipe.declares);
                    self.set(second, item.clone(), pipe.declares);
                }
                _ => {}
            }
            let flow = self.nodes(body, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn call(&mut self, name: &str, dot: &Item) -> Result<Flow, String> {
        let found = self.template.defined.iter().rev().find(|(have, _)| have == name);
        let (_, nodes) = found.ok_or_else(|| format!("no template {name:?}"))?;
        if self.calls >= CALLS_MAX {
            return Err("templates call each other without end".into());
        }
        self.calls += 1;
        let kept = std::mem::take(&mut self.variables);
        self.nodes(nodes, dot)?;
        self.variables = kept;
        self.calls -= 1;
        Ok(Flow::On)
    }

    fn set(&mut self, name: &str, item: Item, declares: bool) {
        match self.variables.iter_mut().rev().find(|(have, _)| have == name).filter(|_| !declares) {
            Some((_, have)) => *have = item,
            None => self.variables.push((name.to_owned(), item)),
        }
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Item) -> Result<Item, String> {
        let item = self.calls_of(&pipe.calls, dot)?;
        if let Some(name) = pipe.names.first() {
            self.set(name, item.clone(), pipe.declares);
        }
        Ok(item)
    }

    fn calls_of(&mut self, calls: &[Call], dot: &Item) -> Result<Item, String> {
        let mut piped: Option<Item> = None;
        for call in calls {
            piped = Some(match call {
                Call::Value(operand) => self.operand(operand, dot)?,
                Call::Function(function, operands) => {
                    let mut items = Vec::with_capacity(operands.len() + 1);
                    for operand in operands {
                        items.push(self.operand(operand, dot)?);
                        // `and` and `or` look no further than they have to.
                        if function.is_decided(items.last()) {
                            break;
                        }
                    }
                    items.extend(piped);
                    function.apply(&items, &Around { filling: self.filling })?
                }
            });
        }
        Ok(piped.unwrap_or(Item::Nil))
    }

    fn operand(&mut self, operand: &Operand, dot: &Item) -> Result<Item, String> {
        Ok(match operand {
            Operand::Item(item) => item.clone(),
            Operand::Dot => dot.clone(),
            Operand::Variable(name) => self.variable(name),
            Operand::Inner(pipe) => self.pipe(pipe, dot)?,
            Operand::Plain(function) => function.apply(&[], &Around { filling: self.filling })?,
            Operand::Field(of, name) => {
                let of = self.operand(of, dot)?;
                self.field(of, name)?
            }
        })
    }

    fn variable(&self, name: &str) -> Item {
        if let Some((_, item)) = self.variables.iter().rev().find(|(have, _)| have == name) {
            return item.clone();
        }
        match name {
            "$labels" => Item::Labels(self.filling.labels.clone()),
            "$value" => Item::Number(self.filling.value),
            "$externalLabels" => Item::Labels(self.filling.outside.labels.clone()),
            "$externalURL" => Item::Text(self.filling.outside.url.clone()),
            _ => Item::Data,
        }
    }

    fn field(&self, of: Item, name: &str) -> Result<Item, String> {
        let label = |labels: &Labels| Item::Text(labels.get(name).unwrap_or("").to_owned());
        Ok(match (&of, name) {
            (Item::Data, "Labels") => self.variable("$labels"),
            (Item::Data, "Value") => self.variable("$value"),
            (Item::Data, "ExternalLabels") => self.variable("$externalLabels"),
            (Item::Data, "ExternalURL") => self.variable("$externalURL"),
            (Item::Sample(labels, _), "Labels") => Item::Labels(labels.clone()),
            (Item::Sample(_, value), "Value") => Item::Number(*value),
            (Item::Labels(labels), _) => label(labels),
            (Item::Named(items), _) => items.iter().find(|(have, _)| have == name).map_or(Item::Nil, |(_, item)| item.clone()),
            (Item::Nil, _) => return Err(format!("nil has no field {name}")),
            _ => return Err(format!("there is no field {name} in {}", text(&of))),
        })
    }
}
