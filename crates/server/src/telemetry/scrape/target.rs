//! From what discovery found to what is scraped: labels of the group, of the job, relabelled; and the address.

use std::fmt::Write as _;

use model::Labels;
use model::config::{ScrapeJob, Span};

use super::relabel::{Relabel, Working};

/// Labels that no series gets.
const RESERVED: &str = "__";
/// Labels that are parameters of the address.
const PARAM: &str = "__param_";

/// Something to scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As it was found, before relabelling.
    pub discovered: Labels,
    /// What its series get.
    pub labels: Labels,
    /// Where it is asked.
    pub url: String,
    /// How often.
    pub interval: Span,
    /// Given up after.
    pub timeout: Span,
}

impl Target {
    /// Whether a run for `other` asks it as it is to be asked; where it was found may differ.
    pub fn is_asked_as(&self, other: &Target) -> bool {
        let Target { discovered: _, labels, url, interval, timeout } = self;
        (labels, url, interval, timeout) == (&other.labels, &other.url, &other.interval, &other.timeout)
    }
}

/// What became of something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is scraped.
    Target(Target),
    /// Relabelling dropped it.
    Dropped(Labels),
    /// It can't be scraped: its labels before relabelling, and why.
    Wrong(Labels, String),
}

/// Makes a target of the labels that discovery found, `__address__` among them.
pub fn target(job: &ScrapeJob, relabel: &Relabel, found: impl IntoIterator<Item = (String, String)>) -> Found {
    let mut labels = Working::new(found);
    let mut default = |name: &str, value: String| {
        if labels.get(name).is_empty() {
            labels.set(name, value);
        }
    };
    default("job", job.job_name.clone());
    default("__scrape_interval__", job.interval().to_string());
    default("__scrape_timeout__", job.timeout().to_string());
    default("__metrics_path__", job.metrics_path.clone());
    default("__scheme__", job.scheme.word().into());
    for (name, values) in &job.params {
        if let Some(value) = values.first() {
            default(&format!("{PARAM}{name}"), value.clone());
        }
    }
    let discovered = match Labels::new(labels.iter()) {
        Ok(discovered) => discovered,
        Err(error) => return Found::Wrong(Labels::empty(), error.to_string()),
    };
    if !relabel.apply(&mut labels) {
        return Found::Dropped(discovered);
    }
    match made(job, labels) {
        Ok((labels, url, interval, timeout)) => Found::Target(Target { discovered, labels, url, interval, timeout }),
        Err(why) => Found::Wrong(discovered, why),
    }
}

fn made(job: &ScrapeJob, mut labels: Working) -> Result<(Labels, String, Span, Span), String> {
    let address = labels.get("__address__").to_owned();
    if address.is_empty() {
        return Err("it has no address".into());
    }
    if address.contains('/') {
        return Err(format!("`{address}` is no address: a name and a port, without a path"));
    }
    let span = |name: &str| {
        let text = labels.get(name);
        let span = Span::parse(text).filter(|span| *span > Span(0));
        span.ok_or_else(|| format!("`{text}` in {name} is not a length of time above 0"))
    };
    let (interval, timeout) = (span("__scrape_interval__")?, span("__scrape_timeout__")?);
    if timeout > interval {
        return Err(format!("its timeout of {timeout} is longer than its interval of {interval}"));
    }
    let url = url(job, &labels, &address)?;
    if labels.get("instance").is_empty() {
        labels.set("instance", address);
    }
    labels.retain(|name| !name.starts_with(RESERVED));
    let labels = Labels::new(labels.iter()).map_err(|error| error.to_string())?;
    Ok((labels, url, interval, timeout))
}

fn url(job: &ScrapeJob, labels: &Working, address: &str) -> Result<String, String> {
    let scheme = match labels.get("__scheme__") {
        known @ ("http" | "https") => known,
        other => return Err(format!("`{other}` in __scheme__ is neither http nor https")),
    };
    let path = labels.get("__metrics_path__");
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut params = job.params.clone();
    for (name, value) in labels.iter().filter_map(|(name, value)| Some((name.strip_prefix(PARAM)?, value))) {
        let values = params.entry(name.to_owned()).or_default();
        match values.first_mut() {
            Some(first) => *first = value.to_owned(),
            None => values.push(value.to_owned()),
        }
    }
    let mut url = format!("{scheme}://{address}{slash}{path}");
    let mut before = if path.contains('?') { '&' } else { '?' };
    for (name, values) in &params {
        for value in values {
            let _ = write!(url, "{before}{}={}", encoded(name), encoded(value));
            before = '&';
        }
    }
    Ok(url)
}

/// As Go's `url.Values.Encode` writes it.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(byte as char),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(job: &ScrapeJob, pairs: &[(&str, &str)]) -> Found {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        target(job, &Relabel::new(&job.relabel_configs), pairs)
    }

    #[test]
    fn a_blackbox_target() {
        let job: ScrapeJob = serde_saphyr::from_str(
            "job_name: probe\nmetrics_path: /probe\nparams: { module: [http_2xx], x: [a b, c] }\nscrape_interval: 30s\nrelabel_configs:\n\
             - { source_labels: [__address__], target_label: __param_target }\n\
             - { source_labels: [__param_target], target_label: instance }\n\
             - { target_label: __address__, replacement: '127.0.0.1:9115' }\n",
        )
        .unwrap();
        let Found::Target(target) = found(&job, &[("__address__", "https://shop.example/é"), ("__meta_url", "x")]) else {
            panic!()
        };
        assert_eq!(target.labels.to_string(), r#"{instance="https://shop.example/é", job="probe"}"#);
        assert_eq!(
            target.url,
            "http://127.0.0.1:9115/probe?module=http_2xx&target=https%3A%2F%2Fshop.example%2F%C3%A9&x=a+b&x=c"
        );
        assert_eq!((target.interval, target.timeout), (Span::secs(30), Span::secs(10)));
        assert_eq!(target.discovered.get("__address__"), Some("https://shop.example/é"));
    }

    #[test]
    fn what_can_not_be_scraped_says_why() {
        let job = ScrapeJob::named("a");
        for (pairs, why) in [
            (&[("x", "y")][..], "no address"),
            (&[("__address__", "a:1/b")], "without a path"),
            (&[("__address__", "a:1"), ("__scheme__", "ftp")], "neither"),
            (&[("__address__", "a:1"), ("__scrape_interval__", "soon")], "__scrape_interval__"),
            (&[("__address__", "a:1"), ("__scrape_interval__", "1s")], "longer than"),
        ] {
            let Found::Wrong(_, said) = found(&job, pairs) else { panic!("{pairs:?}") };
            assert!(said.contains(why), "{said}");
        }
    }
}
