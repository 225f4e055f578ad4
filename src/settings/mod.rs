//! The site's settings: made at set-up, changed by admins, read by everybody. Pages and set-up share one form.

pub mod forms;
pub mod pages;
pub mod queries;

use serde::{Deserialize, Serialize};

use crate::accounts::Role;

/// How a settings row says a choice; the words are also what forms send.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $(#[serde(rename = $word)] $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("Choose one of: {}.", [$($word),+].join(", "))),
                }
            }
        }
    };
}

choices!(
    /// Who may make an account.
    Registration { Open = "open", Invite = "invite", Closed = "closed" }
);
choices!(
    /// Who may look, or download.
    Audience { Members = "members", Everyone = "everyone" }
);
choices!(
    /// Who may upload: every member, or uploaders and above.
    Publishers { Members = "members", Uploaders = "uploaders" }
);
choices!(
    /// Which private flags an upload may carry. `require` refuses and explains; nothing is rewritten.
    PrivateFlag { Any = "any", Require = "require", Forbid = "forbid" }
);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub site_name: String,
    /// Without a trailing slash; links and announces are built from it.
    pub base_url: String,
    pub registration: Registration,
    pub who_may_look: Audience,
    pub who_may_download: Audience,
    pub who_may_upload: Publishers,
    pub private_flag: PrivateFlag,
}

impl Settings {
    /// What holds until the set-up page has been sent: nobody may do anything.
    pub fn before_setup(base_url: String) -> Self {
        Self {
            site_name: "Seedbank".to_owned(),
            base_url,
            registration: Registration::Closed,
            who_may_look: Audience::Members,
            who_may_download: Audience::Members,
            who_may_upload: Publishers::Uploaders,
            private_flag: PrivateFlag::Any,
        }
    }

    /// What set-up starts from: members only, by invitation.
    pub fn proposed(base_url: String) -> Self {
        Self {
            site_name: "Seedbank".to_owned(),
            base_url,
            registration: Registration::Invite,
            who_may_look: Audience::Members,
            who_may_download: Audience::Members,
            who_may_upload: Publishers::Members,
            private_flag: PrivateFlag::Any,
        }
    }

    pub fn https(&self) -> bool {
        self.base_url.starts_with("https://")
    }

    pub fn is_own_origin(&self, origin: &str) -> bool {
        url::Url::parse(&self.base_url).is_ok_and(|u| u.origin().ascii_serialization() == origin)
    }

    /// An absolute link; `path` starts with a slash.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    pub fn may_look(&self, role: Option<Role>) -> bool {
        role.is_some() || self.who_may_look == Audience::Everyone
    }

    pub fn may_download(&self, role: Option<Role>) -> bool {
        self.may_look(role) && (role.is_some() || self.who_may_download == Audience::Everyone)
    }

    pub fn may_upload(&self, role: Option<Role>) -> bool {
        role.is_some_and(|role| {
            self.who_may_upload == Publishers::Members || role >= Role::Uploader
        })
    }

    /// Whether clients may announce without a passkey.
    pub fn guests_may_announce(&self) -> bool {
        self.may_download(None)
    }
}
