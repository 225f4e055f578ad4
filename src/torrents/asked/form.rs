//! The filter form's view of a question. What the form has no field for stays in its text field.

use serde::Serialize;

use super::{Asked, kind_of, needy};
use crate::categories::{Choice, Group};
use crate::search::language::{Field, Node};
use crate::web::forms;

#[derive(Clone, Debug, Default, Serialize)]
pub struct FormView {
    pub needs_seeds: bool,
    pub q: forms::Field,
    pub category: forms::Field,
    pub categories: Vec<Group>,
    pub tag: forms::Field,
    pub any: forms::Field,
    pub none: forms::Field,
    pub size_min: forms::Field,
    pub size_max: forms::Field,
    pub after: forms::Field,
    pub before: forms::Field,
    pub seeders: forms::Field,
    pub seeders_choices: Vec<Choice>,
    pub kind: forms::Field,
    pub kinds: Vec<Choice>,
    pub user: forms::Field,
    /// The order goes along as it is.
    pub sort: Option<&'static str>,
    pub order: Option<&'static str>,
}

impl Asked {
    pub fn form(&self, categories: Vec<Group>) -> FormView {
        let mut form = FormView {
            categories,
            seeders_choices: vec![choice(">0", "At least one"), choice("0", "None")],
            kinds: vec![
                choice("v1", "v1"),
                choice("hybrid", "Hybrid"),
                choice("v2", "v2"),
            ],
            sort: self.sort_chosen.then(|| self.sort.key.as_str()),
            order: self
                .sort_chosen
                .then_some(if self.sort.descending { "desc" } else { "asc" }),
            ..FormView::default()
        };
        let mut rest = Vec::new();
        for node in &self.nodes {
            if !form.take(node) {
                rest.push(node.clone());
            }
        }
        form.q.value = Node::All(rest).to_string();
        let seeders = &form.seeders.value;
        let offered = form.seeders_choices.iter().any(|c| c.value == *seeders);
        if !seeders.is_empty() && !offered {
            let own = choice(seeders, seeders);
            form.seeders_choices.push(own);
        }
        form
    }
}

fn choice(value: &str, label: &str) -> Choice {
    Choice {
        value: value.to_owned(),
        label: label.to_owned(),
    }
}

impl FormView {
    /// Whether there is a field for it that is still free.
    fn take(&mut self, node: &Node) -> bool {
        if *node == needy() {
            self.needs_seeds = true;
            return true;
        }
        match node {
            Node::Any(nodes) => match nodes.iter().map(tag).collect::<Option<Vec<_>>>() {
                Some(tags) => fill(&mut self.any, &tags.join(", ")),
                None => false,
            },
            Node::Not(node) => match tag(node) {
                Some(tag) => append(&mut self.none, tag),
                None => false,
            },
            Node::Field(Field::Tag, _) => tag(node).is_some_and(|tag| append(&mut self.tag, tag)),
            Node::Field(field, value) => match field {
                Field::Category => fill(&mut self.category, &value.text),
                Field::User => fill(&mut self.user, &value.text),
                Field::After => fill(&mut self.after, &value.text),
                Field::Before => fill(&mut self.before, &value.text),
                Field::Seeders => fill(&mut self.seeders, &value.text),
                Field::Size => self.take_size(&value.text),
                Field::Is if kind_of(node).is_some() => fill(&mut self.kind, &value.text),
                _ => false,
            },
            _ => false,
        }
    }

    fn take_size(&mut self, text: &str) -> bool {
        if !self.size_min.value.is_empty() || !self.size_max.value.is_empty() {
            return false;
        }
        let after = |signs: [&str; 2]| signs.iter().find_map(|sign| text.strip_prefix(sign));
        let (least, most) = if let Some(least) = after([">=", ">"]) {
            (least, "")
        } else if let Some(most) = after(["<=", "<"]) {
            ("", most)
        } else if let Some(ends) = text.split_once("..") {
            ends
        } else {
            return false;
        };
        least.trim().clone_into(&mut self.size_min.value);
        most.trim().clone_into(&mut self.size_max.value);
        true
    }
}

/// A tag's name that can stand in a list.
fn tag(node: &Node) -> Option<&str> {
    match node {
        Node::Field(Field::Tag, value) if !value.text.contains(',') => Some(&value.text),
        _ => None,
    }
}

fn fill(field: &mut forms::Field, text: &str) -> bool {
    let free = field.value.is_empty();
    if free {
        text.clone_into(&mut field.value);
    }
    free
}

fn append(field: &mut forms::Field, text: &str) -> bool {
    if !field.value.is_empty() {
        field.value.push_str(", ");
    }
    field.value.push_str(text);
    true
}
