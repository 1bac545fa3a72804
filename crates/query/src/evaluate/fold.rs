//! Aggregations that see one row after the other: a state for each group and step, and nothing else is held.

use std::ops::Range;

use ahash::AHashMap;

use super::arithmetic::{self, Mean};
use super::stream::Stream;
use super::table::{Row, Table, is_metadata, without_name};
use super::{Evaluator, Grid};
use crate::ast::{Aggregate, AggregateOp, Grouping};
use crate::error::EvalError;

/// Most series that a rank keeps for each step; beyond it the whole table is sorted.
pub(super) const RANKED_MAX: usize = 64;

/// What a fold of one cell after the other keeps per step.
trait Fold: Default + Clone {
    fn add(&mut self, value: f64, first: bool);
    fn get(&self) -> f64;
}

/// The states of the cells of all groups, one group behind the other.
trait States: Default {
    fn resize(&mut self, cells: usize);
    fn add(&mut self, cell: usize, value: f64, first: bool);
    /// Adds a row that is present at every step to cells that all have a first value.
    fn add_all(&mut self, cells: Range<usize>, values: &[f64]);
    fn get(&self, cell: usize) -> f64;
}

impl<F: Fold> States for Vec<F> {
    fn resize(&mut self, cells: usize) {
        Vec::resize(self, cells, F::default());
    }

    #[inline]
    fn add(&mut self, cell: usize, value: f64, first: bool) {
        self[cell].add(value, first);
    }

    fn add_all(&mut self, cells: Range<usize>, values: &[f64]) {
        self[cells].iter_mut().zip(values).for_each(|(state, value)| state.add(*value, false));
    }

    fn get(&self, cell: usize) -> f64 {
        self[cell].get()
    }
}

#[derive(Clone, Default)]
struct Sum(f64, f64);

impl Fold for Sum {
    #[inline]
    fn add(&mut self, value: f64, first: bool) {
        if first {
            self.0 = value;
        } else {
            arithmetic::kahan_add(value, &mut self.0, &mut self.1);
        }
    }

    fn get(&self) -> f64 {
        self.0 + self.1
    }
}

/// Sums and what they lost, each for itself, so that neighbouring steps are added at once.
#[derive(Default)]
struct Sums {
    sum: Vec<f64>,
    lost: Vec<f64>,
}

impl States for Sums {
    fn resize(&mut self, cells: usize) {
        self.sum.resize(cells, 0.0);
        self.lost.resize(cells, 0.0);
    }

    #[inline]
    fn add(&mut self, cell: usize, value: f64, first: bool) {
        if first {
            self.sum[cell] = value;
        } else {
            arithmetic::kahan_add(value, &mut self.sum[cell], &mut self.lost[cell]);
        }
    }

    /// As one by one, without branches.
    fn add_all(&mut self, cells: Range<usize>, values: &[f64]) {
        let states = self.sum[cells.clone()].iter_mut().zip(&mut self.lost[cells]);
        for ((sum, lost), &value) in states.zip(values) {
            let total = *sum + value;
            let (large, small) = if sum.abs() >= value.abs() { (*sum, value) } else { (value, *sum) };
            let more = *lost + ((large - total) + small);
            *lost = if total.is_infinite() { 0.0 } else { more };
            *sum = total;
        }
    }

    fn get(&self, cell: usize) -> f64 {
        self.sum[cell] + self.lost[cell]
    }
}

impl Fold for Mean {
    #[inline]
    fn add(&mut self, value: f64, _: bool) {
        Mean::add(self, value);
    }

    fn get(&self) -> f64 {
        Mean::get(self)
    }
}

#[derive(Clone, Default)]
struct Smallest(f64);

impl Fold for Smallest {
    #[inline]
    fn add(&mut self, value: f64, first: bool) {
        if first || value < self.0 || self.0.is_nan() {
            self.0 = value;
        }
    }

    fn get(&self) -> f64 {
        self.0
    }
}

#[derive(Clone, Default)]
struct Largest(f64);

impl Fold for Largest {
    #[inline]
    fn add(&mut self, value: f64, first: bool) {
        if first || value > self.0 || self.0.is_nan() {
            self.0 = value;
        }
    }

