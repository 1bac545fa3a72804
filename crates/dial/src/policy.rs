//! Which addresses may be dialled.
//!
//! Link-local, metadata, unspecified, multicast and reserved addresses and flyball's own listeners are refused always;
//! loopback and private ranges unless they are listed; everything else is public and allowed. An IPv6 address that
//! carries an IPv4 one (mapped, compatible, NAT64, 6to4) is judged as what it carries.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where requests may go besides public addresses, and where never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Loopback and private addresses that are allowed.
    pub allow: Vec<Net>,
    /// flyball's own listeners: never dialled. An unspecified address stands for each of this machine's.
    pub own: Vec<SocketAddr>,
}

/// A range of addresses, with one port or all: `127.0.0.1:9192`, `127.0.0.0/8`, `10.1.2.3`, `[fd00::1]:80`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    address: IpAddr,
    prefix: u8,
    port: Option<u16>,
}

/// A text that is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a range of addresses: write it like 127.0.0.1:9192, 127.0.0.0/8 or 10.1.2.3")]
pub struct NetError {
    /// What was given, cut.
    pub text: String,
}

/// A refused address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address} may not be dialled: {why}")]
pub struct Refusal {
    /// Which.
    pub address: SocketAddr,
    /// Why.
    pub why: WhyNot,
}

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyNot {
    /// 0.0.0.0, `::`: means this machine on most systems.
    Unspecified,
    /// 169.254/16, fe80::/10.
    LinkLocal,
    /// A cloud's metadata service.
    Metadata,
    /// One to many.
    Multicast,
    /// Reserved, or a tunnel whose end can't be judged.
    Reserved,
    /// A listener of flyball.
    Own,
    /// Loopback and not listed.
    Loopback,
    /// A private range and not listed.
    Private,
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WhyNot::Unspecified => "it is unspecified",
            WhyNot::LinkLocal => "it is link-local",
            WhyNot::Metadata => "it is a metadata service",
            WhyNot::Multicast => "it is multicast",
            WhyNot::Reserved => "it is reserved",
            WhyNot::Own => "it is flyball's own",
            WhyNot::Loopback => "it is loopback and not listed in outgoing.allow",
            WhyNot::Private => "it is private and not listed in outgoing.allow",
        })
    }
}

impl std::str::FromStr for Net {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Net, NetError> {
        let wrong = || NetError { text: text.chars().take(80).collect() };
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Net::one(address.ip(), Some(address.port())));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Net::one(address, None));
        }
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        let net = Net { address, prefix, port: None };
        if prefix > width(address) || net.masked(address) != bits(address) { Err(wrong()) } else { Ok(net) }
    }
}

impl Net {
    fn one(address: IpAddr, port: Option<u16>) -> Net {
        let address = plain(address);
        Net { address, prefix: width(address), port }
    }

    fn masked(&self, address: IpAddr) -> u128 {
        let away = u32::from(width(address) - self.prefix);
        bits(address).checked_shr(away).unwrap_or(0).checked_shl(away).unwrap_or(0)
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: SocketAddr) -> bool {
        let ip = plain(address.ip());
        ip.is_ipv4() == self.address.is_ipv4()
            && self.port.is_none_or(|port| port == address.port())
            && self.masked(ip) == bits(self.address)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// The IPv4 address that an IPv6 address carries, or the address itself.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let parts = v6.segments();
    let low = || IpAddr::V4(Ipv4Addr::from(((u32::from(parts[6])) << 16) | u32::from(parts[7])));
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0xffff | 0, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => low(),
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] | [0x64, 0xff9b, 1, ..] => low(),
        [0x2002, high, next, ..] => IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(next))),
        _ => address,
    }
}

impl Policy {
    /// From the entries of `outgoing.allow`.
    pub fn new<T: AsRef<str>>(allow: impl IntoIterator<Item = T>) -> Result<Policy, NetError> {
        let allow = allow.into_iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>()?;
        Ok(Policy { allow, own: Vec::new() })
    }

