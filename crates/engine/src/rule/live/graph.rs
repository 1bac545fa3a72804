//! The results that rules are made of, each computed once however many rules ask for it.
//!
//! A cell is one number that may be absent: the newest value of a series, a window's rate, a quotient of two cells, a sum of
//! many. Cells are pulled: whoever needs one asks for it at an instant. What rules share, as `node_load1{instance="a"}` under
//! ten thresholds, is one cell.

use std::collections::HashMap;

use model::sample::is_stale;
use model::{Labels, Time};
use query::ast::{AggregateOp, BinaryOp};
use query::element;
use query::source::{Columns, SeriesRef, Source, SourceError, TimeRange};

use super::past::Past;
use super::plan::{Read, WithScalar};
use super::ring::{AHEAD, LOOKBACK_US, Out, Ring};

/// Most samples that all rings hold together, 64 MiB; rules that come past it are evaluated whole.
const RING_SAMPLES_MAX: usize = 4 << 20;
/// A cell that folds more is evaluated when there is time, not with every sample that touches it.
const CHEAP_INPUTS_MAX: usize = 64;

pub(super) type CellId = u32;

/// Everything that one cell is computed from.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Read {
        slot: u32,
        read: Read,
    },
    Map {
        input: CellId,
        map: fn(f64) -> f64,
    },
    Scalar {
        input: CellId,
        with: WithScalar,
    },
    Join {
        many: CellId,
        one: CellId,
        op: BinaryOp,
        return_bool: bool,
        swapped: bool,
    },
    /// Passes while any of the others is there, or while none is.
    Gate {
        input: CellId,
        others: Vec<CellId>,
        wanted: bool,
    },
    Fold {
        op: AggregateOp,
        inputs: Vec<CellId>,
    },
    /// 1 while none is there.
    Absent {
        inputs: Vec<CellId>,
    },
}

/// What makes two cells the same. Cells that take further inputs later are nobody else's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Shape {
    Read(u32, Read),
    Map(CellId, usize),
    Scalar(CellId, BinaryOp, bool, bool, u64),
    Join(CellId, CellId, BinaryOp, bool, bool),
}

#[derive(Debug)]
struct Cell {
    kind: Kind,
    /// When `out` was computed.
    epoch: u64,
    out: Out,
}

/// A series as rules see it.
#[derive(Debug)]
pub(super) struct Memory {
    pub series: SeriesRef,
    pub labels: Labels,
    /// The newest sample; a staleness marker is one too.
    time: i64,
    value: f64,
    ring: Option<u32>,
    /// Roots to evaluate when it is touched, in order.
    pub roots: Vec<u32>,
    /// Rules to evaluate whole when it is touched.
    pub whole: Vec<u32>,
}

impl Memory {
    /// Whether its newest sample is.
    pub fn is_newer(&self, than: i64) -> bool {
        self.time > than
    }
}

/// What a sample was to its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    New,
    /// Known already: told twice, or read from the store before it was told.
    Known,
}

#[derive(Debug, Default)]
pub(super) struct Graph {
    cells: Vec<Cell>,
    known: HashMap<Shape, CellId>,
    pub memories: Vec<Memory>,
    rings: Vec<Ring>,
    ring_samples: usize,
    /// Up to which ring they were trimmed.
    trimmed: usize,
    /// While everything is bound anew: what was remembered of each series.
    before: HashMap<SeriesRef, (Memory, Option<Ring>)>,
    /// Rises with every event: what was computed in an earlier one is computed again.
    pub epoch: u64,
    scratch: Vec<f64>,
    /// Why the store could not be read in this event.
    pub failed: Option<String>,
}

impl Graph {
    /// One in which nothing is computed yet, that remembers what another did once its series come to be bound.
    pub fn after(other: Graph) -> Graph {
        let mut rings: Vec<Option<Ring>> = other.rings.into_iter().map(Some).collect();
        let remembered = other.memories.into_iter().map(|memory| {
            let ring = memory.ring.and_then(|ring| rings[ring as usize].take());
            (memory.series, (Memory { roots: Vec::new(), whole: Vec::new(), ..memory }, ring))
        });
        Graph { epoch: other.epoch, before: remembered.collect(), ..Graph::default() }
    }

    /// All are bound: the others are gone.
    pub fn let_go(&mut self) {
        self.before = HashMap::new();
    }

    /// Trims some rings, with each call others: those of series that ended are trimmed by no sample.
    pub fn trim_some(&mut self, at: Time) {
        for _ in 0..self.rings.len().div_ceil(16) {
            self.trimmed = (self.trimmed + 1) % self.rings.len();
            let ring = &mut self.rings[self.trimmed];
            self.ring_samples -= ring.len();
            ring.trim(at);
            self.ring_samples += ring.len();
        }
    }

