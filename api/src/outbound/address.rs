//! Addresses that partners give us: over HTTP, and whether they lie inside our own network.

use std::net::IpAddr;

use reqwest::Url;

/// A URL over HTTP; None for anything else.
pub(crate) fn read(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// The host's address, where it is one and no name.
pub(crate) fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Whether anybody on the Internet may have this address.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let protocols = (a, b, c) == (192, 0, 0);
            let reserved = a == 0 || a >= 240 || (a == 198 && (b == 18 || b == 19));
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || shared
                || protocols
                || reserved)
        }
        IpAddr::V6(ip) => match ip.segments() {
            // An IPv4 address, mapped or compatible; `::1` and `::` are among them.
            [0, 0, 0, 0, 0, 0 | 0xffff, ..] => ip.to_ipv4().is_some_and(|inside| is_public(inside.into())),
            // Teredo and 6to4 have one inside, too; 2001:db8 is for documentation.
            [0x2001, 0 | 0xdb8, ..] | [0x2002, ..] => false,
            // All others that were ever given to anybody are of 2000::/3.
            [first, ..] => first >> 13 == 1,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_network_is_not_public() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.192",
            "0.0.0.0",
            "255.255.255.255",
            "::",
            "::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::10.0.0.1",
            "2001:0:a00:1::1",
            "2002:a00:1::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["8.8.8.8", "192.0.1.1", "::ffff:8.8.8.8", "2001:4860:4860::8888", "2a00:1450::1"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn an_address_is_seen_however_it_is_written() {
        for host in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "somebody@127.0.0.1:9",
        ] {
            let url = read(&format!("http://{host}/hail")).unwrap();
            assert!(literal(&url).is_some_and(|ip| !is_public(ip)), "{host}: {url}");
        }
        let named = read("https://taxis.example.org./hail").unwrap();
        assert_eq!(literal(&named), None);
    }

    #[test]
    fn only_http_is_read() {
        for text in
            ["", "taxis.example.org", "ftp://8.8.8.8/", "file:///etc/passwd", "http://", "http://256.1.1.1/"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
