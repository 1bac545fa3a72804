//! What one target's series are: by the text that names them, so that labels are made and relabelled once per series.

use ahash::AHashMap;
use model::config::ScrapeJob;
use model::intake::{KeyHash, KeySecret, LabelsFault, Protocol, RawRow, Rows};
use model::{Labels, STALE_NAN, Time};
use wire::exposition::keyed::{Found, Mistake, Names, samples};
use wire::exposition::{ContentType, Options};

use super::relabel::{Relabel, Working};

/// Most lines of one answer where no limit is configured.
const SAMPLES_MAX: usize = 2_000_000;

/// A series of the target.
#[derive(Clone, Debug)]
struct Entry {
    labels: Labels,
    key: KeyHash,
    /// The scrape that had it last.
    seen: u64,
    /// Whether the last scrape had it, and went well.
    live: bool,
    /// Whether it ends when it vanishes.
    tracked: bool,
}

/// What the text of a series stands for.
#[derive(Clone, Copy, Debug)]
enum Known {
    Series(u32),
    /// Relabelling dropped it; the scrape that had it last.
    Dropped(u64),
}

/// The samples of one scrape and what was counted.
#[derive(Debug, Default)]
pub struct Scraped {
    /// For the store; places are those of the cache's entries.
    pub rows: Vec<RawRow>,
    /// Samples in the answer.
    pub found: usize,
    /// Those that relabelling left.
    pub kept: usize,
    /// Series that the scrape before did not have.
    pub added: usize,
}

/// What is done to the series of a target.
pub struct Rules {
    options: Options,
    relabel: Relabel,
    limits: [u64; 4],
    honor_timestamps: bool,
    track_timestamps: bool,
}

impl Rules {
    /// Those of a job, for a target with these labels.
    pub fn new(job: &ScrapeJob, target: &Labels) -> Rules {
        Rules {
            options: Options { target: target.clone(), honor_labels: job.honor_labels, ..Options::default() },
            relabel: Relabel::new(&job.metric_relabel_configs),
            limits: [job.sample_limit, job.label_limit, job.label_name_length_limit, job.label_value_length_limit],
            honor_timestamps: job.honor_timestamps,
            track_timestamps: job.track_timestamps_staleness,
        }
    }

    /// The labels of a series that was written so; none: dropped.
    fn labels(&self, names: &mut Names, found: &Found<'_>) -> Result<Option<Labels>, String> {
        let mut labels = names.labels(found.key, found.bound, &self.options)?;
        if !self.relabel.is_empty() {
            let mut working = Working::new(labels.iter());
            if !self.relabel.apply(&mut working) {
                return Ok(None);
            }
            labels = Labels::new(working.iter()).map_err(|error| error.to_string())?;
            if labels.metric().is_empty() {
                return Err("relabelling took the metric's name away".into());
            }
        }
        self.check(&labels).map_err(|why| format!("{why}, of {labels}"))?;
        Ok(Some(labels))
    }

    fn check(&self, labels: &Labels) -> Result<(), String> {
        let [_, count, name_len, value_len] = self.limits;
        if count > 0 && labels.len() as u64 > count {
            return Err(format!("label_limit exceeded ({} labels, limit: {count})", labels.len()));
        }
        for (name, value) in labels.iter().filter(|_| name_len > 0 || value_len > 0) {
            if name_len > 0 && name.len() as u64 > name_len {
                return Err(format!("label_name_length_limit exceeded (`{name}`, limit: {name_len})"));
            }
            if value_len > 0 && value.len() as u64 > value_len {
                return Err(format!(
                    "label_value_length_limit exceeded (label `{name}`, {} bytes, limit: {value_len})",
                    value.len()
                ));
            }
        }
        Ok(())
    }
}

/// The series of one target.
pub struct Cache {
    secret: KeySecret,
    /// By the text that names a series in an answer.
    by_text: AHashMap<KeyHash, Known>,
    /// By the labels that came of it: two texts may stand for one series.
    by_labels: AHashMap<KeyHash, u32>,
    entries: Vec<Entry>,
    names: Names,
    round: u64,
}

