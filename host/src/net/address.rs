//! Classifies addresses by whether a connection is allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use AddressClass::{Never, Private, Public};

/// The class of an address, which decides whether a plugin may connect to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressClass {
    /// An address on the internet.
    Public,
    /// This machine or a network around it: only where that was granted. What it is.
    Private(&'static str),
    /// Nobody's to connect to, whatever was granted. What it is.
    Never(&'static str),
}

const LINK_LOCAL: AddressClass = Never("a link-local address");
const METADATA: AddressClass = Never("a cloud's metadata service");
const TRANSLATED: AddressClass = Never("an address behind a translator");

/// Blocks of IPv4: the first that an address is in decides. From the registry of special-purpose
/// addresses (RFC 6890), with what clouds have put into ordinary blocks before it.
const V4: &[([u8; 4], u32, AddressClass)] = &[
    ([100, 100, 100, 200], 32, METADATA),
    ([168, 63, 129, 16], 32, METADATA),
    ([192, 0, 0, 192], 32, METADATA),
    // On Linux all of it is this machine.
    ([0, 0, 0, 0], 8, Never("an unspecified address")),
    ([10, 0, 0, 0], 8, Private("a private address")),
    (
        [100, 64, 0, 0],
        10,
        Private("an address behind a carrier's NAT"),
    ),
    ([127, 0, 0, 0], 8, Private("a loopback address")),
    ([169, 254, 0, 0], 16, LINK_LOCAL),
    ([172, 16, 0, 0], 12, Private("a private address")),
    ([192, 0, 0, 0], 24, Private("a protocol's own address")),
    ([192, 0, 2, 0], 24, Private("an address for documentation")),
    ([192, 88, 99, 0], 24, TRANSLATED),
    ([192, 168, 0, 0], 16, Private("a private address")),
    ([198, 18, 0, 0], 15, Private("an address for benchmarks")),
    (
        [198, 51, 100, 0],
        24,
        Private("an address for documentation"),
    ),
    (
        [203, 0, 113, 0],
        24,
        Private("an address for documentation"),
    ),
    ([224, 0, 0, 0], 4, Never("a multicast address")),
    // Broadcast among them.
    ([240, 0, 0, 0], 4, Never("a reserved address")),
];

/// The same of IPv6, after the addresses that stand for one of IPv4.
const V6: &[([u16; 8], u32, AddressClass)] = &[
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, METADATA),
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, METADATA),
    (
        [0, 0, 0, 0, 0, 0, 0, 0],
        128,
        Never("an unspecified address"),
    ),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Private("a loopback address")),
    // NAT64 within a network (RFC 8215), which decides by itself where the IPv4 address is.
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, TRANSLATED),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, TRANSLATED),
    (
        [0x2001, 0, 0, 0, 0, 0, 0, 0],
        23,
        Private("a protocol's own address"),
    ),
    (
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0],
        32,
        Private("an address for documentation"),
    ),
    (
        [0x3fff, 0, 0, 0, 0, 0, 0, 0],
        20,
        Private("an address for documentation"),
    ),
    (
        [0xfc00, 0, 0, 0, 0, 0, 0, 0],
        7,
        Private("a private address"),
    ),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, LINK_LOCAL),
    (
        [0xfec0, 0, 0, 0, 0, 0, 0, 0],
        10,
        Private("a private address"),
    ),
    (
        [0xff00, 0, 0, 0, 0, 0, 0, 0],
        8,
        Never("a multicast address"),
    ),
    // All that was given out for the internet so far.
    ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, Public),
];

/// The class of this address.
pub(super) fn class(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(address) => v4(address),
            None => v6(address),
        },
    }
}

fn v4(address: Ipv4Addr) -> AddressClass {
    let bits = address.to_bits();
    let within = |block: &[u8; 4], length: u32| {
        let differing = bits ^ u32::from_be_bytes(*block);
        differing.leading_zeros() >= length
    };
    let found = V4.iter().find(|(block, length, _)| within(block, *length));
    found.map_or(Public, |(.., class)| *class)
}

fn v6(address: Ipv6Addr) -> AddressClass {
    let bits = address.to_bits();
    let within = |block: &[u16; 8], length: u32| {
        let differing = bits ^ Ipv6Addr::from(*block).to_bits();
        differing.leading_zeros() >= length
    };
    let found = V6.iter().find(|(block, length, _)| within(block, *length));
    found.map_or(Private("a reserved address"), |(.., class)| *class)
}

/// The address of IPv4 that one of IPv6 leads to.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        // Neither `::` nor `::1`, which have a meaning of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None,
        // Compatible and mapped (RFC 4291), translated (RFC 2765).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low]
        // NAT64 (RFC 6052).
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        // 6to4 (RFC 3056).
        | [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(text: &str) -> AddressClass {
        class(text.parse().expect(text))
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert_eq!(judge(text), Public, "{text}");
        }
    }

    #[test]
    fn addresses_of_the_neighbourhood_need_a_grant() {
        for text in [
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "203.0.113.9",
            "::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "100::1",
            "2001:db8::1",
            "4000::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::192.168.0.1",
            "2002:a00:1::1",
        ] {
            assert!(
                matches!(judge(text), Private(_)),
                "{text}: {:?}",
                judge(text)
            );
        }
    }

    #[test]
    fn some_addresses_are_nobodys_to_connect_to() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "192.88.99.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "2001::1",
            "64:ff9b:1::a9fe:a9fe",
            "::169.254.169.254",
            "::ffff:169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "::ffff:0.0.0.0",
            "64:ff9b::255.255.255.255",
        ] {
            assert!(matches!(judge(text), Never(_)), "{text}: {:?}", judge(text));
        }
    }
}
