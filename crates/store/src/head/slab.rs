//! The samples of 64 series in memory, column behind column: the newest of each open, the others sealed into one arena.
//!
//! Series that were made together lie together, and senders send them together, so a batch takes the lock of a slab once for
//! many samples, and appending one touches a few neighbouring cache lines. Each series has room for [`OPEN`] open samples; full, they are compressed
//! into the slab's arena, each run pointing back to the one before. Samples that came late lie beside, sorted, and win over what
//! was there. Freezing takes everything out at once, to be written into parts; it stays readable until it is there.

use std::hint::black_box;
use std::sync::Arc;

use model::intake::KeyHash;

use super::arena::Arena;
use crate::codec::{decode_times, decode_values, encode_times, encode_values};
use crate::flush::GiveWay;

/// Series in a slab.
pub(crate) const SERIES: usize = 64;
/// Open samples of a series. Fewer would cost more head bytes per sealed run (16 per run).
pub(crate) const OPEN: usize = 32;
/// Samples in a run of what is frozen: an instant reads one run, an hour a few that lie one behind the other.
const JOINED: usize = 64;
/// Bytes before the times of a sealed run: where the run before begins, first time, count, lengths of times and values.
const RUN_HEAD: usize = 4 + 8 + 1 + 2 + 2;
/// Runs of a read for which no memory is asked: an hour at 2 s.
const READ_AT_ONCE: usize = 56;
/// Open samples of a series when its first run since a freeze is sealed: from so many on, another number for others. Series that
/// are sent together would all be sealed after the same body else.
const FIRST_OPEN: usize = 8;
/// Open samples of a series after which it is to be sealed, when nobody waits; at [`OPEN`] it must be.
const FULL: usize = 28;
/// Neighbours that are sealed together all the same: their open values lie in one cache line.
const SEALED_TOGETHER: usize = 8;
const NONE: KeyHash = KeyHash { hi: 0, lo: 0 };

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// The newest of its series.
    Newest,
    /// Behind the newest.
    Late,
    /// At a time that was there: the new value counts.
    Replaced,
}

/// Late samples of one series, sorted by time.
pub(crate) type LateRun = Vec<(i64, f64)>;

/// The samples of 64 series.
pub(crate) struct Slab {
    keys: [KeyHash; SERIES],
    last: [i64; SERIES],
    last_value: [f64; SERIES],
    /// Distance of the open samples, where they are on a grid.
    step: [u32; SERIES],
    count: [u8; SERIES],
    /// How many open samples are to be sealed.
    room: [u8; SERIES],
    /// Series that have so many.
    full: u64,
    /// Place in `times` plus one; zero: the open samples are on a grid.
    own_times: [u8; SERIES],
    /// Series whose samples are told.
    watched: u64,
    /// Series whose newest sample may have been deleted.
    unsure: u64,
    /// The open values: first those of all series at the first place, then those at the second. What neighbours get by one batch lies
    /// together.
    values: Option<Box<[[f64; SERIES]; OPEN]>>,
    /// Which of all slabs it is: others are sealed at other times.
    number: usize,
    times: Vec<[i64; OPEN]>,
    runs: Runs,
    /// What was frozen and is kept in memory, the oldest first.
    frozen: Vec<Arc<Runs>>,
    /// No sample that was here and has left memory is newer.
    gone: i64,
}

/// Sealed runs and late samples.
#[derive(Default)]
pub(crate) struct Runs {
    /// Where the newest run of a series begins, plus one.
    chain: Option<Box<[u32; SERIES]>>,
    /// Where the oldest run of a series begins, plus one, where its runs lie one behind the other.
    starts: Option<Box<[u32; SERIES]>>,
    arena: Arena,
    late: Vec<(u8, LateRun)>,
    pub samples: u64,
    /// Once it is frozen: no sample of it is newer.
    newest: i64,
}

impl Slab {
    pub fn new(number: usize) -> Slab {
        Slab {
            keys: [NONE; SERIES],
            last: [i64::MIN; SERIES],
            last_value: [0.0; SERIES],
            step: [0; SERIES],
            count: [0; SERIES],
            room: first_room(number),
            full: 0,
            own_times: [0; SERIES],
            watched: 0,
            unsure: 0,
            values: None,
            number,
            times: Vec::new(),
            runs: Runs::default(),
            frozen: Vec::new(),
            gone: i64::MIN,
        }
    }