    /// With flyball's own listeners.
    pub fn with_own(mut self, own: impl IntoIterator<Item = SocketAddr>) -> Policy {
        self.own.extend(own);
        self
    }

    /// Whether an address may be dialled.
    pub fn judge(&self, address: SocketAddr) -> Result<(), Refusal> {
        let plain_address = SocketAddr::new(plain(address.ip()), address.port());
        let why = never(plain_address.ip()).or_else(|| self.is_own(plain_address, None).then_some(WhyNot::Own)).or_else(|| {
            let why = unless_listed(plain_address.ip())?;
            (!self.allow.iter().any(|net| net.contains(plain_address))).then_some(why)
        });
        why.map_or(Ok(()), |why| Err(Refusal { address, why }))
    }

    /// Judges a connection once more when both its ends are known: an own listener on all addresses is reached by each.
    pub fn judge_connected(&self, local: SocketAddr, peer: SocketAddr) -> Result<(), Refusal> {
        self.judge(peer)?;
        if self.is_own(SocketAddr::new(plain(peer.ip()), peer.port()), Some(local.ip())) {
            return Err(Refusal { address: peer, why: WhyNot::Own });
        }
        Ok(())
    }

    fn is_own(&self, address: SocketAddr, local: Option<IpAddr>) -> bool {
        self.own.iter().filter(|own| own.port() == address.port()).any(|own| {
            let here = address.ip().is_loopback() || local.is_some_and(|local| plain(local) == address.ip());
            plain(own.ip()) == address.ip() || (own.ip().is_unspecified() && here)
        })
    }
}

