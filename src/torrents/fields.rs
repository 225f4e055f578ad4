//! The fields that an upload and an edit share, from untrusted text to a draft.

use serde::Serialize;

use super::publish::Draft;
use super::{DESCRIPTION_BYTES, Title};
use crate::categories::{self, Group};
use crate::db::Conn;
use crate::error::Result;
use crate::tags;
use crate::web::forms::{Check, Field};

/// The fields as the page shows them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Fields {
    pub errors: Vec<String>,
    pub files: Field,
    pub title: Field,
    pub category: Field,
    pub tags: Field,
    pub description: Field,
    pub anonymous: Check,
}

/// The fields as they were sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub title: String,
    pub category: String,
    pub tags: String,
    pub description: String,
    pub anonymous: bool,
}

impl Fields {
    pub fn of(sent: &Sent) -> Self {
        Self {
            title: Field::new(&sent.title),
            category: Field::new(&sent.category),
            tags: Field::new(&sent.tags),
            description: Field::new(&sent.description),
            anonymous: Check::new(sent.anonymous),
            ..Self::default()
        }
    }

    pub fn has_errors(&self) -> bool {
        let fields = [
            &self.files,
            &self.title,
            &self.category,
            &self.tags,
            &self.description,
        ];
        !self.errors.is_empty() || fields.iter().any(|field| field.error.is_some())
    }

    /// The draft, if every field holds; otherwise the messages are beside the fields.
    pub async fn check(&mut self, conn: &mut Conn) -> Result<Option<Draft>> {
        let title = match self.title.value.trim() {
            "" => None,
            text => Title::parse(text)
                .map_err(|message| self.title.wrong(message))
                .ok(),
        };
        let category = if self.category.value.is_empty() {
            self.category.wrong("Choose a category.");
            None
        } else {
            let found = categories::queries::by_slug(conn, &self.category.value).await?;
            if found.is_none() {
                self.category
                    .wrong("That category is gone. Choose another.");
            }
            found
        };
        let tags = match tags::parse_list(&self.tags.value) {
            Ok(tags) => tags,
            Err(message) => {
                self.tags.wrong(message);
                Vec::new()
            }
        };
        // A browser's line ends, one byte each.
        let description = self.description.value.replace("\r\n", "\n");
        if description.len() > DESCRIPTION_BYTES {
            self.description.wrong(format!(
                "The description is longer than {} KiB.",
                DESCRIPTION_BYTES / 1024
            ));
        }
        if description.contains('\0') {
            self.description
                .wrong("The description has a NUL character in it.");
        }
        if self.has_errors() {
            return Ok(None);
        }
        Ok(category.map(|category| Draft {
            title,
            category: category.id,
            tags,
            description,
            anonymous: self.anonymous.value,
        }))
    }
}

/// The categories as a select shows them.
pub async fn category_groups(conn: &mut Conn) -> Result<Vec<Group>> {
    Ok(categories::tree(conn).await?)
}
