//! The one grammar of all surfaces: a line of words in, a typed wish out. Knows no configuration and no state.
//!
//! `verb THING [more] [--option value]`. Chinese words for verbs are understood. A line that starts with the bot's name
//! (`@flyball check shop`) is read without it. Values are only ever values: nothing is expanded, read or run.

use model::config::Span;
use model::order::Strategy;
use model::rights::Right;

/// Longest line, in bytes.
pub const LINE_LEN_MAX: usize = 8 * 1024;
/// Most words in a line.
pub const WORDS_MAX: usize = 200;

/// What somebody wishes.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// `check X [ENV]`: the table of servers, freshly looked at.
    Check(Target),
    /// `status [X]`
    Status(Option<Target>),
    /// `deploy SERVICE VERSION [ENV]`
    Deploy {
        /// What.
        target: Target,
        /// A version, or the beginning of a digest.
        artifact: String,
        /// How.
        strategy: Option<Strategy>,
        /// Only these.
        hosts: Vec<String>,
        /// Why.
        reason: String,
    },
    /// `restart SERVICE [ENV]`
    Restart {
        /// What.
        target: Target,
        /// Only these.
        hosts: Vec<String>,
    },
    /// A verb on an order: by its number, its tail, a service, or the only one that it can mean.
    Order {
        /// Which verb.
        verb: OrderVerb,
        /// Which order.
        order: Option<String>,
        /// The environment, where a service was named.
        environment: Option<String>,
        /// The digest that is approved.
        digest: Option<String>,
    },
    /// `log X [N]`
    Log {
        /// What.
        target: Target,
        /// Lines.
        lines: usize,
    },
    /// `graph X|PROMQL [30m]`
    Graph {
        /// A name or PromQL.
        what: String,
        /// How far back.
        back: Span,
    },
    /// `ack N`
    Acknowledge(Option<u64>),
    /// `resolve N`
    Resolve(Option<u64>),
    /// `note N TEXT`
    Note {
        /// Which incident.
        incident: u64,
        /// What.
        text: String,
    },
    /// `reassign N PERSON`
    Reassign {
        /// Which incident.
        incident: u64,
        /// To whom.
        to: String,
    },
    /// `incidents [all]`
    Incidents {
        /// Resolved ones too.
        all: bool,
    },
    /// `changes [X]`
    Changes(Option<String>),
    /// `orders [X]`
    Orders(Option<String>),
    /// `help [VERB]`
    Help(Option<String>),
}

/// A service or a host, and an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name.
    pub name: String,
    /// The environment; none: the only one, or all.
    pub environment: Option<String>,
}

/// Verbs on an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderVerb {
    /// Take back what it touched.
    Rollback,
    /// Stop now.
    Halt,
    /// Stop after this batch.
    Brake,
    /// Go on.
    Resume,
    /// Ask the failed step again.
    Retry,
    /// Approve its plan.
    Approve,
    /// End it before it began.
    Cancel,
}

/// Why a line was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// No such verb.
    #[error("`{verb}` is not a verb")]
    UnknownVerb {
        /// What was written.
        verb: String,
        /// What was meant, perhaps.
        nearest: &'static str,
    },
    /// The verb's form is another.
    #[error("write it like: {0}")]
    Usage(&'static str),
    /// No such option of this verb.
    #[error("`{option}` is no option of `{verb}`")]
    Option {
        /// What was written.
        option: String,
        /// Of which verb.
        verb: &'static str,
        /// How it is written.
        usage: &'static str,
    },
    /// A quote that does not end.
    #[error("the quote at column {0} does not end")]
    Quote(usize),
    /// Too long, or too many words.
    #[error("{LINE_LEN_MAX} bytes and {WORDS_MAX} words at most")]
    TooLong,
    /// Nothing.
    #[error("nothing was asked; try: help")]
    Empty,
}

/// A verb as `help` shows it.
#[derive(Clone, Copy, Debug)]
pub struct VerbEntry {
    /// Its word.
    pub verb: &'static str,
    /// Other words for it, Chinese ones among them.
    pub also: &'static [&'static str],
    /// How it is written.
    pub usage: &'static str,
    /// What it does: an id in the catalogue.
    pub text: &'static str,
    /// The right that it needs.
    pub right: Right,
}

macro_rules! verbs {
    ($($verb:literal [$($also:literal),*] $right:ident $usage:literal;)*) => {
        /// All verbs, in the order in which `help` shows them.
        pub const VERBS: &[VerbEntry] = &[$(VerbEntry {
            verb: $verb,
            also: &[$($also),*],
            usage: $usage,
            text: concat!("help.", $verb),
            right: Right::$right,
        }),*];
    };
}

