//! Who is at the other end: the address for limits, cut to what one household or server has.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::{HttpRequest, web};

use crate::app::App;

/// Who asks: the connection's address or, where that is one of the configured proxies, the last address in
/// X-Forwarded-For that is none of them. Anybody can write that header, so nobody else's is believed.
/// IPv4 in IPv6 clothing is IPv4.
pub fn address(req: &HttpRequest) -> Option<IpAddr> {
    let peer = req.peer_addr()?.ip().to_canonical();
    let app = req.app_data::<web::Data<App>>()?;
    let proxies = &app.config.server.trusted_proxies;
    if !proxies.contains(&peer) {
        return Some(peer);
    }
    let header: Vec<&str> = req
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let hops = header.iter().rev().map(|hop| hop.trim().parse::<IpAddr>());
    for hop in hops {
        match hop.map(|ip| ip.to_canonical()) {
            Ok(ip) if proxies.contains(&ip) => {}
            Ok(ip) => return Some(ip),
            // What stands before something unreadable was not written by a proxy of ours.
            Err(_) => break,
        }
    }
    Some(peer)
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
