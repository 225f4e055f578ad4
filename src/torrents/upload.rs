//! Uploading: a form that works without script, for one .torrent or a batch.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::fields::{Fields, Sent, category_groups};
use super::publish::{Verdict, publish};
use super::url;
use crate::accounts::Uploader;
use crate::bittorrent::metainfo::MAX_BYTES;
use crate::categories::Group;
use crate::error::Result;
use crate::web::flash::Flash;
use crate::web::forms::{Form, checkbox};
use crate::web::markdown;
use crate::web::multipart::{self, Limits};
use crate::web::render::Page;

#[derive(Serialize)]
struct KnownLink {
    url: String,
    title: String,
}

#[derive(Serialize)]
struct UploadPage {
    form: Fields,
    category_groups: Vec<Group>,
    preview_html: Option<String>,
    max_bytes: usize,
    max_files: usize,
    private_policy: &'static str,
    known: Option<KnownLink>,
}

impl Page for UploadPage {
    const TEMPLATE: &'static str = "torrents/upload.html";
    const SECTION: &'static str = "upload";
    fn title(&self) -> String {
        "Upload".to_owned()
    }
}

#[derive(Serialize)]
struct Answer {
    file_name: String,
    verdict: &'static str,
    title: Option<String>,
    url: Option<String>,
    download_url: Option<String>,
    sentence: String,
    foreign_trackers: usize,
}

#[derive(Serialize)]
struct UploadedPage {
    added: usize,
    known: usize,
    refused: usize,
    results: Vec<Answer>,
}

