//! The host's own word on what the server may do here. It wins over every signature.
//!
//! A file beside the agent's folder that the server can't write: which kinds of steps, which services, which programs,
//! which folders. Without the file, or with an empty one, the agent only observes.

use std::path::{Path, PathBuf};

use model::ServiceName;
use model::plan::Action;
use serde::{Deserialize, Serialize};

/// Largest policy file, in bytes.
const FILE_LEN_MAX: u64 = 64 * 1024;

/// What the server may do on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Kinds of steps: `fetch`, `unpack`, `stop`, `switch`, `start`, `verify`, `restart`; `all` for each of them.
    pub steps: Vec<String>,
    /// Services; `*` for each.
    pub services: Vec<String>,
    /// Programs that may be started, by absolute path; `{release}/` for programs that came with a release.
    pub commands: Vec<String>,
    /// Folders in which releases may lie; none: the agent's own only.
    pub folders: Vec<PathBuf>,
}

/// The policy file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It can't be read.
    #[error("read the policy file `{path}`")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not as it should be.
    #[error("read the policy file `{path}`: {why}")]
    Content {
        /// Which.
        path: PathBuf,
        /// With its place.
        why: String,
    },
    /// It can't be written.
    #[error("write the policy file `{path}`")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: crate::folder::FolderError,
    },
}

const STEPS: [&str; 7] = ["fetch", "unpack", "stop", "switch", "start", "verify", "restart"];

