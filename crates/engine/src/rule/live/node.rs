//! The parts of one rule's expression, each with the rows that it has: a new series becomes a row at its selector, finds its
//! partners on the way up, and comes out as a result of the rule.

use std::collections::{HashMap, HashSet};

use model::Labels;
use query::ast::{AggregateOp, Binary, BinaryOp, Cardinality, Grouping};
use query::element;
use query::source::SourceError;

use super::graph::{CellId, Graph, Kind};
use super::past::Past;
use super::plan::{Plan, Read, WithScalar, swapped};

/// Most pairs of left and right that `and`, `or` and `unless` hold, a few megabytes: 20,000 pods beside 20,000 others with only the
/// cluster in common are 400 million.
const PAIRS_MAX: usize = 1_000_000;

/// A row of a part: a result that may be there or not.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub labels: Labels,
    /// Where it stands among the others: the labels of the first series behind it.
    order: Labels,
    pub cell: CellId,
}

/// A rule can't be kept element by element after all: two rows would be one, and the evaluator of queries says what that
/// means; or the store could not be read.
#[derive(Debug)]
pub(super) struct Stop;

impl From<SourceError> for Stop {
    fn from(_: SourceError) -> Stop {
        Stop
    }
}

/// What came of a new series.
#[derive(Debug, Default)]
pub(super) struct Grown {
    /// New results of the rule.
    pub rows: Vec<Row>,
    /// Cells that were there, and the one that each of them takes from now on.
    pub fed: Vec<(CellId, CellId)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

#[derive(Debug)]
struct Node {
    parent: Option<(u32, Side)>,
    part: Part,
}

#[derive(Debug)]
enum Part {
    Leaf(Read),
    Map(fn(f64) -> f64),
    Scalar(WithScalar),
    Join(Box<Join>),
    Set(Box<Set>),
    Fold { op: AggregateOp, grouping: Grouping, groups: HashMap<Labels, Group> },
    Absent { cell: CellId },
}

#[derive(Debug)]
struct Group {
    cell: CellId,
    orders: Vec<Labels>,
}

#[derive(Debug)]
struct Join {
    binary: Binary,
    many: HashMap<Labels, Vec<Row>>,
    one: HashMap<Labels, Row>,
    /// The labels of results, where several rows may meet one.
    taken: HashSet<Labels>,
}

#[derive(Debug)]
struct Set {
    binary: Binary,
    left: HashMap<Labels, Vec<CellId>>,
    /// The cells on the right, and for `or` the gates before them.
    right: HashMap<Labels, Vec<CellId>>,
    /// How many there are of one that looks at another.
    pairs: usize,
}

/// A rule's expression, part by part.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
    /// The part of each of the rule's selectors.
    leaves: Vec<u32>,
}

impl Nodes {
    /// The parts of a plan, and the results that it has without any series.
    pub fn new(plan: Plan, selectors: usize, graph: &mut Graph) -> (Nodes, Grown) {
        let mut nodes = Nodes { nodes: Vec::new(), leaves: vec![u32::MAX; selectors] };
        let mut grown = Grown::default();
        nodes.add(plan, None, graph, &mut grown);
        (nodes, grown)
    }

