//! `GET /style`: every part of the interface in every state, light and dark side by side.

use actix_web::HttpResponse;
use serde::Serialize;

use crate::accounts::Visit;
use crate::error::Result;
use crate::web::render::Page;

#[derive(Serialize)]
struct StylePage {}

impl Page for StylePage {
    const TEMPLATE: &'static str = "style.html";
    fn title(&self) -> String {
        "Style".to_owned()
    }
}

pub async fn page(visit: Visit) -> Result<HttpResponse> {
    visit.page(&StylePage {})
}
