//! Form tokens: an HMAC of the session cookie (or of a guest's visit cookie), masked anew in every page so that
//! compression tells nothing about it.

use actix_web::HttpRequest;
use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;

use super::cookies::{self, Https};
use crate::secrets::Secrets;

const PURPOSE: &str = "form token";

/// What the token of this request hangs on, if the browser brought anything.
pub fn basis(req: &HttpRequest, https: Https) -> Option<String> {
    cookies::read(req, cookies::SESSION, https)
        .or_else(|| cookies::read(req, cookies::VISIT, https))
        .filter(|value| !value.is_empty())
}

pub fn token(secrets: &Secrets, basis: &str) -> String {
    let mask: [u8; 32] = rand::random();
    let mac = secrets.mac(PURPOSE, basis.as_bytes());
    let mut both = mask.to_vec();
    both.extend(mask.iter().zip(mac).map(|(m, t)| m ^ t));
    BASE64URL_NOPAD.encode(&both)
}

pub fn holds(secrets: &Secrets, basis: &str, token: &str) -> bool {
    let Ok(both) = BASE64URL_NOPAD.decode(token.as_bytes()) else {
        return false;
    };
    let Some((mask, masked)) = both.split_at_checked(32) else {
        return false;
    };
    let mac = secrets.mac(PURPOSE, basis.as_bytes());
    let unmasked: Vec<u8> = mask.iter().zip(masked).map(|(m, t)| m ^ t).collect();
    masked.len() == 32 && bool::from(unmasked.ct_eq(&mac))
}