    /// No sample that was here and has left memory is newer; the least time where none has left.
    pub fn gone(&self) -> i64 {
        self.gone
    }

    /// Names a series. Its samples are those of nobody before.
    pub fn begin(&mut self, place: usize, key: KeyHash) {
        self.keys[place] = key;
    }

    /// The key by which a series was found first.
    #[inline]
    pub fn key(&self, place: usize) -> KeyHash {
        self.keys[place]
    }

    /// Time of the newest sample; the least time where there was none.
    #[inline]
    pub fn last(&self, place: usize) -> i64 {
        self.last[place]
    }

    #[inline]
    pub fn is_watched(&self, place: usize) -> bool {
        self.watched & (1 << place) != 0
    }

    pub fn watch(&mut self, place: usize, watched: bool) {
        match watched {
            true => self.watched |= 1 << place,
            false => self.watched &= !(1 << place),
        }
    }

    /// Puts a sample at its place.
    #[inline]
    pub fn put(&mut self, place: usize, time: i64, value: f64) -> Placed {
        let place = place % SERIES;
        let last = self.last[place];
        if time <= last {
            return self.put_late(place, time, value);
        }
        let mut count = usize::from(self.count[place]);
        if count >= OPEN {
            self.seal(place);
            count = 0;
        }
        if self.own_times[place] != 0 {
            self.times[usize::from(self.own_times[place]) - 1][count] = time;
        } else if count > 0 {
            let step = time.wrapping_sub(last) as u64;
            if count == 1 && step <= u64::from(u32::MAX) {
                self.step[place] = step as u32;
            } else if step != u64::from(self.step[place]) {
                self.leave_grid(place, count, time);
            }
        }
        let values = self.values.get_or_insert_with(|| Box::new([[0.0; SERIES]; OPEN]));
        values[count][place] = value;
        count += 1;
        self.count[place] = count as u8;
        if count >= usize::from(self.room[place]) {
            self.full |= 1 << place;
        }
        self.last[place] = time;
        self.last_value[place] = value;
        if self.unsure != 0 {
            self.unsure &= !(1 << place);
        }
        Placed::Newest
    }

    #[cold]
    fn leave_grid(&mut self, place: usize, count: usize, time: i64) {
        let mut own = [0; OPEN];
        (0..count).for_each(|nth| own[nth] = self.open_time(place, nth));
        own[count] = time;
        self.times.push(own);
        self.own_times[place] = self.times.len() as u8;
    }

    #[inline]
    fn open_time(&self, place: usize, nth: usize) -> i64 {
        match self.own_times[place] {
            0 => self.last[place] - i64::from(self.step[place]) * (i64::from(self.count[place]) - 1 - nth as i64),
            own => self.times[usize::from(own) - 1][nth],
        }
    }

    #[cold]
    fn put_late(&mut self, place: usize, time: i64, value: f64) -> Placed {
        let count = usize::from(self.count[place]);
        if time == self.last[place] {
            self.last_value[place] = value;
            if count > 0 {
                if let Some(values) = &mut self.values {
                    values[count - 1][place] = value;
                }
                return Placed::Replaced;
            }
        }
        // Whether an older one stood at that time is not looked up: counting it twice until it is written does no harm.
        match self.runs.put_late(place, time, value) {
            true => Placed::Late,
            false => Placed::Replaced,
        }
    }

