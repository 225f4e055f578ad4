//! The moderators' pages: the tree, a category's form, moving, merging, deleting.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::forms::{Input, Shown};
use super::merge::{self, Ending};
use super::{Category, Choice, ICONS, queries};
use crate::accounts::Moderator;
use crate::db::{Conn, Tx};
use crate::error::{Error, Result};
use crate::ids::CategoryId;
use crate::moderation::log::{self, Action, Entry, Subject};
use crate::moderation::steps;
use crate::web::filters::number;
use crate::web::flash::Flash;
use crate::web::forms::{Field, Form};
use crate::web::pager::counted;
use crate::web::render::Page;

const LIST: &str = "/moderation/categories";

#[derive(Serialize)]
struct ListPage {
    tree: Vec<Node>,
    form: Shown,
    parents: Vec<Choice>,
    icons: &'static [&'static str],
}

#[derive(Serialize)]
struct Node {
    id: CategoryId,
    name: String,
    slug: String,
    icon: String,
    description: String,
    torznab: i64,
    count: i64,
    url: String,
    edit_url: String,
    up_action: Option<String>,
    down_action: Option<String>,
    children: Vec<Node>,
}

impl Page for ListPage {
    const TEMPLATE: &'static str = "moderation/categories.html";
    const SECTION: &'static str = "moderation";
    fn title(&self) -> String {
        "Categories".to_owned()
    }
}

#[derive(Serialize)]
struct EditPage {
    category: Edited,
    action: String,
    form: Shown,
    parents: Vec<Choice>,
    icons: &'static [&'static str],
    merge: Fate,
    delete: Fate,
}

#[derive(Serialize)]
struct Edited {
    id: CategoryId,
    name: String,
    count: i64,
    children: i64,
}

/// A form that ends the category.
#[derive(Serialize)]
struct Fate {
    action: Option<String>,
    form: TargetForm,
    options: Vec<Choice>,
    refusal: Option<String>,
}

#[derive(Default, Serialize)]
struct TargetForm {
    errors: Vec<String>,
    target: Field,
}

impl Page for EditPage {
    const TEMPLATE: &'static str = "moderation/category.html";
    const SECTION: &'static str = "moderation";
    fn title(&self) -> String {
        self.category.name.clone()
    }
}

/// `GET /moderation/categories`
pub async fn list(moderator: Moderator) -> Result<HttpResponse> {
    let page = list_page(&moderator, Shown::empty()).await?;
    moderator.page(&page)
}

