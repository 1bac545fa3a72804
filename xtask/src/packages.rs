//! Installs what is missing, from Debian's packages and from PyPI; says what it would have needed where it may not.

use std::path::PathBuf;

use crate::shell::{Done, cache, failed, have, program, run, say};

/// A Debian package and what tells that it is there.
pub struct Package {
    /// A program on the path, or a file's whole path.
    program: &'static str,
    package: &'static str,
}

/// The demo's load balancer.
pub const HAPROXY: Package = Package { program: "haproxy", package: "haproxy" };
/// What the store is measured beside.
pub const VICTORIA_METRICS: Package = Package { program: "victoria-metrics", package: "victoria-metrics" };
/// The same, a real peer of the tests, and what our PromQL is compared with.
pub const PROMETHEUS: Package = Package { program: "prometheus", package: "prometheus" };
/// Real peers and the browser of the tests.
pub const FOR_TESTS: &[Package] = &[
    HAPROXY,
    PROMETHEUS,
    Package { program: "prometheus-node-exporter", package: "prometheus-node-exporter" },
    Package { program: "chromium", package: "chromium" },
    // Without Chinese glyphs the browser draws boxes, and the tests would look at a page that no reader sees.
    Package { program: "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", package: "fonts-wqy-microhei" },
    Package { program: "curl", package: "curl" },
    Package { program: "faketime", package: "faketime" },
];

/// Installs the packages whose program or file is not there. As root, by apt-get, without starting a service.
pub fn install(wanted: &[Package]) -> Done {
    let missing: Vec<&str> = wanted.iter().filter(|package| !have(package.program)).map(|package| package.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !have("apt-get") {
        return failed(format!("install {}: no apt-get here; install them by hand", missing.join(", ")));
    }
    say(&format!("== installing {}", missing.join(", ")));
    let prefix: &[&str] = if is_root() { &[] } else { &["sudo", "-n"] };
    let apt = |args: &[&str]| {
        let mut words: Vec<&str> = prefix.to_vec();
        words.push("apt-get");
        words.extend_from_slice(args);
        let mut command = program(words[0], &words[1..]);
        // A package that brings a service must not start it: its port may be somebody's, and tests start their own.
        command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").env("SYSTEMD_OFFLINE", "1");
        command
    };
    run("apt-get update", &mut apt(&["update", "-q"]))?;
    let mut args = vec!["install", "-q", "-y", "--no-install-recommends"];
    args.extend(missing);
    run("apt-get install", &mut apt(&args))
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            status.lines().find(|line| line.starts_with("Uid:")).map(|line| line.split_whitespace().nth(2) == Some("0"))
        })
        .unwrap_or(false)
}

/// A Python with the client libraries that tests use, in a virtual environment of its own.
pub fn python() -> Done<PathBuf> {
    let home = cache().join("python");
    let python = home.join("bin/python3");
    let marker = home.join("installed-influxdb-client-1");
    if marker.is_file() {
        return Ok(python);
    }
    let path = home.to_string_lossy().into_owned();
    if run("python3 -m venv", &mut program("python3", &["-m", "venv", &path])).is_err() {
        install(&[Package { program: "python3-venv-is-wanted", package: "python3-venv" }])?;
        run("python3 -m venv", &mut program("python3", &["-m", "venv", &path]))?;
    }
    run("pip install influxdb-client", &mut program(&python, &["-m", "pip", "install", "--quiet", "influxdb-client"]))?;
    std::fs::write(&marker, "").map_err(|error| crate::shell::Failure::Failed(format!("write {}: {error}", marker.display())))?;
    Ok(python)
}
