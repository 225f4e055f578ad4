//! The settings form: what set-up asks and admins change.

use serde::{Deserialize, Serialize};

use super::Settings;
use crate::web::forms::Field;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub site_name: String,
    pub site_url: String,
    pub registration: String,
    pub look: String,
    pub download: String,
    pub upload: String,
    pub private_policy: String,
}

/// The form as the page shows it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Shown {
    pub errors: Vec<String>,
    pub site_name: Field,
    pub site_url: Field,
    pub registration: Field,
    pub look: Field,
    pub download: Field,
    pub upload: Field,
    pub private_policy: Field,
}

impl Shown {
    pub fn of(settings: &Settings) -> Self {
        Self {
            errors: Vec::new(),
            site_name: Field::new(&settings.site_name),
            site_url: Field::new(&settings.base_url),
            registration: Field::new(settings.registration.as_str()),
            look: Field::new(settings.who_may_look.as_str()),
            download: Field::new(settings.who_may_download.as_str()),
            upload: Field::new(settings.who_may_upload.as_str()),
            private_policy: Field::new(settings.private_flag.as_str()),
        }
    }
}

impl Input {
    /// The settings, or the form again with what is wrong beside each field.
    pub fn check(self) -> Result<Settings, Box<Shown>> {
        let mut shown = Shown {
            errors: Vec::new(),
            site_name: Field::new(self.site_name.trim()),
            site_url: Field::new(self.site_url.trim()),
            registration: Field::new(self.registration),
            look: Field::new(self.look),
            download: Field::new(self.download),
            upload: Field::new(self.upload),
            private_policy: Field::new(self.private_policy),
        };
        let name_length = shown.site_name.value.chars().count();
        if !(1..=60).contains(&name_length) || shown.site_name.value.chars().any(char::is_control) {
            shown
                .site_name
                .wrong("Give the site a name of 1 to 60 characters.");
        }
        let base_url = match base_url(&shown.site_url.value) {
            Ok(url) => url,
            Err(message) => {
                shown.site_url.wrong(message);
                String::new()
            }
        };
        let registration = choice(&mut shown.registration);
        let who_may_look = choice(&mut shown.look);
        let who_may_download = choice(&mut shown.download);
        let who_may_upload = choice(&mut shown.upload);
        let private_flag = choice(&mut shown.private_policy);
        let wrong = shown.site_name.error.is_some() || shown.site_url.error.is_some();
        match (
            registration,
            who_may_look,
            who_may_download,
            who_may_upload,
            private_flag,
        ) {
            (
                Some(registration),
                Some(who_may_look),
                Some(who_may_download),
                Some(who_may_upload),
                Some(private_flag),
            ) if !wrong => Ok(Settings {
                site_name: shown.site_name.value,
                base_url,
                registration,
                who_may_look,
                who_may_download,
                who_may_upload,
                private_flag,
            }),
            _ => Err(Box::new(shown)),
        }
    }
}

fn choice<T: std::str::FromStr<Err = String>>(field: &mut Field) -> Option<T> {
    match field.value.parse() {
        Ok(value) => Some(value),
        Err(message) => {
            field.wrong(message);
            None
        }
    }
}

/// `http(s)://host[:port][/path]`, without the trailing slash.
pub fn base_url(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "Write the address people will use, such as https://seeds.example.org.";
    let url = url::Url::parse(text).map_err(|_| WRONG)?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || !plain {
        return Err(WRONG);
    }
    if url.path() != "/" {
        return Err("The site lives at the root of its host: leave the path away.");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}
