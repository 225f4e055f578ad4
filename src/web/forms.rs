//! Forms: read with limits, refused without a valid token, and never with fields nobody asked for.

use std::future::Future;
use std::pin::Pin;

use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, dev, web};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::{body, csrf};
use crate::app::App;
use crate::error::{Error, Result};

/// A urlencoded form whose token has been checked. `T` should deny unknown fields.
pub struct Form<T>(pub T);

/// A field as a template shows it: what was typed, and what is wrong with it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Field {
    pub value: String,
    pub error: Option<String>,
}

/// A checkbox as a template shows it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Check {
    pub value: bool,
    pub error: Option<String>,
}

impl Field {
    pub fn new(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            error: None,
        }
    }

    pub fn wrong(&mut self, message: impl Into<String>) {
        self.error.get_or_insert(message.into());
    }
}

impl Check {
    pub fn new(value: bool) -> Self {
        Self { value, error: None }
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Form<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(req: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let req = req.clone();
        let payload = web::Payload::from_request(&req, payload).into_inner();
        Box::pin(async move {
            let is_form = req
                .headers()
                .get(header::CONTENT_TYPE)
                .and_then(|v| v.to_str().ok())
                .is_some_and(|v| v.starts_with("application/x-www-form-urlencoded"));
            if !is_form {
                return Err(Error::UnsupportedMedia(
                    "This address takes a form (application/x-www-form-urlencoded).".to_owned(),
                ));
            }
            let payload = payload.map_err(|_| body::cut())?;
            let text = body::read(payload, body::FORM_LIMIT).await?;
            let mut pairs: Vec<(String, String)> =
                serde_urlencoded::from_bytes(&text).map_err(|_| not_readable())?;
            check_token(
                &req,
                pairs
                    .iter()
                    .find(|(name, _)| name == "csrf")
                    .map(|(_, value)| value.as_str()),
            )?;
            pairs.retain(|(name, _)| name != "csrf");
            from_pairs(pairs).map(Self)
        })
    }
}

/// Pairs into a form type; a field too many, too few or twice is said by name, and so is one with a NUL in it, which
/// Postgres cannot keep.
pub fn from_pairs<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T> {
    if let Some((name, _)) = pairs.iter().find(|(_, value)| value.contains('\0')) {
        return Err(Error::BadRequest(format!(
            "The field `{}` has a NUL character in it. Take it out and send the form again.",
            name.escape_debug()
        )));
    }
    let text = serde_urlencoded::to_string(pairs).map_err(|_| not_readable())?;
    serde_urlencoded::from_str(&text)
        .map_err(|e| Error::BadRequest(format!("The form does not fit this page: {e}.")))
}

/// Refuses a POST whose form token is missing or another session's.
pub fn check_token(req: &HttpRequest, token: Option<&str>) -> Result<()> {
    let app = App::of(req)?;
    let valid = token
        .zip(csrf::basis(req, app.https()))
        .is_some_and(|(token, basis)| csrf::holds(&app.secrets, &basis, token));
    if valid {
        Ok(())
    } else {
        Err(Error::Forbidden(
            "This form has expired, or did not come from this site. Go back, reload the page and send it again."
                .to_owned(),
        ))
    }
}

/// For `#[serde(default, deserialize_with = "checkbox")]`: present means ticked.
pub fn checkbox<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(!matches!(text.as_str(), "" | "0" | "false" | "off"))
}

fn not_readable() -> Error {
    Error::BadRequest("The form could not be read: it is not valid UTF-8 form data.".to_owned())
}
