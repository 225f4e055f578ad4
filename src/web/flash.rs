//! A message that survives one redirect, in a signed cookie.

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::cookies::{self, Https};
use crate::secrets::Secrets;

const PURPOSE: &str = "flash";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flash {
    /// `ok`, `warn` or `error`.
    pub kind: String,
    pub text: String,
}

impl Flash {
    pub fn ok(text: impl Into<String>) -> Self {
        Self {
            kind: "ok".to_owned(),
            text: text.into(),
        }
    }

    pub fn warn(text: impl Into<String>) -> Self {
        Self {
            kind: "warn".to_owned(),
            text: text.into(),
        }
    }
}

pub fn cookie(secrets: &Secrets, flash: &Flash, https: Https) -> Option<Cookie<'static>> {
    let body = serde_json::to_vec(flash).ok()?;
    let mut signed = secrets.mac(PURPOSE, &body).to_vec();
    signed.extend(body);
    Some(cookies::build(
        cookies::FLASH,
        BASE64URL_NOPAD.encode(&signed),
        https,
        Some(60),
    ))
}

pub fn read(req: &HttpRequest, secrets: &Secrets, https: Https) -> Option<Flash> {
    let value = cookies::read(req, cookies::FLASH, https)?;
    let signed = BASE64URL_NOPAD.decode(value.as_bytes()).ok()?;
    let (mac, body) = signed.split_at_checked(32)?;
    if !bool::from(secrets.mac(PURPOSE, body).ct_eq(mac)) {
        return None;
    }
    serde_json::from_slice(body).ok()
}
