//! Multipart forms: the token first, then fields and files, each with its cap; nothing is kept of what is too much.

use actix_multipart::Multipart;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::{body, forms};
use crate::error::{Error, Result};

/// What one multipart form may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub files: usize,
    pub file_bytes: usize,
}

const TEXT_FIELDS: usize = 32;
/// What is read past the limits, so that the answer reaches a browser that is still sending.
const DRAIN_BYTES: usize = 256 * 1024 * 1024;

/// A file of a form. `too_large` files carry no bytes.
#[derive(Debug)]
pub struct File {
    /// The name the browser gave; hostile.
    pub name: String,
    pub bytes: Bytes,
    pub too_large: bool,
}

#[derive(Debug, Default)]
pub struct Parts {
    fields: Vec<(String, String)>,
    /// In the order they came; empty file inputs are left out.
    pub files: Vec<File>,
}

impl Parts {
    /// The text fields as a form type.
    pub fn form<T: DeserializeOwned>(&mut self) -> Result<T> {
        forms::from_pairs(std::mem::take(&mut self.fields))
    }
}

/// Reads a whole form; refuses it unless its first field is a valid token.
pub async fn read(req: &HttpRequest, payload: web::Payload, limits: Limits) -> Result<Parts> {
    let mut raw = payload.into_inner();
    let multipart = Multipart::from_request(req, &mut raw).await.map_err(|_| {
        Error::UnsupportedMedia(
            "This address takes a form with files (multipart/form-data).".to_owned(),
        )
    })?;
    match tokio::time::timeout(body::UPLOAD_DEADLINE, read_parts(req, multipart, limits)).await {
        Ok(read) => read,
        Err(_) => Err(body::cut()),
    }
}

async fn read_parts(req: &HttpRequest, mut multipart: Multipart, limits: Limits) -> Result<Parts> {
    let mut parts = Parts::default();
    let mut checked = false;
    let mut drained = 0;
    while let Some(field) = multipart.next().await {
        let mut field = field.map_err(|_| not_readable())?;
        let Some(name) = field.name().map(str::to_owned) else {
            return Err(not_readable());
        };
        let file_name = field
            .content_disposition()
            .and_then(|d| d.get_filename().map(str::to_owned));
        let is_file = file_name.is_some();
        let limit = if is_file {
            limits.file_bytes
        } else {
            body::FORM_LIMIT
        };
        if !checked && (is_file || name != "csrf") {
            forms::check_token(req, None)?;
        }
        let mut bytes = BytesMut::new();
        let mut too_large = false;
        while let Some(chunk) = field.next().await {
            let chunk = chunk.map_err(|_| not_readable())?;
            if too_large || bytes.len() + chunk.len() > limit {
                too_large = true;
                bytes.clear();
                drained += chunk.len();
                if drained > DRAIN_BYTES {
                    return Err(too_much());
                }
            } else {
                bytes.extend_from_slice(&chunk);
            }
        }
        match file_name {
            Some(file_name) => {
                if file_name.is_empty() && bytes.is_empty() {
                    continue;
                }
                if parts.files.len() >= limits.files {
                    return Err(Error::TooLarge(format!(
                        "One upload takes {} files at the most. Send the rest in another.",
                        limits.files
                    )));
                }
                parts.files.push(File {
                    name: file_name,
                    bytes: bytes.freeze(),
                    too_large,
                });
            }
            None => {
                if too_large {
                    return Err(Error::TooLarge(format!(
                        "The field `{}` is longer than {} KiB. Shorten it.",
                        name.escape_debug(),
                        body::FORM_LIMIT / 1024
                    )));
                }
                let text = String::from_utf8(bytes.to_vec()).map_err(|_| {
                    Error::BadRequest(format!(
                        "The field `{}` is not UTF-8 text.",
                        name.escape_debug()
                    ))
                })?;
                if !checked {
                    forms::check_token(req, Some(&text))?;
                    checked = true;
                    continue;
                }
                if parts.fields.len() >= TEXT_FIELDS {
                    return Err(Error::BadRequest(
                        "The form has more fields than this page.".to_owned(),
                    ));
                }
                parts.fields.push((name, text));
            }
        }
    }
    if !checked {
        forms::check_token(req, None)?;
    }
    Ok(parts)
}

fn not_readable() -> Error {
    Error::BadRequest(
        "The form could not be read: it ended early or is not valid multipart data. Send it again."
            .to_owned(),
    )
}

fn too_much() -> Error {
    Error::TooLarge("The upload is larger than this site takes.".to_owned())
}
