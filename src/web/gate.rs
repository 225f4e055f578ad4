//! The gate every request passes: a request id and a log line that names the route's pattern (never the path,
//! which may hold a key), the Origin check, refused encodings, and the security headers.

use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest};
use tracing::Instrument;

use super::errors::RequestId;
use crate::app::App;
use crate::error::Error;

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'";
/// Bytes after the `?`, of pages and of announces.
pub const QUERY_LIMIT: usize = 8 * 1024;

/// Names the request, logs its outcome, and puts the headers on whatever comes back.
pub async fn watch(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let started = Instant::now();
    let id = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 8]>());
    req.extensions_mut().insert(RequestId(id.clone()));
    let method = req.method().clone();
    let app = App::of(req.request()).ok();
    let https = app.as_ref().is_some_and(|app| app.https().0);
    let _running = app.as_ref().map(|app| app.metrics.requests.running.one());
    let span = tracing::info_span!("request", id = %id);
    let mut response = next.call(req).instrument(span.clone()).await?;
    let route = response.request().match_pattern();
    let status = response.status().as_u16();
    if let Some(app) = &app {
        let requests = &app.metrics.requests;
        requests.answered(route.as_deref(), &method, status, started.elapsed());
    }
    let route = route.as_deref().unwrap_or("no route");
    span.in_scope(|| {
        tracing::debug!(%method, route, status, ms = started.elapsed().as_millis() as u64, "answered");
    });
    let headers = response.headers_mut();
    let set = |headers: &mut header::HeaderMap, name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    set(headers, header::CONTENT_SECURITY_POLICY, CSP);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::REFERRER_POLICY, "same-origin");
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    set(
        headers,
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        headers,
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(
        headers,
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=()",
    );
    set(headers, header::CACHE_CONTROL, "private, no-store");
    if https {
        set(
            headers,
            header::STRICT_TRANSPORT_SECURITY,
            "max-age=31536000; includeSubDomains",
        );
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    Ok(response)
}

/// Refuses what no handler should see: foreign origins, encoded bodies, endless queries.
pub async fn guard(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<BoxBody>>, actix_web::Error> {
    if let Err(error) = check(req.request()) {
        return Ok(req.error_response(error).map_into_right_body());
    }
    Ok(next
        .call(req)
        .await?
        .map_into_boxed_body()
        .map_into_left_body())
}

fn check(req: &HttpRequest) -> Result<(), Error> {
    let headers = req.headers();
    if req.query_string().len() > QUERY_LIMIT {
        return Err(Error::BadRequest(format!(
            "The address is longer than {QUERY_LIMIT} characters after the `?`."
        )));
    }
    // Nothing is decompressed here, so a small body stays small.
    if headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|v| v.as_bytes() != b"identity")
    {
        return Err(Error::UnsupportedMedia(
            "Send the body without Content-Encoding.".to_owned(),
        ));
    }
    if *req.method() == Method::GET || *req.method() == Method::HEAD {
        return Ok(());
    }
    if headers
        .get("sec-fetch-site")
        .is_some_and(|v| v.as_bytes() == b"cross-site")
    {
        return Err(foreign());
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    // The browser fills both: a page elsewhere cannot make them agree. Behind a proxy the site's own URL counts too.
    let origin = origin.to_str().map_err(|_| foreign())?;
    let authority = origin
        .split_once("://")
        .map_or("", |(_, authority)| authority);
    let host = headers
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default();
    let own = App::of(req)?.settings().is_own_origin(origin);
    if !authority.is_empty() && (authority.eq_ignore_ascii_case(host) || own) {
        Ok(())
    } else {
        Err(foreign())
    }
}

fn foreign() -> Error {
    Error::Forbidden(
        "This request came from another site. Open the page here and send it again.".to_owned(),
    )
}