verbs! {
    "check" ["检查"] View "check SERVICE|HOST [ENVIRONMENT]";
    "status" ["状态"] View "status [SERVICE|HOST]";
    "deploy" ["部署", "发布"] Release
        "deploy SERVICE VERSION [ENVIRONMENT] [--hosts A,B] [--serial | --parallel N | --halves] [--reason TEXT]";
    "rollback" ["回滚"] Release "rollback [ORDER | SERVICE [ENVIRONMENT]]";
    "halt" ["中止", "stop"] Operate "halt [ORDER | SERVICE [ENVIRONMENT]]";
    "brake" ["刹车"] Operate "brake [ORDER | SERVICE [ENVIRONMENT]]";
    "resume" ["继续"] Release "resume [ORDER | SERVICE [ENVIRONMENT]]";
    "retry" ["重试"] Release "retry [ORDER | SERVICE [ENVIRONMENT]]";
    "approve" ["批准"] Approve "approve ORDER [DIGEST]";
    "cancel" ["取消"] Release "cancel ORDER";
    "restart" ["重启"] Operate "restart SERVICE [ENVIRONMENT] [--hosts A,B]";
    "log" ["日志", "logs"] View "log SERVICE|HOST|ORDER [LINES]";
    "graph" ["图", "graf"] View "graph SERVICE|HOST|PROMQL [30m]";
    "ack" ["认领", "acknowledge"] Operate "ack [INCIDENT]";
    "resolve" ["解决"] Operate "resolve [INCIDENT]";
    "note" ["备注"] Operate "note INCIDENT TEXT";
    "reassign" ["转派"] Operate "reassign INCIDENT PERSON";
    "incidents" ["故障"] View "incidents [all]";
    "orders" ["发布单"] View "orders [SERVICE]";
    "changes" ["变更"] View "changes [SERVICE|HOST]";
    "help" ["帮助", "?"] View "help [VERB]";
}

/// Lines of a log where nobody said how many.
const LOG_LINES: usize = 50;
/// Most lines of a log.
const LOG_LINES_MAX: usize = 1_000;
/// How far back a graph goes where nobody said.
const GRAPH_BACK: Span = Span::secs(1_800);

/// Reads a line. `bot` is the name that may stand before it, with or without `@`.
pub fn parse(line: &str, bot: &str) -> Result<Wish, GrammarError> {
    if line.len() > LINE_LEN_MAX {
        return Err(GrammarError::TooLong);
    }
    let mut words = words(line)?;
    if words.first().is_some_and(|first| first.trim_start_matches('@').trim_end_matches([':', ',', '：', '，']) == bot) {
        words.remove(0);
    }
    if words.len() > WORDS_MAX {
        return Err(GrammarError::TooLong);
    }
    let Some((word, rest)) = words.split_first() else { return Err(GrammarError::Empty) };
    let entry = verb(word)?;
    Parser { entry, words: rest.to_vec() }.wish()
}

/// The entry of a verb, by any of its words.
pub fn verb(word: &str) -> Result<&'static VerbEntry, GrammarError> {
    let lower = word.to_lowercase();
    VERBS.iter().find(|entry| entry.verb == lower || entry.also.contains(&lower.as_str())).ok_or_else(|| {
        let nearest =
            VERBS.iter().min_by_key(|entry| strsim::damerau_levenshtein(&lower, entry.verb)).map_or("help", |entry| entry.verb);
        GrammarError::UnknownVerb { verb: word.chars().take(40).collect(), nearest }
    })
}

