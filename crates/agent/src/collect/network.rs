//! Network: devices, the protocols' counters, sockets in use.

use super::Sink;

/// Columns of /proc/net/dev: eight of what came in, eight of what went out.
const RECEIVE: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast"];
const TRANSMIT: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed"];

/// /proc/net/dev
pub fn devices(text: &str, sink: &mut Sink<'_>) {
    let mut metric = String::new();
    for line in text.lines() {
        // A device's name may hold a colon, its numbers don't.
        let Some((device, numbers)) = line.rsplit_once(':') else { continue };
        let device = device.trim();
        let directions = [("receive", RECEIVE), ("transmit", TRANSMIT)];
        let columns = directions.iter().flat_map(|(way, names)| names.iter().map(move |name| (way, name)));
        for ((way, name), value) in columns.zip(numbers.split_ascii_whitespace()) {
            if let Ok(value) = value.parse() {
                metric.clear();
                for part in ["node_network_", way, "_", name, "_total"] {
                    metric.push_str(part);
                }
                sink.put(&metric, &[("device", device)], value);
            }
        }
    }
}

/// What node_exporter takes of the protocols' counters by default.
fn is_wanted(protocol: &str, name: &str) -> bool {
    match protocol {
        _ if matches!(name, "InErrors" | "InErrs") => true,
        "Ip" => name == "Forwarding",
        "Ip6" | "IpExt" => matches!(name, "InOctets" | "OutOctets"),
        "Icmp" | "Icmp6" => matches!(name, "InMsgs" | "OutMsgs"),
        "TcpExt" => {
            name.starts_with("Listen")
                || name.starts_with("Syncookies")
                || matches!(name, "TCPSynRetrans" | "TCPTimeouts" | "TCPOFOQueue" | "TCPRcvQDrop")
        }
        "Tcp" => {
            matches!(name, "ActiveOpens" | "InSegs" | "OutSegs" | "OutRsts" | "PassiveOpens" | "RetransSegs" | "CurrEstab")
        }
        "Udp" | "Udp6" => matches!(name, "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors"),
        _ => false,
    }
}

fn put(protocol: &str, name: &str, value: &str, sink: &mut Sink<'_>) {
    if is_wanted(protocol, name)
        && let Ok(value) = value.parse()
    {
        sink.put(&format!("node_netstat_{protocol}_{name}"), &[], value);
    }
}

/// /proc/net/snmp and /proc/net/netstat: a line of names, a line of values.
pub fn table(text: &str, sink: &mut Sink<'_>) {
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let (Some((protocol, names)), Some((same, values))) = (names.split_once(':'), values.split_once(':')) else { return };
        if protocol != same {
            return;
        }
        for (name, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()) {
            put(protocol, name, value, sink);
        }
    }
}

/// /proc/net/snmp6: a name and a value per line, `Ip6InOctets 12`.
pub fn list(text: &str, sink: &mut Sink<'_>) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(whole), Some(value)) = (words.next(), words.next()) else { continue };
        if let Some(place) = whole.find('6') {
            let (protocol, name) = whole.split_at(place + 1);
            put(protocol, name, value, sink);
        }
    }
}

/// /proc/net/sockstat and sockstat6
pub fn sockstat(text: &str, sink: &mut Sink<'_>) {
    for line in text.lines() {
        let Some((protocol, pairs)) = line.split_once(':') else { continue };
        let mut words = pairs.split_ascii_whitespace();
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            let Ok(value) = value.parse::<f64>() else { continue };
            if protocol == "sockets" {
                sink.put("node_sockstat_sockets_used", &[], value);
                continue;
            }
            sink.put(&format!("node_sockstat_{protocol}_{name}"), &[], value);
            if name == "mem" {
                let bytes = value * rustix::param::page_size() as f64;
                sink.put(&format!("node_sockstat_{protocol}_mem_bytes"), &[], bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fixture::{check, samples};

    #[test]
    fn devices_both_ways() {
        let text = "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n  eth0: 1000 10 1 2 3 4 5 6 2000 20 7 8 9 10 11 12\n eth0:1:5 1 0 0 0 0 0 0 6 2 0 0 0 0 0 0\n";
        check(
            text,
            devices,
            &[
                r#"node_network_receive_bytes_total{device="eth0"} 1000"#,
                r#"node_network_receive_multicast_total{device="eth0"} 6"#,
                r#"node_network_transmit_drop_total{device="eth0"} 8"#,
                r#"node_network_transmit_compressed_total{device="eth0"} 12"#,
                r#"node_network_receive_bytes_total{device="eth0:1"} 5"#,
            ],
        );
        assert_eq!(samples(text, devices).len(), 32);
    }

    #[test]
    fn protocols_as_node_exporter_takes_them() {
        let text =
            "Ip: Forwarding DefaultTTL InReceives\nIp: 1 64 1000\nTcp: RtoMin ActiveOpens CurrEstab InErrs\nTcp: 200 5 7 1\n";
        let expected = [
            "node_netstat_Ip_Forwarding 1",
            "node_netstat_Tcp_ActiveOpens 5",
            "node_netstat_Tcp_CurrEstab 7",
            "node_netstat_Tcp_InErrs 1",
        ];
        assert_eq!(samples(text, table), expected);
        assert_eq!(
            samples("TcpExt: SyncookiesSent X ListenDrops\nTcpExt: 1 2 3\nIpExt:\n", table),
            ["node_netstat_TcpExt_SyncookiesSent 1", "node_netstat_TcpExt_ListenDrops 3"]
        );
        assert_eq!(
            samples("Ip6InOctets 	12\nIcmp6InMsgs 3\nIp6InHdrErrors 9\nUdp6InErrors 4\n", list),
            ["node_netstat_Ip6_InOctets 12", "node_netstat_Icmp6_InMsgs 3", "node_netstat_Udp6_InErrors 4"]
        );
        let text = "sockets: used 229\nTCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1\nUDP6: inuse 3\n";
        let page = rustix::param::page_size();
        check(text, sockstat, &["node_sockstat_sockets_used 229", "node_sockstat_TCP_tw 4", "node_sockstat_UDP6_inuse 3"]);
        check(text, sockstat, &[&format!("node_sockstat_TCP_mem_bytes {page}")]);
    }
}