    /// Whether series are to be sealed.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.full != 0
    }

    /// Seals the series that are full. Who puts samples need not wait for it.
    pub fn seal_full(&mut self) {
        let mut full = std::mem::take(&mut self.full);
        while full != 0 {
            let place = full.trailing_zeros() as usize;
            full &= full - 1;
            if self.count[place] >= self.room[place] {
                self.seal(place);
            }
        }
    }

    /// Compresses the open samples of a series.
    fn seal(&mut self, place: usize) {
        let count = usize::from(self.count[place]);
        let Some(values) = self.values.as_deref().filter(|_| count > 0) else { return };
        let (mut times, mut own) = ([0; OPEN], [0.0; OPEN]);
        (0..count).for_each(|nth| times[nth] = self.open_time(place, nth));
        own.iter_mut().zip(values).for_each(|(own, all)| *own = all[place]);
        self.runs.seal(place, &times[..count], &own[..count]);
        self.count[place] = 0;
        self.room[place] = FULL as u8;
    }

    /// Takes all samples out, to be written; they stay readable here until [`forget`](Self::forget). The newest value of each
    /// series stays. `None` where there is nothing.
    pub fn freeze(&mut self) -> Option<Arc<Runs>> {
        (0..SERIES).for_each(|place| self.seal(place));
        self.values = None;
        self.room = first_room(self.number);
        self.full = 0;
        self.times = Vec::new();
        self.own_times = [0; SERIES];
        if self.runs.samples == 0 {
            return None;
        }
        let mut runs = std::mem::take(&mut self.runs);
        runs.newest = (0..SERIES).filter(|place| runs.has(*place)).map(|place| self.last[place]).max().unwrap_or(i64::MIN);
        let frozen = Arc::new(runs);
        self.frozen.push(frozen.clone());
        Some(frozen)
    }

    /// Puts the same samples, packed better, in the place of what was frozen.
    pub fn replace(&mut self, frozen: &Arc<Runs>, joined: &Arc<Runs>) {
        if let Some(place) = self.frozen.iter_mut().find(|kept| Arc::ptr_eq(kept, frozen)) {
            *place = joined.clone();
        }
    }

    /// Lets go of something frozen: it is in parts, and they are read instead.
    pub fn forget(&mut self, frozen: &Arc<Runs>) {
        self.frozen.retain(|kept| !Arc::ptr_eq(kept, frozen));
        self.gone = self.gone.max(frozen.newest);
        self.frozen.shrink_to_fit();
    }

    /// Whether there is nothing in memory but the newest value.
    pub fn is_idle(&self, place: usize) -> bool {
        self.count[place] == 0 && !self.runs.has(place) && !self.frozen.iter().any(|frozen| frozen.has(place))
    }

    /// Samples of the series were deleted: the newest may be among them.
    pub fn doubt(&mut self, place: usize) {
        self.unsure |= 1 << place;
    }

    /// Forgets a series.
    pub fn end(&mut self, place: usize) {
        self.keys[place] = NONE;
        self.last[place] = i64::MIN;
        self.last_value[place] = 0.0;
        self.watch(place, false);
    }

    /// Appends the samples of memory from `from` to `to`, both included, in time order, each instant once.
    pub fn read(&self, place: usize, from: i64, to: i64, times: &mut Vec<i64>, values: &mut Vec<f64>) -> Option<()> {
        let begin = times.len();
        for frozen in &self.frozen {
            frozen.read_sealed(place, from, to, times, values)?;
        }
        self.runs.read_sealed(place, from, to, times, values)?;
        let count = usize::from(self.count[place]);
        if let Some(open) = self.values.as_deref().filter(|_| count > 0) {
            let begin = times.len();
            match self.own_times[place] {
                0 => {
                    let step = i64::from(self.step[place]);
                    let first = self.open_time(place, 0);
                    times.extend((0..count as i64).map(|nth| first + nth * step));
                }
                own => times.extend_from_slice(&self.times[usize::from(own) - 1][..count]),
            }
            values.extend(open[..count].iter().map(|all| all[place]));
            cut(begin, from, to, times, values);
        }
        for frozen in &self.frozen {
            frozen.merge_late(place, from, to, begin, times, values);
        }
        self.runs.merge_late(place, from, to, begin, times, values);
        Some(())
    }

    /// Adds the walks that bring near what a read of a series from `from` on needs.
    pub fn walk<'s>(&'s self, place: usize, from: i64, walks: &mut Vec<Walk<'s>>) {
        black_box((self.last[place], self.count[place], self.step[place], self.own_times[place]));
        let runs = self.frozen.iter().map(|frozen| &**frozen).chain([&self.runs]);
        walks.extend(runs.map(|runs| runs.walk(place, from)).filter(|walk| walk.next != 0));
    }

    /// The newest sample of memory that is not after `to`, if it is not before `from`: decodes the one run that has it, into `columns`.
    /// `None` where late samples make only a whole read sure, or a run does not decode.
    pub fn newest_until(
        &self,
        place: usize,
        from: i64,
        to: i64,
        columns: &mut (Vec<i64>, Vec<f64>),
    ) -> Option<Option<(i64, f64)>> {
        let all = || self.frozen.iter().map(|frozen| &**frozen).chain([&self.runs]);
        if all().any(|runs| runs.late_of(place).is_some()) {
            return None;
        }
        let count = usize::from(self.count[place]);
        if let Some(open) = self.values.as_deref().filter(|_| count > 0) {
            let until = (0..count).rev().find(|nth| self.open_time(place, *nth) <= to);
            if let Some(nth) = until {
                let time = self.open_time(place, nth);
                return Some((time >= from).then_some((time, open[nth][place])));
            }
        }
        for runs in all().rev() {
            if let Some((time, value)) = runs.newest_until(place, to, columns)? {
                return Some((time >= from).then_some((time, value)));
            }
        }
        Some(None)
    }

    /// The newest sample of memory, where it is within the range. `None` where only a whole read can tell.
    pub fn newest(&self, place: usize, from: i64, to: i64) -> Option<Option<(i64, f64)>> {
        let last = self.last[place];
        if self.unsure & (1 << place) != 0 {
            return None;
        }
        if last == i64::MIN || last < from {
            return Some(None);
        }
        (last <= to).then_some(Some((last, self.last_value[place])))
    }
}

