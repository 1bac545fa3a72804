//! Puts the demo together: folders, configuration, artifacts. The same pieces serve the tests' rig and the benchmarks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::haproxy::Behind;
use super::shop::{RELEASE_FILE, Release};
use crate::exit::Failure;

/// The demo's servers: host name and its own address on this machine.
pub const HOSTS: [(&str, Ipv4Addr); 4] = [
    ("shop-1", Ipv4Addr::new(127, 0, 0, 11)),
    ("shop-2", Ipv4Addr::new(127, 0, 0, 12)),
    ("shop-3", Ipv4Addr::new(127, 0, 0, 13)),
    ("shop-4", Ipv4Addr::new(127, 0, 0, 14)),
];

/// The version that is on line when the demo begins.
pub const FIRST: &str = "4.11.3";
/// Releases that lie ready: so many good and so many bad ones, in turn, from 4.12.0 on.
const READY: u32 = 20;

/// What the demo needs to know of its surroundings.
pub struct Setup {
    /// The folder for everything.
    pub folder: PathBuf,
    /// The flyball program that runs the shop.
    pub program: PathBuf,
    /// The port of each shop server on its own address.
    pub shop_port: u16,
    /// Where HAProxy listens.
    pub front: SocketAddr,
    /// How long a batch is watched.
    pub watch: String,
    /// The address under which people reach the page.
    pub external_url: String,
}

impl Setup {
    /// HAProxy's runtime socket. In the folder, which has to be short enough for one.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("haproxy.sock")
    }

    /// What stands behind HAProxy.
    pub fn behind(&self) -> Vec<Behind> {
        HOSTS
            .iter()
            .map(|(name, address)| Behind {
                name: (*name).into(),
                address: SocketAddr::new(IpAddr::V4(*address), self.shop_port),
            })
            .collect()
    }

    /// Writes the configuration folder and gives its path.
    pub fn write_configuration(&self) -> Result<PathBuf, Failure> {
        let folder = self.folder.join("config");
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            path.parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::write(&path, text))
                .map_err(|error| Failure::Failed(format!("write `{}`: {error}", path.display())))
        };
        write("hosts.yaml", self.hosts())?;
        write("shop.yaml", self.service())?;
        write("people.yaml", PEOPLE.into())?;
        write("rules/shop.yaml", RULES.into())?;
        Ok(folder)
    }

    fn hosts(&self) -> String {
        let mut out = String::from("hosts:\n");
        for (name, address) in HOSTS {
            out.push_str(&format!("  {name}: {{ address: {address}, services_only: true }}\n"));
        }
        let own: Vec<String> = HOSTS.iter().map(|(_, address)| format!("\"{address}:{}\"", self.shop_port)).collect();
        out.push_str(&format!(
            "outgoing:\n  allow: [{}, \"{}\"]\nscrapes:\n  shop:\n    targets: [{}]\n    every: 1s\n    labels: {{ service: shop, environment: prod }}\n",
            own.join(", "),
            self.front,
            own.join(", ")
        ));
        out
    }

    fn service(&self) -> String {
        let servers: Vec<String> =
            HOSTS.iter().map(|(name, _)| format!("            - {{ host: {name}, port: {} }}\n", self.shop_port)).collect();
        format!(
            "flyball:\n  external_url: {external}\nenvironments:\n  prod: {{ approval: none, confirm: false }}\nbalancers:\n  edge: {{ haproxy: {socket:?}, every: 1s, every_while_rolling: 200ms }}\n\
             probes:\n  shop-home:\n    http: http://{front}/\n    every: 2s\n    service: shop\n\
             projects:\n  mall:\n    services:\n      shop:\n        on_call: zhao.wei\n        runbook: https://wiki.example/shop-orders-fail\n        \
             meeting: shop bridge, dial 7310\n        run:\n          command: [{program:?}, demo, shop, --release, \"{{release}}\", --listen, \"{{address}}:{{port}}\"]\n          \
             stop_timeout: 5s\n        release:\n          strategy: {{ parallel: 3 }}\n          min_in_service: 2\n          watch: {watch}\n          judge: true\n          drain: 2s\n        \
             numbers:\n          - {{ title: Orders, query: \"sum(rate(shop_orders_total{{result=\\\"placed\\\"}}[10s])) * 60\", unit: /min }}\n          \
             - {{ title: Bad answers, query: \"100 * sum(rate(shop_bad_answers_total[10s])) / sum(rate(shop_requests_total[10s]))\", unit: \"%\", limit: 1 }}\n          \
             - {{ title: Requests, query: \"sum(rate(shop_requests_total[10s]))\", unit: /s }}\n          \
             - {{ title: Home page, query: \"1000 * max(probe_duration_seconds{{probe=\\\"shop-home\\\"}})\", unit: ms, limit: 400 }}\n        \
             environments:\n          prod:\n            balancer: edge\n            backend: shop\n            servers:\n{servers}",
            external = self.external_url,
            socket = self.socket().display().to_string(),
            front = self.front,
            program = self.program.display().to_string(),
            watch = self.watch,
            servers = servers.concat().replace("            - ", "              - "),
        )
    }

    /// Writes the artifact of a release and gives its path.
    pub fn artifact(&self, name: &str, release: &Release) -> Result<PathBuf, Failure> {
        let folder = self.folder.join("releases");
        let path = folder.join(format!("{name}-{}.tar", release.version));
        write_artifact(&folder, &path, release)
            .map_err(|error| Failure::Failed(format!("write `{}`: {error}", path.display())))?;
        Ok(path)
    }

    /// All releases that lie ready: their names, `shop-good` or `shop-bad`, and what they are.
    pub fn ready() -> Vec<(&'static str, Release)> {
        (0..READY * 2)
            .map(|number| {
                let bad = number % 2 == 1;
                let release = Release {
                    version: format!("4.12.{number}"),
                    bad_share: if bad { 0.1 } else { 0.0005 },
                    ..Release::default()
                };
                (if bad { "shop-bad" } else { "shop-good" }, release)
            })
            .collect()
    }
}

