//! Paging by key, both ways: a page is what follows, or what precedes, the key of a row somebody has seen.

use serde::Serialize;

/// The links under a listing, as templates show them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Pager {
    pub first_url: Option<String>,
    pub previous_url: Option<String>,
    pub next_url: Option<String>,
    pub page_text: String,
}

/// Where a page begins. Keys rise or fall along the listing, as its query says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seek<K> {
    First,
    /// The rows after this key.
    After(K),
    /// The rows before this key, which a query reads backwards.
    Before(K),
}

impl<K> Seek<K> {
    /// From the two parameters of an address; `after` wins.
    pub fn of(after: Option<K>, before: Option<K>) -> Self {
        match (after, before) {
            (Some(key), _) => Self::After(key),
            (None, Some(key)) => Self::Before(key),
            (None, None) => Self::First,
        }
    }

    /// Cuts a page out of what was read (one row more than `limit` where there is more, backwards for `Before`)
    /// and links it. `url` makes the address of a page from a parameter and a row, or of the first page.
    pub fn cut<T>(
        &self,
        mut rows: Vec<T>,
        limit: usize,
        url: impl Fn(Option<(&str, &T)>) -> String,
    ) -> (Vec<T>, Pager) {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let (earlier, later) = match self {
            Self::First => (false, more),
            Self::After(_) => (true, more),
            Self::Before(_) => {
                rows.reverse();
                (more, true)
            }
        };
        let pager = Pager {
            first_url: earlier.then(|| url(None)),
            previous_url: rows
                .first()
                .filter(|_| earlier)
                .map(|row| url(Some(("before", row)))),
            next_url: rows
                .last()
                .filter(|_| later)
                .map(|row| url(Some(("after", row)))),
            page_text: String::new(),
        };
        (rows, pager)
    }
}

/// A path with parameters, empty ones left out.
pub fn link(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    with_query(path, &[&query.finish()])
}

/// A path with queries that are encoded already, joined, empty ones left out.
pub fn with_query(path: &str, queries: &[&str]) -> String {
    let given: Vec<&str> = queries.iter().copied().filter(|q| !q.is_empty()).collect();
    match given.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", given.join("&")),
    }
}

/// `1 tag`, `1,402 tags`.
pub fn counted(n: i64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        super::filters::number(n),
        if n == 1 { one } else { many }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(at: Option<(&str, &i32)>) -> String {
        match at {
            Some((parameter, row)) => link("/x", &[(parameter, &row.to_string())]),
            None => "/x".to_owned(),
        }
    }

    #[test]
    fn pages_link_both_ways() {
        let (rows, pager) = Seek::<i32>::First.cut(vec![1, 2, 3], 2, url);
        assert_eq!(rows, [1, 2]);
        assert_eq!(pager.next_url.as_deref(), Some("/x?after=2"));
        assert!(pager.previous_url.is_none() && pager.first_url.is_none());
        let (rows, pager) = Seek::After(2).cut(vec![3, 4], 2, url);
        assert_eq!(rows, [3, 4]);
        assert!(pager.next_url.is_none());
        assert_eq!(pager.previous_url.as_deref(), Some("/x?before=3"));
        let (rows, pager) = Seek::Before(5).cut(vec![4, 3, 2], 2, url);
        assert_eq!(rows, [3, 4]);
        assert_eq!(pager.previous_url.as_deref(), Some("/x?before=3"));
        assert_eq!(pager.next_url.as_deref(), Some("/x?after=4"));
        let (rows, pager) = Seek::Before(3).cut(vec![2, 1], 2, url);
        assert_eq!(rows, [1, 2]);
        assert!(pager.previous_url.is_none() && pager.first_url.is_none());
    }
}