/// The room of each place of a slab after a freeze.
fn first_room(number: usize) -> [u8; SERIES] {
    const GROUPS: usize = SERIES / SEALED_TOGETHER;
    std::array::from_fn(|place| (FIRST_OPEN + (number * GROUPS + place / SEALED_TOGETHER) % (FULL - FIRST_OPEN + 1)) as u8)
}

impl Runs {
    fn chain(&self, place: usize) -> u32 {
        self.chain.as_ref().map_or(0, |chain| chain[place])
    }

    fn has(&self, place: usize) -> bool {
        self.chain(place) != 0 || self.late_of(place).is_some()
    }

    fn late_of(&self, place: usize) -> Option<&LateRun> {
        self.late.iter().find(|(at, _)| usize::from(*at) == place).map(|(_, run)| run)
    }

    /// False where a late one stood at that time already.
    fn put_late(&mut self, place: usize, time: i64, value: f64) -> bool {
        let at = match self.late.iter().position(|(at, _)| usize::from(*at) == place) {
            Some(at) => at,
            None => {
                self.late.push((place as u8, Vec::new()));
                self.late.len() - 1
            }
        };
        let run = &mut self.late[at].1;
        let before = run.partition_point(|(have, _)| *have < time);
        match run.get_mut(before).filter(|(have, _)| *have == time) {
            Some(same) => same.1 = value,
            None => {
                run.insert(before, (time, value));
                self.samples += 1;
                return true;
            }
        }
        false
    }

    fn seal(&mut self, place: usize, times: &[i64], values: &[f64]) {
        let chain = self.chain.get_or_insert_with(|| Box::new([0; SERIES]));
        let (at, arena) = self.arena.end();
        let start = arena.len();
        arena.extend_from_slice(&chain[place].to_le_bytes());
        arena.extend_from_slice(&times[0].to_le_bytes());
        arena.extend_from_slice(&[times.len() as u8, 0, 0, 0, 0]);
        encode_times(times, arena);
        let times_end = arena.len();
        encode_values(values, arena);
        let times_len = (times_end - start - RUN_HEAD) as u16;
        let values_len = (arena.len() - times_end) as u16;
        arena[start + 13..start + 15].copy_from_slice(&times_len.to_le_bytes());
        arena[start + 15..start + 17].copy_from_slice(&values_len.to_le_bytes());
        // Below 4 GiB: a head is written to parts long before, and refuses samples where that fails.
        chain[place] = at + 1;
        self.samples += times.len() as u64;
    }

    /// No sample of what was frozen is newer.
    pub fn newest_time(&self) -> i64 {
        self.newest
    }

