//! A place like a user's: `flyball server`, one `flyball agent` process per host with its own address and folder, HAProxy in
//! front of the shop. Every one of them can be killed, stopped and started again alone.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::rig::{FLYBALL, Up, free_port, free_port_on, program, signal, within, write};

/// Name and address of each host.
pub const HOSTS: [(&str, &str); 3] = [("shop-1", "127.0.0.11"), ("shop-2", "127.0.0.12"), ("shop-3", "127.0.0.13")];
/// On line when a test begins.
pub const OLD: &str = "4.11.3";
/// Released by a test.
pub const NEW: &str = "4.12.0";

/// What a test wants to be different.
pub struct Wish {
    /// Keys of the environment `prod`.
    pub environment: &'static str,
    /// Whether the old release is put on line first.
    pub on_line: bool,
}

impl Default for Wish {
    fn default() -> Wish {
        Wish { environment: "approval: none", on_line: true }
    }
}

/// The place. What still runs ends when it is dropped.
pub struct Stand {
    server: Option<Up>,
    agents: BTreeMap<&'static str, Child>,
    haproxy: Option<Child>,
    listen: String,
    listen_agents: String,
    folder: tempfile::TempDir,
}

impl Stand {
    /// Everything running, and the old release on line.
    pub fn start() -> Stand {
        Stand::wished(&Wish::default())
    }

    /// Everything running.
    pub fn wished(wish: &Wish) -> Stand {
        let folder = tempfile::tempdir().unwrap();
        let addresses = HOSTS.map(|(_, address)| address);
        let (shop_port, front) = (free_port_on(&addresses), free_port());
        configure(folder.path(), wish, shop_port, front);
        let mut stand = Stand {
            server: None,
            agents: BTreeMap::new(),
            haproxy: None,
            listen: format!("127.0.0.1:{}", free_port()),
            listen_agents: format!("127.0.0.1:{}", free_port()),
            folder,
        };
        stand.start_haproxy();
        stand.start_server();
        for (host, _) in HOSTS {
            stand.start_agent(host);
        }
        for version in [OLD, NEW] {
            stand.push(version, version);
        }
        within("the agents are linked", || {
            let hosts = stand.up().json("/api/flyball/v1/hosts");
            let up = hosts.as_array()?.iter().filter(|host| host["state"] == "ok").count();
            (up == HOSTS.len()).then_some(())
        });
        if wish.on_line {
            let order = stand.deploy(OLD);
            stand.wait_state(&order, &["done"]);
        }
        stand
    }

    /// The server.
    pub fn up(&self) -> &Up {
        self.server.as_ref().expect("the server runs")
    }

    /// The server's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// Starts the server, always on the same addresses.
    pub fn start_server(&mut self) {
        let (data, config) = (self.data(), self.folder.path().join("config"));
        let mut command = Command::new(FLYBALL);
        command.args(["server", "--listen", &self.listen, "--listen-agents", &self.listen_agents]);
        command.arg("--data").arg(&data).arg("--config").arg(&config);
        self.server = Some(Up::run(command, |_| data));
    }

    /// Kills the server.
    pub fn kill_server(&mut self) {
        self.server.take().expect("the server runs").kill();
    }

    /// The folder of a host's agent.
    pub fn agent_folder(&self, host: &str) -> PathBuf {
        self.folder.path().join(host)
    }