/// Splits at blanks; `"..."` and `'...'` hold blanks together.
fn words(line: &str) -> Result<Vec<String>, GrammarError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<(char, usize)> = None;
    for (column, c) in line.chars().enumerate() {
        match quote {
            Some((end, _)) if c == end => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            // A quote inside a word belongs to it: PromQL is written without a blank.
            None if (c == '"' || c == '\'') && word.is_none() => {
                quote = Some((c, column + 1));
                word = Some(String::new());
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    if let Some((_, column)) = quote {
        return Err(GrammarError::Quote(column));
    }
    words.extend(word);
    Ok(words)
}

struct Parser {
    entry: &'static VerbEntry,
    words: Vec<String>,
}

impl Parser {
    fn wish(mut self) -> Result<Wish, GrammarError> {
        let wish = match self.entry.verb {
            "check" => Wish::Check(self.target()?),
            "status" => Wish::Status(if self.words.is_empty() { None } else { Some(self.target()?) }),
            "deploy" => self.deploy()?,
            "restart" => {
                let hosts = self.hosts();
                Wish::Restart { target: self.target()?, hosts }
            }
            "rollback" => self.order(OrderVerb::Rollback)?,
            "halt" => self.order(OrderVerb::Halt)?,
            "brake" => self.order(OrderVerb::Brake)?,
            "resume" => self.order(OrderVerb::Resume)?,
            "retry" => self.order(OrderVerb::Retry)?,
            "approve" => {
                let order = Some(self.need()?);
                let digest = self.next();
                Wish::Order { verb: OrderVerb::Approve, order, environment: None, digest }
            }
            "cancel" => Wish::Order { verb: OrderVerb::Cancel, order: Some(self.need()?), environment: None, digest: None },
            "log" => {
                let name = self.need()?;
                let mut environment = None;
                let mut lines = LOG_LINES;
                while let Some(word) = self.next() {
                    match word.parse::<usize>() {
                        Ok(number) if (1..=LOG_LINES_MAX).contains(&number) => lines = number,
                        Ok(_) => return Err(self.usage()),
                        Err(_) if environment.is_none() => environment = Some(word),
                        Err(_) => return Err(self.usage()),
                    }
                }
                Wish::Log { target: Target { name, environment }, lines }
            }
            "graph" => self.graph()?,
            "ack" => Wish::Acknowledge(self.optional_number()?),
            "resolve" => Wish::Resolve(self.optional_number()?),
            "note" => {
                let incident = self.number()?;
                let text = std::mem::take(&mut self.words).join(" ");
                if text.is_empty() {
                    return Err(self.usage());
                }
                Wish::Note { incident, text }
            }
            "reassign" => Wish::Reassign { incident: self.number()?, to: self.need()? },
            "incidents" => match self.next().as_deref() {
                None => Wish::Incidents { all: false },
                Some("all" | "全部") => Wish::Incidents { all: true },
                Some(_) => return Err(self.usage()),
            },
            "changes" => Wish::Changes(self.next()),
            "orders" => Wish::Orders(self.next()),
            _ => Wish::Help(self.next()),
        };
        match self.words.first() {
            None => Ok(wish),
            Some(word) if word.starts_with("--") => {
                Err(GrammarError::Option { option: word.clone(), verb: self.entry.verb, usage: self.entry.usage })
            }
            Some(_) => Err(self.usage()),
        }
    }

    fn deploy(&mut self) -> Result<Wish, GrammarError> {
        let hosts = self.hosts();
        let reason = self.option("--reason").unwrap_or_default();
        let mut strategy = None;
        if self.flag("--serial") {
            strategy = Some(Strategy::Serial);
        }
        if self.flag("--halves") {
            strategy = Some(Strategy::Halves);
        }
        if let Some(width) = self.option("--parallel") {
            let width = width.parse::<u32>().ok().filter(|width| (1..=1_000).contains(width)).ok_or_else(|| self.usage())?;
            strategy = Some(Strategy::Parallel(width));
        }
        let name = self.need()?;
        let artifact = self.need()?;
        Ok(Wish::Deploy { target: Target { name, environment: self.next() }, artifact, strategy, hosts, reason })
    }

    fn order(&mut self, verb: OrderVerb) -> Result<Wish, GrammarError> {
        Ok(Wish::Order { verb, order: self.next(), environment: self.next(), digest: None })
    }

    fn graph(&mut self) -> Result<Wish, GrammarError> {
        let mut back = GRAPH_BACK;
        if self.words.len() > 1
            && let Some(last) = self.words.last()
            && let Some(span) = Span::parse(last.trim_start_matches("now-")).filter(|span| span.0 >= 1_000)
        {
            back = span;
            self.words.pop();
        }
        let what = std::mem::take(&mut self.words).join(" ");
        if what.is_empty() { Err(self.usage()) } else { Ok(Wish::Graph { what, back }) }
    }

    fn target(&mut self) -> Result<Target, GrammarError> {
        Ok(Target { name: self.need()?, environment: self.next() })
    }

    fn hosts(&mut self) -> Vec<String> {
        let text = self.option("--hosts").unwrap_or_default();
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    fn number(&mut self) -> Result<u64, GrammarError> {
        self.optional_number()?.ok_or_else(|| self.usage())
    }

    fn optional_number(&mut self) -> Result<Option<u64>, GrammarError> {
        match self.next() {
            None => Ok(None),
            Some(word) => word.trim_start_matches('#').parse().map(Some).map_err(|_| self.usage()),
        }
    }

    fn need(&mut self) -> Result<String, GrammarError> {
        self.next().ok_or_else(|| self.usage())
    }

    /// The next word that is no option.
    fn next(&mut self) -> Option<String> {
        let first = self.words.first()?;
        if first.starts_with("--") { None } else { Some(self.words.remove(0)) }
    }

    fn flag(&mut self, name: &str) -> bool {
        let place = self.words.iter().position(|word| word == name);
        place.map(|place| self.words.remove(place)).is_some()
    }

    /// `--name value` or `--name=value`.
    fn option(&mut self, name: &str) -> Option<String> {
        let place = self
            .words
            .iter()
            .position(|word| word == name || word.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))?;
        let word = self.words.remove(place);
        match word.split_once('=') {
            Some((_, value)) => Some(value.to_owned()),
            None if place < self.words.len() => Some(self.words.remove(place)),
            None => Some(String::new()),
        }
    }

    fn usage(&self) -> GrammarError {
        GrammarError::Usage(self.entry.usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(lines: &[&str], expected: Expect) {
        let mut said = String::new();
        for line in lines {
            match parse(line, "flyball") {
                Ok(wish) => said.push_str(&format!("{wish:?}\n")),
                Err(error) => said.push_str(&format!("! {error}\n")),
            }
        }
        expected.assert_eq(&said);
    }

    #[test]
    fn wishes() {
        check(
            &[
                "@flyball check shop",
                "flyball: 检查 shop prod",
                "deploy shop 4.12.0 prod --parallel 3 --hosts shop-1,shop-2 --reason \"price cache\"",
                "deploy shop --reason=why 4.12.0 --halves",
                "rollback",
                "halt 7K",
                "halt shop prod",
                "approve 20261122-101500-7K 5d1e09b2",
                "graph shop 1h",
                "graph sum by (job) (rate(x{a=\"b c\"}[5m])) now-30m",
                "log shop 20",
                "ack #3727",
                "note 12 pool is too large",
                "HELP deploy",
            ],
            expect![[r#"
                Check(Target { name: "shop", environment: None })
                Check(Target { name: "shop", environment: Some("prod") })
                Deploy { target: Target { name: "shop", environment: Some("prod") }, artifact: "4.12.0", strategy: Some(Parallel(3)), hosts: ["shop-1", "shop-2"], reason: "price cache" }
                Deploy { target: Target { name: "shop", environment: None }, artifact: "4.12.0", strategy: Some(Halves), hosts: [], reason: "why" }
                Order { verb: Rollback, order: None, environment: None, digest: None }
                Order { verb: Halt, order: Some("7K"), environment: None, digest: None }
                Order { verb: Halt, order: Some("shop"), environment: Some("prod"), digest: None }
                Order { verb: Approve, order: Some("20261122-101500-7K"), environment: None, digest: Some("5d1e09b2") }
                Graph { what: "shop", back: Span(3600000) }
                Graph { what: "sum by (job) (rate(x{a=\"b c\"}[5m]))", back: Span(1800000) }
                Log { target: Target { name: "shop", environment: None }, lines: 20 }
                Acknowledge(Some(3727))
                Note { incident: 12, text: "pool is too large" }
                Help(Some("deploy"))
            "#]],
        );
    }

    #[test]
    fn what_is_wrong() {
        check(
            &[
                "",
                "@flyball",
                "chekc shop",
                "deploy shop",
                "deploy shop 1 prod now",
                "deploy shop 1 --fast",
                "deploy shop 1 --parallel x",
                "ack seven",
                "note 12",
                "say \"never ends",
                "log shop 100000",
                "incidents most",
            ],
            expect![[r#"
                ! nothing was asked; try: help
                ! nothing was asked; try: help
                ! `chekc` is not a verb
                ! write it like: deploy SERVICE VERSION [ENVIRONMENT] [--hosts A,B] [--serial | --parallel N | --halves] [--reason TEXT]
                ! write it like: deploy SERVICE VERSION [ENVIRONMENT] [--hosts A,B] [--serial | --parallel N | --halves] [--reason TEXT]
                ! `--fast` is no option of `deploy`
                ! write it like: deploy SERVICE VERSION [ENVIRONMENT] [--hosts A,B] [--serial | --parallel N | --halves] [--reason TEXT]
                ! write it like: ack [INCIDENT]
                ! write it like: note INCIDENT TEXT
                ! the quote at column 5 does not end
                ! write it like: log SERVICE|HOST|ORDER [LINES]
                ! write it like: incidents [all]
            "#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_understood_or_refused(text in "\\PC{0,80}") {
            let _ = parse(&text, "flyball");
        }
    }
}
