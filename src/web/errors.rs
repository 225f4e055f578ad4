//! Errors as answers: HTML for people, JSON under `/api`, XML under `/torznab`, a feed where a feed was asked
//! for. The cause is logged here, once; the answer never carries it.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;

use super::redirect;
use super::render::{Frame, Page};
use super::xml;
use crate::app::App;
use crate::error::Error;

/// Names the request in the page, in the `x-request-id` header and in the log.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Built by the first extractor that knows the viewer, so that an error page keeps its header.
pub struct KnownFrame(pub Frame);

#[derive(Serialize)]
struct ErrorPage {
    status: u16,
    heading: &'static str,
    sentence: String,
    request_id: String,
    back_url: Option<String>,
}

impl Page for ErrorPage {
    const TEMPLATE: &'static str = "errors/error.html";
    fn title(&self) -> String {
        self.heading.to_owned()
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    // The middleware below writes the body: only it knows the request.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status())
    }
}

/// Turns every error, ours or the framework's, into an answer somebody can read.
pub async fn render_errors(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<BoxBody>>, actix_web::Error> {
    // Handlers' errors arrive as answers that carry them.
    let response = next.call(req).await?;
    let status = response.status();
    let needs_body = status.is_client_error() || status.is_server_error();
    let Some(error) = response.response().error().filter(|_| needs_body) else {
        // A bare 404 or 405 of the router has no error and no body.
        let bare = needs_body && !response.headers().contains_key(header::CONTENT_TYPE);
        if bare {
            let answer = answer(response.request(), None, status, &status).await;
            return Ok(response.into_response(answer).map_into_right_body());
        }
        return Ok(response.map_into_boxed_body().map_into_left_body());
    };
    let answer = answer(response.request(), error.as_error::<Error>(), status, error).await;
    Ok(response.into_response(answer).map_into_right_body())
}

async fn answer(
    req: &HttpRequest,
    error: Option<&Error>,
    status: StatusCode,
    cause: &dyn std::fmt::Display,
) -> HttpResponse {
    match error {
        Some(Error::Internal(cause)) => {
            tracing::error!(cause = format!("{cause:#}"), "request failed")
        }
        Some(_) => {}
        None if status.is_server_error() => tracing::error!(%cause, "request failed"),
        None => {}
    }
    let path = req.path();
    let wants_feed = path.ends_with(".rss");
    let wants_html = !path.starts_with("/api/") && !path.starts_with("/torznab") && !wants_feed;
    if matches!(error, Some(Error::Unauthenticated)) && wants_html {
        let next = if matches!(*req.method(), Method::GET | Method::HEAD) {
            here(req)
        } else {
            "/".to_owned()
        };
        return redirect::to(&format!("/login?next={}", super::filters::urlencode(&next)));
    }
    let sentence = match error {
        Some(error) => error.to_string(),
        None => sentence(status).to_owned(),
    };
    if is_announce(path) {
        // Torrent clients read a reason, and only from a 200 (BEP 3).
        return HttpResponse::Ok()
            .content_type("text/plain")
            .body(format!("d14:failure reason{}:{sentence}e", sentence.len()));
    }
    let mut builder = HttpResponse::build(status);
    builder.insert_header((header::CACHE_CONTROL, "no-store"));
    if let Some(seconds) = error.and_then(Error::retry_after_s) {
        builder.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    let request_id = req
        .extensions()
        .get::<RequestId>()
        .map(|id| id.0.clone())
        .unwrap_or_default();
    if path.starts_with("/api/") {
        return builder.json(serde_json::json!({ "error": sentence, "request_id": request_id }));
    }
    if wants_feed {
        let site = App::of(req).map_or_else(|_| String::new(), |app| app.settings().link("/"));
        let feed = feed(status, &sentence, &site);
        return builder
            .content_type("application/rss+xml; charset=utf-8")
            .body(feed);
    }
    if !wants_html {
        let description = xml::escape(&sentence);
        return builder.content_type("application/xml; charset=utf-8").body(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error code=\"900\" description=\"{description}\"/>\n"
        ));
    }
    let page = ErrorPage {
        status: status.as_u16(),
        heading: heading(status),
        sentence,
        request_id,
        back_url: back(req),
    };
    match html(req, &page).await {
        Ok(html) => builder.content_type("text/html; charset=utf-8").body(html),
        Err(cause) => {
            tracing::error!(cause = format!("{cause:#}"), "the error page itself failed");
            builder
                .content_type("text/plain; charset=utf-8")
                .body(page.sentence)
        }
    }
}

/// Feed readers show what an error's status does not say only as a feed: a channel with the sentence, and an item,
/// which is what most of them put before their reader.
fn feed(status: StatusCode, sentence: &str, site: &str) -> String {
    let (heading, code) = (heading(status), status.as_u16());
    let (sentence, site) = (xml::escape(sentence), xml::escape(site));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rss version=\"2.0\"><channel><title>{heading}</title>\
         <link>{site}</link><description>{sentence}</description><item><title>{heading}: {sentence}</title>\
         <guid isPermaLink=\"false\">seedbank-error-{code}</guid><description>{sentence}</description></item>\
         </channel></rss>\n"
    )
}

/// Whether torrent clients ask there: a path, or a route's pattern.
pub fn is_announce(path: &str) -> bool {
    ["/announce", "/scrape"].iter().any(|start| {
        path.strip_prefix(start)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

async fn html(req: &HttpRequest, page: &ErrorPage) -> anyhow::Result<String> {
    let app = App::of(req)?;
    let known = req
        .extensions()
        .get::<KnownFrame>()
        .map(|known| known.0.clone());
    let mut frame = match known {
        Some(frame) => frame,
        None => app.frame(req).await,
    };
    frame.title = page.title();
    frame.flash.clear();
    app.templates.render(ErrorPage::TEMPLATE, &frame, page)
}

/// The page a failed form came from, if it is one of ours.
fn back(req: &HttpRequest) -> Option<String> {
    let referer = req.headers().get(header::REFERER)?.to_str().ok()?;
    let url = url::Url::parse(referer).ok()?;
    let host = req.headers().get(header::HOST)?.to_str().ok()?;
    let same = url.host_str().is_some_and(|h| match url.port() {
        Some(port) => host == format!("{h}:{port}"),
        None => host == h,
    });
    same.then(|| {
        redirect::local(&format!(
            "{}{}",
            url.path(),
            url.query().map(|q| format!("?{q}")).unwrap_or_default()
        ))
    })
}

pub fn here(req: &HttpRequest) -> String {
    req.uri()
        .path_and_query()
        .map_or_else(|| "/".to_owned(), |p| redirect::local(p.as_str()))
}

fn heading(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "That request makes no sense",
        401 => "Log in first",
        403 => "Not allowed",
        404 => "Not found",
        405 => "Not like that",
        409 => "Already there",
        410 => "Gone",
        413 => "Too large",
        415 => "Not that kind of data",
        422 => "Not quite",
        429 => "Slow down",
        503 => "Busy",
        s if s >= 500 => "Something broke",
        _ => "That did not work",
    }
}

fn sentence(status: StatusCode) -> &'static str {
    match status.as_u16() {
        404 => "There is nothing here. It may have moved, or the address may have a slip in it.",
        405 => "This address does not take that kind of request.",
        408 => "The request took too long to arrive.",
        413 => "That is larger than this site takes.",
        s if s >= 500 => {
            "Something went wrong here. It has been logged; try again, and tell the operator if it stays."
        }
        _ => "The request could not be understood. Check the address and try again.",
    }
}