    /// The same in fewer, longer runs, those of a series one behind the other: what is frozen is read many times, and takes less so.
    pub fn joined(&self) -> Option<Runs> {
        let arena = Arena::whole(self.arena.len() * 3 / 4);
        let mut joined = Runs { arena, late: self.late.clone(), newest: self.newest, ..Runs::default() };
        let (mut times, mut values) = (Vec::new(), Vec::new());
        let mut starts = Box::new([0; SERIES]);
        let mut way = GiveWay::default();
        for place in 0..SERIES {
            way.after(times.len());
            times.clear();
            values.clear();
            self.read_sealed(place, i64::MIN, i64::MAX, &mut times, &mut values)?;
            if !times.is_empty() {
                starts[place] = joined.arena.end().0 + 1;
            }
            for (times, values) in times.chunks(JOINED).zip(values.chunks(JOINED)) {
                joined.seal(place, times, values);
            }
        }
        joined.samples = self.samples;
        joined.starts = Some(starts);
        joined.arena.shrink();
        Some(joined)
    }

    /// Appends what is here, late samples at their places.
    pub fn read(&self, place: usize, from: i64, to: i64, times: &mut Vec<i64>, values: &mut Vec<f64>) -> Option<()> {
        let begin = times.len();
        self.read_sealed(place, from, to, times, values)?;
        self.merge_late(place, from, to, begin, times, values);
        Some(())
    }

    /// Forward over runs that lie one behind the other: memory is read in its order.
    fn read_joined(
        &self,
        (start, last): (u32, u32),
        (from, to): (i64, i64),
        times: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) -> Option<()> {
        let start = start.checked_sub(1)?;
        let runs = self.arena.at(start)?;
        let last = last.checked_sub(1)?.checked_sub(start)? as usize;
        let mut at = 0;
        let mut run = Run::at(runs)?;
        while run.first <= to {
            let next_at = at + RUN_HEAD + run.times.len() + run.values.len();
            let next = if at < last { Some(Run::at(runs.get(next_at..)?)?) } else { None };
            if next.as_ref().is_none_or(|next| next.first > from) {
                let begin = times.len();
                decode_times(run.times, run.first, run.count, times)?;
                decode_values(run.values, run.count, values)?;
                cut(begin, from, to, times, values);
            }
            let Some(next) = next else { break };
            (at, run) = (next_at, next);
        }
        Some(())
    }

    fn walk(&self, place: usize, from: i64) -> Walk<'_> {
        let next = match &self.starts {
            // One behind the other: the processor sees the rest coming.
            Some(starts) => starts[place],
            None => self.chain(place),
        };
        Walk { arena: &self.arena, next, from, joined: self.starts.is_some() }
    }

    fn read_sealed(&self, place: usize, from: i64, to: i64, times: &mut Vec<i64>, values: &mut Vec<f64>) -> Option<()> {
        if let Some(start) = self.starts.as_ref().map(|starts| starts[place]).filter(|start| *start > 0) {
            return self.read_joined((start, self.chain(place)), (from, to), times, values);
        }
        // From the newest run back to where the range begins, then forward again.
        let mut wanted = [0; READ_AT_ONCE];
        let mut more = Vec::new();
        let mut count = 0;
        let mut next = self.chain(place);
        while next != 0 {
            let (before, first) = Run::link(self.arena.at(next - 1)?)?;
            if first <= to {
                match wanted.get_mut(count) {
                    Some(free) => *free = next - 1,
                    None => more.push(next - 1),
                }
                count += 1;
            }
            if first <= from {
                break;
            }
            next = before;
        }
        for at in more.iter().rev().chain(wanted[..count.min(READ_AT_ONCE)].iter().rev()) {
            let run = Run::at(self.arena.at(*at)?)?;
            let begin = times.len();
            decode_times(run.times, run.first, run.count, times)?;
            decode_values(run.values, run.count, values)?;
            cut(begin, from, to, times, values);
        }
        Some(())
    }

    fn newest_until(&self, place: usize, to: i64, (times, values): &mut (Vec<i64>, Vec<f64>)) -> Option<Option<(i64, f64)>> {
        let mut next = self.chain(place);
        while next != 0 {
            let (before, first) = Run::link(self.arena.at(next - 1)?)?;
            if first <= to {
                let run = Run::at(self.arena.at(next - 1)?)?;
                times.clear();
                values.clear();
                decode_times(run.times, run.first, run.count, times)?;
                decode_values(run.values, run.count, values)?;
                let last = times.partition_point(|time| *time <= to).checked_sub(1)?;
                return Some(Some((times[last], *values.get(last)?)));
            }
            next = before;
        }
        Some(None)
    }

    fn merge_late(&self, place: usize, from: i64, to: i64, begin: usize, times: &mut Vec<i64>, values: &mut Vec<f64>) {
        let Some(late) = self.late_of(place) else { return };
        let start = late.partition_point(|(time, _)| *time < from);
        let end = late.partition_point(|(time, _)| *time <= to);
        if start < end {
            merge(&late[start..end], begin, times, values);
        }
    }

    /// Bytes of samples.
    pub fn bytes(&self) -> usize {
        self.arena.capacity() + self.late.iter().map(|(_, run)| run.capacity() * 16).sum::<usize>()
    }
}

