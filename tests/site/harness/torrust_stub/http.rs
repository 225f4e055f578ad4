//! As much HTTP/1.1 as the stand-in needs: requests with a Content-Length, one after another on a connection.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The real program's limit for a URL; beyond it comes 414.
const LONGEST_TARGET: usize = 65_535;
const LONGEST_HEAD: usize = 100_000;

pub struct Request {
    pub method: String,
    pub path: String,
    /// As it was sent, without the question mark.
    pub query: Option<String>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

pub enum Read {
    Request(Request),
    TooLong,
    End,
}

pub struct Stream {
    pub inner: TcpStream,
    buffer: Vec<u8>,
    /// The client asked for it.
    pub closes: bool,
}

impl Stream {
    pub fn new(inner: TcpStream) -> Self {
        Self {
            inner,
            buffer: Vec::new(),
            closes: false,
        }
    }

    pub async fn read(&mut self) -> std::io::Result<Read> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if self.buffer.len() > LONGEST_HEAD {
                return Ok(Read::TooLong);
            }
            if self.inner.read_buf(&mut self.buffer).await? == 0 {
                return Ok(Read::End);
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8_lossy(&head);
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let method = first.next().unwrap_or_default().to_owned();
        let target = first.next().unwrap_or_default();
        if target.len() > LONGEST_TARGET {
            return Ok(Read::TooLong);
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        self.closes = headers.get("connection").is_some_and(|v| v == "close");
        let length: usize = headers
            .get("content-length")
            .map_or(0, |v| v.parse().unwrap());
        while self.buffer.len() < length {
            if self.inner.read_buf(&mut self.buffer).await? == 0 {
                return Ok(Read::End);
            }
        }
        Ok(Read::Request(Request {
            method,
            path: percent_decode_str(path).decode_utf8_lossy().into_owned(),
            query,
            headers,
            body: self.buffer.drain(..length).collect(),
        }))
    }

    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.inner.write_all(bytes).await
    }

    /// Returns when the client has left.
    pub async fn gone(&mut self) -> std::io::Result<()> {
        while self.inner.read_buf(&mut self.buffer).await? > 0 {}
        Ok(())
    }
}

impl Request {
    pub fn is_api(&self) -> bool {
        self.path.starts_with("/api/v1/")
    }

    /// The path below `/api/v1`, in parts.
    pub fn api_parts(&self) -> Vec<&str> {
        let path = self.path.strip_prefix("/api/v1/").unwrap_or_default();
        path.split('/').collect()
    }

    /// The route without what is particular to this call, such as `POST /whitelist`.
    pub fn route(&self) -> String {
        let path = self.path.strip_prefix("/api/v1").unwrap_or(&self.path);
        let path = match path.rsplit_once('/') {
            Some((before, last)) if !before.is_empty() && last != "reload" => before,
            _ => path,
        };
        format!("{} {path}", self.method)
    }

    /// Every value of a query parameter, decoded.
    pub fn values(&self, name: &str) -> Vec<Vec<u8>> {
        let query = self.query.as_deref().unwrap_or_default();
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .filter(|(n, _)| *n == name)
            .map(|(_, value)| percent_decode_str(value).collect())
            .collect()
    }

    pub fn texts(&self, name: &str) -> Vec<String> {
        let values = self.values(name).into_iter();
        values
            .map(|v| String::from_utf8_lossy(&v).into_owned())
            .collect()
    }
}
