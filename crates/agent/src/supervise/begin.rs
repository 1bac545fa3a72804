//! How a process begins: what is checked before, what it gets, what it does not get.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::process::{MARK_AGENT, MARK_SERVICE, ProcessId};
use super::{Service, Supervisor, locked};
use crate::link::chain;
use crate::policy::Policy;

/// Where programs are looked for by those programs that look.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Supervisor {
    /// Checks the policy and every file of the release, starts the process and notes it. Reads files, so it belongs into
    /// a thread that may wait.
    pub(super) fn spawn(&self, service: &Service, deadline: Instant) -> Result<(), String> {
        let policy = Policy::load(&self.policy_path).map_err(|error| chain(&error))?;
        policy.judge_service(&service.name)?;
        let duty = self.duty_of(&service.name).ok_or("the configuration has no such service on this host")?;
        let run = duty.run.as_ref().ok_or("the configuration does not say how it runs")?;
        let release = self.releases(&service.name).checked_current(deadline).map_err(|error| chain(&error))?;
        let folder = release.as_ref().map(|(_, folder)| folder.as_path());
        if let Some(folder) = folder {
            policy.judge_folder(folder, self.folder.root())?;
        }
        let port = duty.port.to_string();
        let fill = |text: &str| fill(text, folder, &duty.address, &port);
        let mut words = run.command.iter().map(|word| fill(word));
        let program = PathBuf::from(words.next().ok_or("its command is empty")??);
        let program = match folder {
            Some(folder) if program.is_relative() => folder.join(program),
            _ => program,
        };
        let program = policy.judge_program(&program, folder)?;
        let mut command = Command::new(&program);
        for word in words {
            command.arg(word?);
        }
        // Nothing of the agent's own environment: it may hold secrets.
        command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
        for (name, value) in &run.environment {
            command.env(name, fill(value)?);
        }
        if let Some((release, _)) = &release {
            command.env("FLYBALL_RELEASE", &release.version);
        }
        command.env(MARK_AGENT, self.folder.root()).env(MARK_SERVICE, service.name.as_str());
        command.current_dir(folder.unwrap_or(&service.folder)).process_group(0);

        let mut state = locked(&service.state);
        let opened = state.output.writer().and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = opened.map_err(|error| format!("open its output: {error}"))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let mut child = command.spawn().map_err(|error| format!("start `{}`: {error}", program.display()))?;
        let pid = child.id();
        let Some(process) = ProcessId::of(pid, &self.boot_id) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err("look at its process".into());
        };
        state.note.process = Some(process);
        state.note.release = release.map(|(release, _)| release);
        state.note.since = self.clock.now();
        state.child = Some(child);
        state.started = Instant::now();
        self.keep_note(service, &state);
        tracing::info!(service = %service.name, pid, "started");
        Ok(())
    }
}

/// Fills `{release}`, `{address}` and `{port}` in one pass: a value is only ever a value.
fn fill(text: &str, release: Option<&Path>, address: &str, port: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let release_text = || release.map(|path| path.to_string_lossy().into_owned()).ok_or("there is no current release");
        if let Some(tail) = rest.strip_prefix("{release}") {
            out.push_str(&release_text()?);
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix("{address}") {
            out.push_str(address);
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix("{port}") {
            out.push_str(port);
            rest = tail;
        } else {
            out.push('{');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once() {
        let release = Path::new("/r/{port}");
        let text = "{release}/run --on {address}:{port} {other} {";
        assert_eq!(fill(text, Some(release), "{port}", "80").unwrap(), "/r/{port}/run --on {port}:80 {other} {");
        assert!(fill("{release}", None, "a", "1").unwrap_err().contains("no current release"));
    }
}
