//! What asks a running server: verbs, queries, artifacts, enrolment.

use std::path::Path;

use model::api::{Answer, Ask};
use model::config::Span;
use model::order::Artifact;
use model::{Language, Surface};
use serde_json::Value;
use server::verbs::grammar::{self, GrammarError, VerbEntry, Wish};

use crate::cli::Server;
use crate::client::Client;
use crate::exit::{Failure, NOT_WELL, REFUSED, WELL};
use crate::local::block_on;
use crate::render::{self, say};

/// Speaks a verb: the words go to the server as they are, where the one grammar reads them.
pub fn verb(words: Vec<String>) -> Result<u8, Failure> {
    let (words, server) = options(words)?;
    let language = language(&server);
    // Known here too, so that a slip is said without a server.
    let entry = grammar::verb(&words[0]).map_err(|error| not_a_verb(&words[0], &error))?;
    if words.iter().any(|word| word == "--help" || word == "-h") {
        return help(entry, language);
    }
    let line = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let wish = grammar::parse(&line, "flyball").map_err(|error| match error {
        GrammarError::Option { usage, .. } => Failure::Usage(format!("{error}; write it like: {usage}")),
        other => Failure::Usage(format!("{}: {other}", entry.verb)),
    })?;
    // The same here as there, so it needs no server.
    match wish {
        Wish::Help(None) if !server.json => return all_verbs(language),
        Wish::Help(Some(about)) if !server.json => {
            return help(grammar::verb(&about).map_err(|error| not_a_verb(&about, &error))?, language);
        }
        _ => {}
    }
    block_on(async {
        let client = Client::new(&server)?;
        let mut ask = Ask { id: None, text: line, via: Surface::Cli, yes: server.yes, dry_run: false, room: None };
        let mut answer: Answer = client.post("/api/flyball/v1/command", &ask).await?;
        if let Some(confirm) = answer.confirm.clone() {
            if !render::ask(&confirm.what.render(language)) {
                say("not done; --yes answers for you");
                return Ok(NOT_WELL);
            }
            ask.id = Some(confirm.id);
            ask.yes = true;
            answer = client.post("/api/flyball/v1/command", &ask).await?;
        }
        show(&answer, &server)
    })?
}

/// Shows an answer and gives its exit code.
pub fn show(answer: &Answer, server: &Server) -> Result<u8, Failure> {
    if server.json {
        say(&serde_json::to_string_pretty(answer).map_err(|error| Failure::Failed(format!("write JSON: {error}")))?);
    } else {
        say(&render::answer(answer, language(server)));
    }
    Ok(match &answer.outcome {
        Some(model::Outcome::Refused(_)) => REFUSED,
        _ if answer.well => WELL,
        _ => NOT_WELL,
    })
}

fn not_a_verb(word: &str, error: &GrammarError) -> Failure {
    use clap::CommandFactory as _;
    let commands: Vec<String> =
        crate::cli::Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let known = grammar::VERBS.iter().map(|entry| entry.verb).chain(commands.iter().map(String::as_str));
    let nearest = server::config::nearest(word, known).map_or(String::new(), |near| format!(" Nearest: `{near}`."));
    Failure::Usage(format!("{error}.{nearest} Try: flyball --help"))
}

fn sentence(entry: &VerbEntry, language: Language) -> String {
    model::Text { id: entry.text.to_owned(), ..model::Text::default() }.render(language)
}

fn help(entry: &VerbEntry, language: Language) -> Result<u8, Failure> {
    let (usage, also, needs) = match language {
        Language::En => ("Usage:", "Also:", "Needs:"),
        Language::Zh => ("用法：", "也可写作：", "需要权限："),
    };
    say(&format!(
        "{}\n\n{usage} flyball {}\n{also} {}\n{needs} {}",
        sentence(entry, language),
        entry.usage,
        entry.also.join(", "),
        entry.right
    ));
    Ok(WELL)
}

fn all_verbs(language: Language) -> Result<u8, Failure> {
    let rows: Vec<Vec<String>> = grammar::VERBS
        .iter()
        .map(|entry| vec![entry.verb.to_owned(), sentence(entry, language), entry.usage.to_owned()])
        .collect();
    let heads = match language {
        Language::En => ["verb", "what it does", "how it is written"],
        Language::Zh => ["动词", "作用", "用法"],
    };
    say(&render::table(&heads, &rows));
    say(match language {
        Language::En => "\nAll commands: flyball --help",
        Language::Zh => "\n全部命令：flyball --help",
    });
    Ok(WELL)
}

/// Takes the options of the command line out of a verb's words; what is left is the grammar's.
fn options(words: Vec<String>) -> Result<(Vec<String>, Server), Failure> {
    let mut server = Server {
        server: std::env::var("FLYBALL_SERVER").ok(),
        data: None,
        language: std::env::var("FLYBALL_LANGUAGE").ok(),
        json: false,
        yes: false,
    };
    let mut rest = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
            _ => (word.clone(), None),
        };
        let mut value = || value.clone().or_else(|| words.next()).ok_or_else(|| Failure::Usage(format!("{name} needs a value")));
        match name.as_str() {
            "--json" => server.json = true,
            "--yes" | "-y" => server.yes = true,
            "--server" => server.server = Some(value()?),
            "--data" => server.data = Some(value()?.into()),
            "--language" => server.language = Some(known_language(&value()?).map_err(Failure::Usage)?),
            _ => rest.push(word),
        }
    }
    Ok((rest, server))
}

