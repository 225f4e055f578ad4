//! Every URL of the site, grouped as the site is, with who may reach it. The only file that knows all features.

use actix_web::web::ServiceConfig;
use actix_web::{guard, web};

/// Who may reach a route; the handler's extractor is what enforces it, a test compares the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, also before the site is set up.
    Anyone,
    /// Whoever may look: members, or everyone where the settings say so.
    Viewer,
    /// Whoever may look, told by a feed key instead of a cookie.
    Feed,
    /// A member, told so.
    FeedKey,
    /// Whoever may download.
    Downloader,
    Member,
    Uploader,
    Moderator,
    Admin,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub method: &'static str,
    pub pattern: &'static str,
    pub access: Access,
}

macro_rules! routes {
    ($($method:ident $pattern:literal, $access:ident => $handler:path;)+) => {
        /// The table as data: the tests walk it by role and ownership.
        pub const ROUTES: &[Route] = &[
            $(Route { method: stringify!($method), pattern: $pattern, access: Access::$access }),+
        ];

        /// What torrent clients ask thousands of times a second. It answers whatever comes in its own way, and goes
        /// without what pages are wrapped in.
        pub fn clients(site: &mut ServiceConfig) {
            $(if is_announce($pattern) {
                site.route($pattern, $method().to($handler));
            })+
        }

        /// The rest of the table as the router.
        pub fn pages(site: &mut ServiceConfig) {
            $(if !is_announce($pattern) {
                site.route($pattern, $method().to($handler));
            })+
        }
    };
}

/// HEAD is GET without the body, which the server leaves away by itself.
fn get() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn post() -> actix_web::Route {
    web::post()
}

use crate::accounts::{login, password, register, setup, theme};
use crate::bookmarks::pages as bookmarks;
use crate::categories::pages as categories;
use crate::feeds::pages as feeds;
use crate::health;
use crate::members::{admin as members, invites, profile, show as member};
use crate::moderation::pages as moderation;
use crate::saved::pages as saved;
use crate::settings::pages as settings;
use crate::style;
use crate::tags::pages as tags;
use crate::torrents::{browse, delete, download, edit, show, upload};
use crate::tracker::embedded::announce;
use crate::tracker::pages as tracker;
use crate::web::assets;
use crate::web::errors::is_announce;

routes! {
    // Files of the interface.
    get "/static/{hash}/{name:.*}", Anyone => assets::file;
    get "/favicon.ico", Anyone => assets::favicon;
    get "/favicon.svg", Anyone => assets::favicon;

    // For balancers and containers.
    get "/health/live", Anyone => health::live;
    get "/health/ready", Anyone => health::ready;

    get "/style", Anyone => style::page;

    // Accounts.
    get "/setup/{token}", Anyone => setup::form;
    post "/setup/{token}", Anyone => setup::submit;
    get "/login", Anyone => login::form;
    post "/login", Anyone => login::submit;
    post "/logout", Member => login::logout;
    get "/register", Anyone => register::form;
    post "/register", Anyone => register::submit;
    get "/invite/{token}", Anyone => register::invited;
    get "/profile/password", Member => password::form;
    post "/profile/password", Member => password::submit;
    post "/theme", Anyone => theme::submit;

    get "/profile", Member => profile::page;
    post "/profile/passkey", Member => profile::reset_passkey;
    post "/profile/feed-key", Member => profile::reset_feed_key;
    post "/profile/sessions/{handle}/revoke", Member => profile::revoke_session;
    get "/members/{name}", Viewer => member::page;

    // The catalogue.
    get "/", Viewer => browse::listing;
    get "/torrents", Viewer => browse::listing;
    get "/torrents/{id}", Viewer => show::torrent;
    get "/t/{infohash}", Viewer => show::by_infohash;
    get "/torrents/{id}/download", Downloader => download::torrent;
    get "/torrents/{id}/download.torrent", FeedKey => download::by_token;
    get "/torrents/{id}/magnet", Downloader => download::magnet_link;
    get "/torrents/{id}/edit", Member => edit::form;
    post "/torrents/{id}/edit", Member => edit::submit;
    get "/torrents/{id}/delete", Member => delete::form;
    post "/torrents/{id}/delete", Member => delete::submit;
    get "/upload", Uploader => upload::form;
    post "/upload", Uploader => upload::submit;
    post "/upload/preview", Member => upload::preview;

    // What members keep.
    get "/bookmarks", Member => bookmarks::page;
    post "/bookmarks", Member => bookmarks::change;
    get "/saved", Member => saved::list;
    post "/saved", Member => saved::create;
    get "/saved/{id}", Member => saved::open;
    post "/saved/{id}/rename", Member => saved::rename;
    post "/saved/{id}/delete", Member => saved::delete;

    // Feed readers.
    get "/torrents.rss", Feed => feeds::listing;
    get "/bookmarks.rss", FeedKey => feeds::marked;

    // Torrent clients.
    get "/announce", Anyone => announce::announce;
    get "/announce/{passkey}", Anyone => announce::announce;
    get "/scrape", Anyone => announce::scrape;
    get "/scrape/{passkey}", Anyone => announce::scrape;

    // Moderation.
    get "/moderation/categories", Moderator => categories::list;
    post "/moderation/categories", Moderator => categories::create;
    get "/moderation/categories/{id}", Moderator => categories::form;
    post "/moderation/categories/{id}", Moderator => categories::update;
    post "/moderation/categories/{id}/up", Moderator => categories::up;
    post "/moderation/categories/{id}/down", Moderator => categories::down;
    post "/moderation/categories/{id}/merge", Moderator => categories::merge;
    post "/moderation/categories/{id}/delete", Moderator => categories::delete;
    get "/moderation/tags", Moderator => tags::list;
    post "/moderation/tags/{id}/rename", Moderator => tags::rename;
    post "/moderation/tags/{id}/alias", Moderator => tags::add_alias;
    post "/moderation/tags/{id}/aliases/{alias}/delete", Moderator => tags::remove_alias;
    post "/moderation/tags/{id}/merge", Moderator => tags::merge;
    post "/moderation/tags/{id}/delete", Moderator => tags::delete;
    post "/moderation/members/{id}/ban", Moderator => members::ban;
    post "/moderation/members/{id}/unban", Moderator => members::unban;

    // Administration.
    get "/admin/settings", Admin => settings::form;
    post "/admin/settings", Admin => settings::submit;
    get "/admin/members", Admin => members::list;
    post "/admin/members/{id}/role", Admin => members::set_role;
    get "/admin/invites", Admin => invites::list;
    post "/admin/invites", Admin => invites::create;
    post "/admin/invites/{id}/revoke", Admin => invites::revoke;
    get "/admin/tracker", Admin => tracker::page;
    post "/admin/tracker/messages/{id}/retry", Admin => tracker::retry;
    post "/admin/tracker/retry", Admin => tracker::retry_all;
    post "/admin/tracker/resync", Admin => tracker::resync;
    get "/admin/log", Admin => moderation::log;
}