    /// How many samples all rings hold.
    #[cfg(test)]
    pub fn samples_in_rings(&self) -> usize {
        self.ring_samples
    }

    fn take_ring(&mut self, ring: Ring) -> u32 {
        self.ring_samples += ring.len();
        self.rings.push(ring);
        self.rings.len() as u32 - 1
    }

    /// A series that came to be bound, with its newest sample.
    pub fn know(
        &mut self,
        slot: u32,
        (series, labels): (SeriesRef, &Labels),
        past: &mut Past<'_>,
        at: Time,
    ) -> Result<(), SourceError> {
        debug_assert!(slot as usize <= self.memories.len());
        if slot as usize == self.memories.len() {
            if let Some((memory, ring)) = self.before.remove(&series) {
                let ring = ring.map(|ring| self.take_ring(ring));
                self.memories.push(Memory { ring, ..memory });
                return Ok(());
            }
            let (roots, whole) = (Vec::new(), Vec::new());
            self.memories.push(Memory { series, labels: labels.clone(), time: i64::MIN, value: 0.0, ring: None, roots, whole });
        }
        self.memories[slot as usize].series = series;
        self.reload(slot, past, at)
    }

    /// Reads again what is remembered of a series.
    pub fn reload(&mut self, slot: u32, past: &mut Past<'_>, at: Time) -> Result<(), SourceError> {
        let memory = &mut self.memories[slot as usize];
        let from = Time(at.0.saturating_sub(LOOKBACK_US));
        let mut newest = Columns::default();
        past.last(memory.series, &memory.labels, TimeRange { from, to: at + AHEAD }, &mut newest)?;
        if let (Some(time), Some(value)) = (newest.times.last(), newest.values.last())
            && time.0 >= memory.time
        {
            // What was told is not taken back where memory has let go of it and only knows one that came late.
            (memory.time, memory.value) = (time.0, *value);
        }
        let is_ahead = memory.time > at.0;
        self.load(slot, past, at)?;
        // It is not the newest yet: until then the one before it is, wherever that lies.
        if is_ahead { self.ring(slot, LOOKBACK_US, past, at) } else { Ok(()) }
    }

    /// Reads a series' ring anew, where it has one. What lies in it is known: it may be older than the lookback, and told after this.
    fn load(&mut self, slot: u32, past: &mut Past<'_>, at: Time) -> Result<(), SourceError> {
        let memory = &mut self.memories[slot as usize];
        let Some(ring) = memory.ring else { return Ok(()) };
        let ring = &mut self.rings[ring as usize];
        self.ring_samples -= ring.len();
        let loaded = ring.load(past, memory.series, &memory.labels, at);
        self.ring_samples += ring.len();
        if let Some((time, value)) = loaded?
            && time.0 > memory.time
        {
            (memory.time, memory.value) = (time.0, value);
        }
        Ok(())
    }

    /// Takes a sample. What came late is read from the store, together with what lies around it.
    #[inline]
    pub fn place(
        &mut self,
        slot: u32,
        (time, value): (Time, f64),
        late: bool,
        past: &mut Past<'_>,
        at: Time,
    ) -> Result<Placed, SourceError> {
        let memory = &mut self.memories[slot as usize];
        if time.0 > memory.time && !late {
            if time > at && !memory.ring.is_some_and(|ring| self.rings[ring as usize].reaches(LOOKBACK_US)) {
                // As in `reload`.
                (memory.time, memory.value) = (time.0, value);
                self.ring(slot, LOOKBACK_US, past, at)?;
                return Ok(Placed::New);
            }
            (memory.time, memory.value) = (time.0, value);
            if let Some(ring) = memory.ring {
                let ring = &mut self.rings[ring as usize];
                let before = ring.len();
                ring.push(time, value);
                ring.trim(at);
                self.ring_samples = self.ring_samples + ring.len() - before;
            }
            return Ok(Placed::New);
        }
        if time.0 == memory.time && value.to_bits() == memory.value.to_bits() && !late {
            return Ok(Placed::Known);
        }
        self.reload(slot, past, at)?;
        Ok(Placed::New)
    }

