//! Stores the sandbox's secret keys in plain text, so that a kept sandbox has the same keys after a
//! restart. Real gateways store no keys in plain text.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use waviro_core::bots::{Bot, Bots};
use waviro_core::tokens::Tokens;
use waviro_store::TokenRole;

/// The name of the sandbox's admin token.
const ADMIN: &str = "sandbox";

/// Returns the bot with this name, and the key. If the file has no valid key, creates the bot or
/// gives the bot a new key.
pub(super) async fn bot(
    bots: &Bots,
    name: &str,
    file: &Path,
) -> anyhow::Result<(Arc<Bot>, String)> {
    let mut keys: BTreeMap<String, String> = match std::fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
            format!(
                "{} is damaged; remove the file to create a new key",
                file.display()
            )
        })?,
        Err(_) => BTreeMap::new(),
    };
    if let Some(key) = keys.get(name)
        && let Some(bot) = bots.by_secret(key).await
        && bot.name() == name
    {
        return Ok((bot, key.clone()));
    }
    let known = bots.list().into_iter().find(|bot| bot.name() == name);
    let (bot, key) = match known {
        Some(bot) => {
            let key = bots.rotate_key(bot.id(), Duration::ZERO).await?;
            (bot, key)
        }
        None => bots.add(name).await?,
    };
    keys.insert(name.to_owned(), key.reveal().to_owned());
    write(file, &serde_json::to_vec(&keys)?)
        .with_context(|| format!("{} could not be written", file.display()))?;
    Ok((bot, key.reveal().to_owned()))
}

/// Returns the admin token from the file, or a new token if the stored token is not valid.
pub(super) async fn admin(tokens: &Tokens, file: &Path) -> anyhow::Result<String> {
    if let Ok(known) = std::fs::read_to_string(file)
        && tokens.of(&known).await?.is_some()
    {
        return Ok(known);
    }
    tokens.revoke_named(ADMIN).await?;
    let (_, token) = tokens.add(ADMIN, TokenRole::Admin, None).await?;
    write(file, token.reveal().as_bytes())
        .with_context(|| format!("{} could not be written", file.display()))?;
    Ok(token.reveal().to_owned())
}

/// Replaces the file atomically, readable only by the owner.
fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(bytes)?;
    fresh.as_file().sync_all()?;
    fresh.persist(file)?;
    Ok(())
}
