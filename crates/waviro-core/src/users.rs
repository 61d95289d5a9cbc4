//! The users of the dashboard: names, passwords, roles and login sessions.
//!
//! Each use of a session reads the database, so an ended session stops working at once, even if the
//! command line tool ended it.

mod hashing;
mod session;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use waviro_store::clock::Clock;
use waviro_store::invisible;
use waviro_store::{AddUser, ChangeUser, Store, StoreError, UserChange, UserRole, UserRow};

use hashing::{Full, Hashing};

pub use session::{LIVES, Session};

/// The minimum length of a password, in characters.
pub const SHORTEST: usize = 10;

/// The maximum length of a password, in bytes.
pub const LONGEST: usize = 1024;

/// The address that stands for logged-in users and the command line in the queue for hashing.
const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The operations on users. Cheap to clone.
#[derive(Clone)]
pub struct Users {
    store: Store,
    clock: Clock,
    hashing: Hashing,
}

/// The causes to refuse a new user or a change of a user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// An existing user has a name that looks the same.
    #[error(
        "a user with this name, or with a name that looks the same, exists already; choose another name"
    )]
    NameTaken,
    /// The name is blank, longer than [`invisible::NAME_CAP`], or has control characters.
    #[error("a user's name must be 1 to 64 visible characters, without control characters")]
    BadName,
    /// The password is shorter than [`SHORTEST`] or longer than [`LONGEST`].
    #[error("a password must have at least 10 characters")]
    BadPassword,
    /// The bot does not exist.
    #[error("there is no such bot; `waviro bot list` shows all bots")]
    NoSuchBot,
    /// The user does not exist.
    #[error("there is no such user; `waviro user list` shows all users")]
    NoSuchUser,
    /// Without this user the gateway would have no admin.
    #[error("this is the last admin; make another user an admin first")]
    LastAdmin,
    /// The queue for hashing is full.
    #[error("too many passwords are being checked; try again in a moment")]
    Busy,
    /// The first user exists already.
    #[error("the first user exists already; log in")]
    NotFirst,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Full> for UserError {
    fn from(_: Full) -> Self {
        Self::Busy
    }
}

impl Users {
    /// Creates the operations on a database. At most `waiting` password checks wait for hashing
    /// (`limits.logins_waiting`).
    #[must_use]
    pub fn new(store: Store, clock: Clock, waiting: u64) -> Self {
        let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
        Self {
            store,
            clock,
            hashing: Hashing::new(waiting),
        }
    }

    /// Adds a user. With `first`, adds the user only if no other exists yet.
    ///
    /// # Errors
    /// [`UserError`].
    pub async fn add(
        &self,
        name: &str,
        password: &str,
        role: UserRole,
        first: bool,
    ) -> Result<UserRow, UserError> {
        let name = invisible::name(name).ok_or(UserError::BadName)?;
        let hash = self.hash(password).await?;
        let now = self.clock.now();
        match self.store.add_user(&name, &hash, role, first, now).await? {
            AddUser::Added(user) => Ok(user),
            AddUser::NameTaken => Err(UserError::NameTaken),
            AddUser::NoSuchBot => Err(UserError::NoSuchBot),
            AddUser::NotFirst => Err(UserError::NotFirst),
        }
    }

    /// Changes the fields that are `Some`. A new password ends the user's sessions.
    ///
    /// # Errors
    /// [`UserError`].
    pub async fn change(
        &self,
        id: i64,
        password: Option<&str>,
        role: Option<UserRole>,
    ) -> Result<(), UserError> {
        let password = match password {
            Some(password) => Some(self.hash(password).await?),
            None => None,
        };
        let change = UserChange { password, role };
        result_of(self.store.change_user(id, change).await?)
    }

    /// Removes a user and ends the user's sessions.
    ///
    /// # Errors
    /// [`UserError`].
    pub async fn remove(&self, id: i64) -> Result<(), UserError> {
        let removed = self.store.remove_user(id, self.clock.now()).await?;
        result_of(removed)
    }

