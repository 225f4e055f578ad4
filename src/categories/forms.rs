//! The category's form.

use serde::{Deserialize, Serialize};

use super::queries::{NewCategory, SaveError};
use super::{Category, ICONS, Slug, TORZNAB, queries};
use crate::db::Conn;
use crate::ids::CategoryId;
use crate::web::forms::Field;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    name: String,
    slug: String,
    description: String,
    parent: String,
    torznab: String,
    /// Absent where no button was pressed.
    #[serde(default)]
    icon: String,
}

/// The form as the page shows it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Shown {
    pub errors: Vec<String>,
    pub name: Field,
    pub slug: Field,
    pub description: Field,
    /// The parent's slug; empty for the top level.
    pub parent: Field,
    pub torznab: Field,
    pub icon: Field,
}

/// What the form says, all of it checked.
pub struct Checked {
    pub parent_id: Option<CategoryId>,
    pub slug: Slug,
    pub name: String,
    pub description: String,
    pub icon: String,
    pub torznab: i64,
}

impl Checked {
    pub fn new_category(&self) -> NewCategory<'_> {
        NewCategory {
            parent_id: self.parent_id,
            slug: &self.slug,
            name: &self.name,
            description: &self.description,
            icon: &self.icon,
            torznab: self.torznab,
        }
    }
}

impl Shown {
    pub fn empty() -> Self {
        Self {
            icon: Field::new("folder"),
            ..Self::default()
        }
    }

    pub fn of(category: &Category, parent: Option<&Category>) -> Self {
        Self {
            errors: Vec::new(),
            name: Field::new(&category.name),
            slug: Field::new(&category.slug),
            description: Field::new(&category.description),
            parent: Field::new(parent.map(|p| p.slug.clone()).unwrap_or_default()),
            torznab: Field::new(category.torznab.to_string()),
            icon: Field::new(&category.icon),
        }
    }

    /// Puts a refused save beside its field; what is no refusal comes back.
    pub fn refuse(&mut self, error: SaveError) -> Result<(), sqlx::Error> {
        let message = error.to_string();
        match error {
            SaveError::SlugTaken => self.slug.wrong(message),
            SaveError::ParentNotTop | SaveError::HasChildren => self.parent.wrong(message),
            SaveError::Database(e) => return Err(e),
        }
        Ok(())
    }

    fn is_fine(&self) -> bool {
        [
            &self.name,
            &self.slug,
            &self.description,
            &self.parent,
            &self.torznab,
            &self.icon,
        ]
        .iter()
        .all(|field| field.error.is_none())
    }
}

impl Input {
    /// The category, or none where the form says what is wrong; the form comes back either way, for a slug that
    /// turns out to be taken.
    pub async fn check(
        self,
        conn: &mut Conn,
        itself: Option<CategoryId>,
    ) -> Result<(Shown, Option<Checked>), sqlx::Error> {
        let mut shown = Shown {
            errors: Vec::new(),
            name: Field::new(self.name.trim()),
            slug: Field::new(self.slug.trim()),
            description: Field::new(self.description.trim()),
            parent: Field::new(self.parent),
            torznab: Field::new(self.torznab.trim()),
            icon: Field::new(self.icon),
        };
        check_text(
            &mut shown.name,
            1,
            60,
            "Give the category a name of 1 to 60 characters.",
        );
        check_text(
            &mut shown.description,
            0,
            300,
            "A description has at most 300 characters, on one line.",
        );
        let from_name = shown.slug.value.is_empty();
        let source = if from_name { &shown.name } else { &shown.slug };
        let slug = match Slug::parse(&source.value) {
            Ok(slug) => Some(slug),
            Err(_) if from_name => {
                shown.slug.wrong(
                    "The name gives no slug. Write one of the letters a to z, digits and -.",
                );
                None
            }
            Err(message) => {
                shown.slug.wrong(message);
                None
            }
        };
        let torznab = shown
            .torznab
            .value
            .parse()
            .ok()
            .filter(|number| TORZNAB.contains(number));
        if torznab.is_none() {
            shown
                .torznab
                .wrong("Write a Torznab number from 1000 to 199999.");
        }
        if !ICONS.contains(&shown.icon.value.as_str()) {
            shown.icon.wrong("Choose one of the icons.");
        }
        let parent = match shown.parent.value.as_str() {
            "" => None,
            slug if slug.contains('\0') => None,
            slug => queries::by_slug(conn, slug).await?,
        };
        match &parent {
            Some(parent) if Some(parent.id) == itself => {
                shown.parent.wrong("A category cannot be below itself.");
            }
            None if !shown.parent.value.is_empty() => shown
                .parent
                .wrong("There is no such category. Choose one of the top level, or none."),
            _ => {}
        }
        let (Some(slug), Some(torznab), true) = (slug, torznab, shown.is_fine()) else {
            return Ok((shown, None));
        };
        let checked = Checked {
            parent_id: parent.map(|parent| parent.id),
            slug,
            name: shown.name.value.clone(),
            description: shown.description.value.clone(),
            icon: shown.icon.value.clone(),
            torznab,
        };
        Ok((shown, Some(checked)))
    }
}

fn check_text(field: &mut Field, least: usize, most: usize, message: &'static str) {
    let length = field.value.chars().count();
    if !(least..=most).contains(&length) || field.value.chars().any(char::is_control) {
        field.wrong(message);
    }
}
