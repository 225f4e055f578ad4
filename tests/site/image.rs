//! Dockerfile, README and the program say the same: how it is built, where it serves, which keys there are.

use seedbank::config::Config;

use crate::compose::file;

/// `NAME=value` of the Dockerfile's ENV instructions.
fn image_environment() -> Vec<(String, String)> {
    let joined = file("Dockerfile").replace("\\\n", " ");
    joined
        .lines()
        .filter_map(|line| line.strip_prefix("ENV "))
        .flat_map(str::split_whitespace)
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

fn instruction(name: &str) -> String {
    let found = file("Dockerfile");
    let mut lines = found
        .lines()
        .filter_map(|line| line.strip_prefix(&format!("{name} ")));
    let only = lines.next_back().unwrap();
    only.trim().to_owned()
}

#[test]
fn the_image_serves_where_it_says() {
    let config = Config::merge(toml::Table::new(), image_environment().into_iter()).unwrap();
    assert_eq!(
        config.server.listen.port().to_string(),
        instruction("EXPOSE")
    );
    assert!(config.server.listen.ip().is_unspecified());
    assert_eq!(
        config.server.data_dir.display().to_string(),
        instruction("VOLUME")
    );
    assert_eq!(instruction("USER"), "seedbank");
    assert!(instruction("HEALTHCHECK").ends_with("CMD [\"seedbank\", \"health\"]"));
    // What the build copies is there, and everything that a build reads is copied.
    let ignored = file(".dockerignore");
    for needed in [
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "src",
        "migrations",
        "templates",
        "static",
    ] {
        assert!(ignored.contains(&format!("!{needed}\n")), "{needed}");
        assert!(file("Dockerfile").contains(needed), "{needed}");
    }
}

/// The image is built as README says the program is, with the compiler that Cargo.toml asks for.
#[test]
fn the_image_is_built_as_the_readme_says() {
    let (dockerfile, readme) = (file("Dockerfile"), file("README.md"));
    let build = dockerfile
        .lines()
        .find_map(|line| {
            line.trim()
                .strip_prefix("cargo ")
                .map(|rest| rest.trim_end_matches(" \\"))
        })
        .unwrap();
    assert!(
        readme.contains(&format!("\ncargo {build}\n")),
        "cargo {build}"
    );
    let copy = dockerfile
        .lines()
        .find_map(|line| line.trim().strip_prefix("&& cp "))
        .unwrap();
    let (from, to) = copy.split_once(' ').unwrap();
    let install = format!("install -m 755 {from} {to}");
    assert!(readme.contains(&install), "{install}");
    assert!(dockerfile.contains(&format!("COPY --from=build {to} {to}")));
    let cargo: toml::Table = file("Cargo.toml").parse().unwrap();
    let version = cargo["package"]["rust-version"].as_str().unwrap();
    assert!(dockerfile.contains(&format!("FROM rust:{version}-")));
    assert!(cargo["profile"].get("dist").is_some());
    let image = dockerfile
        .lines()
        .find_map(|line| {
            line.trim_start_matches("# ")
                .trim()
                .strip_prefix("docker build ")
        })
        .unwrap();
    assert!(readme.contains(&format!("docker build {image}")));
}

/// README's table names every key with its default, and no other.
#[test]
fn the_readme_knows_every_key() {
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    let mut known: Vec<(String, String)> = Vec::new();
    for (section, keys) in &defaults {
        for (key, value) in keys.as_table().unwrap() {
            let text = match value {
                toml::Value::String(text) if text.is_empty() => "empty".to_owned(),
                toml::Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            };
            known.push((format!("`{section}.{key}`"), text));
        }
    }
    let readme = file("README.md");
    let mut said: Vec<(String, String)> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| {
            let mut cells = line.split(" | ");
            let key = format!("`{}", cells.next()?);
            let default = cells.next()?.to_owned();
            let is_key = cells.next().is_some();
            is_key.then_some((key, default))
        })
        .collect();
    known.sort();
    said.sort();
    assert_eq!(said, known);
}
