//! A browser as far as tests need one: cookies, forms with their tokens, no redirects followed unasked.

use std::sync::Once;

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, ORIGIN};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use scraper::{Html, Selector};

use super::multipart::{BOUNDARY, Multipart};

pub struct Browser {
    client: Client,
    pub base: String,
    /// The form token of the last page seen.
    pub csrf: String,
}

pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    pub text: String,
}

impl Browser {
    pub fn new(port: u16) -> Self {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            // A site under test may have chosen the same one already.
            let _chosen_before = rustls::crypto::ring::default_provider().install_default();
        });
        Self {
            client: Client::builder()
                .cookie_store(true)
                .redirect(Policy::none())
                .no_proxy()
                .build()
                .unwrap(),
            base: format!("http://127.0.0.1:{port}"),
            csrf: String::new(),
        }
    }

    /// The same person after the site came back on another port.
    pub fn follow(&mut self, port: u16) {
        self.base = format!("http://127.0.0.1:{port}");
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub async fn send(&mut self, request: RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response.bytes().await.unwrap().to_vec();
        let reply = Reply {
            status,
            headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
            bytes,
        };
        if let Some(token) = reply.attribute("input[name=csrf]", "value") {
            self.csrf = token;
        }
        reply
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        let request = self.request(Method::GET, path);
        self.send(request).await
    }

    /// Opens the page with the form, then sends the form with its token.
    pub async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Reply {
        self.get(page).await;
        self.post(action, fields).await
    }

    /// Sends a form with the token of the last page seen.
    pub async fn post(&mut self, action: &str, fields: &[(&str, &str)]) -> Reply {
        let token = self.csrf.clone();
        let mut all = vec![("csrf", token.as_str())];
        all.extend_from_slice(fields);
        self.post_raw(action, &all).await
    }

    /// Sends exactly these fields.
    pub async fn post_raw(&mut self, action: &str, fields: &[(&str, &str)]) -> Reply {
        let origin = self.base.clone();
        let request = self
            .request(Method::POST, action)
            .header(ORIGIN, origin)
            .form(fields);
        self.send(request).await
    }

    /// Sends a multipart form; its token goes first.
    pub async fn upload(
        &mut self,
        action: &str,
        build: impl FnOnce(Multipart) -> Multipart,
    ) -> Reply {
        let body = build(Multipart::new().text("csrf", &self.csrf)).finish();
        self.upload_raw(action, body).await
    }

    pub async fn upload_raw(&mut self, action: &str, body: Vec<u8>) -> Reply {
        let origin = self.base.clone();
        let request = self
            .request(Method::POST, action)
            .header(ORIGIN, origin)
            .header(
                CONTENT_TYPE,
                format!("multipart/form-data; boundary={BOUNDARY}"),
            )
            .body(body);
        self.send(request).await
    }
}

impl Reply {
    pub fn html(&self) -> Html {
        Html::parse_document(&self.text)
    }

    /// The texts of every element that fits, white space folded.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).unwrap();
        self.html()
            .select(&selector)
            .map(|e| {
                e.text()
                    .collect::<String>()
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    }

    pub fn count(&self, selector: &str) -> usize {
        let selector = Selector::parse(selector).unwrap();
        self.html().select(&selector).count()
    }

    pub fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let selector = Selector::parse(selector).unwrap();
        self.html()
            .select(&selector)
            .find_map(|e| e.value().attr(name))
            .map(str::to_owned)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |v| v.to_str().unwrap_or(""))
    }

    pub fn location(&self) -> &str {
        self.headers
            .get(LOCATION)
            .map_or("", |v| v.to_str().unwrap())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn shows(&self, text: &str) {
        assert!(self.text.contains(text), "no {text:?} in: {}", self.text);
    }
}