impl Policy {
    /// Reads the file; without one nothing is allowed.
    pub fn load(path: &Path) -> Result<Policy, PolicyError> {
        let read = |source| PolicyError::Read { path: path.to_owned(), source };
        let content = |why| PolicyError::Content { path: path.to_owned(), why };
        match std::fs::metadata(path) {
            Ok(about) if about.len() > FILE_LEN_MAX => {
                return Err(content(format!("{} bytes, {FILE_LEN_MAX} at most", about.len())));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Policy::default()),
            Err(error) => return Err(read(error)),
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        if text.trim().is_empty() {
            return Ok(Policy::default());
        }
        let policy: Policy = serde_saphyr::from_str(&text).map_err(|error| content(error.to_string()))?;
        if let Some(unknown) = policy.steps.iter().find(|step| *step != "all" && !STEPS.contains(&step.as_str())) {
            return Err(content(format!("`{unknown}` is not a kind of step: {} or all", STEPS.join(", "))));
        }
        if let Some(relative) = policy.commands.iter().find(|command| !command.starts_with('/') && *command != "{release}/") {
            return Err(content(format!("`{relative}` is not an absolute path and not `{{release}}/`")));
        }
        Ok(policy)
    }

    /// Every step for these services, with programs that came with a release and these ones: what `flyball up` writes.
    pub fn everything_for(services: impl IntoIterator<Item = String>, commands: impl IntoIterator<Item = String>) -> Policy {
        Policy {
            steps: vec!["all".into()],
            services: services.into_iter().collect(),
            commands: std::iter::once("{release}/".to_owned()).chain(commands).collect(),
            folders: Vec::new(),
        }
    }

    /// Writes the file, 0600, by rename.
    pub fn save(&self, path: &Path) -> Result<(), PolicyError> {
        let content = |why: String| PolicyError::Content { path: path.to_owned(), why };
        let text = serde_saphyr::to_string(self).map_err(|error| content(error.to_string()))?;
        crate::folder::write_atomic(path, text.as_bytes()).map_err(|source| PolicyError::Write { path: path.to_owned(), source })
    }

    /// Whether a step may be done: `Err` says why not.
    pub fn judge(&self, action: &Action) -> Result<(), String> {
        let service = match action {
            Action::Fetch { service, .. }
            | Action::Unpack { service, .. }
            | Action::Stop { service }
            | Action::Switch { service, .. }
            | Action::Start { service }
            | Action::Verify { service, .. }
            | Action::Restart { service } => service,
            Action::BalancerOut { .. } | Action::Drain { .. } | Action::BalancerIn { .. } => {
                return Err("it is a step for a load balancer, not for a host".into());
            }
        };
        if self == &Policy::default() {
            return Err("this host has no policy file, so its agent only observes".into());
        }
        if !self.steps.iter().any(|step| step == "all" || step == action.word()) {
            return Err(format!("the host's policy file does not allow the step `{}`", action.word()));
        }
        self.judge_service(service)
    }

    /// Whether a service may be touched.
    pub fn judge_service(&self, service: &ServiceName) -> Result<(), String> {
        let allowed = self.services.iter().any(|name| name == "*" || name == service.as_str());
        if allowed { Ok(()) } else { Err(format!("the host's policy file does not name the service `{service}`")) }
    }

    /// Whether a program may be started. `release` is the canonical folder of the release, if there is one. Gives back
    /// the canonical program: what was judged is what is started.
    pub fn judge_program(&self, program: &Path, release: Option<&Path>) -> Result<PathBuf, String> {
        if !program.is_absolute() {
            return Err(format!("the program `{}` is not an absolute path", program.display()));
        }
        let real = program.canonicalize().map_err(|error| format!("find the program `{}`: {error}", program.display()))?;
        if release.is_some_and(|release| real.starts_with(release)) && self.commands.iter().any(|command| command == "{release}/")
        {
            return Ok(real);
        }
        // By the path that the file names, or by what both paths are in the end: /bin/sleep may be a link to busybox.
        let allowed =
            self.commands.iter().filter(|command| command.starts_with('/')).any(|command| Path::new(command) == program);
        if allowed {
            Ok(program.to_owned())
        } else {
            Err(format!("the host's policy file does not name the program `{}`", program.display()))
        }
    }

    /// Whether releases may lie in this folder, given the agent's own.
    pub fn judge_folder(&self, folder: &Path, own: &Path) -> Result<(), String> {
        let real = folder.canonicalize().map_err(|error| format!("find the folder `{}`: {error}", folder.display()))?;
        let allowed = real.starts_with(own) || self.folders.iter().any(|allowed| real.starts_with(allowed));
        if allowed {
            Ok(())
        } else {
            Err(format!("the folder `{}` leads out of what the host's policy file allows", folder.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> ServiceName {
        ServiceName::new("shop").unwrap()
    }

    #[test]
    fn no_file_means_only_observe() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("policy.yaml");
        let policy = Policy::load(&path).unwrap();
        assert!(policy.judge(&Action::Stop { service: shop() }).unwrap_err().contains("only observes"));
        let everything = Policy::everything_for(["shop".to_owned()], ["/bin/sleep".to_owned()]);
        everything.save(&path).unwrap();
        assert_eq!(Policy::load(&path).unwrap(), everything);
        assert_eq!(everything.judge(&Action::Stop { service: shop() }), Ok(()));
        let other = ServiceName::new("billing").unwrap();
        assert!(everything.judge(&Action::Stop { service: other }).unwrap_err().contains("`billing`"));
    }

    #[test]
    fn a_narrow_policy_is_narrow_and_a_wrong_one_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("policy.yaml");
        std::fs::write(&path, "steps: [stop, start]\nservices: [shop]\n").unwrap();
        let policy = Policy::load(&path).unwrap();
        assert_eq!(policy.judge(&Action::Start { service: shop() }), Ok(()));
        assert!(policy.judge(&Action::Restart { service: shop() }).unwrap_err().contains("`restart`"));
        let balancer =
            Action::BalancerIn { balancer: model::BalancerName::new("edge").unwrap(), backend: "b".into(), server: "s".into() };
        assert!(policy.judge(&balancer).is_err());
        for bad in ["steps: [shell]", "step: [stop]", "commands: [sh]", "steps: {", "commands: ['{release}/../../bin/']"] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(Policy::load(&path), Err(PolicyError::Content { .. })), "{bad}");
        }
    }

    #[test]
    fn programs_by_their_place() {
        let place = tempfile::tempdir().unwrap();
        let release = place.path().canonicalize().unwrap().join("releases/1");
        std::fs::create_dir_all(&release).unwrap();
        std::fs::write(release.join("run"), "").unwrap();
        std::os::unix::fs::symlink("/bin/sleep", release.join("out")).unwrap();
        let policy = Policy::everything_for(["*".to_owned()], ["/bin/sleep".to_owned()]);
        assert_eq!(policy.judge_program(&release.join("run"), Some(&release)), Ok(release.join("run")));
        assert_eq!(policy.judge_program(Path::new("/bin/sleep"), None), Ok("/bin/sleep".into()));
        for bad in [release.join("out"), release.join("../1/../../x"), "run".into(), "/bin/sh".into(), "/bin/../bin/sleep".into()]
        {
            assert!(policy.judge_program(&bad, Some(&release)).is_err(), "{bad:?}");
        }
        assert!(policy.judge_folder(&release, place.path()).is_ok());
        assert!(policy.judge_folder(Path::new("/etc"), place.path()).is_err());
    }
}