impl Page for UploadedPage {
    const TEMPLATE: &'static str = "torrents/uploaded.html";
    const SECTION: &'static str = "upload";
    fn title(&self) -> String {
        "Uploaded".to_owned()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    title: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    tags: String,
    #[serde(default)]
    description: String,
    #[serde(default, deserialize_with = "checkbox")]
    anonymous: bool,
    #[serde(default, deserialize_with = "checkbox")]
    preview: bool,
}

pub async fn form(uploader: Uploader) -> Result<HttpResponse> {
    answer(&uploader, StatusCode::OK, Fields::default(), None, None).await
}

/// `POST /upload`: one file answers with its page, several with a verdict each.
pub async fn submit(
    uploader: Uploader,
    req: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let app = &uploader.app;
    let limits = Limits {
        files: app.config.torrents.batch_files,
        file_bytes: MAX_BYTES,
    };
    let mut parts = multipart::read(&req, payload, limits).await?;
    let input: Input = parts.form()?;
    let mut fields = Fields::of(&Sent {
        title: input.title,
        category: input.category,
        tags: input.tags,
        description: input.description,
        anonymous: input.anonymous,
    });
    if input.preview {
        let html = markdown::render(&fields.description.value);
        return answer(&uploader, StatusCode::OK, fields, Some(html), None).await;
    }
    if parts.files.is_empty() {
        fields.files.wrong("Choose one or more .torrent files.");
    }
    let one = parts.files.len() == 1;
    if !one {
        // A title is for one torrent; each of several has its own name.
        fields.title.value.clear();
    }
    let mut conn = app.db.read().await?;
    let draft = fields.check(&mut conn).await?;
    drop(conn);
    let Some(draft) = draft else {
        return answer(
            &uploader,
            StatusCode::UNPROCESSABLE_ENTITY,
            fields,
            None,
            None,
        )
        .await;
    };
    let mut answers = Vec::new();
    for file in parts.files {
        let verdict = if file.too_large {
            Verdict::Refused(super::publish::Refused {
                sentence: format!(
                    "The file is larger than {}. Make the torrent again with larger pieces.",
                    crate::web::filters::bytes(MAX_BYTES as i64)
                ),
                too_large: true,
                rule: "too-large",
            })
        } else {
            let policy = uploader.settings.private_flag;
            match publish(&app.intake, policy, uploader.user.id, file.bytes, &draft).await {
                Ok(verdict) => verdict,
                Err(error) if one => return Err(error),
                // The others of the batch keep their verdicts.
                Err(error) => {
                    tracing::error!(
                        cause = format!("{error:?}"),
                        "one of a batch was not stored"
                    );
                    Verdict::Refused(super::publish::Refused {
                        sentence: error.to_string(),
                        too_large: false,
                        rule: "not-stored",
                    })
                }
            }
        };
        app.metrics.uploads.add_one(match &verdict {
            Verdict::Added(_) => "added",
            Verdict::Known(_) => "known",
            Verdict::Refused(_) => "refused",
        });
        if let Verdict::Refused(refused) = &verdict {
            app.metrics.uploads_refused.add_one(refused.rule);
            tracing::info!(user = %uploader.user.id, rule = refused.rule, "upload refused");
        }
        if one {
            return single(&uploader, fields, verdict).await;
        }
        answers.push(in_batch(file.name, verdict));
    }
    let count = |verdict: &str| answers.iter().filter(|a| a.verdict == verdict).count();
    uploader.page(&UploadedPage {
        added: count("added"),
        known: count("known"),
        refused: count("refused"),
        results: answers,
    })
}

async fn single(uploader: &Uploader, mut fields: Fields, verdict: Verdict) -> Result<HttpResponse> {
    match verdict {
        Verdict::Added(added) => {
            let dropped = match added.foreign_trackers {
                0 => String::new(),
                1 => " One tracker of another site was dropped.".to_owned(),
                n => format!(" {n} trackers of other sites were dropped."),
            };
            let text = format!(
                "The torrent is in the catalogue.{dropped} Download it from here and seed that file: it carries your announce address."
            );
            Ok(uploader.redirect_with(&url(added.id, &added.title), &Flash::ok(text)))
        }
        Verdict::Known(existing) => {
            let known = KnownLink {
                url: url(existing.id, &existing.title),
                title: existing.title,
            };
            answer(uploader, StatusCode::CONFLICT, fields, None, Some(known)).await
        }
        Verdict::Refused(refused) => {
            fields.files.wrong(refused.sentence);
            let status = if refused.too_large {
                StatusCode::PAYLOAD_TOO_LARGE
            } else {
                StatusCode::UNPROCESSABLE_ENTITY
            };
            answer(uploader, status, fields, None, None).await
        }
    }
}

fn in_batch(file_name: String, verdict: Verdict) -> Answer {
    match verdict {
        Verdict::Added(added) => Answer {
            file_name,
            verdict: "added",
            url: Some(url(added.id, &added.title)),
            download_url: Some(format!("/torrents/{}/download", added.id)),
            title: Some(added.title),
            sentence: "In the catalogue.".to_owned(),
            foreign_trackers: added.foreign_trackers,
        },
        Verdict::Known(existing) => Answer {
            file_name,
            verdict: "known",
            url: Some(url(existing.id, &existing.title)),
            download_url: Some(format!("/torrents/{}/download", existing.id)),
            title: Some(existing.title),
            sentence: "The same infohash is in the catalogue.".to_owned(),
            foreign_trackers: 0,
        },
        Verdict::Refused(refused) => Answer {
            file_name,
            verdict: "refused",
            url: None,
            download_url: None,
            title: None,
            sentence: refused.sentence,
            foreign_trackers: 0,
        },
    }
}

async fn answer(
    uploader: &Uploader,
    status: StatusCode,
    form: Fields,
    preview_html: Option<String>,
    known: Option<KnownLink>,
) -> Result<HttpResponse> {
    let mut conn = uploader.app.db.read().await?;
    let category_groups = category_groups(&mut conn).await?;
    drop(conn);
    let page = UploadPage {
        form,
        category_groups,
        preview_html,
        max_bytes: MAX_BYTES,
        max_files: uploader.app.config.torrents.batch_files,
        private_policy: uploader.settings.private_flag.as_str(),
        known,
    };
    uploader.page_with(status, &page)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewInput {
    description: String,
}

/// `POST /upload/preview`: the description as HTML, for the script.
pub async fn preview(
    _: crate::accounts::Member,
    Form(input): Form<PreviewInput>,
) -> Result<HttpResponse> {
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(markdown::render(&input.description)))
}
