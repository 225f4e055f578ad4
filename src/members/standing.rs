//! A member's standing: role and ban. One rule says who may do what to whom, and one function does it.

use super::queries;
use crate::accounts::Role;
use crate::accounts::queries::{self as accounts, User};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::moderation::log::{self, Action, Entry, Subject};
use crate::secrets::random_passkey;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    SetRole(Role),
    Ban,
    Unban,
}

/// Whether `actor` may do this to `subject`, or the sentence that says why not.
///
/// Nobody acts on themselves; only admins change roles; moderators ban and unban members and uploaders; the last
/// admin stays one (`other_admin`: there is an admin besides the subject who is not banned).
pub fn allowed(
    actor: &User,
    subject: &User,
    act: Act,
    other_admin: bool,
) -> std::result::Result<(), String> {
    let name = &subject.name;
    if actor.id == subject.id {
        return Err(match act {
            Act::SetRole(_) => "Nobody changes their own role. Ask another admin.",
            Act::Ban | Act::Unban => "Nobody bans themselves. Ask somebody else.",
        }
        .to_owned());
    }
    match act {
        Act::SetRole(_) if actor.role < Role::Admin => {
            return Err("Only admins change roles.".to_owned());
        }
        Act::Ban | Act::Unban if actor.role < Role::Moderator => {
            return Err("Only moderators and admins ban.".to_owned());
        }
        Act::Ban | Act::Unban if actor.role < Role::Admin && subject.role >= Role::Moderator => {
            return Err(format!(
                "{name} is {}; only admins ban those.",
                article(subject.role)
            ));
        }
        _ => {}
    }
    let ends_admin = match act {
        Act::SetRole(role) => role < Role::Admin,
        Act::Ban => true,
        Act::Unban => false,
    };
    if ends_admin && subject.role == Role::Admin && subject.banned_at.is_none() && !other_admin {
        return Err(format!("{name} is the last admin. Make another one first."));
    }
    match act {
        Act::SetRole(role) if role == subject.role => {
            Err(format!("{name} is {} already.", article(role)))
        }
        Act::Ban if subject.banned_at.is_some() => Err(format!("{name} is banned already.")),
        Act::Unban if subject.banned_at.is_none() => Err(format!("{name} is not banned.")),
        _ => Ok(()),
    }
}

fn article(role: Role) -> &'static str {
    match role {
        Role::Member => "a member",
        Role::Uploader => "an uploader",
        Role::Moderator => "a moderator",
        Role::Admin => "an admin",
    }
}

/// Does it, with the log entry in the same transaction. The inner error is for the form.
pub async fn act(
    app: &App,
    actor: UserId,
    subject: UserId,
    act: Act,
    reason: &str,
) -> Result<std::result::Result<User, String>> {
    let now = app.clock.now();
    let passkey = random_passkey();
    let mut tx = app.db.write().await?;
    queries::hold_standing(&mut tx).await?;
    // Read again behind the lock: of two admins who demote each other, the second is none any more.
    let actor = accounts::by_id(&mut tx, actor)
        .await?
        .filter(|actor| actor.banned_at.is_none())
        .ok_or(Error::Unauthenticated)?;
    let subject = accounts::by_id(&mut tx, subject)
        .await?
        .ok_or(Error::NotFound)?;
    let other_admin = accounts::any_other_admin(&mut tx, subject.id).await?;
    if let Err(refusal) = allowed(&actor, &subject, act, other_admin) {
        return Ok(Err(refusal));
    }
    let (action, reason) = match act {
        Act::SetRole(role) => {
            accounts::set_role(&mut tx, subject.id, role).await?;
            let change = format!("from {} to {}", subject.role.as_str(), role.as_str());
            (Action::RoleChanged, change)
        }
        Act::Ban => {
            accounts::ban(&mut tx, subject.id, actor.id, reason, now).await?;
            (Action::Banned, reason.to_owned())
        }
        Act::Unban => {
            accounts::unban(&mut tx, subject.id, now).await?;
            // The key was dead; whoever learnt it meanwhile shall not find it alive again.
            accounts::rotate_passkey(&mut tx, subject.id, &passkey, now).await?;
            (Action::Unbanned, String::new())
        }
    };
    let entry = Entry {
        at: now,
        actor: Some(actor.id),
        action,
        subject: Subject::user(subject.id, &subject.name),
        reason,
    };
    log::record(&mut tx, &entry).await?;
    tx.commit().await?;
    tracing::info!(actor = %actor.id, subject = %subject.id, action = action.as_str(), "standing changed");
    Ok(Ok(subject))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn user(id: i64, role: Role, banned: bool) -> User {
        User {
            id: UserId(id),
            name: format!("user{id}"),
            role,
            epoch: 0,
            passkey: String::new(),
            uploaded: 0,
            downloaded: 0,
            theme: "auto".to_owned(),
            created_at: Timestamp(0),
            banned_at: banned.then_some(Timestamp(1)),
            ban_reason: None,
        }
    }

    #[test]
    fn the_whole_ladder() {
        for actor in Role::ALL {
            for subject in Role::ALL {
                let may = |act, banned| {
                    allowed(&user(1, actor, false), &user(2, subject, banned), act, true).is_ok()
                };
                let bans =
                    actor == Role::Admin || (actor == Role::Moderator && subject <= Role::Uploader);
                assert_eq!(may(Act::Ban, false), bans, "{actor:?} bans {subject:?}");
                assert_eq!(may(Act::Unban, true), bans, "{actor:?} unbans {subject:?}");
                assert!(!may(Act::Ban, true) && !may(Act::Unban, false));
                for role in Role::ALL {
                    let changes = actor == Role::Admin && role != subject;
                    assert_eq!(may(Act::SetRole(role), false), changes);
                }
            }
        }
    }

    #[test]
    fn nobody_acts_on_themselves() {
        let admin = user(1, Role::Admin, false);
        for act in [Act::SetRole(Role::Member), Act::Ban, Act::Unban] {
            assert!(allowed(&admin, &admin, act, true).is_err());
        }
    }

    #[test]
    fn the_last_admin_stays() {
        let (actor, last) = (user(1, Role::Admin, false), user(2, Role::Admin, false));
        for act in [Act::SetRole(Role::Moderator), Act::Ban] {
            assert!(
                allowed(&actor, &last, act, false)
                    .unwrap_err()
                    .contains("last admin")
            );
            assert!(allowed(&actor, &last, act, true).is_ok());
        }
        let banned = user(2, Role::Admin, true);
        assert!(allowed(&actor, &banned, Act::SetRole(Role::Member), false).is_ok());
    }
}