fn never(address: IpAddr) -> Option<WhyNot> {
    match address {
        IpAddr::V4(v4) => match v4.octets() {
            // Amazon and most others lie in 169.254/16; these are Alibaba's, Azure's and Oracle's.
            [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Some(WhyNot::Metadata),
            [169, 254, ..] => Some(WhyNot::LinkLocal),
            [0, ..] => Some(WhyNot::Unspecified),
            [224..=239, ..] => Some(WhyNot::Multicast),
            [240..=255, ..] => Some(WhyNot::Reserved),
            _ => None,
        },
        IpAddr::V6(v6) => match v6.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => Some(WhyNot::Unspecified),
            // Amazon's and Google's.
            [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => Some(WhyNot::Metadata),
            [0xfe80..=0xfebf, ..] => Some(WhyNot::LinkLocal),
            [0xff00..=0xffff, ..] => Some(WhyNot::Multicast),
            // Teredo: the other end is an IPv4 address behind somebody's relay. 100::/64 goes nowhere.
            [0x2001, 0, ..] | [0x100, 0, 0, 0, ..] => Some(WhyNot::Reserved),
            _ => None,
        },
    }
}

fn unless_listed(address: IpAddr) -> Option<WhyNot> {
    match address {
        IpAddr::V4(v4) => match v4.octets() {
            [127, ..] => Some(WhyNot::Loopback),
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..] => {
                Some(WhyNot::Private)
            }
            _ => None,
        },
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Some(WhyNot::Loopback),
        IpAddr::V6(v6) => matches!(v6.segments()[0], 0xfc00..=0xfdff | 0xfec0..=0xfeff).then_some(WhyNot::Private),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(policy: &Policy, address: &str) -> Option<WhyNot> {
        policy.judge(address.parse().unwrap()).err().map(|refusal| refusal.why)
    }

    #[test]
    fn nothing_listed() {
        use WhyNot::*;
        let policy = Policy::default();
        for (address, expected) in [
            ("93.184.216.34:80", None),
            ("[2606:2800:220:1::1]:443", None),
            ("127.0.0.1:80", Some(Loopback)),
            ("127.8.9.1:80", Some(Loopback)),
            ("[::1]:80", Some(Loopback)),
            ("[::ffff:127.0.0.1]:80", Some(Loopback)),
            ("[::127.0.0.1]:80", Some(Loopback)),
            ("[::ffff:0:127.0.0.1]:80", Some(Loopback)),
            ("[64:ff9b::127.0.0.1]:80", Some(Loopback)),
            ("[64:ff9b:1::7f00:1]:80", Some(Loopback)),
            ("[2002:7f00:1::]:80", Some(Loopback)),
            ("10.0.0.1:80", Some(Private)),
            ("172.16.0.1:80", Some(Private)),
            ("172.32.0.1:80", None),
            ("192.168.1.1:80", Some(Private)),
            ("100.64.0.1:80", Some(Private)),
            ("[fd12::1]:80", Some(Private)),
            ("[fec0::1]:80", Some(Private)),
            ("0.0.0.0:80", Some(Unspecified)),
            ("0.1.2.3:80", Some(Unspecified)),
            ("[::]:80", Some(Unspecified)),
            ("169.254.169.254:80", Some(LinkLocal)),
            ("[::ffff:169.254.169.254]:80", Some(LinkLocal)),
            ("[64:ff9b::a9fe:a9fe]:80", Some(LinkLocal)),
            ("[2002:a9fe:a9fe::1]:80", Some(LinkLocal)),
            ("[fe80::1]:80", Some(LinkLocal)),
            ("[fd00:ec2::254]:80", Some(Metadata)),
            ("100.100.100.200:80", Some(Metadata)),
            ("168.63.129.16:80", Some(Metadata)),
            ("224.0.0.1:80", Some(Multicast)),
            ("[ff02::1]:80", Some(Multicast)),
            ("255.255.255.255:80", Some(Reserved)),
            ("[2001:0:1::]:80", Some(Reserved)),
        ] {
            assert_eq!(why(&policy, address), expected, "{address}");
        }
    }

    #[test]
    fn what_is_listed_is_allowed_and_what_is_never_allowed_stays_so() {
        let policy =
            Policy::new(["127.0.0.1:9192", "10.0.0.0/8", "192.168.7.7", "[::1]:80", "169.254.0.0/16", "0.0.0.0/0"]).unwrap();
        for good in ["127.0.0.1:9192", "10.9.9.9:1", "192.168.7.7:443", "[::1]:80", "[::ffff:10.1.1.1]:5"] {
            assert_eq!(why(&policy, good), None, "{good}");
        }
        assert_eq!(why(&policy, "169.254.169.254:80"), Some(WhyNot::LinkLocal));
        assert_eq!(why(&policy, "[::1]:81"), Some(WhyNot::Loopback));
        let narrow = Policy::new(["127.0.0.1:9192"]).unwrap();
        for bad in ["127.0.0.1:9193", "127.0.0.2:9192", "[::1]:9192"] {
            assert_eq!(why(&narrow, bad), Some(WhyNot::Loopback), "{bad}");
        }
    }

    #[test]
    fn own_listeners_are_never_dialled() {
        let policy = Policy::new(["127.0.0.0/8", "10.0.0.0/8"])
            .unwrap()
            .with_own(["0.0.0.0:7070".parse().unwrap(), "127.0.0.9:7071".parse().unwrap()]);
        assert_eq!(why(&policy, "127.0.0.1:7070"), Some(WhyNot::Own));
        assert_eq!(why(&policy, "[::ffff:127.0.0.9]:7071"), Some(WhyNot::Own));
        assert_eq!(why(&policy, "127.0.0.1:7071"), None);
        assert_eq!(why(&policy, "10.0.0.5:7070"), None);
        let here: SocketAddr = "10.0.0.5:7070".parse().unwrap();
        assert_eq!(policy.judge_connected("10.0.0.5:50000".parse().unwrap(), here).unwrap_err().why, WhyNot::Own);
        assert!(policy.judge_connected("10.0.0.6:50000".parse().unwrap(), here).is_ok());
    }

    #[test]
    fn what_is_no_range() {
        for bad in ["", "x", "127.0.0.1/33", "127.0.0.1/8", "10.0.0.0/8:80", "1.2.3", "::1/129", "0x7f.1"] {
            assert!(bad.parse::<Net>().is_err(), "{bad}");
        }
    }
}
