//! Rule files over the made fleet: each rule watches one host's series, as thresholds per host do, in three shapes by turns.
//! None of them ever holds.

/// Rules of a group.
const A_GROUP: usize = 20;
const DEVICES: [&str; 3] = ["eth0", "eth1", "lo"];

/// So many rules over so many hosts, looked at every second.
pub fn thresholds(count: usize, hosts: usize) -> String {
    let mut out = String::from("groups:\n");
    for number in 0..count {
        if number % A_GROUP == 0 {
            out.push_str(&format!("- name: g{}\n  interval: 1s\n  rules:\n", number / A_GROUP));
        }
        let instance = format!("host-{:05}:9100", number % hosts);
        let expr = match number % 3 {
            0 => {
                let device = DEVICES[number / hosts % DEVICES.len()];
                format!("rate(node_network_receive_bytes_total{{instance=\"{instance}\",device=\"{device}\"}}[1m]) > 1e12")
            }
            1 => format!("node_load1{{instance=\"{instance}\"}} > {}", 1_000 + number),
            _ => {
                let of = |metric: &str| format!("node_filesystem_{metric}_bytes{{instance=\"{instance}\",mountpoint=\"/data\"}}");
                format!("{} / {} < 0.0{}", of("avail"), of("size"), number % 9 + 1)
            }
        };
        out.push_str(&format!("  - alert: A{number}\n    expr: '{expr}'\n    labels: {{ severity: page }}\n"));
    }
    out
}
