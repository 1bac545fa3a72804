//! What needs no running server: tokens, passwords, links, checking a configuration.

use std::io::Read as _;
use std::path::Path;

use model::rights::{Grant, Role};
use model::{EnvironmentName, PersonName, ProjectName, TokenName};
use serde_json::Value;
use server::Features;
use server::people::{ADMIN, People};

use crate::cli::Server;
use crate::client::Client;
use crate::exit::{Failure, NOT_WELL, WELL, chain};
use crate::render::{mention, say, table};

/// The data folder where no other is named.
pub const DATA: &str = "flyball-data";

/// Runs something small on a runtime of its own.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("start a runtime: {error}")))?;
    Ok(runtime.block_on(future))
}

/// The accounts of a data folder, which is made if it is not there.
pub async fn people(data: &Path) -> Result<People, Failure> {
    server::make_data_folder(data).map_err(|error| Failure::Failed(chain(&error)))?;
    People::open(&server::people_file(data)).await.map_err(|error| Failure::Failed(chain(&error)))
}

/// `flyball token create`
pub fn create_token(
    data: &Path,
    name: &str,
    role: Role,
    project: Option<String>,
    environment: Option<String>,
) -> Result<u8, Failure> {
    let usage = |error: model::NameError| Failure::Usage(error.to_string());
    let name = TokenName::new(name).map_err(usage)?;
    let grant = Grant {
        role,
        project: project.map(ProjectName::new).transpose().map_err(usage)?,
        environment: environment.map(EnvironmentName::new).transpose().map_err(usage)?,
    };
    block_on(async {
        let secret = people(data).await?.create_token(&name, &[grant]).await.map_err(|error| Failure::Failed(chain(&error)))?;
        say(secret.text());
        Ok(WELL)
    })?
}

/// `flyball token list`
pub fn list_tokens(data: &Path) -> Result<u8, Failure> {
    block_on(async {
        let rows = people(data).await?.tokens().await.map_err(|error| Failure::Failed(chain(&error)))?;
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|row| {
                let grants: Vec<String> = row
                    .grants
                    .iter()
                    .map(|grant| {
                        let project = grant.project.as_ref().map_or("all projects", |project| project.as_str());
                        let environment =
                            grant.environment.as_ref().map_or("all environments", |environment| environment.as_str());
                        format!("{} in {project}, {environment}", grant.role)
                    })
                    .collect();
                vec![row.name, grants.join("; "), model::Time(row.created_at).to_string()]
            })
            .collect();
        say(&table(&["name", "may", "since"], &rows));
        Ok(WELL)
    })?
}

/// `flyball token revoke`
pub fn revoke_token(data: &Path, name: &str) -> Result<u8, Failure> {
    let name = TokenName::new(name).map_err(|error| Failure::Usage(error.to_string()))?;
    block_on(async {
        let there = people(data).await?.revoke_token(&name).await.map_err(|error| Failure::Failed(chain(&error)))?;
        if there {
            say(&format!("revoked {name}"));
            Ok(WELL)
        } else {
            Err(Failure::Failed(format!("revoke `{name}`: no token has that name")))
        }
    })?
}

/// `flyball password`
pub fn set_password(data: &Path, person: &str) -> Result<u8, Failure> {
    let person = PersonName::new(person).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut text = String::new();
    std::io::stdin()
        .take(4 * 1024)
        .read_to_string(&mut text)
        .map_err(|error| Failure::Failed(format!("read the password from standard input: {error}")))?;
    block_on(async {
        let people = people(data).await?;
        people
            .set_password(&person, text.trim_end_matches(['\n', '\r']))
            .await
            .map_err(|error| Failure::Failed(chain(&error)))?;
        say(&format!("the password of {person} is set; its sessions have ended"));
        if let Some(users) = configured_users(data).await
            && let Some(warning) = unknown_person(&person, &users)
        {
            mention(&warning);
        }
        Ok(WELL)
    })?
}