    fn get(&self) -> f64 {
        self.0
    }
}

#[derive(Clone, Default)]
struct Count(f64);

impl Fold for Count {
    #[inline]
    fn add(&mut self, _: f64, _: bool) {
        self.0 += 1.0;
    }

    fn get(&self) -> f64 {
        self.0
    }
}

#[derive(Clone, Default)]
struct One;

impl Fold for One {
    fn add(&mut self, _: f64, _: bool) {}

    fn get(&self) -> f64 {
        1.0
    }
}

#[derive(Clone, Default)]
struct Variance {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Fold for Variance {
    #[inline]
    fn add(&mut self, value: f64, first: bool) {
        self.count += 1.0;
        if first {
            self.mean = value;
            self.squares = if value.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn get(&self) -> f64 {
        self.squares / self.count
    }
}

/// One group's cells at one step.
pub(super) fn fold_one(op: AggregateOp, values: &[f64]) -> Option<f64> {
    fn run<F: Fold>(values: &[f64]) -> f64 {
        let mut state = F::default();
        values.iter().enumerate().for_each(|(place, value)| state.add(*value, place == 0));
        state.get()
    }
    Some(match op {
        AggregateOp::Sum => run::<Sum>(values),
        AggregateOp::Avg => run::<Mean>(values),
        AggregateOp::Min => run::<Smallest>(values),
        AggregateOp::Max => run::<Largest>(values),
        AggregateOp::Count => run::<Count>(values),
        AggregateOp::Group => run::<One>(values),
        AggregateOp::Stddev => run::<Variance>(values).sqrt(),
        AggregateOp::Stdvar => run::<Variance>(values),
        _ => return None,
    })
}

/// What rows are shown to; groups come into being as rows ask for them.
trait Groups {
    fn row(&mut self, group: usize, row: usize, values: &[f64], present: &[bool]);
    /// The values and presences of all groups, one behind the other.
    fn finish(self: Box<Self>) -> (Vec<f64>, Vec<bool>);
}

struct Folded<S> {
    steps: usize,
    states: S,
    present: Vec<bool>,
    /// Groups that have a value at every step.
    full: Vec<bool>,
    finish: fn(f64) -> f64,
}

impl<S: States> Folded<S> {
    fn boxed<'f>(steps: usize, finish: fn(f64) -> f64) -> Box<dyn Groups + 'f>
    where
        S: 'f,
    {
        Box::new(Folded::<S> { steps, states: S::default(), present: Vec::new(), full: Vec::new(), finish })
    }
}

impl<S: States> Groups for Folded<S> {
    fn row(&mut self, group: usize, _: usize, values: &[f64], here: &[bool]) {
        let steps = self.steps;
        if group >= self.full.len() {
            self.full.resize(group + 1, false);
            self.states.resize((group + 1) * steps);
            self.present.resize((group + 1) * steps, false);
        }
        let cells = group * steps..(group + 1) * steps;
        // All are looked at, sixteen at a time: a search for one that is missing would go one by one.
        let whole = here.iter().fold(true, |whole, here| whole & *here);
        if whole && self.full[group] {
            return self.states.add_all(cells, values);
        }
        let (first, present) = (cells.start, &mut self.present[cells]);
        for step in (0..steps).filter(|step| here[*step]) {
            self.states.add(first + step, values[step], !present[step]);
            present[step] = true;
        }
        self.full[group] |= whole;
    }

    fn finish(self: Box<Self>) -> (Vec<f64>, Vec<bool>) {
        let values = self.present.iter().enumerate();
        let values = values.map(|(cell, present)| if *present { (self.finish)(self.states.get(cell)) } else { 0.0 });
        (values.collect(), self.present)
    }
}

fn groups(op: AggregateOp, steps: usize) -> Option<Box<dyn Groups>> {
    let same: fn(f64) -> f64 = |value| value;
    Some(match op {
        AggregateOp::Sum => Folded::<Sums>::boxed(steps, same),
        AggregateOp::Avg => Folded::<Vec<Mean>>::boxed(steps, same),
        AggregateOp::Min => Folded::<Vec<Smallest>>::boxed(steps, same),
        AggregateOp::Max => Folded::<Vec<Largest>>::boxed(steps, same),
        AggregateOp::Count => Folded::<Vec<Count>>::boxed(steps, same),
        AggregateOp::Group => Folded::<Vec<One>>::boxed(steps, same),
        AggregateOp::Stddev => Folded::<Vec<Variance>>::boxed(steps, f64::sqrt),
        AggregateOp::Stdvar => Folded::<Vec<Variance>>::boxed(steps, same),
        _ => return None,
    })
}

/// Finds each row's group.
struct Grouper<'g> {
    grouping: &'g Grouping,
    /// The name, type and unit of a metric count as gone.
    unnamed: bool,
    places: AHashMap<Box<str>, usize>,
    rows: Vec<Row>,
    key: String,
}

impl<'g> Grouper<'g> {
    fn new(grouping: &'g Grouping, unnamed: bool) -> Grouper<'g> {
        Grouper { grouping, unnamed, places: AHashMap::new(), rows: Vec::new(), key: String::new() }
    }

    fn place(&mut self, row: &Row, drop_name: bool) -> usize {
        let Grouper { grouping, unnamed, .. } = *self;
        let keep = |name: &str| {
            let kept = match grouping {
                Grouping::By(names) => names.iter().any(|wanted| wanted == name),
                Grouping::Without(names) => name != model::labels::METRIC_NAME && !names.iter().any(|gone| gone == name),
            };
            kept && !(unnamed && is_metadata(name))
        };
        self.key.clear();
        if !matches!(grouping, Grouping::By(names) if names.is_empty()) {
            row.labels.filter_into(keep, &mut self.key);
        }
        let place = match self.places.get(self.key.as_str()) {
            Some(place) => *place,
            None => {
                self.places.insert(self.key.as_str().into(), self.rows.len());
                self.rows.push(Row { labels: row.labels.filter(|name| !self.key.is_empty() && keep(name)), drop_name: false });
                self.rows.len() - 1
            }
        };
        self.rows[place].drop_name |= drop_name;
        place
    }
}

/// What is aggregated: rows yet to be made, or a table.
pub(super) enum Rows<'a> {
    Made(Table),
    ToMake(Stream<'a>),
}

impl Rows<'_> {
    fn row(&self, row: usize) -> &Row {
        match self {
            Rows::Made(table) => &table.rows[row],
            Rows::ToMake(stream) => &stream.rows[row],
        }
    }

