//! docker-compose.yml says nothing that the program would not understand, and its services agree. There need not be a
//! Docker engine: what can be read is read, and what is a shell script is run.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use seedbank::config::{Config, TrackerKind};
use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlLoader};

type Fields = BTreeMap<String, Yaml>;

/// What an operator sets, by its name in the file.
const SET: &[(&str, &str)] = &[(
    "TRACKER_ANNOUNCE_URL",
    "http://tracker.example.org:7070/announce",
)];

pub fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn compose() -> Yaml {
    YamlLoader::load_from_str(&file("docker-compose.yml"))
        .unwrap()
        .remove(0)
}

/// A mapping with what `<<` brings in from the parts it shares.
fn merged(mapping: &Hash) -> Fields {
    let mut fields = Fields::new();
    let shared = mapping.get(&Yaml::String("<<".to_owned()));
    let shared = match shared {
        Some(Yaml::Array(several)) => several.iter().collect(),
        other => other.into_iter().collect::<Vec<_>>(),
    };
    let shared = shared.into_iter().filter_map(Yaml::as_hash);
    for (key, value) in shared.chain([mapping]).flatten() {
        fields.insert(key.as_str().unwrap().to_owned(), value.clone());
    }
    fields.remove("<<");
    fields
}

fn services() -> BTreeMap<String, Fields> {
    let compose = compose();
    let services = compose["services"].as_hash().unwrap();
    services
        .iter()
        .map(|(name, service)| {
            (
                name.as_str().unwrap().to_owned(),
                merged(service.as_hash().unwrap()),
            )
        })
        .collect()
}

/// `${NAME:-default}` filled in, as compose does; `$$` is a `$`.
fn filled(text: &str, set: &[(&str, &str)]) -> String {
    let Some((before, rest)) = text.split_once('$') else {
        return text.to_owned();
    };
    if let Some(rest) = rest.strip_prefix('$') {
        return format!("{before}${}", filled(rest, set));
    }
    let (inside, after) = rest
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
        .unwrap();
    // Without a default compose would warn, or stop, also for profiles that do not use it.
    let (name, default) = inside
        .split_once(":-")
        .unwrap_or_else(|| panic!("{inside} has no default"));
    let header = file("docker-compose.yml");
    assert!(
        header.contains(&format!("#   {name} ")),
        "{name} is not explained"
    );
    let value = set
        .iter()
        .find(|(set, _)| *set == name)
        .map_or(default, |(_, value)| value);
    format!("{before}{value}{}", filled(after, set))
}

fn environment(service: &Fields, set: &[(&str, &str)]) -> BTreeMap<String, String> {
    let Some(variables) = service.get("environment").and_then(Yaml::as_hash) else {
        return BTreeMap::new();
    };
    merged(variables)
        .into_iter()
        .map(|(name, value)| (name, filled(value.as_str().unwrap(), set)))
        .collect()
}

fn strings(service: &Fields, key: &str) -> Vec<String> {
    let items = service.get(key).and_then(Yaml::as_vec);
    items
        .into_iter()
        .flatten()
        .map(|item| filled(item.as_str().unwrap(), SET))
        .collect()
}

fn profiles(service: &Fields) -> BTreeSet<String> {
    strings(service, "profiles").into_iter().collect()
}

/// The volume that is mounted there.
fn mounted(service: &Fields, at: &str) -> Option<String> {
    strings(service, "volumes").into_iter().find_map(|volume| {
        let mut parts = volume.split(':').map(str::to_owned);
        let source = parts.next()?;
        (parts.next()? == at).then_some(source)
    })
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap())
}

/// Runs the `secrets` service's script with another folder for `/secrets`; only root may give files away.
fn make_secrets(folder: &Path) {
    let secrets = &services()["secrets"];
    assert_eq!(strings(secrets, "entrypoint"), ["/bin/sh", "-euc"]);
    let [script] = &strings(secrets, "command")[..] else {
        panic!("one script");
    };
    let (owner, script) = (
        format!("chown {0}:{0} ", user_id()),
        script.replace("/secrets/", &format!("{}/", folder.display())),
    );
    assert!(script.contains(&owner), "the site's user reads them");
    let script = script.replace(&owner, "test -f ");
    let status = Command::new("/bin/sh")
        .args(["-euc", &script])
        .status()
        .unwrap();
    assert!(status.success());
}

