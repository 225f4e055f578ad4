//! docker-compose.yml and Dockerfile say nothing that the program would not understand, and agree with each other.

use std::collections::BTreeMap;
use std::path::Path;

use seedbank::config::Config;
use yaml_rust2::{Yaml, YamlLoader};

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The services by name, with what `<<` brings in from the parts they share.
fn services() -> BTreeMap<String, BTreeMap<String, Yaml>> {
    let documents = YamlLoader::load_from_str(&file("docker-compose.yml")).unwrap();
    let services = documents[0]["services"].as_hash().unwrap();
    services
        .iter()
        .map(|(name, service)| {
            let mut fields = BTreeMap::new();
            let shared = service["<<"].as_hash();
            for (key, value) in shared.into_iter().chain(service.as_hash()).flatten() {
                fields.insert(key.as_str().unwrap().to_owned(), value.clone());
            }
            fields.remove("<<");
            (name.as_str().unwrap().to_owned(), fields)
        })
        .collect()
}

fn environment(service: &BTreeMap<String, Yaml>) -> Vec<(String, String)> {
    let Some(variables) = service.get("environment").and_then(Yaml::as_hash) else {
        return Vec::new();
    };
    variables
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Yaml::Integer(n) => n.to_string(),
                other => other.as_str().unwrap().to_owned(),
            };
            (name.as_str().unwrap().to_owned(), value)
        })
        .collect()
}

fn strings(service: &BTreeMap<String, Yaml>, key: &str) -> Vec<String> {
    let items = service.get(key).and_then(Yaml::as_vec);
    items
        .into_iter()
        .flatten()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

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
fn every_variable_is_a_key_that_fits() {
    let mut sites = 0;
    let services = services();
    for (name, service) in &services {
        let variables = environment(service);
        let ours = variables.iter().any(|(n, _)| n.starts_with("SEEDBANK__"));
        let config = Config::merge(toml::Table::new(), variables.into_iter())
            .unwrap_or_else(|e| panic!("{name}: {e:#}"));
        if !ours {
            continue;
        }
        sites += 1;
        // The port that is published is the one that is served, the volume is where the data goes.
        let port = config.server.listen.port();
        assert!(config.server.listen.ip().is_unspecified(), "{name}");
        let published = strings(service, "ports");
        assert!(!published.is_empty(), "{name} is not reachable");
        for mapping in published {
            assert!(mapping.ends_with(&format!(":{port}")), "{name}: {mapping}");
        }
        let data_dir = config.server.data_dir.display().to_string();
        let volumes = strings(service, "volumes");
        assert!(
            volumes.iter().any(|v| v.ends_with(&format!(":{data_dir}"))),
            "{name}: {data_dir} is not kept: {volumes:?}"
        );
        if let Ok(url) = url::Url::parse(&config.database.url.0) {
            let host = url.host_str().unwrap();
            let database = services.get(host).unwrap_or_else(|| panic!("no {host}"));
            let set: BTreeMap<_, _> = environment(database).into_iter().collect();
            assert_eq!(set["POSTGRES_USER"], url.username());
            assert_eq!(set["POSTGRES_DB"], url.path().trim_start_matches('/'));
            assert_eq!(
                database["profiles"], service["profiles"],
                "{name} and {host} start together"
            );
        }
    }
    assert_eq!(sites, 2, "with SQLite and with Postgres");
}

#[test]
fn volumes_are_declared_and_no_secret_is_written_down() {
    let text = file("docker-compose.yml");
    let documents = YamlLoader::load_from_str(&text).unwrap();
    let declared = documents[0]["volumes"].as_hash().unwrap();
    let mut used = 0;
    for (name, service) in services() {
        for volume in strings(&service, "volumes") {
            let (source, _) = volume.split_once(':').unwrap();
            assert!(
                declared.contains_key(&Yaml::String(source.to_owned())),
                "{name}: {source} is not declared"
            );
            used += 1;
        }
        for (variable, value) in environment(&service) {
            if variable.contains("PASSWORD") {
                assert_eq!(value, "${POSTGRES_PASSWORD:-}", "{name}: {variable}");
            }
        }
    }
    assert_eq!(used, declared.len());
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
