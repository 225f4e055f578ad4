//! `seedbank admin`: accounts from the shell, for a first start without a browser and for a lost password.
//! Works beside a running site, which asks the database anew at every request.

use std::io::{self, BufRead};

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use rand::seq::IndexedRandom;
use seedbank::accounts::passwords::{self, Passwords};
use seedbank::accounts::queries::{self, InsertError, NewUser, User};
use seedbank::accounts::{Role, UserName, setup};
use seedbank::clock::Clock;
use seedbank::config::Config;
use seedbank::db::{Conn, Db, Tx};
use seedbank::ids::UserId;
use seedbank::moderation::log::{self, Action, Entry, Subject};
use seedbank::secrets::random_passkey;
use seedbank::settings::{self, Settings};

#[derive(Subcommand)]
pub enum Command {
    /// Make an account that is an admin; on a new site also the settings, as set-up proposes them.
    Create {
        name: String,
        /// Read the password's line from standard input; otherwise one is made and printed.
        #[arg(long)]
        password_stdin: bool,
        /// The address people will use, such as https://seeds.example.org; only for a site not yet set up.
        #[arg(long, value_name = "URL")]
        site_url: Option<String>,
    },
    /// Give a member another role: member, uploader, moderator or admin.
    Promote { name: String, role: Role },
    /// Give a member a new password; every session of theirs ends.
    ResetPassword {
        name: String,
        /// Read the password's line from standard input; otherwise one is made and printed.
        #[arg(long)]
        password_stdin: bool,
    },
}

pub async fn run(config: Config, command: Command) -> anyhow::Result<()> {
    let passwords = Passwords::new(&config.accounts)?;
    let db = super::open_database(&config).await?;
    let done = match command {
        Command::Create {
            name,
            password_stdin,
            site_url,
        } => create(&config, &db, &passwords, &name, password_stdin, site_url).await,
        Command::Promote { name, role } => promote(&db, &name, role).await,
        Command::ResetPassword {
            name,
            password_stdin,
        } => reset_password(&db, &passwords, &name, password_stdin).await,
    };
    db.close().await;
    print!("{}", done?);
    Ok(())
}

async fn create(
    config: &Config,
    db: &Db,
    passwords: &Passwords,
    name: &str,
    password_stdin: bool,
    site_url: Option<String>,
) -> anyhow::Result<String> {
    let name = UserName::parse(name).map_err(anyhow::Error::msg)?;
    let first = match (
        settings::queries::find(&mut db.read().await?).await?,
        site_url,
    ) {
        (None, url) => Some(first_settings(config, url.as_deref())?),
        (Some(_), None) => None,
        (Some(settings), Some(_)) => bail!(
            "the site is set up already, at {}; change its URL on the settings page",
            settings.base_url
        ),
    };
    let password = Password::take(password_stdin, name.as_str())?;
    let password_hash = passwords.hash(&password.text).await?;
    let now = Clock::system().now();
    let mut tx = db.write().await?;
    let new = NewUser {
        name: &name,
        password_hash: &password_hash,
        role: Role::Admin,
        passkey: &random_passkey(),
        invited_by: None,
        at: now,
    };
    let id = match queries::insert(&mut tx, &new).await {
        Ok(id) => id,
        Err(InsertError::NameTaken) => bail!(
            "{} exists; give the role with `seedbank admin promote {} admin`",
            name.as_str(),
            name.as_str()
        ),
        Err(InsertError::Database(error)) => return Err(error.into()),
    };
    record(
        &mut tx,
        Action::UserCreated,
        id,
        name.as_str(),
        Role::Admin.as_str(),
    )
    .await?;
    if let Some(settings) = &first {
        setup::open_site(&mut tx, settings, now).await?;
    }
    tx.commit().await?;
    let mut said = format!("{} is an admin.\n", name.as_str());
    if let Some(settings) = first {
        said.push_str(&format!(
            "The site is set up for {}: members only, by invitation. Change that on its settings page.\n",
            settings.base_url
        ));
    }
    said.push_str(&password.said());
    Ok(said)
}