    fn add(&mut self, plan: Plan, parent: Option<(u32, Side)>, graph: &mut Graph, grown: &mut Grown) {
        let place = self.nodes.len() as u32;
        let mut push = |part| self.nodes.push(Node { parent, part });
        let below = |side| Some((place, side));
        match plan {
            Plan::Leaf { selector, read } => {
                push(Part::Leaf(read));
                self.leaves[selector] = place;
            }
            Plan::Map { map, input } => {
                push(Part::Map(map));
                self.add(*input, below(Side::Left), graph, grown);
            }
            Plan::Scalar { with, input } => {
                push(Part::Scalar(with));
                self.add(*input, below(Side::Left), graph, grown);
            }
            Plan::Fold { op, grouping, input } => {
                push(Part::Fold { op, grouping, groups: HashMap::new() });
                self.add(*input, below(Side::Left), graph, grown);
            }
            Plan::Join { binary, left, right } => {
                let (many, one, taken) = Default::default();
                push(Part::Join(Box::new(Join { binary: *binary, many, one, taken })));
                self.add(*left, below(Side::Left), graph, grown);
                self.add(*right, below(Side::Right), graph, grown);
            }
            Plan::Set { binary, left, right } => {
                push(Part::Set(Box::new(Set { binary: *binary, left: HashMap::new(), right: HashMap::new(), pairs: 0 })));
                self.add(*left, below(Side::Left), graph, grown);
                self.add(*right, below(Side::Right), graph, grown);
            }
            Plan::Absent { labels, input } => {
                let cell = graph.cell(Kind::Absent { inputs: Vec::new() });
                push(Part::Absent { cell });
                self.add(*input, below(Side::Left), graph, grown);
                let row = Row { order: labels.clone(), labels, cell };
                // One row cannot be ambiguous.
                let _ = self.rise(place, row, graph, grown);
            }
        }
    }

    /// A series that fits a selector.
    pub fn series(
        &mut self,
        selector: u32,
        slot: u32,
        labels: &Labels,
        graph: &mut Graph,
        (past, at): (&mut Past<'_>, model::Time),
    ) -> Result<Grown, Stop> {
        let mut grown = Grown::default();
        let leaf = self.leaves[selector as usize];
        let Some(Node { part: Part::Leaf(read), .. }) = self.nodes.get(leaf as usize) else { return Ok(grown) };
        // What says what a metric is goes away with its name, and two series might be one.
        if labels.get("__type__").is_some() || labels.get("__unit__").is_some() {
            return Err(Stop);
        }
        let named = match read {
            Read::Newest { .. } => labels.clone(),
            Read::Window { over, .. } if over.keeps_name() => labels.clone(),
            Read::Window { .. } => element::unnamed(labels),
        };
        let cell = graph.read_cell(slot, *read, past, at)?.ok_or(Stop)?;
        self.rise(leaf, Row { labels: named, order: labels.clone(), cell }, graph, &mut grown)?;
        Ok(grown)
    }

    /// A new row of this part goes on to the part around it.
    fn rise(&mut self, from: u32, row: Row, graph: &mut Graph, grown: &mut Grown) -> Result<(), Stop> {
        let Some((parent, side)) = self.nodes[from as usize].parent else {
            grown.rows.push(row);
            return Ok(());
        };
        let above = match &mut self.nodes[parent as usize].part {
            Part::Leaf(_) => Vec::new(),
            Part::Map(map) => {
                let cell = graph.cell(Kind::Map { input: row.cell, map: *map });
                vec![Row { labels: element::unnamed(&row.labels), order: row.order, cell }]
            }
            Part::Scalar(with) => {
                let cell = graph.cell(Kind::Scalar { input: row.cell, with: *with });
                let labels = if with.filters() { row.labels } else { element::unnamed(&row.labels) };
                vec![Row { labels, order: row.order, cell }]
            }
            Part::Join(join) => join.take(row, side, graph)?,
            Part::Set(set) => set.take(row, side, graph, grown)?,
            Part::Fold { op, grouping, groups } => fold(*op, grouping, groups, row, graph, grown),
            Part::Absent { cell } => {
                graph.feed(*cell, row.cell, None);
                grown.fed.push((*cell, row.cell));
                Vec::new()
            }
        };
        above.into_iter().try_for_each(|row| self.rise(parent, row, graph, grown))
    }
}

impl Join {
    fn take(&mut self, row: Row, side: Side, graph: &mut Graph) -> Result<Vec<Row>, Stop> {
        let is_one = (side == Side::Right) != swapped(&self.binary);
        let signature = element::signature(&self.binary, &row.labels);
        if is_one {
            let met: Vec<Row> = self.many.get(&signature).cloned().unwrap_or_default();
            if self.one.insert(signature, row.clone()).is_some() {
                return Err(Stop);
            }
            return met.iter().map(|many| self.meet(many, &row, graph)).collect();
        }
        let of_many = self.many.entry(signature.clone()).or_default();
        if !of_many.is_empty() && self.binary.matching.cardinality == Cardinality::OneToOne {
            return Err(Stop);
        }
        of_many.push(row.clone());
        match self.one.get(&signature).cloned() {
            Some(one) => Ok(vec![self.meet(&row, &one, graph)?]),
            None => Ok(Vec::new()),
        }
    }

