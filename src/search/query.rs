//! A question as it is answered: a filter settled for a viewer.

use super::Filter;
use super::filter::Who;
use super::fold;
use super::rule::Rule;

/// A [`Filter`] settled for a viewer: what makes two questions the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    pub all: Vec<Rule>,
}

impl Question {
    pub fn new(filter: &Filter, who: Who) -> Self {
        let mut all = Vec::new();
        for rule in &filter.all {
            let rule = rule.settled(who);
            if !all.contains(&rule) {
                all.push(rule);
            }
        }
        Self { all }
    }

    pub fn is_wordless(&self) -> bool {
        !self.all.iter().any(Rule::reads_texts)
    }

    pub fn has_words(&self) -> bool {
        self.all.iter().any(Rule::has_words)
    }

    /// Whether the answer changes without the index.
    pub fn reads_numbers(&self) -> bool {
        self.all.iter().any(Rule::reads_numbers)
    }

    /// The question without the one rule of a kind that is a choice; `None` if there is none, or more than one.
    pub fn without(&self, is_choice: impl Fn(&Rule) -> bool) -> Option<Self> {
        let mut choices = self
            .all
            .iter()
            .enumerate()
            .filter(|(_, rule)| is_choice(rule));
        let (at, _) = choices.next()?;
        if choices.next().is_some() {
            return None;
        }
        let mut all = self.all.clone();
        all.remove(at);
        Some(Self { all })
    }

    pub fn without_category(&self) -> Option<Self> {
        self.without(|rule| matches!(rule, Rule::Category(_)))
    }

    pub fn without_kind(&self) -> Option<Self> {
        self.without(|rule| matches!(rule, Rule::Kind(_)))
    }
}

/// Titles that consist of exactly these words: more than one where there are alternatives, and few.
pub fn title_keys(all: &[Rule]) -> Vec<String> {
    let mut titles = vec![Vec::new()];
    for rule in all {
        append(rule, &mut titles);
    }
    let mut keys: Vec<String> = titles
        .iter()
        .filter(|parts| !parts.is_empty())
        .map(|parts| fold::key(&parts.join(" ")))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

const MAX_TITLES: usize = 16;

fn append<'r>(rule: &'r Rule, titles: &mut Vec<Vec<&'r str>>) {
    match rule {
        Rule::All(rules) => rules.iter().for_each(|rule| append(rule, titles)),
        Rule::Any(rules) if rule.has_words() => {
            let before = std::mem::take(titles);
            for rule in rules {
                let mut ways = before.clone();
                append(rule, &mut ways);
                titles.extend(ways);
            }
            titles.truncate(MAX_TITLES);
        }
        Rule::Words(term) => {
            for title in titles {
                title.extend(term.parts().iter().map(String::as_str));
            }
        }
        _ => {}
    }
}