    /// The cell of this kind, made where there is none.
    pub fn cell(&mut self, kind: Kind) -> CellId {
        let shape = match &kind {
            Kind::Read { slot, read } => Some(Shape::Read(*slot, *read)),
            Kind::Map { input, map } => Some(Shape::Map(*input, *map as usize)),
            Kind::Scalar { input, with } => {
                Some(Shape::Scalar(*input, with.op, with.return_bool, with.left, with.scalar.to_bits()))
            }
            Kind::Join { many, one, op, return_bool, swapped } => Some(Shape::Join(*many, *one, *op, *return_bool, *swapped)),
            Kind::Gate { .. } | Kind::Fold { .. } | Kind::Absent { .. } => None,
        };
        if let Some(known) = shape.and_then(|shape| self.known.get(&shape)) {
            return *known;
        }
        let cell = self.cells.len() as CellId;
        self.cells.push(Cell { kind, epoch: 0, out: Out::absent(i64::MIN) });
        if let Some(shape) = shape {
            self.known.insert(shape, cell);
        }
        cell
    }

    /// A series' cell, with the ring that it needs; none where all rings together would hold too much.
    pub fn read_cell(&mut self, slot: u32, read: Read, past: &mut Past<'_>, at: Time) -> Result<Option<CellId>, SourceError> {
        let reach = match read {
            Read::Newest { shift: 0 } => None,
            Read::Newest { shift } => Some(shift + LOOKBACK_US),
            Read::Window { range, shift, .. } => Some(range + shift),
        };
        if let Some(reach) = reach {
            if self.ring_samples >= RING_SAMPLES_MAX {
                return Ok(None);
            }
            self.ring(slot, reach, past, at)?;
        }
        Ok(Some(self.cell(Kind::Read { slot, read })))
    }

    /// Sees to it that a series' samples are kept so far back.
    fn ring(&mut self, slot: u32, reach: i64, past: &mut Past<'_>, at: Time) -> Result<(), SourceError> {
        let memory = &mut self.memories[slot as usize];
        let place = *memory.ring.get_or_insert_with(|| {
            self.rings.push(Ring::default());
            self.rings.len() as u32 - 1
        });
        match self.rings[place as usize].reach_to(reach) {
            true => self.load(slot, past, at),
            false => Ok(()),
        }
    }

    /// Gives a cell that takes many another one, at this place or as the last.
    pub fn feed(&mut self, cell: CellId, input: CellId, place: Option<usize>) {
        if let Kind::Gate { others: inputs, .. } | Kind::Fold { inputs, .. } | Kind::Absent { inputs } =
            &mut self.cells[cell as usize].kind
        {
            let place = place.unwrap_or(inputs.len());
            inputs.insert(place, input);
        }
    }

    /// Calls `see` with every cell under this one, itself first; not below those for which it says no.
    pub fn walk(&self, cell: CellId, see: &mut impl FnMut(CellId, &Kind)) {
        let kind = &self.cells[cell as usize].kind;
        see(cell, kind);
        match kind {
            Kind::Read { .. } => {}
            Kind::Map { input, .. } | Kind::Scalar { input, .. } => self.walk(*input, see),
            Kind::Join { many, one, .. } => {
                self.walk(*many, see);
                self.walk(*one, see);
            }
            Kind::Gate { input, others, .. } => {
                self.walk(*input, see);
                others.iter().for_each(|other| self.walk(*other, see));
            }
            Kind::Fold { inputs, .. } | Kind::Absent { inputs } => inputs.iter().for_each(|input| self.walk(*input, see)),
        }
    }

    /// Whether it is computed fast enough for every sample that touches it.
    pub fn is_cheap(&self, cell: CellId) -> bool {
        fn cost(graph: &Graph, cell: CellId) -> usize {
            match &graph.cells[cell as usize].kind {
                Kind::Read { .. } => 1,
                Kind::Map { input, .. } | Kind::Scalar { input, .. } => cost(graph, *input),
                Kind::Join { many, one, .. } => cost(graph, *many) + cost(graph, *one),
                Kind::Gate { others, .. } => 1 + others.len(),
                Kind::Fold { inputs, .. } | Kind::Absent { inputs } => inputs.len(),
            }
        }
        cost(self, cell) <= CHEAP_INPUTS_MAX
    }