    fn meet(&mut self, many: &Row, one: &Row, graph: &mut Graph) -> Result<Row, Stop> {
        let labels = element::result_labels(&self.binary, &many.labels, &one.labels);
        if self.binary.matching.cardinality != Cardinality::OneToOne && !self.taken.insert(labels.clone()) {
            return Err(Stop);
        }
        let (op, return_bool) = (self.binary.op, self.binary.return_bool);
        let cell = graph.cell(Kind::Join { many: many.cell, one: one.cell, op, return_bool, swapped: swapped(&self.binary) });
        Ok(Row { labels, order: many.order.clone(), cell })
    }
}

impl Set {
    fn take(&mut self, row: Row, side: Side, graph: &mut Graph, grown: &mut Grown) -> Result<Vec<Row>, Stop> {
        let signature = element::signature(&self.binary, &row.labels);
        let (left, right) = (self.left.entry(signature.clone()).or_default(), self.right.entry(signature).or_default());
        self.pairs += if side == Side::Left { right.len() } else { left.len() };
        if self.pairs > PAIRS_MAX {
            return Err(Stop);
        }
        let mut feed = |gates: &[CellId], cell: CellId| {
            for gate in gates {
                graph.feed(*gate, cell, None);
                grown.fed.push((*gate, cell));
            }
        };
        // `left` are the gates of the left rows, but for `or`, whose left rows pass and whose right rows have gates.
        Ok(match (self.binary.op, side) {
            (BinaryOp::Or, Side::Left) => {
                feed(right, row.cell);
                left.push(row.cell);
                vec![row]
            }
            (BinaryOp::Or, Side::Right) => {
                let cell = graph.cell(Kind::Gate { input: row.cell, others: left.clone(), wanted: false });
                right.push(cell);
                vec![Row { cell, ..row }]
            }
            (op, Side::Left) => {
                let wanted = op == BinaryOp::And;
                let cell = graph.cell(Kind::Gate { input: row.cell, others: right.clone(), wanted });
                left.push(cell);
                vec![Row { cell, ..row }]
            }
            (_, Side::Right) => {
                feed(left, row.cell);
                right.push(row.cell);
                Vec::new()
            }
        })
    }
}

fn fold(
    op: AggregateOp,
    grouping: &Grouping,
    groups: &mut HashMap<Labels, Group>,
    row: Row,
    graph: &mut Graph,
    grown: &mut Grown,
) -> Vec<Row> {
    let labels = element::grouped(&row.labels, grouping);
    let Some(group) = groups.get_mut(&labels) else {
        let cell = graph.cell(Kind::Fold { op, inputs: vec![row.cell] });
        groups.insert(labels.clone(), Group { cell, orders: vec![row.order.clone()] });
        return vec![Row { labels, order: row.order, cell }];
    };
    // A sum is rounded in the order of its series.
    let place = match group.orders.last() {
        Some(last) if *last < row.order => group.orders.len(),
        _ => group.orders.partition_point(|have| *have < row.order),
    };
    group.orders.insert(place, row.order);
    graph.feed(group.cell, row.cell, Some(place));
    grown.fed.push((group.cell, row.cell));
    Vec::new()
}
