//! The log's page.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::log::{self, Action, Logged};
use crate::accounts::Admin;
use crate::error::Result;
use crate::web::filters::urlencode;
use crate::web::pager::{Pager, Seek, counted, link};
use crate::web::render::Page;

const ROWS: i64 = 50;

#[derive(Serialize)]
struct LogPage {
    total_text: String,
    pager: Pager,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    at: i64,
    actor: Option<Actor>,
    action: String,
    target: Option<Target>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Actor {
    name: String,
    url: String,
}

#[derive(Serialize)]
struct Target {
    text: String,
    url: Option<String>,
}

impl Page for LogPage {
    const TEMPLATE: &'static str = "admin/log.html";
    const SECTION: &'static str = "admin";
    fn title(&self) -> String {
        "Log".to_owned()
    }
}

#[derive(Deserialize)]
pub struct Query {
    after: Option<i64>,
    before: Option<i64>,
}

/// `GET /admin/log`
pub async fn log(admin: Admin, query: web::Query<Query>) -> Result<HttpResponse> {
    let seek = Seek::of(query.after, query.before);
    let mut conn = admin.app.db.read().await?;
    let rows = log::list(&mut conn, &seek, ROWS + 1).await?;
    let total = log::count(&mut conn).await?;
    drop(conn);
    let (rows, pager) = seek.cut(rows, ROWS as usize, |at| match at {
        Some((parameter, row)) => link("/admin/log", &[(parameter, &row.id.to_string())]),
        None => "/admin/log".to_owned(),
    });
    admin.page(&LogPage {
        total_text: counted(total, "entry", "entries"),
        pager,
        rows: rows.into_iter().map(Row::of).collect(),
    })
}

impl Row {
    fn of(entry: Logged) -> Self {
        let url = match (entry.subject_kind.as_str(), entry.subject_id) {
            ("torrent", Some(id)) => Some(format!("/torrents/{id}")),
            ("user", Some(_)) => Some(format!("/members/{}", urlencode(&entry.subject_name))),
            ("category", Some(id)) if entry.category_lives => {
                Some(format!("/moderation/categories/{id}"))
            }
            ("tag", Some(_)) => Some(link("/moderation/tags", &[("q", &entry.subject_name)])),
            ("invite", Some(_)) => Some("/admin/invites".to_owned()),
            _ => None,
        };
        let action = Action::ALL
            .iter()
            .find(|action| action.as_str() == entry.action)
            .map_or(entry.action, |action| action.phrase().to_owned());
        Self {
            at: entry.at.0,
            actor: entry.actor_name.map(|name| Actor {
                url: format!("/members/{}", urlencode(&name)),
                name,
            }),
            action,
            target: Some(entry.subject_name)
                .filter(|name| !name.is_empty())
                .map(|text| Target { text, url }),
            reason: Some(entry.reason).filter(|reason| !reason.is_empty()),
        }
    }
}
