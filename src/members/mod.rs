//! Members as people see them: one's own profile, the public page, and what moderators and admins may do to whom.
//! Pages over `accounts`; `standing` is where roles and bans change.

pub mod admin;
pub mod agent;
pub mod invites;
pub mod profile;
pub mod queries;
pub mod show;
pub mod standing;
pub mod uploads;

use crate::web::filters::urlencode;

/// A member's public page.
pub fn url(name: &str) -> String {
    format!("/members/{}", urlencode(name))
}