    /// Starts a host's agent; the first time it enrols by a one-time token.
    pub fn start_agent(&mut self, host: &'static str) {
        let folder = self.agent_folder(host);
        let mut command = Command::new(FLYBALL);
        command.args(["agent", "--server", &self.listen_agents, "--host", host, "--data"]).arg(&folder);
        if !folder.exists() {
            write(&folder, "policy.yaml", &format!("steps: [all]\nservices: [shop]\ncommands: [{FLYBALL:?}]\n"));
            let made = self.up().cli(&["enrol", host]);
            assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
            command.env("FLYBALL_ENROL_TOKEN", String::from_utf8_lossy(&made.stdout).trim());
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("agent.log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.agents.insert(host, child);
    }

    /// Kills a host's agent.
    pub fn kill_agent(&mut self, host: &str) {
        end(self.agents.remove(host).expect("the agent runs"));
    }

    /// Sends a signal to a host's agent.
    pub fn signal_agent(&self, host: &str, name: &str) {
        signal(self.agents[host].id(), name);
    }

    /// Starts HAProxy.
    pub fn start_haproxy(&mut self) {
        let file = self.folder.path().join("haproxy.cfg");
        let mut command = Command::new(program("haproxy"));
        command.arg("-db").arg("-f").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.haproxy = Some(command.spawn().unwrap());
    }

    /// Kills HAProxy.
    pub fn kill_haproxy(&mut self) {
        end(self.haproxy.take().expect("HAProxy runs"));
    }

    /// Pushes a release of the shop that says of itself that it is `says`.
    pub fn push(&self, version: &str, says: &str) -> String {
        let path = self.folder.path().join(format!("shop-{version}.tar"));
        let text = format!("{{\"version\":\"{says}\",\"bad_share\":0.0}}");
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let mut tar = tar::Builder::new(std::fs::File::create(&path).unwrap());
        tar.append_data(&mut header, "shop.json", text.as_bytes()).unwrap();
        // Some weight, so that the same text as another version is another artifact.
        let mut header = tar::Header::new_gnu();
        header.set_size(version.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, "name", version.as_bytes()).unwrap();
        tar.into_inner().unwrap();
        let pushed = self.up().cli(&["artifact", "push", path.to_str().unwrap(), "--version", version]);
        assert_eq!(pushed.status.code(), Some(0), "{}", String::from_utf8_lossy(&pushed.stderr));
        String::from_utf8_lossy(&pushed.stdout).split(' ').next().unwrap().to_owned()
    }

    /// Makes an order and gives its number.
    pub fn deploy(&self, version: &str) -> String {
        let made = self.up().cli(&["deploy", "shop", version, "prod", "--json", "--reason", "a test"]);
        let text = String::from_utf8_lossy(&made.stdout).into_owned();
        assert_eq!(made.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&made.stderr));
        let answer: Value = serde_json::from_str(&text).unwrap();
        let outcome = answer["outcome"].to_string();
        let number = answer["outcome"]["accepted"]["order"].as_str().or(answer["outcome"]["order"].as_str());
        number.unwrap_or_else(|| panic!("no order in {outcome}")).to_owned()
    }

    /// The order as the server shows it now.
    pub fn order(&self, number: &str) -> Value {
        self.up().json(&format!("/api/flyball/v1/orders/{number}"))
    }

    /// Waits until an order is in one of these states. A final state that is none of them fails the test at once.
    pub fn wait_state(&self, number: &str, states: &[&str]) -> Value {
        within(&format!("order {number} is {states:?}"), || {
            let order = self.order(number);
            let state = order["state"].as_str()?.to_owned();
            let is_final = ["done", "failed", "rolled_back", "cancelled"].contains(&state.as_str());
            let wanted = states.contains(&state.as_str());
            assert!(wanted || !is_final, "order {number} is {state}: {}", told(&order));
            wanted.then_some(order)
        })
    }

    /// Waits until a host is in this state within an order.
    pub fn wait_host(&self, number: &str, host: &str, state: &str) -> Value {
        within(&format!("{host} is {state}"), || {
            let order = self.order(number);
            (order["hosts"][host]["state"] == state).then_some(order)
        })
    }

    /// Version and balancer state of each server, as the server shows them.
    pub fn on_line(&self) -> Vec<String> {
        let place = self.up().json("/api/flyball/v1/services/mall/shop/prod");
        let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
        let servers = place["servers"].as_array().cloned().unwrap_or_default();
        servers.iter().map(|server| format!("{} {}", text(&server["release"]["version"]), text(&server["balancer"]))).collect()
    }

    /// Waits until every server shows this version and is in the balancer.
    pub fn wait_on_line(&self, version: &str) {
        let wanted = vec![format!("{version} in"); HOSTS.len()];
        let end = Instant::now() + crate::rig::PATIENCE;
        while self.on_line() != wanted {
            assert!(Instant::now() < end, "not {version} everywhere: {:?}", self.on_line());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How often a process of a version was started on a host, as the processes themselves wrote.
    pub fn starts(&self, host: &str, version: &str) -> usize {
        let log = self.agent_folder(host).join("services/shop/output.log");
        let text = std::fs::read_to_string(log).unwrap_or_default();
        text.lines().filter(|line| line.contains(&format!("shop {version} listens"))).count()
    }

    /// What lies on a host is the old or the new release, whole: the link `current` leads to a folder that has its marker,
    /// and no folder is without one.
    pub fn assert_whole(&self, host: &str) {
        let service = self.agent_folder(host).join("services/shop");
        let current = std::fs::canonicalize(service.join("current")).expect("`current` leads to a release");
        assert!(current.join("shop.json").is_file(), "{}", current.display());
        let names: Vec<String> = std::fs::read_dir(service.join("releases"))
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        for name in names.iter().filter(|name| service.join("releases").join(name).is_dir()) {
            let marked = names.iter().any(|other| other != name && other.starts_with(name.as_str()));
            assert!(marked, "{host}: `{name}` has no marker: {names:?}");
        }
    }

    /// The running shop processes of a host.
    pub fn shops(&self, host: &str) -> Vec<u32> {
        processes(&self.agent_folder(host))
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (host, _) in HOSTS {
                let log = std::fs::read_to_string(self.agent_folder(host).join("agent.log")).unwrap_or_default();
                let _ = writeln!(std::io::stderr(), "--- {host}\n{log}");
            }
            if let Some(server) = &self.server {
                let _ = writeln!(std::io::stderr(), "--- server\n{}", server.log());
            }
        }
        for (_, child) in std::mem::take(&mut self.agents) {
            end(child);
        }
        self.haproxy.take().into_iter().for_each(end);
        // A shop outlives its agent by design; here it ends with the test.
        for pid in processes(self.folder.path()) {
            if self.server.as_ref().is_none_or(|server| server.pid() != pid) {
                signal(pid, "KILL");
            }
        }
    }
}

/// An order's story in words of its ids, for a test that fails.
pub fn told(order: &Value) -> String {
    let notes = order["story"].as_array().cloned().unwrap_or_default();
    let line = |note: &Value| format!("{} {} {} {}\n", note["at"], note["host"], note["text"], note["note"]);
    format!("{}\n{}", order["because"], notes.iter().map(line).collect::<String>())
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Shop processes that were started from below a folder.
fn processes(folder: &Path) -> Vec<u32> {
    let folder = folder.to_string_lossy().into_owned();
    let is_ours = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("\0shop\0") && line.contains(&folder)
        })
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_ours).collect()
}

