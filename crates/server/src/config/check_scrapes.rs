//! Checks what is scraped: that intervals, addresses, relabelling and discovery can work, each with its place.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use model::config::{Authorization, BasicAuth, Config, RelabelConfig, ScrapeJob, ScrapeTls, Span};

use super::Source;
use super::check::{INTERVAL_MIN, item};
use super::diagnostic::Diagnostic;
use super::located::path;
use crate::telemetry::scrape::relabel;

/// Checks `scrape_configs`; `places` say in which source each stands, and as which of its items.
pub(super) fn check(config: &Config, sources: &[Source], places: &[(usize, usize)], mistakes: &mut Vec<Diagnostic>) {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, job) in config.scrape_configs.iter().enumerate() {
        let Some((source, index)) = places.get(place).copied() else { continue };
        let mut check = Check { source: &sources[source], item: item(index), mistakes };
        if job.job_name.is_empty() {
            check.report(&[&"job_name"], "a job has a name");
        }
        if let Some(before) = names.insert(&job.job_name, place) {
            let (first, _) = places[before];
            check.report(&[&"job_name"], format!("job `{}` stands in {} already", job.job_name, sources[first].name));
        } else if config.scrapes.contains_key(&job.job_name) {
            check.report(&[&"job_name"], format!("job `{}` stands under `scrapes` already", job.job_name));
        }
        check.job(job, &job.clone().with_global(&config.global));
    }
}

struct Check<'a> {
    source: &'a Source,
    item: String,
    mistakes: &'a mut Vec<Diagnostic>,
}

impl Check<'_> {
    fn report(&mut self, below: &[&dyn Display], message: impl Into<String>) {
        let mut whole: Vec<&dyn Display> = vec![&"scrape_configs", &self.item];
        whole.extend_from_slice(below);
        let place = self.source.tree.value(&path(&whole));
        self.mistakes.push(Diagnostic::at(&self.source.name, &self.source.text, place, message));
    }

    fn job(&mut self, job: &ScrapeJob, whole: &ScrapeJob) {
        let (interval, timeout) = (whole.interval(), whole.timeout());
        if interval < INTERVAL_MIN {
            self.report(&[&"scrape_interval"], format!("{interval} is too short, {INTERVAL_MIN} at least"));
        }
        if timeout == Span(0) || timeout > interval {
            self.report(&[&"scrape_timeout"], format!("a timeout of {timeout} does not fit into the interval of {interval}"));
        }
        if !job.metrics_path.starts_with('/') {
            self.report(&[&"metrics_path"], "a path begins with `/`");
        }
        if job.bearer_token_file.is_some() && job.authorization.is_some() {
            self.report(&[&"bearer_token_file"], "one of `bearer_token_file` and `authorization`, not both");
        }
        self.secrets(&[], job.basic_auth.as_ref(), job.authorization.as_ref());
        for (place, group) in job.static_configs.iter().enumerate() {
            for (index, target) in group.targets.iter().enumerate() {
                // What relabelling makes an address of may be anything.
                if job.relabel_configs.is_empty() && (target.is_empty() || target.contains('/')) {
                    let at: [&dyn Display; 4] = [&"static_configs", &item(place), &"targets", &item(index)];
                    self.report(&at, format!("`{target}` is no address: a name and a port, without scheme and path"));
                }
            }
        }
        for (place, files) in job.file_sd_configs.iter().enumerate() {
            for (index, pattern) in files.files.iter().enumerate() {
                if let Err(why) = check_pattern(pattern) {
                    self.report(&[&"file_sd_configs", &item(place), &"files", &item(index)], why);
                }
            }
        }
        for (place, http) in job.http_sd_configs.iter().enumerate() {
            if !http.url.starts_with("http://") && !http.url.starts_with("https://") {
                self.report(&[&"http_sd_configs", &item(place), &"url"], "a URL begins with http:// or https://");
            }
            self.secrets(&[&"http_sd_configs", &item(place)], http.basic_auth.as_ref(), http.authorization.as_ref());
        }
        self.steps("relabel_configs", &job.relabel_configs);
        self.steps("metric_relabel_configs", &job.metric_relabel_configs);
    }

    fn secrets(&mut self, at: &[&dyn Display], basic: Option<&BasicAuth>, authorization: Option<&Authorization>) {
        let mut below = at.to_vec();
        if basic.is_some() && authorization.is_some() {
            below.push(&"authorization");
            self.report(&below, "one of `basic_auth` and `authorization`, not both");
        } else if authorization.is_some_and(|authorization| authorization.kind.eq_ignore_ascii_case("basic")) {
            below.push(&"authorization");
            self.report(&below, "user and password stand under `basic_auth`");
        } else if basic.is_some_and(|basic| basic.username.is_empty() == basic.username_file.is_none()) {
            below.push(&"basic_auth");
            self.report(&below, "one of `username` and `username_file`");
        }
    }

    fn steps(&mut self, key: &str, steps: &[RelabelConfig]) {
        for (place, step) in steps.iter().enumerate() {
            if let Err((field, why)) = relabel::check(step) {
                self.report(&[&key, &item(place), &field], why);
            }
        }
    }
}

fn check_pattern(pattern: &str) -> Result<(), String> {
    let (folder, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    if ![".json", ".yml", ".yaml"].iter().any(|end| last.ends_with(end)) {
        return Err(format!("`{pattern}` ends in neither .json, .yml nor .yaml"));
    }
    if folder.contains('*') || last.matches('*').count() > 1 {
        return Err(format!("`{pattern}` may have one `*`, in its last part"));
    }
    Ok(())
}

/// Files that scrapes name stand relative to the configuration's folder.
pub(super) fn in_folder(config: &mut Config, folder: &Path) {
    let resolve = |file: &mut String| {
        if !file.starts_with('/') {
            *file = folder.join(&*file).display().to_string();
        }
    };
    let all = |basic: &mut Option<BasicAuth>, authorization: &mut Option<Authorization>, tls: &mut Option<ScrapeTls>| {
        if let Some(basic) = basic {
            basic.username_file.iter_mut().chain(basic.password_file.iter_mut()).for_each(resolve);
        }
        if let Some(authorization) = authorization {
            resolve(&mut authorization.credentials_file);
        }
        if let Some(tls) = tls {
            tls.ca_file.iter_mut().for_each(resolve);
        }
    };
    for job in &mut config.scrape_configs {
        all(&mut job.basic_auth, &mut job.authorization, &mut job.tls_config);
        job.bearer_token_file.iter_mut().for_each(resolve);
        job.file_sd_configs.iter_mut().flat_map(|files| &mut files.files).for_each(resolve);
        for http in &mut job.http_sd_configs {
            all(&mut http.basic_auth, &mut http.authorization, &mut http.tls_config);
        }
    }
}