    fn unnamed(&self) -> bool {
        matches!(self, Rows::ToMake(Stream { unnamed: true, .. }))
    }
}

impl<'a> Evaluator<'a> {
    /// Folds the rows into their groups; none where `op` needs all of a group at once.
    pub fn fold(&mut self, aggregate: &Aggregate, rows: &Rows<'_>, grid: Grid) -> Result<Option<Table>, EvalError> {
        let Some(mut folded) = groups(aggregate.op, grid.count) else { return Ok(None) };
        let groups = self.group_rows(&aggregate.grouping, rows, grid, &mut *folded)?;
        self.charge_cells(groups.len() * grid.count)?;
        let (values, present) = folded.finish();
        let mut out = Table::absent(grid.count, 0);
        (out.rows, out.values, out.present) = (groups, values, present);
        out.drop_empty();
        Ok(Some(out))
    }

    /// `topk` and `bottomk`, for as many of each group as `wanted` says for the step.
    pub fn rank(&mut self, aggregate: &Aggregate, rows: &Rows<'_>, wanted: &[i64], grid: Grid) -> Result<Table, EvalError> {
        let wanted: Vec<usize> = wanted.iter().map(|wanted| usize::try_from(*wanted).unwrap_or(0)).collect();
        let most = wanted.iter().copied().max().unwrap_or(0);
        let mut ranks = Ranks { top: aggregate.op == AggregateOp::Topk, most, wanted, lists: Vec::new(), lens: Vec::new() };
        self.group_rows(&aggregate.grouping, rows, grid, &mut ranks)?;
        let kept = ranks.lens.iter().map(|len| usize::from(*len)).sum();
        self.charge_cells(kept)?;
        let (unnamed, delayed) = (rows.unnamed(), self.params.delayed_name_removal);
        let named = |row: usize| match rows.row(row) {
            Row { labels, .. } if unnamed && !delayed => Row { labels: without_name(labels), drop_name: false },
            Row { labels, drop_name } => Row { labels: labels.clone(), drop_name: *drop_name || unnamed },
        };
        let mut out = Table::new(grid.count);
        let mut places: AHashMap<u32, usize> = AHashMap::new();
        let mut order: Vec<u32> = ranks.kept().map(|(_, row)| row).collect();
        if !self.instant {
            order.sort_unstable();
        }
        for row in order {
            places.entry(row).or_insert_with(|| {
                let Row { labels, drop_name } = named(row as usize);
                out.push(labels, drop_name);
                out.rows.len() - 1
            });
        }
        for (slot, len) in ranks.lens.iter().enumerate() {
            for (value, row) in &ranks.lists[slot * most..slot * most + usize::from(*len)] {
                let (values, present) = out.row_mut(places[row]);
                (values[slot % grid.count], present[slot % grid.count]) = (*value, true);
            }
        }
        Ok(out)
    }