/// The site's configuration as a service has it, with secrets that are made for it.
fn site(service: &Fields, set: &[(&str, &str)], secrets: &Path) -> anyhow::Result<Config> {
    let variables = environment(service, set).into_iter().map(|(name, value)| {
        let value = match value.strip_prefix("/secrets/") {
            Some(name) => secrets.join(name).display().to_string(),
            None => value,
        };
        (name, value)
    });
    Config::merge(toml::Table::new(), variables)
}

/// The number that the image's user has.
fn user_id() -> String {
    let dockerfile = file("Dockerfile");
    let (_, rest) = dockerfile.split_once("--uid ").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn every_site_understands_its_variables() {
    let secrets = tempfile::tempdir().unwrap();
    make_secrets(secrets.path());
    let services = services();
    let mut sites = Vec::new();
    for (name, service) in &services {
        let ours = environment(service, SET)
            .keys()
            .any(|n| n.starts_with("SEEDBANK__"));
        if !ours {
            continue;
        }
        let config = site(service, SET, secrets.path()).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        sites.push(name.as_str());
        // The port that is published is the one that is served, the volume is where the data goes.
        let port = config.server.listen.port();
        assert!(config.server.listen.ip().is_unspecified(), "{name}");
        assert_eq!(
            strings(service, "ports"),
            [format!("127.0.0.1:3000:{port}")],
            "{name}"
        );
        let metrics = config.server.metrics_listen.0.unwrap();
        assert!(
            metrics.ip().is_unspecified(),
            "{name}: Prometheus is another container"
        );
        assert_eq!(
            strings(service, "expose"),
            [metrics.port().to_string()],
            "{name}"
        );
        let data_dir = config.server.data_dir.display().to_string();
        assert!(
            mounted(service, &data_dir).is_some(),
            "{name}: {data_dir} is not kept"
        );
        assert_eq!(
            service["healthcheck"]["test"],
            compose()["x-site"]["healthcheck"]["test"],
            "{name}"
        );
        let grace = seconds(service["stop_grace_period"].as_str().unwrap());
        let needed = seedbank::serve::longest_stop(&config.server);
        assert!(
            grace > needed + Duration::from_secs(5),
            "{name}: killed while it stops"
        );
    }
    assert_eq!(sites, ["seedbank", "seedbank-full", "seedbank-postgres"]);
    let test = &compose()["x-site"]["healthcheck"]["test"];
    let words: Vec<&str> = test
        .as_vec()
        .unwrap()
        .iter()
        .map(|w| w.as_str().unwrap())
        .collect();
    assert_eq!(words, ["CMD", "seedbank", "health"]);
    let known = Command::new(env!("CARGO_BIN_EXE_seedbank"))
        .args(["health", "--help"])
        .output()
        .unwrap();
    assert!(known.status.success());
}

#[test]
fn sites_and_their_databases_agree() {
    let secrets = tempfile::tempdir().unwrap();
    make_secrets(secrets.path());
    let services = services();
    for name in ["seedbank-postgres", "seedbank-full"] {
        let service = &services[name];
        let config = site(service, SET, secrets.path()).unwrap();
        let url = url::Url::parse(&config.database.url.0).unwrap();
        let host = url.host_str().unwrap();
        let database = services.get(host).unwrap_or_else(|| panic!("no {host}"));
        let set = environment(database, SET);
        assert_eq!(set["POSTGRES_USER"], url.username());
        assert_eq!(set["POSTGRES_DB"], url.path().trim_start_matches('/'));
        // One file is the password on both sides, and it is no empty one.
        let ours = &environment(service, SET)["SEEDBANK__DATABASE__PASSWORD_FILE"];
        assert_eq!(*ours, set["POSTGRES_PASSWORD_FILE"]);
        assert!(config.database.password.0.len() >= 32);
        assert!(config.database_url().ends_with(&config.database.password.0));
        assert!(
            profiles(database).is_superset(&profiles(service)),
            "they start together"
        );
        let check = database["healthcheck"]["test"].as_vec().unwrap();
        for word in [url.username(), url.path().trim_start_matches('/')] {
            assert!(
                check.contains(&Yaml::String(word.to_owned())),
                "{word} is not checked"
            );
        }
    }
}

#[test]
fn the_site_and_its_tracker_agree() {
    let secrets = tempfile::tempdir().unwrap();
    make_secrets(secrets.path());
    let services = services();
    let site_of = |set: &[(&str, &str)]| site(&services["seedbank-full"], set, secrets.path());
    // Without the one variable it needs it says which key is empty.
    let unset = format!("{:#}", site_of(&[]).unwrap_err());
    assert!(unset.contains("tracker.announce_urls"), "{unset}");
    let config = site_of(SET).unwrap().tracker;
    assert_eq!(config.kind, TrackerKind::Torrust);
    let api = url::Url::parse(&config.api_url).unwrap();
    let name = api.host_str().unwrap();
    let tracker = &services[name];
    assert!(profiles(tracker).is_superset(&profiles(&services["seedbank-full"])));
    let set = environment(tracker, SET);
    let torrust: toml::Table = set["TORRUST_TRACKER_CONFIG_TOML"].parse().unwrap();
    assert_eq!(
        torrust["metadata"]["schema_version"].as_str(),
        Some("2.0.0")
    );
    let core = &torrust["core"];
    assert_eq!(core["listed"].as_bool(), Some(config.listed));
    assert_eq!(core["private"].as_bool(), Some(config.private));
    let port = |address: &toml::Value| -> u16 {
        let address: std::net::SocketAddr = address.as_str().unwrap().parse().unwrap();
        assert!(address.ip().is_unspecified() || address.ip().is_loopback());
        address.port()
    };
    assert_eq!(Some(port(&torrust["http_api"]["bind_address"])), api.port());
    assert!(
        torrust["http_api"].get("access_tokens").is_none(),
        "no token is written down"
    );
    let http = port(&torrust["http_trackers"][0]["bind_address"]);
    assert_eq!(
        strings(tracker, "ports"),
        [format!("0.0.0.0:7070:{http}")],
        "clients reach it, and not its API"
    );
    let announce = url::Url::parse(&config.announce_urls[0]).unwrap();
    assert_eq!(announce.port(), Some(http), "what the header shows works");
    assert!(file("docker-compose.yml").contains(announce.as_str()));
    let health = port(&torrust["health_check_api"]["bind_address"]);
    let check = tracker["healthcheck"]["test"]
        .as_vec()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(
        check.as_str().unwrap(),
        format!("http://127.0.0.1:{health}/health_check")
    );
    let database = &core["database"];
    assert_eq!(
        database["driver"].as_str(),
        Some(&*set["TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__DATABASE__DRIVER"])
    );
    let kept = Path::new(database["path"].as_str().unwrap()).ancestors();
    assert!(
        kept.into_iter()
            .any(|folder| mounted(tracker, folder.to_str().unwrap()).is_some())
    );
    let seconds = |value: &toml::Value| value.as_integer().unwrap();
    let interval = seconds(&core["announce_policy"]["interval"]);
    assert!(seconds(&core["tracker_policy"]["max_peer_timeout"]) > 2 * interval);
    assert_eq!(
        tracker["stop_signal"].as_str(),
        Some("SIGINT"),
        "SIGTERM never ends it"
    );
    // The script gives it the token that the site has, by the environment and not by an argument.
    let [script] = &strings(tracker, "command")[..] else {
        panic!("one script");
    };
    let token_file =
        &environment(&services["seedbank-full"], SET)["SEEDBANK__TRACKER__API_TOKEN_FILE"];
    let token = std::fs::read_to_string(
        secrets
            .path()
            .join(token_file.strip_prefix("/secrets/").unwrap()),
    )
    .unwrap();
    let last = "exec /usr/local/bin/entry.sh /usr/bin/torrust-tracker";
    assert!(
        script.contains(&format!("cat {token_file}")) && script.trim_end().ends_with(last),
        "{script}"
    );
    let script = script.replace("/secrets/", &format!("{}/", secrets.path().display()));
    let shown = Command::new("/bin/sh")
        .args(["-euc", &script.replace(last, "exec env")])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let variable = "TORRUST_TRACKER_CONFIG_OVERRIDE_HTTP_API__ACCESS_TOKENS__ADMIN";
    assert!(shown.contains(&format!("{variable}={token}\n")), "{shown}");
    assert_eq!(config.api_token.0, token);
}

/// Made once, never written over, for nobody else to read, and none of them in the file.
#[test]
fn secrets_are_made_on_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let read = || -> BTreeMap<String, String> {
        std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                assert_eq!(
                    entry.metadata().unwrap().permissions().mode() & 0o777,
                    0o600
                );
                let text = std::fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect()
    };
    make_secrets(folder.path());
    let first = read();
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        ["postgres-password", "tracker-token"]
    );
    assert!(
        first
            .values()
            .all(|s| s.len() == 48 && s.bytes().all(|b| b.is_ascii_hexdigit())),
        "{first:?}"
    );
    assert_ne!(first["postgres-password"], first["tracker-token"]);
    // Half of one, from a start that was cut off.
    std::fs::remove_file(folder.path().join("tracker-token")).unwrap();
    std::fs::write(folder.path().join("tracker-token.new"), "half").unwrap();
    make_secrets(folder.path());
    let second = read();
    assert_eq!(second["postgres-password"], first["postgres-password"]);
    assert_eq!(second["tracker-token"].len(), 48);
    assert_eq!(second.len(), 2);

    for (name, service) in services() {
        for (variable, value) in environment(&service, &[]) {
            let secret = ["PASSWORD", "TOKEN", "SECRET", "KEY"]
                .iter()
                .any(|word| variable.contains(word));
            assert!(
                !secret || value.starts_with("/secrets/"),
                "{name}: {variable}"
            );
        }
        let reads = file_names(&service);
        assert!(
            reads.is_empty() || mounted(&service, "/secrets").is_some(),
            "{name}"
        );
        assert!(
            reads.iter().all(|file| first.contains_key(file)),
            "{name}: {reads:?}"
        );
        if mounted(&service, "/secrets").is_some() && name != "secrets" {
            assert!(
                strings(&service, "volumes").contains(&"secrets:/secrets:ro".to_owned()),
                "{name}"
            );
            let waits = &service["depends_on"]["secrets"]["condition"];
            assert_eq!(
                waits.as_str(),
                Some("service_completed_successfully"),
                "{name}"
            );
        }
    }
}