/// A way back along the runs of a series, on which nothing is decoded.
pub(crate) struct Walk<'a> {
    arena: &'a Arena,
    /// Where the next run begins, plus one.
    next: u32,
    from: i64,
    joined: bool,
}

impl Walk<'_> {
    /// One run further. Whether there is another.
    pub fn step(&mut self) -> bool {
        let Some(run) = self.next.checked_sub(1).and_then(|at| self.arena.at(at)) else { return false };
        // Most runs end within the second line.
        black_box(run.get(64).copied());
        let Some((before, first)) = Run::link(run) else { return false };
        self.next = before;
        before != 0 && first > self.from && !self.joined
    }
}

/// One sealed run.
struct Run<'a> {
    first: i64,
    count: usize,
    times: &'a [u8],
    values: &'a [u8],
}

impl Run<'_> {
    /// Where the run before begins, plus one, and the first time.
    fn link(bytes: &[u8]) -> Option<(u32, i64)> {
        let head: &[u8; 12] = bytes.get(..12)?.try_into().ok()?;
        let (before, first) = head.split_first_chunk::<4>()?;
        Some((u32::from_le_bytes(*before), i64::from_le_bytes(first.try_into().ok()?)))
    }

    /// The run that stands at the beginning of some bytes.
    fn at(bytes: &[u8]) -> Option<Run<'_>> {
        let head = bytes.get(..RUN_HEAD)?;
        let two = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
        let values_at = RUN_HEAD + two(13);
        Some(Run {
            first: i64::from_le_bytes(head[4..12].try_into().ok()?),
            count: usize::from(head[12]),
            times: bytes.get(RUN_HEAD..values_at)?,
            values: bytes.get(values_at..values_at + two(15))?,
        })
    }
}

/// Keeps of what was appended since `begin` what lies in the range.
pub(crate) fn cut(begin: usize, from: i64, to: i64, times: &mut Vec<i64>, values: &mut Vec<f64>) {
    if times.last().is_some_and(|last| *last > to) {
        let keep = begin + times[begin..].partition_point(|time| *time <= to);
        times.truncate(keep);
        values.truncate(keep);
    }
    if times.get(begin).is_some_and(|first| *first < from) {
        let early = times[begin..].partition_point(|time| *time < from);
        times.drain(begin..begin + early);
        values.drain(begin..begin + early);
    }
}

