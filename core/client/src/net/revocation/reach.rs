//! Where a certificate may send us. The URL of a list is written by whoever issued the certificate, and following it makes
//! this device send a request: without a rule a stranger could point it at the router or at a service of this device.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whose certificate names the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// A public authority: only the public network.
    Public,
    /// The authority of a federated partner, limited to its domains: private networks too (a VPN between the two), never
    /// this device or its link.
    Partner,
    /// The account's own organisation: everywhere.
    Organisation,
}

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Public,
    /// Private, shared (carrier-grade NAT) and unique local networks.
    Private,
    /// This device, or the network cable before it.
    Near,
    /// No single host.
    Nowhere,
}

impl Reach {
    /// Whether a request may go there.
    pub fn covers(self, address: IpAddr) -> bool {
        match place(address) {
            Place::Public => true,
            Place::Private => self >= Reach::Partner,
            Place::Near => self == Reach::Organisation,
            Place::Nowhere => false,
        }
    }
}

fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(v4) => place_v4(v4),
        IpAddr::V6(v6) => place_v6(v6),
    }
}

/// IANA's registry of special-purpose IPv4 addresses (RFC 6890).
fn place_v4(address: Ipv4Addr) -> Place {
    match address.octets() {
        // RFC 1122 §3.2.1.3: "this network" reaches this device on some systems.
        [127 | 0, ..] if !address.is_unspecified() => Place::Near,
        [169, 254, ..] => Place::Near,
        [10, ..] | [192, 168, ..] => Place::Private,
        [172, second, ..] if second & 0xf0 == 16 => Place::Private,
        // RFC 6598: shared by a carrier's customers.
        [100, second, ..] if second & 0xc0 == 64 => Place::Private,
        // RFC 2544: used like private ones.
        [198, 18 | 19, ..] => Place::Private,
        // RFC 6890 §2.1, RFC 7526 (6to4 relays).
        [192, 0, 0, _] | [192, 88, 99, _] => Place::Private,
        // RFC 5737: documentation.
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Place::Private,
        // Unspecified, multicast, reserved, broadcast.
        [0 | 224..=255, ..] => Place::Nowhere,
        _ => Place::Public,
    }
}

/// IANA's registry of special-purpose IPv6 addresses (RFC 6890). An address that holds an IPv4 address is where that is.
fn place_v6(address: Ipv6Addr) -> Place {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Place::Nowhere,
        [0, 0, 0, 0, 0, 0, 0, 1] => Place::Near,
        // Mapped (RFC 4291 §2.5.5.2), compatible (§2.5.5.1), translated (RFC 2765, RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => place_v4(embedded(high, low)),
        // RFC 8215: translation within a network.
        [0x64, 0xff9b, 1, ..] => Place::Private,
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => place_v4(embedded(high, low)),
        // Teredo (RFC 4380), ORCHID (RFC 4843, 7343), documentation (RFC 3849, 9637), discard (RFC 6666).
        [0x2001, 0, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] | [0x100, 0, 0, 0, ..] => {
            Place::Private
        }
        [0x2001, 0x10..=0x2f, ..] => Place::Private,
        [first, ..] if first & 0xffc0 == 0xfe80 => Place::Near,
        // Unique local (RFC 4193); site-local (RFC 3879).
        [first, ..] if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 => Place::Private,
        [first, ..] if first & 0xff00 == 0xff00 => Place::Nowhere,
        // RFC 4291 §2.4: global unicast is 2000::/3; the rest is not assigned.
        [first, ..] if first & 0xe000 == 0x2000 => Place::Public,
        _ => Place::Private,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaches(address: &str) -> [bool; 3] {
        let address = address.parse().unwrap();
        [Reach::Public, Reach::Partner, Reach::Organisation].map(|reach| reach.covers(address))
    }

    #[test]
    fn a_public_authority_sends_nobody_to_this_device_or_network() {
        for near in
            ["127.0.0.1", "127.255.0.1", "0.1.2.3", "169.254.169.254", "::1", "fe80::1", "::ffff:127.0.0.1"]
        {
            assert_eq!(reaches(near), [false, false, true], "{near}");
        }
        for private in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "198.19.0.1",
            "192.0.2.1",
            "fd00::1",
            "fec0::1",
            "2001:db8::1",
            "2001::1",
            "2001:10::1",
            "2001:2f::1",
            "64:ff9b:1::1",
        ] {
            assert_eq!(reaches(private), [false, true, true], "{private}");
        }
    }

    #[test]
    fn an_ipv4_address_within_an_ipv6_address_is_where_it_is() {
        for (address, expected) in [
            ("::ffff:10.0.0.1", [false, true, true]),
            ("::127.0.0.1", [false, false, true]),
            ("::ffff:0:127.0.0.1", [false, false, true]),
            ("64:ff9b::169.254.1.1", [false, false, true]),
            ("64:ff9b::8.8.8.8", [true, true, true]),
            ("2002:7f00:1::1", [false, false, true]),
            ("2002:808:808::1", [true, true, true]),
        ] {
            assert_eq!(reaches(address), expected, "{address}");
        }
    }

    #[test]
    fn nobody_is_sent_to_many_hosts_or_none() {
        for nowhere in
            ["0.0.0.0", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "::", "ff02::1"]
        {
            assert_eq!(reaches(nowhere), [false, false, false], "{nowhere}");
        }
    }

    #[test]
    fn the_public_network_is_open_to_all() {
        for public in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2001:4860::1",
        ] {
            assert_eq!(reaches(public), [true; 3], "{public}");
        }
    }
}