/// The secrets that a service names.
fn file_names(service: &Fields) -> Vec<String> {
    let values = environment(service, SET).into_values();
    values
        .filter_map(|value| value.strip_prefix("/secrets/").map(str::to_owned))
        .collect()
}

#[test]
fn names_are_declared_and_everything_is_watched() {
    let compose = compose();
    let declared = merged(compose["volumes"].as_hash().unwrap());
    let services = services();
    let mut used = BTreeSet::new();
    for (name, service) in &services {
        for volume in strings(service, "volumes") {
            let (source, _) = volume.split_once(':').unwrap();
            assert!(
                declared.contains_key(source),
                "{name}: {source} is not declared"
            );
            used.insert(source.to_owned());
        }
        let waits_for = service.get("depends_on").and_then(Yaml::as_hash);
        for (other, how) in waits_for.into_iter().flatten() {
            let other = other.as_str().unwrap();
            assert!(
                profiles(&services[other]).is_superset(&profiles(service)),
                "{name} waits for {other} in vain"
            );
            if how["condition"].as_str() == Some("service_healthy") {
                assert!(
                    !services[other]["healthcheck"]["test"].is_badvalue(),
                    "{other}"
                );
            }
        }
        let runs = service.contains_key("restart");
        let watched = service
            .get("healthcheck")
            .is_some_and(|check| !check["test"].is_badvalue());
        assert_eq!(runs, watched, "{name}");
    }
    assert_eq!(used, declared.into_keys().collect());
    let text = file("docker-compose.yml");
    let all: BTreeSet<String> = services.values().flat_map(profiles).collect();
    assert_eq!(
        all.iter().map(String::as_str).collect::<Vec<_>>(),
        ["full", "postgres", "sqlite"]
    );
    for profile in all {
        let command = format!("docker compose --profile {profile} up -d");
        assert!(
            text.contains(&command) && file("README.md").contains(&command),
            "{profile} is not explained"
        );
    }
}