/// Puts `over`, sorted by time, into what was appended since `begin`; at the same time `over` wins.
pub(crate) fn merge(over: &[(i64, f64)], begin: usize, times: &mut Vec<i64>, values: &mut Vec<f64>) {
    let (had_times, had_values) = (times[begin..].to_vec(), values[begin..].to_vec());
    times.truncate(begin);
    values.truncate(begin);
    let mut had = had_times.into_iter().zip(had_values).peekable();
    for &(time, value) in over {
        while let Some((before, value)) = had.next_if(|(have, _)| *have < time) {
            times.push(before);
            values.push(value);
        }
        had.next_if(|(have, _)| *have == time);
        times.push(time);
        values.push(value);
    }
    for (time, value) in had {
        times.push(time);
        values.push(value);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::files::Random;

    #[test]
    fn any_order_reads_like_a_map() {
        for seed in 0..12 {
            let mut random = Random::new(seed);
            let (mut slab, mut map, mut written, mut frozen) = (Slab::new(0), BTreeMap::new(), BTreeMap::new(), Vec::new());
            // Some are quick to seal what is full, some never come to it.
            let diligence = 25 * (seed % 5);
            for step in 0..2_000i64 {
                let late = random.chance(15);
                let jitter = if seed % 2 == 0 { 0 } else { random.below(3) as i64 };
                let time = if late { random.below(20_000) as i64 } else { step * 10 + jitter };
                let value = random.below(50) as f64 / 4.0;
                slab.put(7, time, value);
                map.insert(time, value);
                if slab.is_full() && random.chance(diligence) {
                    slab.seal_full();
                }
                if random.chance(1)
                    && let Some(raw) = slab.freeze()
                {
                    let joined = Arc::new(raw.joined().unwrap());
                    let keep = random.chance(30);
                    if !keep {
                        slab.replace(&raw, &joined);
                    }
                    frozen.push(if keep { raw } else { joined });
                }
                if frozen.len() > 2 {
                    // What is forgotten is in parts: here in a map.
                    let oldest = frozen.remove(0);
                    let mut read = (Vec::new(), Vec::new());
                    oldest.read(7, i64::MIN, i64::MAX, &mut read.0, &mut read.1).unwrap();
                    written.extend(read.0.into_iter().zip(read.1));
                    slab.forget(&oldest);
                }
            }
            assert_eq!(slab.newest(7, i64::MIN, i64::MAX), Some(map.last_key_value().map(|(time, value)| (*time, *value))));
            for _ in 0..50 {
                let (from, to) = (random.below(20_100) as i64 - 50, random.below(20_100) as i64 - 50);
                let (mut times, mut values) = (Vec::new(), Vec::new());
                slab.read(7, from, to, &mut times, &mut values).unwrap();
                if let Some(newest) = slab.newest_until(7, from, to, &mut Default::default()) {
                    assert_eq!(newest, times.last().copied().zip(values.last().copied()), "seed {seed}");
                }
                let mut found = written.clone();
                found.retain(|time, _| (from..=to).contains(time));
                found.extend(times.into_iter().zip(values));
                let want: BTreeMap<_, _> =
                    map.iter().filter(|(time, _)| (from..=to).contains(*time)).map(|(t, v)| (*t, *v)).collect();
                assert_eq!(found, want, "seed {seed}");
            }
        }
    }

    #[test]
    fn what_is_full_waits_for_room_at_most() {
        for (every, most) in [(1, FULL - 1), (3, FULL + 1), (1_000, OPEN)] {
            let mut slab = Slab::new(3);
            let mut seen = 0;
            for step in 0..500i64 {
                (0..SERIES).for_each(|place| assert_eq!(slab.put(place, step, (step * place as i64) as f64), Placed::Newest));
                if step % every == 0 {
                    slab.seal_full();
                    assert!(!slab.is_full() && slab.count.iter().all(|count| usize::from(*count) < FULL));
                }
                seen = seen.max(usize::from(*slab.count.iter().max().unwrap()));
            }
            assert_eq!(seen, most, "sealed every {every}");
            for place in 0..SERIES {
                let (mut times, mut values) = (Vec::new(), Vec::new());
                slab.read(place, 0, 499, &mut times, &mut values).unwrap();
                assert!(times.iter().copied().eq(0..500));
                assert!(values.iter().zip(0..).all(|(value, step)| *value == f64::from(step * place as i32)));
            }
        }
    }

    #[test]
    fn the_newest_until_then_needs_one_run() {
        let mut slab = Slab::new(0);
        for step in 0..1_000i64 {
            slab.put(9, step * 15 + step % 3, step as f64);
            if step % 300 == 299 {
                assert!(slab.freeze().is_some());
            }
        }
        for to in -5..15_010 {
            let want = (0..1_000i64).rev().map(|step| (step * 15 + step % 3, step as f64)).find(|(time, _)| *time <= to);
            let want = want.filter(|(time, _)| *time >= to - 40);
            assert_eq!(slab.newest_until(9, to - 40, to, &mut Default::default()), Some(want), "{to}");
        }
    }

    #[test]
    fn a_grid_needs_no_times() {
        let mut slab = Slab::new(0);
        (0..100).for_each(|step| assert_eq!(slab.put(3, 1_000 + step * 15, step as f64), Placed::Newest));
        assert!(slab.times.is_empty());
        let (mut times, mut values) = (Vec::new(), Vec::new());
        slab.read(3, i64::MIN, i64::MAX, &mut times, &mut values).unwrap();
        assert_eq!(times, (0..100).map(|step| 1_000 + step * 15).collect::<Vec<_>>());
        assert_eq!(values, (0..100).map(f64::from).collect::<Vec<_>>());
    }
}
