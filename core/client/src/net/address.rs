//! The order in which the addresses of one host are tried: sorted (RFC 6724 §6), then the families interleaved
//! (RFC 8305 §4).

use super::order::in_order;
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Sorts `addresses` for this host's network: what it cannot reach at all goes last, IPv6 before IPv4 where both are
/// equally good.
pub fn sort(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let pairs = addresses.into_iter().map(|address| (address, source(address))).collect();
    sort_with_sources(pairs)
}

/// The address that the system would send from, or `None` where it has no route. Connecting a UDP socket sends
/// nothing.
fn source(destination: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match destination {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(destination).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// RFC 6724 §6 over pairs of destination and source. Rules 3, 4 and 7 (deprecated, mobile and tunnelled sources) need
/// facts that no portable interface tells; the sort is stable, so that rule 10 keeps the order of the DNS answer.
fn sort_with_sources(pairs: Vec<(SocketAddr, Option<IpAddr>)>) -> Vec<SocketAddr> {
    let ordered = in_order(pairs, |(destination, source)| {
        let destination = mapped(destination.ip());
        let scope = scope(destination);
        let (precedence, label) = policy(destination);
        let source = source.map(mapped);
        (
            // Rule 1: avoid unusable destinations.
            source.is_none(),
            // Rule 2: prefer matching scope.
            source.is_none_or(|source| self::scope(source) != scope),
            // Rule 5: prefer matching label.
            source.is_none_or(|source| policy(source).1 != label),
            // Rule 6: prefer higher precedence.
            Reverse(precedence),
            // Rule 8: prefer smaller scope.
            scope,
            // Rule 9: longest matching prefix; for IPv4 it would undo the rotation by which DNS shares load.
            Reverse(source.map_or(0, |source| common_prefix(source, destination))),
        )
    });
    ordered.into_iter().map(|(destination, _)| destination).collect()
}

/// RFC 6724 treats IPv4 as IPv4-mapped IPv6.
fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// RFC 6724 §3.1, §3.2: link-local 2, site-local 5, global 14; a multicast address carries its own.
fn scope(address: Ipv6Addr) -> u8 {
    const LINK_LOCAL: u8 = 2;
    const SITE_LOCAL: u8 = 5;
    const GLOBAL: u8 = 14;
    if let Some(v4) = address.to_ipv4_mapped() {
        return if v4.is_loopback() || v4.is_link_local() { LINK_LOCAL } else { GLOBAL };
    }
    let [first, second, ..] = address.octets();
    match first {
        0xff => second & 0x0f,
        0xfe if second & 0xc0 == 0x80 => LINK_LOCAL,
        0xfe if second & 0xc0 == 0xc0 => SITE_LOCAL,
        _ if address.is_loopback() => LINK_LOCAL,
        _ => GLOBAL,
    }
}

/// Precedence and label of RFC 6724 §2.1's default policy table: the entry with the longest matching prefix.
fn policy(address: Ipv6Addr) -> (u8, u8) {
    /// First 128 bits, length, precedence, label; longest prefix first.
    const TABLE: [(u128, u32, u8, u8); 9] = [
        (0x1, 128, 50, 0),
        (0xffff_0000_0000, 96, 35, 4),
        (0x0, 96, 1, 3),
        (0x2001_0000 << 96, 32, 5, 5),
        (0x2002 << 112, 16, 30, 2),
        (0x3ffe << 112, 16, 1, 12),
        (0xfec0 << 112, 10, 1, 11),
        (0xfc00 << 112, 7, 3, 13),
        (0x0, 0, 40, 1),
    ];
    let bits = address.to_bits();
    TABLE
        .iter()
        .find(|(prefix, length, _, _)| (bits ^ prefix).leading_zeros() >= *length)
        .map_or((40, 1), |(_, _, precedence, label)| (*precedence, *label))
}

fn common_prefix(source: Ipv6Addr, destination: Ipv6Addr) -> u32 {
    /// Beyond the network's part of the address closeness means nothing (RFC 6724 §2.2).
    const NETWORK_BITS: u32 = 64;
    if destination.to_ipv4_mapped().is_some() {
        return 0;
    }
    (source.to_bits() ^ destination.to_bits()).leading_zeros().min(NETWORK_BITS)
}

/// Alternates the families, the better one first (RFC 8305 §4, First Address Family Count 1). `after` is the address
/// that was tried last, if any: the next is of the other family.
pub fn interleave(sorted: Vec<SocketAddr>, after: Option<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = match after {
        Some(last) => !last.is_ipv6(),
        None => sorted.first().is_some_and(SocketAddr::is_ipv6),
    };
    let (ours, others): (Vec<_>, Vec<_>) =
        sorted.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut ours, mut others) = (ours.into_iter(), others.into_iter());
    let mut result = Vec::with_capacity(ours.len() + others.len());
    loop {
        let (a, b) = (ours.next(), others.next());
        if a.is_none() && b.is_none() {
            return result;
        }
        result.extend(a.into_iter().chain(b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 5061)
    }

    fn sorted(pairs: &[(&str, &str)]) -> Vec<String> {
        let pairs = pairs.iter().map(|(d, s)| (at(d), s.parse().ok())).collect();
        sort_with_sources(pairs).iter().map(|address| address.ip().to_string()).collect()
    }

    /// DNS-10; the examples of RFC 6724 §10.2.
    #[test]
    fn the_examples_of_the_rfc_come_out_as_printed() {
        let (v6, v4) = ("2001:db8:1::1", "198.51.100.121");
        assert_eq!(sorted(&[(v6, "2001:db8:1::2"), (v4, "169.254.13.78")]), [v6, v4]);
        assert_eq!(sorted(&[(v4, "198.51.100.117"), (v6, "fe80::1")]), [v4, v6]);
        assert_eq!(sorted(&[("10.1.2.3", "10.1.2.4"), (v6, "2001:db8:1::2")]), [v6, "10.1.2.3"]);
        assert_eq!(sorted(&[(v6, "2001:db8:1::2"), ("fe80::1", "fe80::2")]), ["fe80::1", v6]);
        assert_eq!(
            sorted(&[("2002:c633:6401::1", "2002:c633:6401::2"), (v6, "2002:c633:6401::2")]),
            ["2002:c633:6401::1", v6]
        );
    }

    /// DNS-10: rule 1.
    #[test]
    fn what_has_no_route_goes_last() {
        assert_eq!(
            sorted(&[("2001:db8::1", "none"), ("192.0.2.1", "192.0.2.9")]),
            ["192.0.2.1", "2001:db8::1"]
        );
    }

    /// DNS-10: rule 5; a private IPv6 network does not attract traffic for the public one.
    #[test]
    fn a_unique_local_source_yields_to_ipv4_for_a_global_destination() {
        assert_eq!(
            sorted(&[("2001:db8::1", "fd00::2"), ("192.0.2.1", "10.0.0.2")]),
            ["192.0.2.1", "2001:db8::1"]
        );
    }

    /// DNS-10: rule 10; the server's rotation survives.
    #[test]
    fn equal_ipv4_addresses_keep_the_order_of_the_answer() {
        let pairs = [("192.0.2.200", "10.0.0.2"), ("10.0.0.3", "10.0.0.2"), ("192.0.2.1", "10.0.0.2")];
        assert_eq!(sorted(&pairs), ["192.0.2.200", "10.0.0.3", "192.0.2.1"]);
    }

    #[test]
    fn loopback_has_a_source_here() {
        assert_eq!(source(at("127.0.0.1")), Some(Ipv4Addr::LOCALHOST.into()));
    }

    /// DNS-10.
    #[test]
    fn families_alternate_and_the_rest_follows() {
        let list = ["::1", "::2", "::3", "192.0.2.1"].map(at).to_vec();
        assert_eq!(interleave(list, None), ["::1", "192.0.2.1", "::2", "::3"].map(at));
        let list = ["192.0.2.1", "192.0.2.2", "::1"].map(at).to_vec();
        assert_eq!(interleave(list, None), ["192.0.2.1", "::1", "192.0.2.2"].map(at));
        assert!(interleave(Vec::new(), None).is_empty());
    }

    /// DNS-10: addresses that arrive during the race continue the alternation.
    #[test]
    fn the_family_after_the_last_attempt_is_the_other() {
        let list = ["::1", "::2", "192.0.2.1"].map(at).to_vec();
        assert_eq!(interleave(list.clone(), Some(at("192.0.2.9"))), ["::1", "192.0.2.1", "::2"].map(at));
        assert_eq!(interleave(list, Some(at("::9"))), ["192.0.2.1", "::1", "::2"].map(at));
    }
}