/// Who is in the configuration of the server that runs in this folder; none where none answers.
async fn configured_users(data: &Path) -> Option<Vec<String>> {
    let here = Server { server: None, data: Some(data.to_owned()), language: None, json: false, yes: false };
    let config: Value = Client::new(&here).ok()?.get("/api/flyball/v1/config").await.ok()?;
    Some(config["users"].as_object().map(|users| users.keys().cloned().collect()).unwrap_or_default())
}

/// What is said of somebody who has a password and no place in the configuration: they can't come in yet.
fn unknown_person(person: &PersonName, users: &[String]) -> Option<String> {
    if person.as_str() == ADMIN || users.iter().any(|user| user == person.as_str()) {
        return None;
    }
    let nearest = server::config::nearest(person.as_str(), users.iter().map(String::as_str));
    let nearest = nearest.map_or(String::new(), |near| format!(" Nearest: `{near}`."));
    Some(format!("but no user of the configuration is called `{person}`: add it under users, before it can come in.{nearest}"))
}

/// `flyball link`
pub fn print_link(data: &Path, person: &str) -> Result<u8, Failure> {
    let person = PersonName::new(person).map_err(|error| Failure::Usage(error.to_string()))?;
    // A link leads to a server; a folder without one would only be made by mistake.
    if !server::people_file(data).is_file() {
        return Err(Failure::Failed(format!("find a server's data in `{}`: name its folder by --data", data.display())));
    }
    block_on(async {
        let secret = people(data).await?.create_link(&person).await.map_err(|error| Failure::Failed(chain(&error)))?;
        let address = crate::client::address_of(data).unwrap_or_else(|| "http://127.0.0.1:7070".into());
        say(&format!("{address}/login?link={}", secret.text()));
        Ok(WELL)
    })?
}

/// `flyball config check`
pub fn check_config(folder: &Path, allowed: &Features) -> Result<u8, Failure> {
    if !folder.is_dir() {
        return Err(Failure::Usage(format!("`{}` is no folder", folder.display())));
    }
    match server::config::load_with_warnings(folder, allowed) {
        Ok((config, warnings)) => {
            for warning in &warnings {
                say(&format!("warning: {warning}"));
            }
            let services = config.services().count();
            let rules: usize = config.groups.iter().map(|group| group.rules.len()).sum();
            say(&format!("well: {} hosts, {services} services, {rules} rules", config.hosts.len()));
            Ok(WELL)
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                say(&mistake.to_string());
            }
            say(&format!("{} {}", mistakes.len(), if mistakes.len() == 1 { "mistake" } else { "mistakes" }));
            Ok(NOT_WELL)
        }
    }
}

/// `flyball audit verify`
pub fn verify_audit(data: &Path) -> Result<u8, Failure> {
    let walked = block_on(server::journal::walk_audit(data))?;
    let walk = walked.map_err(|error| Failure::Failed(chain(&error)))?;
    match walk.broken {
        None => {
            say(&format!("the audit holds: {} lines, the last {}", walk.lines, if walk.lines == 0 { "-" } else { &walk.last }));
            Ok(WELL)
        }
        Some(line) => {
            say(&format!("the audit is broken at line {line}: it or the one before it was altered or taken out"));
            Ok(NOT_WELL)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_for_nobody_is_warned_of() {
        let users = ["zhao.wei".to_owned(), "li".to_owned()];
        for (person, warning) in
            [("li", None), (ADMIN, None), ("zhao.wie", Some("Nearest: `zhao.wei`.")), ("nobody", Some("before it can come in."))]
        {
            let said = unknown_person(&PersonName::new(person).unwrap(), &users);
            match warning {
                None => assert_eq!(said, None),
                Some(end) => assert!(said.as_ref().is_some_and(|said| said.ends_with(end)), "{said:?}"),
            }
        }
    }
}