    /// Returns up to `limit` users with an id above `after`, by id.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn list(&self, after: i64, limit: i64) -> Result<Vec<UserRow>, StoreError> {
        self.store.users(after, limit).await
    }

    /// Returns a user.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn one(&self, id: i64) -> Result<Option<UserRow>, StoreError> {
        self.store.user(id).await
    }

    /// Returns `true` if at least one user exists.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn any(&self) -> Result<bool, StoreError> {
        self.store.has_users().await
    }

    /// Logs in. Returns `None` if the name or the password is wrong. An unknown name takes as long
    /// as a known name, so the duration does not reveal which names exist.
    ///
    /// # Errors
    /// [`UserError::Busy`] or [`UserError::Store`].
    pub async fn log_in(
        &self,
        from: IpAddr,
        name: &str,
        password: &str,
    ) -> Result<Option<Session>, UserError> {
        match self.knows(from, name, password).await? {
            Some(user) => Ok(Some(self.begin(user).await?)),
            None => Ok(None),
        }
    }

    /// Returns the user with this name and password. `from` is the client's address; the queue for
    /// hashing is shared fairly between addresses.
    ///
    /// # Errors
    /// [`UserError::Busy`] or [`UserError::Store`].
    pub async fn knows(
        &self,
        from: IpAddr,
        name: &str,
        password: &str,
    ) -> Result<Option<i64>, UserError> {
        let known = self.stored(name).await?;
        let hash = known.as_ref().map(|(_, hash)| hash.clone());
        let right = self.verify(from, password, hash).await?;
        Ok(known.filter(|_| right).map(|(user, _)| user))
    }

    /// Returns the user of a name. The name may be typed in another Unicode form than the stored
    /// name.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn named(&self, name: &str) -> Result<Option<UserRow>, StoreError> {
        let known = match self.stored(name).await? {
            None => self.stored(&invisible::nfc(name)).await?,
            known => known,
        };
        match known {
            Some((id, _)) => self.one(id).await,
            None => Ok(None),
        }
    }

    /// Returns the id and the password hash of a name. No stored name has control characters, and
    /// PostgreSQL refuses a query with some of them.
    async fn stored(&self, name: &str) -> Result<Option<(i64, String)>, StoreError> {
        if name.chars().any(char::is_control) {
            return Ok(None);
        }
        self.store.password_of(name).await
    }

    async fn hash(&self, password: &str) -> Result<String, UserError> {
        if password.chars().count() < SHORTEST || password.len() > LONGEST {
            return Err(UserError::BadPassword);
        }
        let password = password.to_owned();
        let hashed = self.hashing.run(INSIDE, move || hash(&password)).await;
        hashed?.ok_or(UserError::BadPassword)
    }

    async fn verify(
        &self,
        from: IpAddr,
        password: &str,
        hash: Option<String>,
    ) -> Result<bool, UserError> {
        if password.len() > LONGEST {
            return Ok(false);
        }
        let password = password.to_owned();
        let verified = self.hashing.run(from, move || {
            let known = hash.is_some();
            let hash = hash.or_else(|| NOBODYS.clone()).unwrap_or_default();
            let right = PasswordHash::new(&hash).is_ok_and(|hash| {
                Argon2::default()
                    .verify_password(password.as_bytes(), &hash)
                    .is_ok()
            });
            known && right
        });
        Ok(verified.await?)
    }
}

fn result_of(change: ChangeUser) -> Result<(), UserError> {
    match change {
        ChangeUser::Changed => Ok(()),
        ChangeUser::NoSuchUser => Err(UserError::NoSuchUser),
        ChangeUser::NoSuchBot => Err(UserError::NoSuchBot),
        ChangeUser::LastAdmin => Err(UserError::LastAdmin),
    }
}

/// The hash used for an unknown user, so that a wrong name costs as much time as a wrong password.
static NOBODYS: LazyLock<Option<String>> = LazyLock::new(|| hash("nobody's password"));