impl Cache {
    /// An empty one that hashes as the store does; series of a cache before it end with the first scrape that lacks them.
    pub fn new(secret: &KeySecret, before: Vec<Labels>) -> Cache {
        let mut cache = Cache {
            secret: secret.clone(),
            by_text: AHashMap::new(),
            by_labels: AHashMap::new(),
            entries: Vec::new(),
            names: Names::default(),
            round: 0,
        };
        for labels in before {
            let place = cache.place(labels);
            cache.entries[place as usize].live = true;
        }
        cache
    }

    /// Reads an answer; what was counted, and the mistake in it. With a mistake no row counts: say so with
    /// [`failed`](Self::failed), else with [`well`](Self::well).
    pub fn read(&mut self, body: &str, content: ContentType, at: Time, rules: &Rules) -> (Scraped, Result<(), String>) {
        self.round += 1;
        let mut out = Scraped::default();
        let read = self.read_into(&mut out, body, content, at, rules);
        (out, read)
    }

    fn read_into(&mut self, out: &mut Scraped, body: &str, content: ContentType, at: Time, rules: &Rules) -> Result<(), String> {
        let [limit, ..] = rules.limits;
        let sample_limit = if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) };
        for found in samples(body, content) {
            let found = found.map_err(|mistake: Mistake| mistake.to_string())?;
            out.found += 1;
            if out.found > SAMPLES_MAX {
                return Err(format!("more than {SAMPLES_MAX} samples"));
            }
            if out.kept >= sample_limit {
                // The scrape fails. How many there are is still counted, as in Prometheus, but nothing more is remembered.
                out.kept += usize::from(self.is_kept(&found, rules)?);
                continue;
            }
            let Some(place) = self.known(&found, rules)? else { continue };
            out.kept += 1;
            let own_time = found.time.filter(|_| rules.honor_timestamps);
            let entry = &mut self.entries[place as usize];
            let again = entry.seen == self.round;
            // Two lines of one series: the first counts, as in Prometheus.
            if again && own_time.is_none() {
                continue;
            }
            out.added += usize::from(!entry.live && !again);
            entry.seen = self.round;
            entry.tracked = own_time.is_none() || rules.track_timestamps;
            out.rows.push(RawRow { key: entry.key, time: own_time.unwrap_or(at), value: found.value, at: place, part: 0 });
        }
        if out.kept > sample_limit { Err(format!("sample limit exceeded (limit: {limit})")) } else { Ok(()) }
    }

    /// Whether relabelling leaves a sample, without a memory of it.
    fn is_kept(&mut self, found: &Found<'_>, rules: &Rules) -> Result<bool, String> {
        match self.by_text.get(&self.secret.hash(Protocol::Labels, found.key.as_bytes())) {
            Some(known) => Ok(matches!(known, Known::Series(_))),
            None => Ok(rules.labels(&mut self.names, found)?.is_some()),
        }
    }

    /// The place of the series that is written so; none: it is dropped.
    fn known(&mut self, found: &Found<'_>, rules: &Rules) -> Result<Option<u32>, String> {
        let hash = self.secret.hash(Protocol::Labels, found.key.as_bytes());
        match self.by_text.get_mut(&hash) {
            Some(Known::Series(place)) => return Ok(Some(*place)),
            Some(Known::Dropped(seen)) => {
                *seen = self.round;
                return Ok(None);
            }
            None => {}
        }
        let place = rules.labels(&mut self.names, found)?.map(|labels| self.place(labels));
        self.by_text.insert(hash, place.map_or(Known::Dropped(self.round), Known::Series));
        Ok(place)
    }

    fn place(&mut self, labels: Labels) -> u32 {
        let key = self.secret.hash(Protocol::Labels, labels.key().as_bytes());
        let entries = &mut self.entries;
        *self.by_labels.entry(key).or_insert_with(|| {
            entries.push(Entry { labels, key, seen: 0, live: false, tracked: true });
            entries.len() as u32 - 1
        })
    }

    /// The scrape went well: ends what the scrape before had and this one lacks.
    pub fn well(&mut self, at: Time, out: &mut Vec<RawRow>) {
        for (place, entry) in self.entries.iter_mut().enumerate() {
            let is_there = entry.seen == self.round;
            if entry.live && !is_there && entry.tracked {
                out.push(RawRow { key: entry.key, time: at, value: STALE_NAN, at: place as u32, part: 0 });
            }
            entry.live = is_there;
        }
    }

    /// The scrape failed: ends everything that the one before had.
    pub fn failed(&mut self, at: Time) -> Vec<RawRow> {
        let mut out = Vec::new();
        // A round that nothing was seen in.
        self.round += 1;
        self.well(at, &mut out);
        out
    }

    /// Forgets what is not there any more, once it is more than what is. After the rows were stored: places change.
    pub fn forget(&mut self) {
        let live = self.entries.iter().filter(|entry| entry.live).count();
        let dropped_now =
            self.by_text.values().filter(|known| matches!(known, Known::Dropped(seen) if *seen == self.round)).count();
        if self.by_text.len().max(self.entries.len()) <= 2 * (live + dropped_now) + 1_000 {
            return;
        }
        let mut moved = vec![u32::MAX; self.entries.len()];
        let mut kept = Vec::with_capacity(live);
        for (place, entry) in std::mem::take(&mut self.entries).into_iter().enumerate() {
            if entry.live {
                moved[place] = kept.len() as u32;
                kept.push(entry);
            }
        }
        self.entries = kept;
        let round = self.round;
        let still = |place: &mut u32| {
            *place = moved[*place as usize];
            *place != u32::MAX
        };
        self.by_labels.retain(|_, place| still(place));
        self.by_text.retain(|_, known| match known {
            Known::Series(place) => still(place),
            Known::Dropped(seen) => *seen == round,
        });
    }

    /// The series that are there now.
    pub fn live(&self) -> Vec<Labels> {
        self.entries.iter().filter(|entry| entry.live && entry.tracked).map(|entry| entry.labels.clone()).collect()
    }
}