    /// What a cell is at this instant.
    pub fn get(&mut self, cell: CellId, at: i64, source: &dyn Source) -> Out {
        let place = cell as usize;
        if self.cells[place].epoch == self.epoch {
            return self.cells[place].out;
        }
        let out = match &self.cells[place].kind {
            Kind::Read { slot, read } => {
                let (slot, read) = (*slot, *read);
                match self.read(slot, read, at, source) {
                    Ok(out) => out,
                    Err(error) => {
                        // What can't be read says nothing: it stays as it was, and is tried again at the next turn.
                        self.failed.get_or_insert_with(|| error.to_string());
                        Out { until: at, ..self.cells[place].out }
                    }
                }
            }
            Kind::Map { input, map } => {
                let (input, map) = (*input, *map);
                let out = self.get(input, at, source);
                Out::of(out.get().map(map), out.until)
            }
            Kind::Scalar { input, with } => {
                let (input, with) = (*input, *with);
                let out = self.get(input, at, source);
                Out::of(out.get().and_then(|value| with.apply(value)), out.until)
            }
            Kind::Join { many, one, op, return_bool, swapped } => {
                let (many, one, op, return_bool, swapped) = (*many, *one, *op, *return_bool, *swapped);
                let (many, one) = (self.get(many, at, source), self.get(one, at, source));
                let (left, right) = if swapped { (one, many) } else { (many, one) };
                let value = match (left.get(), right.get()) {
                    (Some(left), Some(right)) => element::operate(op, return_bool, left, right),
                    _ => None,
                };
                Out::of(value, many.until.min(one.until))
            }
            Kind::Gate { .. } | Kind::Fold { .. } | Kind::Absent { .. } => self.of_many(place, at, source),
        };
        let cell = &mut self.cells[place];
        (cell.epoch, cell.out) = (self.epoch, out);
        out
    }

    fn of_many(&mut self, place: usize, at: i64, source: &dyn Source) -> Out {
        // Taken out while the others are computed: no cell is under itself.
        let nothing = Kind::Absent { inputs: Vec::new() };
        let kind = std::mem::replace(&mut self.cells[place].kind, nothing);
        let out = match &kind {
            Kind::Gate { input, others, wanted } => {
                let own = self.get(*input, at, source);
                let (mut any, mut until) = (false, own.until);
                for other in others {
                    let other = self.get(*other, at, source);
                    any |= other.present;
                    until = until.min(other.until);
                }
                Out { present: own.present && any == *wanted, until, ..own }
            }
            Kind::Fold { op, inputs } => {
                let mut values = std::mem::take(&mut self.scratch);
                values.clear();
                let mut until = Out::NEVER;
                for input in inputs {
                    let out = self.get(*input, at, source);
                    until = until.min(out.until);
                    values.extend(out.get());
                }
                let value = element::fold(*op, &values);
                self.scratch = values;
                Out::of(value, until)
            }
            Kind::Absent { inputs } => {
                let outs = inputs.iter().map(|input| self.get(*input, at, source));
                let (any, until) = outs.fold((false, Out::NEVER), |(any, until), out| (any | out.present, until.min(out.until)));
                Out::of((!any).then_some(1.0), until)
            }
            _ => Out::absent(at),
        };
        self.cells[place].kind = kind;
        out
    }

    fn read(&mut self, slot: u32, read: Read, at: i64, source: &dyn Source) -> Result<Out, SourceError> {
        let memory = &self.memories[slot as usize];
        let ring = memory.ring.map(|ring| &self.rings[ring as usize]);
        let (shift, range) = match read {
            Read::Newest { shift } => (shift, LOOKBACK_US),
            Read::Window { range, shift, .. } => (shift, range),
        };
        let end = at.saturating_sub(shift);
        let out = match (read, ring) {
            (Read::Newest { .. }, _) if memory.time <= end => {
                let until = memory.time.saturating_add(LOOKBACK_US);
                let present = until > end && !is_stale(memory.value);
                let until = if present { until } else { Out::NEVER };
                Out { value: memory.value, present, until }
            }
            (Read::Newest { .. }, Some(ring)) if ring.reaches(shift + LOOKBACK_US) => ring.newest(end),
            (Read::Window { over, range, .. }, Some(ring)) => ring.over(over, range, end),
            _ => {
                let mut columns = Columns::default();
                let range = TimeRange { from: Time(end.saturating_sub(range).saturating_add(1)), to: Time(end) };
                source.read(memory.series, range, &mut columns)?;
                Self::of_columns(&columns, read, end)
            }
        };
        Ok(Out { until: out.until.saturating_add(shift), ..out })
    }

    /// Of what was just read; asked again at the next turn.
    fn of_columns(columns: &Columns, read: Read, end: i64) -> Out {
        let mut ring = Ring::default();
        columns.times.iter().zip(&columns.values).for_each(|(time, value)| ring.push(*time, *value));
        let out = match read {
            Read::Newest { .. } => ring.newest(end),
            Read::Window { over, range, .. } => ring.over(over, range, end),
        };
        Out { until: end, ..out }
    }
}
