//! Pages: a template, the page's own struct, and the frame around it that every page shares.

use rust_embed::RustEmbed;
use serde::Serialize;
use tera::{Context, Tera};

use super::assets::AssetUrls;
use super::filters;
use super::flash::Flash;
use crate::clock::Clock;

#[derive(RustEmbed)]
#[folder = "templates/"]
#[include = "*.html"]
#[include = "*.xml"]
#[include = "*.txt"]
struct Sources;

pub struct Templates(Tera);

/// A page: exactly what its template shows.
pub trait Page: Serialize {
    const TEMPLATE: &'static str;
    /// Which entry of the navigation is the current one.
    const SECTION: &'static str = "";
    fn title(&self) -> String;
}

/// What the layout shows around every page; filled by the renderer, never by a handler.
#[derive(Clone, Debug, Serialize)]
pub struct Frame {
    pub site_name: String,
    pub title: String,
    pub theme: String,
    pub path: String,
    pub csrf: String,
    pub asset: AssetUrls,
    pub version: &'static str,
    pub request_id: String,
    pub listing_url: &'static str,
    pub viewer: Option<FrameViewer>,
    pub registration: String,
    pub guests_may_look: bool,
    pub search_words: String,
    pub flash: Vec<Flash>,
    pub section: &'static str,
    pub elapsed_ms: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FrameViewer {
    pub name: String,
    pub role: &'static str,
    pub is_moderator: bool,
    pub is_admin: bool,
    pub may_upload: bool,
    pub initial: String,
}

#[derive(Serialize)]
struct Whole<'a, P: Serialize> {
    frame: &'a Frame,
    page: &'a P,
}

impl Templates {
    /// Parses every embedded template; inheritance, components and filters are checked here.
    pub fn load(clock: Clock) -> anyhow::Result<Self> {
        let mut tera = Tera::new();
        filters::register(&mut tera, clock);
        let sources: Vec<(String, String)> = Sources::iter()
            .filter_map(|name| {
                let file = Sources::get(&name)?;
                Some((
                    name.into_owned(),
                    String::from_utf8_lossy(&file.data).into_owned(),
                ))
            })
            .collect();
        tera.add_raw_templates(sources)?;
        Ok(Self(tera))
    }

    /// Renders a template with `frame` and `page`.
    pub fn render<P: Serialize>(
        &self,
        template: &str,
        frame: &Frame,
        page: &P,
    ) -> anyhow::Result<String> {
        let context = Context::from_serialize(&Whole { frame, page })?;
        Ok(self.0.render(template, &context)?)
    }

    /// Renders a template with a whole context, `{frame, page}`: for samples.
    pub fn render_value(
        &self,
        template: &str,
        context: &serde_json::Value,
    ) -> anyhow::Result<String> {
        Ok(self
            .0
            .render(template, &Context::from_serialize(context)?)?)
    }

    pub fn names(&self) -> Vec<String> {
        self.0.get_template_names().map(str::to_owned).collect()
    }
}