/// `POST /moderation/categories`
pub async fn create(moderator: Moderator, Form(input): Form<Input>) -> Result<HttpResponse> {
    let mut tx = moderator.app.db.write().await?;
    let (mut form, checked) = input.check(&mut tx, None).await?;
    if let Some(checked) = checked {
        match queries::insert(&mut tx, &checked.new_category()).await {
            Ok(id) => {
                let subject = Subject::category(id, &checked.name);
                note(&mut tx, &moderator, Action::CategoryCreated, subject, "").await?;
                tx.commit().await?;
                let flash = Flash::ok(format!("The category {} is there.", checked.name));
                return Ok(moderator.redirect_with(LIST, &flash));
            }
            Err(error) => form.refuse(error)?,
        }
    }
    drop(tx);
    let page = list_page(&moderator, form).await?;
    moderator.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// `GET /moderation/categories/{id}`
pub async fn form(moderator: Moderator, id: web::Path<i64>) -> Result<HttpResponse> {
    let mut conn = moderator.app.db.read().await?;
    let category = find(&mut conn, *id).await?;
    let page = edit_page(&mut conn, category, None).await?;
    drop(conn);
    moderator.page(&page)
}

/// `POST /moderation/categories/{id}`
pub async fn update(
    moderator: Moderator,
    id: web::Path<i64>,
    Form(input): Form<Input>,
) -> Result<HttpResponse> {
    let mut tx = moderator.app.db.write().await?;
    let category = find(&mut tx, *id).await?;
    let (mut form, checked) = input.check(&mut tx, Some(category.id)).await?;
    if let Some(checked) = checked {
        match queries::update(&mut tx, &category, &checked.new_category()).await {
            Ok(()) => {
                let renamed = if category.name == checked.name {
                    String::new()
                } else {
                    format!("now {}", checked.name)
                };
                let subject = Subject::category(category.id, &category.name);
                note(
                    &mut tx,
                    &moderator,
                    Action::CategoryChanged,
                    subject,
                    &renamed,
                )
                .await?;
                tx.commit().await?;
                let flash = Flash::ok(format!("{} is saved.", checked.name));
                return Ok(moderator.redirect_with(LIST, &flash));
            }
            Err(error) => form.refuse(error)?,
        }
    }
    drop(tx);
    let mut conn = moderator.app.db.read().await?;
    let page = edit_page(&mut conn, category, Some(form)).await?;
    drop(conn);
    moderator.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// `POST /moderation/categories/{id}/up`
pub async fn up(
    moderator: Moderator,
    id: web::Path<i64>,
    _: Form<Nothing>,
) -> Result<HttpResponse> {
    let mut tx = moderator.app.db.write().await?;
    let category = find(&mut tx, *id).await?;
    queries::move_up(&mut tx, &category).await?;
    moved(&moderator, tx, &category, "up").await
}

/// `POST /moderation/categories/{id}/down`
pub async fn down(
    moderator: Moderator,
    id: web::Path<i64>,
    _: Form<Nothing>,
) -> Result<HttpResponse> {
    let mut tx = moderator.app.db.write().await?;
    let category = find(&mut tx, *id).await?;
    queries::move_down(&mut tx, &category).await?;
    moved(&moderator, tx, &category, "down").await
}

async fn moved(
    moderator: &Moderator,
    mut tx: Tx,
    category: &Category,
    way: &str,
) -> Result<HttpResponse> {
    let subject = Subject::category(category.id, &category.name);
    note(&mut tx, moderator, Action::CategoryMoved, subject, way).await?;
    tx.commit().await?;
    Ok(moderator.redirect(LIST))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    #[serde(default)]
    target: String,
}

/// `POST /moderation/categories/{id}/merge`
pub async fn merge(
    moderator: Moderator,
    id: web::Path<i64>,
    Form(input): Form<Target>,
) -> Result<HttpResponse> {
    let mut conn = moderator.app.db.read().await?;
    let from = find(&mut conn, *id).await?;
    let into = target(&mut conn, &input.target).await?;
    let Some(into) = into else {
        let message = "Choose the category to merge into.".to_owned();
        let mut page = edit_page(&mut conn, from, None).await?;
        page.merge.form.refuse(input.target, message);
        return moderator.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let ending = Ending::merge(
        from.clone(),
        into,
        moderator.user.id,
        moderator.app.clock.now(),
    );
    if let Some(message) = ending.refusal() {
        let mut page = edit_page(&mut conn, from, None).await?;
        page.merge.form.refuse(input.target, message);
        return moderator.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    drop(conn);
    end(&moderator, ending).await
}

/// `POST /moderation/categories/{id}/delete`
pub async fn delete(
    moderator: Moderator,
    id: web::Path<i64>,
    Form(input): Form<Target>,
) -> Result<HttpResponse> {
    let mut conn = moderator.app.db.read().await?;
    let from = find(&mut conn, *id).await?;
    let into = target(&mut conn, &input.target).await?;
    let mut page = edit_page(&mut conn, from.clone(), None).await?;
    drop(conn);
    let ending = Ending::delete(from, into, moderator.user.id, moderator.app.clock.now());
    let message = if page.category.children > 0 {
        page.delete.refusal.clone()
    } else if ending.into.is_none() && (page.category.count > 0 || !input.target.is_empty()) {
        Some("Choose where its torrents go.".to_owned())
    } else {
        ending.refusal()
    };
    if let Some(message) = message {
        page.delete.form.refuse(input.target, message);
        return moderator.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    end(&moderator, ending).await
}

async fn end(moderator: &Moderator, ending: Ending) -> Result<HttpResponse> {
    let name = ending.from.name.clone();
    let into = ending.into.as_ref().map(|into| into.name.clone());
    let app = moderator.app.clone();
    let moved = steps::detached(async move { merge::run(&app, &ending).await }).await?;
    let flash = match (moved, into) {
        (None, _) => Flash::warn(format!(
            "Many torrents are on their way out of {name}. It goes when the last has moved; should it still be here \
             later, do it again."
        )),
        (Some(moved), Some(into)) if moved > 0 => Flash::ok(format!(
            "{name} is gone; {} moved to {into}.",
            counted(moved, "torrent", "torrents")
        )),
        (Some(_), _) => Flash::ok(format!("{name} is gone.")),
    };
    Ok(moderator.redirect_with(LIST, &flash))
}

impl TargetForm {
    fn refuse(&mut self, value: String, message: String) {
        self.target = Field::new(value);
        self.target.wrong(message);
    }
}

async fn find(conn: &mut Conn, id: i64) -> Result<Category> {
    queries::by_id(conn, CategoryId(id))
        .await?
        .ok_or(Error::NotFound)
}

async fn target(conn: &mut Conn, slug: &str) -> Result<Option<Category>> {
    if slug.is_empty() || slug.contains('\0') {
        return Ok(None);
    }
    Ok(queries::by_slug(conn, slug).await?)
}

async fn note(
    tx: &mut Tx,
    moderator: &Moderator,
    action: Action,
    subject: Subject,
    reason: &str,
) -> Result<()> {
    let entry = Entry {
        at: moderator.app.clock.now(),
        actor: Some(moderator.user.id),
        action,
        subject,
        reason: reason.to_owned(),
    };
    Ok(log::record(tx, &entry).await?)
}

async fn list_page(moderator: &Moderator, form: Shown) -> Result<ListPage> {
    let mut conn = moderator.app.db.read().await?;
    let all = queries::all(&mut conn).await?;
    let counts = queries::counts(&mut conn).await?;
    Ok(ListPage {
        tree: nodes(&all, None, &counts),
        form,
        parents: tops(&all, None),
        icons: &ICONS,
    })
}

fn nodes(
    all: &[Category],
    parent: Option<CategoryId>,
    counts: &HashMap<CategoryId, i64>,
) -> Vec<Node> {
    let siblings: Vec<&Category> = all.iter().filter(|c| c.parent_id == parent).collect();
    let last = siblings.len().saturating_sub(1);
    siblings
        .iter()
        .enumerate()
        .map(|(place, category)| {
            let edit_url = format!("{LIST}/{}", category.id);
            Node {
                id: category.id,
                name: category.name.clone(),
                slug: category.slug.clone(),
                icon: category.icon.clone(),
                description: category.description.clone(),
                torznab: category.torznab,
                count: counts.get(&category.id).copied().unwrap_or(0),
                url: category.url(),
                up_action: (place > 0).then(|| format!("{edit_url}/up")),
                down_action: (place < last).then(|| format!("{edit_url}/down")),
                edit_url,
                children: match parent {
                    None => nodes(all, Some(category.id), counts),
                    Some(_) => Vec::new(),
                },
            }
        })
        .collect()
}

/// The top level as choices, without one.
fn tops(all: &[Category], but: Option<CategoryId>) -> Vec<Choice> {
    all.iter()
        .filter(|c| c.parent_id.is_none() && Some(c.id) != but)
        .map(Choice::of)
        .collect()
}

async fn edit_page(conn: &mut Conn, category: Category, form: Option<Shown>) -> Result<EditPage> {
    let all = queries::all(conn).await?;
    let count = queries::count(conn, category.id).await?;
    let name_of = |id| all.iter().find(|c| Some(c.id) == id);
    let parent = name_of(category.parent_id);
    let below = all
        .iter()
        .filter(|c| c.parent_id == Some(category.id))
        .count();
    let children = i64::try_from(below).unwrap_or(i64::MAX);
    let options: Vec<Choice> = all
        .iter()
        .filter(|c| c.id != category.id && c.parent_id != Some(category.id))
        .map(|c| Choice {
            value: c.slug.clone(),
            label: match name_of(c.parent_id) {
                Some(parent) => format!("{} › {}", parent.name, c.name),
                None => c.name.clone(),
            },
        })
        .collect();
    let action = format!("{LIST}/{}", category.id);
    let refusal = match (children, options.is_empty() && count > 0) {
        (0, false) => None,
        (0, true) => Some(
            "It is the only category and torrents are filed under it: make another for them first."
                .to_owned(),
        ),
        (1, _) => Some(
            "A category is below this one: move or delete it first, or merge this one, which takes it along."
                .to_owned(),
        ),
        (many, _) => Some(format!(
            "{} categories are below this one: move or delete them first, or merge this one, which takes them along.",
            number(many)
        )),
    };
    Ok(EditPage {
        form: form.unwrap_or_else(|| Shown::of(&category, parent)),
        parents: tops(&all, Some(category.id)),
        icons: &ICONS,
        merge: Fate {
            action: (!options.is_empty()).then(|| format!("{action}/merge")),
            form: TargetForm::default(),
            options: options.clone(),
            refusal: None,
        },
        delete: Fate {
            action: refusal.is_none().then(|| format!("{action}/delete")),
            form: TargetForm::default(),
            options,
            refusal,
        },
        action,
        category: Edited {
            id: category.id,
            name: category.name,
            count,
            children,
        },
    })
}