/// A tar with one file in it. The same release is the same bytes, so a second start pushes nothing new.
fn write_artifact(folder: &Path, path: &Path, release: &Release) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let text = serde_json::to_vec_pretty(release)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    let mut builder = tar::Builder::new(std::fs::File::create(path)?);
    builder.append_data(&mut header, RELEASE_FILE, text.as_slice())?;
    builder.into_inner()?.sync_all()
}

const PEOPLE: &str = "\
users:
  lin.mei: { name: Lin Mei, grants: [{ role: releaser }] }
  tom.weber: { name: Tom Weber, grants: [{ role: approver }] }
  zhao.wei: { name: Zhao Wei, grants: [{ role: operator }], language: zh }
";

const RULES: &str = "\
groups:
  - name: shop
    interval: 1s
    rules:
      - alert: ShopBadAnswers
        expr: 100 * sum by (service, environment) (rate(shop_bad_answers_total[5s])) / sum by (service, environment) (rate(shop_requests_total[5s])) > 1
        labels: { severity: critical }
        annotations:
          summary: '{{ $value | printf \"%.1f\" }} % of answers are bad'
      - alert: ShopOrdersFail
        expr: sum by (service, environment) (rate(shop_orders_total{result=\"failed\"}[5s])) > 1
        labels: { severity: critical }
        annotations:
          summary: '{{ $value | printf \"%.1f\" }} orders fail every second'
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_well() {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup {
            folder: folder.path().to_path_buf(),
            program: "/usr/bin/flyball".into(),
            shop_port: 8080,
            front: "127.0.0.1:8000".parse().unwrap(),
            watch: "20s".into(),
            external_url: "http://127.0.0.1:7070".into(),
        };
        let config = setup.write_configuration().unwrap();
        if let Err(mistakes) = server::config::load(&config, &server::Features::STABLE) {
            panic!("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
    }

    #[test]
    fn the_same_release_is_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let release = Release { version: "1".into(), ..Release::default() };
        let path = folder.path().join("a.tar");
        write_artifact(folder.path(), &path, &release).unwrap();
        let first = std::fs::read(&path).unwrap();
        write_artifact(folder.path(), &path, &release).unwrap();
        assert_eq!(first, std::fs::read(&path).unwrap());
    }
}
