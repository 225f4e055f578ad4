//! Statements as texts: what counts as one, which are the same, which tables their aliases name; and those that stand
//! in the source.

use std::collections::BTreeMap;
use std::path::Path;

/// White space folded.
pub fn folded(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether it has a plan: transactions, settings and the driver's own questions have none.
pub fn reads_or_writes_rows(sql: &str) -> bool {
    ["select ", "insert ", "update ", "delete ", "with "]
        .iter()
        .any(|verb| sql.starts_with(verb))
        && !sql.contains("pg_catalog")
        && !sql.contains("_sqlx_migrations")
}

/// The same for statements that differ in how many values they take.
pub fn shape(sql: &str) -> String {
    let mut shape = String::with_capacity(sql.len());
    let mut letters = sql.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '?' => shape.push('$'),
            '$' => {
                shape.push('$');
                while letters.next_if(char::is_ascii_digit).is_some() {}
            }
            other => shape.push(other),
        }
    }
    for (many, one) in [("$, $", "$"), ("($), ($)", "($)")] {
        while shape.contains(many) {
            shape = shape.replace(many, one);
        }
    }
    shape
}

/// What names stand for in a statement: aliases and the tables' own names.
pub fn aliases(sql: &str, tables: &[String]) -> BTreeMap<String, Vec<String>> {
    const NOT_A_NAME: &[&str] = &[
        "on",
        "where",
        "set",
        "join",
        "left",
        "inner",
        "cross",
        "order",
        "group",
        "limit",
        "select",
        "values",
        "from",
        "union",
        "returning",
        "and",
        "or",
        "using",
        "is",
        "in",
    ];
    let words: Vec<&str> = sql
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.' || c == ',' || c == ')'))
        .flat_map(|word| word.split_inclusive([',', ')']))
        .filter(|word| !word.is_empty())
        .collect();
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (i, word) in words.iter().enumerate() {
        let table = word.trim_end_matches([',', ')']);
        if !tables.iter().any(|t| t == table) {
            continue;
        }
        let mut add = |name: &str| {
            let meant = names.entry(name.to_owned()).or_default();
            if !meant.iter().any(|t| t == table) {
                meant.push(table.to_owned());
            }
        };
        add(table);
        let mut next = words[i + 1..].iter().copied();
        let mut alias = next.next().filter(|_| table == *word);
        if alias == Some("as") {
            alias = next.next();
        }
        let alias = alias.map(|a| a.trim_end_matches([',', ')']));
        if let Some(alias) = alias
            && !alias.is_empty()
            && !NOT_A_NAME.contains(&alias)
            && !alias.contains('.')
        {
            add(alias);
        }
    }
    names
}

/// A text in the source that is a statement, or begins one.
#[derive(Clone, Debug)]
pub struct Literal {
    /// As `src/tags/queries.rs:26`.
    pub place: String,
    pub sql: String,
}

impl Literal {
    /// What stands between the places that are filled in.
    fn pieces(&self) -> Vec<String> {
        let mut pieces = vec![String::new()];
        let mut filled = false;
        for letter in self.sql.chars() {
            match letter {
                '{' => filled = true,
                '}' => {
                    filled = false;
                    pieces.push(String::new());
                }
                _ if filled => {}
                other => pieces.last_mut().unwrap().push(other),
            }
        }
        let pieces = pieces.iter().map(|piece| shape(piece.trim()));
        pieces.filter(|piece| piece.len() > 3).collect()
    }

    /// Whether one of these statements is made of it.
    pub fn is_in<'a>(&self, mut shapes: impl Iterator<Item = &'a String>) -> bool {
        let pieces = self.pieces();
        shapes.any(|shape| pieces.iter().all(|piece| shape.contains(piece)))
    }
}

/// Every statement that stands in the source, of tests and the command line's own work aside.
pub fn in_source() -> Vec<Literal> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && name != "tests" && name != "cli" {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") && name != "model.rs" {
                let text = std::fs::read_to_string(&path).unwrap();
                let tests = ["mod tests {", "pub(super) mod tests {"]
                    .iter()
                    .filter_map(|tests| text.find(&format!("#[cfg(test)]\n{tests}")));
                let text = &text[..tests.min().unwrap_or(text.len())];
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.extend(literals(text).into_iter().filter_map(|(line, text)| {
                    let sql = folded(&text);
                    is_statement(&sql).then(|| Literal {
                        place: format!("{name}:{line}"),
                        sql,
                    })
                }));
            }
        }
    }
    found.sort_by(|a, b| a.place.cmp(&b.place));
    found
}

fn is_statement(text: &str) -> bool {
    let begun = |verb: &str, with: &str| {
        let rest = text.strip_prefix("{INTO} ").unwrap_or(text);
        rest.starts_with(verb) && rest.contains(with)
    };
    begun("select ", " from ")
        || begun("select cast(", "")
        || begun("insert into ", "")
        || begun("update ", " set ")
        || begun("delete from ", "")
        || begun("with ", " as (")
}

/// The texts in a file, each with its line. Raw strings and comments are passed over.
fn literals(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut rest = source;
    let line = |rest: &str| source[..source.len() - rest.len()].matches('\n').count() + 1;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        rest = &rest[at..];
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
        } else if rest.starts_with("'\"'") {
            rest = &rest[3..];
        } else if rest.starts_with("'\\''") || rest.starts_with("'\\\"'") {
            rest = &rest[4..];
        } else if let Some(text) = rest.strip_prefix('"') {
            let begun = line(rest);
            let mut content = String::new();
            let mut letters = text.char_indices();
            let mut end = text.len();
            while let Some((i, letter)) = letters.next() {
                match letter {
                    '"' => {
                        end = i + 1;
                        break;
                    }
                    '\\' => match letters.next() {
                        Some((_, '\n')) => content.push(' '),
                        Some((_, escaped)) => content.push(escaped),
                        None => {}
                    },
                    other => content.push(other),
                }
            }
            found.push((begun, content));
            rest = &text[end..];
        } else {
            rest = &rest[1..];
        }
    }
    found
}