    /// Shows each row that has a cell to `folded`, and says who the groups are.
    fn group_rows(
        &mut self,
        grouping: &Grouping,
        rows: &Rows<'_>,
        grid: Grid,
        folded: &mut dyn Groups,
    ) -> Result<Vec<Row>, EvalError> {
        let delayed = self.params.delayed_name_removal;
        let mut groups = Grouper::new(grouping, rows.unnamed() && !delayed);
        match rows {
            Rows::Made(table) => {
                for (place, row) in table.rows.iter().enumerate() {
                    let (values, present) = table.row(place);
                    folded.row(groups.place(row, row.drop_name), place, values, present);
                }
            }
            Rows::ToMake(stream) => {
                let mut told = None;
                self.each_row(stream, grid.count, |evaluator, place, values, present| {
                    if present.contains(&true) {
                        let row = &stream.rows[place];
                        if let Some(span) = stream.counters.filter(|_| told != Some(row.labels.metric())) {
                            evaluator.note_non_counters(std::iter::once(row), span);
                            told = Some(row.labels.metric());
                        }
                        folded.row(groups.place(row, row.drop_name || stream.unnamed && delayed), place, values, present);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(groups.rows)
    }
}

/// The best cells of each group and step, best first.
struct Ranks {
    top: bool,
    most: usize,
    wanted: Vec<usize>,
    /// `most` places for each group and step.
    lists: Vec<(f64, u32)>,
    lens: Vec<u8>,
}

impl Ranks {
    fn kept(&self) -> impl Iterator<Item = (f64, u32)> + '_ {
        let lists = self.lens.iter().enumerate();
        lists.flat_map(|(slot, len)| self.lists[slot * self.most..][..usize::from(*len)].iter().copied())
    }
}

impl Groups for Ranks {
    fn row(&mut self, group: usize, row: usize, values: &[f64], present: &[bool]) {
        let (steps, most, top) = (self.wanted.len(), self.most, self.top);
        if (group + 1) * steps > self.lens.len() {
            self.lens.resize((group + 1) * steps, 0);
            self.lists.resize((group + 1) * steps * most, (0.0, 0));
        }
        // NaN loses against everything; of equals the first wins.
        let better = |a: f64, b: f64| (if top { a > b } else { a < b }) || b.is_nan() && !a.is_nan();
        for step in (0..steps).filter(|step| present[*step]) {
            let (slot, wanted, value) = (group * steps + step, self.wanted[step], values[step]);
            let len = usize::from(self.lens[slot]);
            let list = &mut self.lists[slot * most..(slot + 1) * most];
            if wanted == 0 || len == wanted && !better(value, list[len - 1].0) {
                continue;
            }
            let mut place = len.min(wanted - 1);
            while place > 0 && better(value, list[place - 1].0) {
                list[place] = list[place - 1];
                place -= 1;
            }
            list[place] = (value, row as u32);
            self.lens[slot] = (len + 1).min(wanted) as u8;
        }
    }

    fn finish(self: Box<Self>) -> (Vec<f64>, Vec<bool>) {
        (Vec::new(), Vec::new())
    }
}