/// Rows of a scrape with the way back to their labels; behind the target's series come those about the scrape itself.
pub struct ScrapeRows<'a> {
    /// The cache that made the rows.
    pub cache: &'a Cache,
    /// The rows.
    pub rows: &'a [RawRow],
    /// The series about the scrape, whose places begin at [`ABOUT`].
    pub about: &'a [(Labels, KeyHash)],
}

/// The first place of the series about a scrape.
pub const ABOUT: u32 = 1 << 31;

impl Rows for ScrapeRows<'_> {
    fn rows(&self) -> &[RawRow] {
        self.rows
    }

    fn labels(&self, row: usize) -> Result<Labels, LabelsFault> {
        let place = self.rows[row].at;
        Ok(match place.checked_sub(ABOUT) {
            Some(place) => self.about[place as usize].0.clone(),
            None => self.cache.entries[place as usize].labels.clone(),
        })
    }

    fn place(&self, row: usize) -> String {
        format!("sample {}", row + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::intake::KEY_SECRET_LEN;

    struct World {
        cache: Cache,
        rules: Rules,
        now: i64,
    }

    fn world(job: &str) -> World {
        let job: ScrapeJob = serde_saphyr::from_str(&format!("job_name: a\n{job}")).unwrap();
        let target = Labels::new([("job", "a"), ("instance", "b:1")]).unwrap();
        let cache = Cache::new(&KeySecret::new([3; KEY_SECRET_LEN]), Vec::new());
        World { cache, rules: Rules::new(&job, &target), now: 0 }
    }

    impl World {
        /// One scrape as lines `metric value`, sorted; and what was counted.
        fn scrape(&mut self, body: &str) -> String {
            self.now += 1;
            let at = Time::from_secs(self.now);
            let (rows, said) = match self.cache.read(body, ContentType::Text004, at, &self.rules) {
                (mut scraped, Ok(())) => {
                    self.cache.well(at, &mut scraped.rows);
                    (scraped.rows, format!("{}/{}/{}", scraped.found, scraped.kept, scraped.added))
                }
                (scraped, Err(why)) => (self.cache.failed(at), format!("{}/{}, {why}", scraped.found, scraped.kept)),
            };
            let rows = ScrapeRows { cache: &self.cache, rows: &rows, about: &[] };
            let mut lines: Vec<String> = rows
                .rows()
                .iter()
                .enumerate()
                .map(|(place, row)| {
                    let labels = rows.labels(place).unwrap().filter(|name| name != "job" && name != "instance");
                    let value = if model::is_stale(row.value) { "end".into() } else { row.value.to_string() };
                    format!("{labels} {value}")
                })
                .collect();
            lines.sort();
            self.cache.forget();
            format!("{said}: {}", lines.join(", "))
        }
    }

    #[test]
    fn series_begin_vanish_and_come_back() {
        let mut world = world("");
        for (body, wanted) in [
            ("a 1\nb 2\n", "2/2/2: a 1, b 2"),
            ("a 3\nb 4\n", "2/2/0: a 3, b 4"),
            ("a 5\n", "1/1/0: a 5, b end"),
            ("a 6\n", "1/1/0: a 6"),
            ("a 7\nb 8\n", "2/2/1: a 7, b 8"),
            ("a 9\noops\n", "1/1, line 2, column 5: the value is missing: a end, b end"),
            ("oops\n", "0/0, line 1, column 5: the value is missing: "),
            ("a 10\nc 1\nc 2\n", "3/3/2: a 10, c 1"),
            ("a{} 11\nc 1 500\n", "2/2/0: a 11, c 1"),
            ("a 12\n", "1/1/0: a 12"),
        ] {
            assert_eq!(world.scrape(body), wanted, "{body:?}");
        }
    }

    /// A client that writes `1` and one that writes `1.0` have the same series, as with Prometheus 3.
    #[test]
    fn bounds_of_buckets_are_numbers() {
        let mut world = world("");
        let body = |le: &str| format!("# TYPE a histogram\na_bucket{{le=\"{le}\"}} 1\n# TYPE b gauge\nb{{le=\"1\"}} 1\n");
        assert_eq!(world.scrape(&body("1")), r#"2/2/2: a_bucket{le="1.0"} 1, b{le="1"} 1"#);
        assert_eq!(world.scrape(&body("1.0")), r#"2/2/0: a_bucket{le="1.0"} 1, b{le="1"} 1"#);
    }

    #[test]
    fn relabelling_and_limits() {
        let mut drops =
            world("metric_relabel_configs: [{source_labels: [__name__], regex: 'x.*', action: drop}]\nsample_limit: 2\n");
        assert_eq!(drops.scrape("x1 1\na 2\nx2 3\n"), "3/1/1: a 2");
        assert_eq!(drops.scrape("x1 1\na 2\nx2 3\n"), "3/1/0: a 2");
        assert_eq!(drops.scrape("a 1\nb 1\nc 1\n"), "3/3, sample limit exceeded (limit: 2): a end");
        let series = drops.cache.entries.len();
        let many: String = (0..500).map(|n| format!("a{{n=\"{n}\"}} 1\nx{n} 1\n")).collect();
        assert_eq!(drops.scrape(&many), "1000/500, sample limit exceeded (limit: 2): ", "all are counted");
        assert!(drops.cache.entries.len() <= series + 2, "and those behind the limit are forgotten");
        let mut names = world("label_name_length_limit: 8\n");
        assert!(names.scrape("a{long_name=\"1\"} 1\n").starts_with("1/0, label_name_length_limit exceeded (`long_name`"));
        let mut nameless = world("metric_relabel_configs: [{regex: __name__, action: labeldrop}]\n");
        assert!(nameless.scrape("a 1\n").starts_with("1/0, relabelling took"));
        let mut times = world("honor_timestamps: false\n");
        assert_eq!(times.scrape("a 1 5\n"), "1/1/1: a 1");
        assert_eq!(times.scrape(""), "0/0/0: a end");
    }

    #[test]
    fn a_target_of_changing_names_does_not_grow_its_cache() {
        let mut world = world("");
        for round in 0..50 {
            let body: String = (0..100).map(|n| format!("a{{n=\"{}\"}} 1\n", round * 100 + n)).collect();
            world.scrape(&body);
        }
        assert!(world.cache.entries.len() <= 1_400 && world.cache.by_text.len() <= 1_400 && world.cache.by_labels.len() <= 1_400);
        assert_eq!(world.cache.live().len(), 100);
    }
}