/// What set-up proposes, for the address given or listened on.
fn first_settings(config: &Config, site_url: Option<&str>) -> anyhow::Result<Settings> {
    let listen = config.server.listen;
    let base_url = match site_url {
        Some(url) => settings::forms::base_url(url)
            .map_err(anyhow::Error::msg)
            .context("--site-url")?,
        // Every address of the machine is none that anybody could type.
        None if listen.ip().is_unspecified() => format!("http://localhost:{}", listen.port()),
        None => format!("http://{listen}"),
    };
    Ok(Settings::proposed(base_url))
}

async fn promote(db: &Db, name: &str, role: Role) -> anyhow::Result<String> {
    let mut tx = db.write().await?;
    let user = known(&mut tx, name).await?;
    if user.role == role {
        return Ok(format!("{} is {} already.\n", user.name, role.as_str()));
    }
    if user.role == Role::Admin && user.banned_at.is_none() {
        ensure!(
            queries::any_other_admin(&mut tx, user.id).await?,
            "{} is the last admin; make another one first",
            user.name
        );
    }
    queries::set_role(&mut tx, user.id, role).await?;
    let change = format!("{} to {}", user.role.as_str(), role.as_str());
    record(&mut tx, Action::RoleChanged, user.id, &user.name, &change).await?;
    tx.commit().await?;
    Ok(format!(
        "{} is {} now, {} before.\n",
        user.name,
        role.as_str(),
        user.role.as_str()
    ))
}

async fn reset_password(
    db: &Db,
    passwords: &Passwords,
    name: &str,
    password_stdin: bool,
) -> anyhow::Result<String> {
    let user = known(&mut db.read().await?, name).await?;
    let password = Password::take(password_stdin, &user.name)?;
    let password_hash = passwords.hash(&password.text).await?;
    let mut tx = db.write().await?;
    queries::set_password(&mut tx, user.id, &password_hash).await?;
    record(&mut tx, Action::PasswordReset, user.id, &user.name, "").await?;
    tx.commit().await?;
    let mut said = format!(
        "{} has a new password and is logged out everywhere.\n",
        user.name
    );
    if user.banned_at.is_some() {
        said.push_str("The account is banned and stays so.\n");
    }
    said.push_str(&password.said());
    Ok(said)
}

/// Into the log that admins read, by nobody in particular.
async fn record(
    tx: &mut Tx,
    action: Action,
    id: UserId,
    name: &str,
    reason: &str,
) -> anyhow::Result<()> {
    let entry = Entry {
        at: Clock::system().now(),
        actor: None,
        action,
        subject: Subject::user(id, name),
        reason: reason.to_owned(),
    };
    Ok(log::record(tx, &entry).await?)
}

async fn known(conn: &mut Conn, name: &str) -> anyhow::Result<User> {
    queries::by_name(conn, name)
        .await?
        .with_context(|| format!("there is no member called {name:?}"))
}

/// A password from standard input, or one made here, which is printed once.
struct Password {
    text: String,
    made: bool,
}

impl Password {
    fn take(from_stdin: bool, name: &str) -> anyhow::Result<Self> {
        if !from_stdin {
            return Ok(Self {
                text: made_up(),
                made: true,
            });
        }
        let mut line = String::new();
        io::stdin()
            .lock()
            .read_line(&mut line)
            .context("reading the password")?;
        let text = line.trim_end_matches(['\r', '\n']).to_owned();
        passwords::check_new(&text, &[name]).map_err(anyhow::Error::msg)?;
        Ok(Self { text, made: false })
    }

    fn said(&self) -> String {
        if self.made {
            format!("Password, shown this once: {}\n", self.text)
        } else {
            String::new()
        }
    }
}

/// Five groups of four letters and digits that nobody mistakes for one another: about 98 random bits.
fn made_up() -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut random = rand::rng();
    let groups: Vec<String> = (0..5)
        .map(|_| {
            (0..4)
                .filter_map(|_| LETTERS.choose(&mut random))
                .map(|&b| char::from(b))
                .collect()
        })
        .collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_passwords_are_good_enough() {
        let (one, two) = (made_up(), made_up());
        assert_ne!(one, two);
        assert_eq!(one.len(), 24);
        assert!(passwords::check_new(&one, &["ann"]).is_ok());
    }
}
