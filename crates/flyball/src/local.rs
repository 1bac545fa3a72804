//! What needs no running server: tokens, passwords, links, checking a configuration.

use std::io::Read as _;
use std::path::Path;

use model::rights::{Grant, Role};
use model::{EnvironmentName, PersonName, ProjectName, TokenName};
use server::people::People;

use crate::exit::{Failure, NOT_WELL, WELL};
use crate::render::{say, table};

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
    server::make_data_folder(data).map_err(|error| Failure::Failed(error.to_string()))?;
    People::open(&server::people_file(data)).await.map_err(|error| Failure::Failed(error.to_string()))
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
        let secret =
            people(data).await?.create_token(&name, &[grant]).await.map_err(|error| Failure::Failed(error.to_string()))?;
        say(secret.text());
        Ok(WELL)
    })?
}

/// `flyball token list`
pub fn list_tokens(data: &Path) -> Result<u8, Failure> {
    block_on(async {
        let rows = people(data).await?.tokens().await.map_err(|error| Failure::Failed(error.to_string()))?;
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
        let there = people(data).await?.revoke_token(&name).await.map_err(|error| Failure::Failed(error.to_string()))?;
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
            .map_err(|error| Failure::Failed(error.to_string()))?;
        say(&format!("the password of {person} is set; its sessions have ended"));
        Ok(WELL)
    })?
}

/// `flyball link`
pub fn print_link(data: &Path, person: &str) -> Result<u8, Failure> {
    let person = PersonName::new(person).map_err(|error| Failure::Usage(error.to_string()))?;
    // A link leads to a server; a folder without one would only be made by mistake.
    if !server::people_file(data).is_file() {
        return Err(Failure::Failed(format!("find a server's data in `{}`: name its folder by --data", data.display())));
    }
    block_on(async {
        let secret = people(data).await?.create_link(&person).await.map_err(|error| Failure::Failed(error.to_string()))?;
        let address = crate::client::address_of(data).unwrap_or_else(|| "http://127.0.0.1:7070".into());
        say(&format!("{address}/login?link={}", secret.text()));
        Ok(WELL)
    })?
}

/// `flyball config check`
pub fn check_config(folder: &Path) -> Result<u8, Failure> {
    if !folder.is_dir() {
        return Err(Failure::Usage(format!("`{}` is no folder", folder.display())));
    }
    match server::config::load(folder) {
        Ok(config) => {
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
    let walk = walked.map_err(|error| Failure::Failed(error.to_string()))?;
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