/// A word as the grammar reads it back as one word.
fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(char::is_whitespace) && !word.contains('"') {
        format!("\"{word}\"")
    } else if word.contains(char::is_whitespace) && !word.contains('\'') {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}

/// A language as it can be written.
pub fn known_language(text: &str) -> Result<String, String> {
    match text {
        "en" | "zh" => Ok(text.to_owned()),
        other => Err(format!("`{other}` is no language here; there are en and zh")),
    }
}

/// The language of answers.
pub fn language(server: &Server) -> Language {
    match server.language.as_deref() {
        Some("zh") => Language::Zh,
        Some(_) => Language::En,
        None => match std::env::var("LANG") {
            Ok(lang) if lang.starts_with("zh") => Language::Zh,
            _ => Language::En,
        },
    }
}

/// `flyball artifact push`
pub fn push(server: &Server, file: &Path, version: Option<String>) -> Result<u8, Failure> {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| Failure::Usage(format!("`{}` is no file name", file.display())))?;
    let body = std::fs::read(file).map_err(|error| Failure::Failed(format!("read `{}`: {error}", file.display())))?;
    let version = version.unwrap_or_else(|| version_in(name).to_owned());
    block_on(async {
        let client = Client::new(server)?;
        let path = format!("/api/flyball/v1/artifacts?name={}&version={}", encoded(name), encoded(&version));
        let artifact: Artifact = client.post_bytes(&path, body).await?;
        if server.json {
            say(&serde_json::to_string_pretty(&artifact).unwrap_or_default());
        } else {
            say(&format!("{} {} {} bytes", artifact.digest, artifact.version, artifact.size));
        }
        Ok(WELL)
    })?
}

/// `shop-4.12.0.tar.zst` is version 4.12.0; a name without digits is its own version.
fn version_in(name: &str) -> &str {
    let stem = [".tar.zst", ".tar.gz", ".tar", ".tgz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    match stem.find(|c: char| c.is_ascii_digit()) {
        Some(start) if start == 0 || stem[..start].ends_with(['-', '_', 'v']) => &stem[start..],
        _ => stem,
    }
}

/// Percent-encodes what a query's value may not hold.
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// `flyball query`
pub fn query(server: &Server, query: &str, back: Option<&str>) -> Result<u8, Failure> {
    let path = match back {
        None => format!("/api/v1/query?query={}", encoded(query)),
        Some(text) => {
            let span = Span::parse(text)
                .filter(|span| span.0 > 0)
                .ok_or_else(|| Failure::Usage(format!("`{text}` is not a length of time")))?;
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
            let step = (span.0 as f64 / 1_000.0 / 20.0).max(1.0);
            let start = now - span.0 as f64 / 1_000.0;
            format!("/api/v1/query_range?query={}&start={start:.3}&end={now:.3}&step={step:.0}", encoded(query))
        }
    };
    block_on(async {
        let answer: Value = Client::new(server)?.get(&path).await?;
        say(&if server.json { serde_json::to_string_pretty(&answer).unwrap_or_default() } else { render::query(&answer) });
        Ok(WELL)
    })?
}

/// `flyball enrol`
pub fn enrol(server: &Server, host: &str) -> Result<u8, Failure> {
    block_on(async {
        let client = Client::new(server)?;
        let answer: Value = client.post(&format!("/api/flyball/v1/hosts/{}/enrol-token", encoded(host)), &Value::Null).await?;
        say(answer["token"].as_str().unwrap_or_default());
        Ok(WELL)
    })?
}

/// `flyball revoke-host`
pub fn revoke_host(server: &Server, host: &str) -> Result<u8, Failure> {
    block_on(async {
        let client = Client::new(server)?;
        let answer: Value = client.post(&format!("/api/flyball/v1/hosts/{}/revoke", encoded(host)), &Value::Null).await?;
        say(&match (server.json, answer["was_enrolled"].as_bool()) {
            (true, _) => answer.to_string(),
            (false, Some(true)) => format!("{host} is shut out until it enrols anew"),
            (false, _) => format!("{host} had not enrolled; its tokens are void"),
        });
        Ok(WELL)
    })?
}

/// `flyball audit`
pub fn audit(server: &Server, limit: u32) -> Result<u8, Failure> {
    block_on(async {
        let lines: Vec<Value> = Client::new(server)?.get(&format!("/api/flyball/v1/audit?limit={limit}")).await?;
        say(&if server.json { Value::Array(lines).to_string() } else { render::audit(&lines) });
        Ok(WELL)
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_names() {
        for (name, version) in
            [("shop-4.12.0.tar.zst", "4.12.0"), ("shop_1.tar", "1"), ("v2.zst", "2"), ("shop", "shop"), ("s3cmd", "s3cmd")]
        {
            assert_eq!(version_in(name), version);
        }
    }

    #[test]
    fn words_stay_words() {
        for word in ["shop", "a b", "say \"x\" y", ""] {
            let line = format!("note 1 {}", quoted(word));
            let wish = server::verbs::grammar::parse(&line, "flyball");
            if !word.is_empty() {
                assert_eq!(wish.unwrap(), server::verbs::grammar::Wish::Note { incident: 1, text: word.into() });
            }
        }
        assert_eq!(encoded("a b/ü"), "a%20b%2F%C3%BC");
    }
}
