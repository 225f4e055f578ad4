//! Cookies as this site sets them: HttpOnly, SameSite=Lax, and `__Host-` with Secure where the site is https.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};

/// The session of a member.
pub const SESSION: &str = "seedbank";
/// What a guest's form tokens hang on.
pub const VISIT: &str = "seedbank_visit";
pub const FLASH: &str = "seedbank_flash";
/// Read by the server to render the right colours, written by the script too; so not HttpOnly.
pub const THEME: &str = "theme";

/// Whether cookies are Secure; decided by the site's URL, put into the request by the application.
#[derive(Clone, Copy, Debug)]
pub struct Https(pub bool);

pub fn name(base: &str, https: Https) -> String {
    if https.0 {
        format!("__Host-{base}")
    } else {
        base.to_owned()
    }
}

pub fn read(req: &HttpRequest, base: &str, https: Https) -> Option<String> {
    req.cookie(&name(base, https)).map(|c| c.value().to_owned())
}

pub fn build(base: &str, value: String, https: Https, max_age_s: Option<i64>) -> Cookie<'static> {
    let mut cookie = Cookie::build(name(base, https), value)
        .path("/")
        .http_only(true)
        .secure(https.0)
        .same_site(SameSite::Lax);
    if let Some(seconds) = max_age_s {
        cookie = cookie.max_age(Duration::seconds(seconds));
    }
    cookie.finish()
}

/// Takes a cookie away.
pub fn remove(base: &str, https: Https) -> Cookie<'static> {
    build(base, String::new(), https, Some(0))
}
