//! Who is at the other end: the address for limits, cut to what one household or server has.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::HttpRequest;

/// The connection's address. IPv4 in IPv6 clothing is IPv4.
pub fn address(req: &HttpRequest) -> Option<IpAddr> {
    req.peer_addr().map(|a| a.ip().to_canonical())
}

/// The bucket an address shares its limits with: IPv4 alone, IPv6 by /64.
pub fn bucket(address: Option<IpAddr>) -> String {
    match address {
        Some(IpAddr::V4(v4)) => v4.to_string(),
        Some(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        None => "unknown".to_owned(),
    }
}