fn configure(folder: &Path, wish: &Wish, shop_port: u16, front: u16) {
    let hosts: String =
        HOSTS.iter().map(|(name, address)| format!("  {name}: {{ address: {address}, services_only: true }}\n")).collect();
    let servers: String =
        HOSTS.iter().map(|(name, _)| format!("              - {{ host: {name}, port: {shop_port} }}\n")).collect();
    let socket = folder.join("haproxy.sock");
    let text = format!(
        "hosts:\n{hosts}environments:\n  prod: {{ {environment} }}\n\
         balancers:\n  edge: {{ haproxy: {socket:?}, every: 1s, every_while_rolling: 200ms }}\n\
         projects:\n  mall:\n    services:\n      shop:\n        run:\n          \
         command: [{FLYBALL:?}, demo, shop, --release, \"{{release}}\", --listen, \"{{address}}:{{port}}\"]\n          stop_timeout: 3s\n        \
         release: {{ strategy: serial, watch: 1s, judge: false, drain: 1s, step_limit: 4s }}\n        \
         environments:\n          prod:\n            balancer: edge\n            backend: shop\n            servers:\n{servers}",
        environment = wish.environment,
    );
    write(&folder.join("config"), "main.yaml", &text);
    let behind: String = HOSTS
        .iter()
        .map(|(name, address)| format!("  server {name} {address}:{shop_port} check inter 200ms fastinter 100ms fall 2 rise 1\n"))
        .collect();
    let haproxy = format!(
        "global\n  stats socket {} mode 600 level admin\n  hard-stop-after 2s\n\
         defaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  timeout server 5s\n  option redispatch\n  retries 3\n\
         frontend front\n  bind 127.0.0.1:{front}\n  default_backend shop\n\
         backend shop\n  balance roundrobin\n  option httpchk GET /health\n{behind}",
        socket.display()
    );
    write(folder, "haproxy.cfg", &haproxy);
}
