//! `seedbank health`: asks the site on this machine whether it is ready, for containers, whose images have no other
//! program that could. Ends with 0 when it is, with 1 and the reason when it is not.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use seedbank::config::Config;

const PATIENCE: Duration = Duration::from_secs(3);
/// More is no answer of ours.
const LONGEST: u64 = 16 * 1024;

pub fn run(config: &Config) -> anyhow::Result<()> {
    let address = reachable(config.server.listen);
    let answer = ask(address).with_context(|| format!("http://{address}/health/ready"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) != Some("200") {
        bail!("not ready: {}", body.trim());
    }
    println!("ready");
    Ok(())
}

fn ask(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the answer ends with the connection.
    write!(
        stream,
        "GET /health/ready HTTP/1.0\r\nHost: {address}\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Where a server that listens on `address` is found from here: nobody can connect to `0.0.0.0`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
