use super::*;

fn from_env(vars: &[(&str, &str)]) -> anyhow::Result<Config> {
    Config::merge(
        Table::new(),
        vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
    )
}

#[test]
fn environment_wins_over_file() {
    let file = "[server]\nlisten = \"127.0.0.1:4000\"\nworkers = 3"
        .parse()
        .unwrap();
    let vars = [(
        "SEEDBANK__SERVER__LISTEN".to_owned(),
        "127.0.0.1:5000".to_owned(),
    )];
    let config = Config::merge(file, vars.into_iter()).unwrap();
    assert_eq!(config.server.listen.port(), 5000);
    assert_eq!(config.server.workers, 3);
}

#[test]
fn unknown_keys_name_the_nearest() {
    let wrong = Config::merge(
        "[server]\nlisen = \"x\"".parse().unwrap(),
        std::iter::empty(),
    );
    assert!(format!("{:#}", wrong.unwrap_err()).contains("the nearest is `listen`"));
    let wrong = from_env(&[("SEEDBANK__SEVER__LISTEN", "x")]);
    assert!(format!("{:#}", wrong.unwrap_err()).contains("the nearest is `server`"));
    let wrong = from_env(&[("SEEDBANK__SERVER__WORKERS", "many")]);
    assert!(format!("{:#}", wrong.unwrap_err()).contains("SEEDBANK__SERVER__WORKERS"));
}

#[test]
fn lists_are_separated_by_commas() {
    let config = from_env(&[("SEEDBANK__SERVER__TRUSTED_PROXIES", "127.0.0.1, ::1")]).unwrap();
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert!(from_env(&[("SEEDBANK__SERVER__TRUSTED_PROXIES", "proxy")]).is_err());
}

#[test]
fn any_value_may_stand_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (password, workers) = (put("password", "a b/?&=%\n"), put("workers", "3\r\n"));
    let url = ("SEEDBANK__DATABASE__URL", "postgres://u@h/d");
    let config = from_env(&[
        url,
        ("SEEDBANK__DATABASE__PASSWORD_FILE", &password),
        ("SEEDBANK__SERVER__WORKERS_FILE", &workers),
    ])
    .unwrap();
    assert_eq!(config.server.workers, 3);
    assert_eq!(config.database.password.0, "a b/?&=%");
    let complete = url::Url::parse(&config.database_url()).unwrap();
    let said: Vec<_> = complete.query_pairs().into_owned().collect();
    assert_eq!(said, [("password".to_owned(), "a b/?&=%".to_owned())]);

    let fails = |vars: &[(&str, &str)], with: &str| {
        let error = format!("{:#}", from_env(vars).unwrap_err());
        assert!(error.contains(with), "{error}");
    };
    let missing = directory.path().join("none").display().to_string();
    fails(
        &[("SEEDBANK__SERVER__WORKERS_FILE", &missing)],
        "none\" cannot be read",
    );
    fails(
        &[
            ("SEEDBANK__SERVER__WORKERS_FILE", &workers),
            ("SEEDBANK__SERVER__WORKERS", "3"),
        ],
        "leave one of them away",
    );
    fails(
        &[("SEEDBANK__SERVER__WORKERS_FILE", &password)],
        "WORKERS_FILE does not fit",
    );
    fails(
        &[("SEEDBANK__SERVER__NOTHING_FILE", &workers)],
        "no key `server.nothing_file`",
    );
    fails(
        &[("SEEDBANK__DATABASE__PASSWORD", "x")],
        "database.password is for Postgres",
    );
    let both = ("SEEDBANK__DATABASE__URL", "postgres://u:y@h/d");
    fails(
        &[both, ("SEEDBANK__DATABASE__PASSWORD", "x")],
        "leave one of them away",
    );
}

#[test]
fn secrets_are_masked() {
    let key = "0123456789abcdef0123456789abcdef";
    let config = from_env(&[
        ("SEEDBANK__ACCOUNTS__SESSION_KEY", key),
        ("SEEDBANK__DATABASE__URL", "postgres://u:hunter2@h/d"),
    ])
    .unwrap();
    let shown = format!("{} {config:?}", config.masked().unwrap());
    assert!(!shown.contains(key) && !shown.contains("hunter2"));
    assert!(from_env(&[("SEEDBANK__ACCOUNTS__SESSION_KEY", "short")]).is_err());
}