/// Hashes a password with Argon2id, a random salt and the default parameters of the crate. OWASP
/// recommends the same parameters: 19 MiB, two passes.
fn hash(password: &str) -> Option<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.ok().map(|hash| hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn users() -> (tempfile::TempDir, Users) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/waviro.db", folder.path().display());
        let store = Store::open(&url).await.unwrap();
        (folder, Users::new(store, Clock::manual(1_000), 20))
    }

    const PASSWORD: &str = "kata sandi yang panjang";

    #[tokio::test]
    async fn the_right_password_gives_a_session_until_its_end() {
        let (_folder, users) = users().await;
        assert!(!users.any().await.unwrap());
        let added = users.add("ani", PASSWORD, UserRole::Admin, true).await;
        let added = added.unwrap();
        assert!(users.any().await.unwrap());
        for (name, password) in [("ani", "kata sandi lain!"), ("budi", PASSWORD), ("ani", "")] {
            assert!(
                users
                    .log_in(INSIDE, name, password)
                    .await
                    .unwrap()
                    .is_none()
            );
        }
        let session = users
            .log_in(INSIDE, "ani", PASSWORD)
            .await
            .unwrap()
            .unwrap();
        let user = users.of(session.reveal()).await.unwrap();
        assert_eq!(user, Some(added));
        assert!(users.of("another").await.unwrap().is_none());
        users.log_out(session.reveal()).await.unwrap();
        assert!(users.of(session.reveal()).await.unwrap().is_none());
        let session = users
            .log_in(INSIDE, "ani", PASSWORD)
            .await
            .unwrap()
            .unwrap();
        users.clock.advance(LIVES);
        assert!(users.of(session.reveal()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_new_password_and_a_removal_end_sessions() {
        let (_folder, users) = users().await;
        let ani = users.add("ani", PASSWORD, UserRole::Admin, true).await;
        let ani = ani.unwrap().id;
        let budi = users.add("budi", PASSWORD, UserRole::Viewer, false).await;
        let budi = budi.unwrap().id;
        let session = users.begin(ani).await.unwrap();
        users
            .change(ani, Some("kata sandi baru"), None)
            .await
            .unwrap();
        assert!(users.of(session.reveal()).await.unwrap().is_none());
        assert!(
            users
                .log_in(INSIDE, "ani", PASSWORD)
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            users
                .log_in(INSIDE, "ani", "kata sandi baru")
                .await
                .unwrap()
                .is_some()
        );
        let session = users.begin(budi).await.unwrap();
        users.remove(budi).await.unwrap();
        assert!(users.of(session.reveal()).await.unwrap().is_none());
        // The name is free again; the id is not.
        let again = users.add("budi", PASSWORD, UserRole::Viewer, false).await;
        assert!(again.unwrap().id > budi);
    }

    #[tokio::test]
    async fn there_is_always_an_admin_and_only_one_user_is_the_first() {
        let (_folder, users) = users().await;
        let ani = users.add("ani", PASSWORD, UserRole::Admin, true).await;
        let ani = ani.unwrap().id;
        let second = users.add("budi", PASSWORD, UserRole::Admin, true).await;
        assert!(matches!(second, Err(UserError::NotFirst)));
        let last = |done| matches!(done, Err(UserError::LastAdmin));
        assert!(last(users.remove(ani).await));
        assert!(last(users.change(ani, None, Some(UserRole::Viewer)).await));
        let budi = users.add("budi", PASSWORD, UserRole::Admin, false).await;
        users.remove(ani).await.unwrap();
        assert!(last(users.remove(budi.unwrap().id).await));
    }

    #[tokio::test]
    async fn an_invalid_name_or_password_is_refused() {
        let (_folder, users) = users().await;
        let add = async |name: &str, password: &str| {
            users.add(name, password, UserRole::Viewer, false).await
        };
        let long = "n".repeat(65);
        for name in ["", " ", "\u{200b}\u{2066}", "a\nb", &long] {
            assert!(matches!(add(name, PASSWORD).await, Err(UserError::BadName)));
        }
        let endless = "p".repeat(1025);
        for password in ["", "pendek 99", &endless] {
            let refused = add("ani", password).await;
            assert!(matches!(refused, Err(UserError::BadPassword)));
        }
        let operator = UserRole::Operator(vec![7]);
        let refused = users.add("ani", PASSWORD, operator, false).await;
        assert!(matches!(refused, Err(UserError::NoSuchBot)));
    }
}
