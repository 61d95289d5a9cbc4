//! Reads passwords and keys: without showing them where a person types, as one line of stdin where a program writes. A secret is never
//! an argument: every process of the machine could read it.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};

use anyhow::{Context, bail};

/// What an option for a secret takes: `-`, for stdin. What was given instead is not shown.
pub(super) fn must_be_stdin(option: &str, given: &str) -> anyhow::Result<()> {
    if given != "-" {
        bail!(
            "{option} takes - alone, and reads the key from stdin; every process of this machine can read an argument"
        );
    }
    Ok(())
}

/// A key that exists already.
pub(super) async fn key(what: &str) -> anyhow::Result<String> {
    let key = if stdin().is_terminal() {
        ask(&format!("{what}: ")).await?
    } else {
        line().await?
    };
    if key.trim().is_empty() {
        bail!("no {what} came on stdin; nothing was done");
    }
    Ok(key)
}

/// What a person types to be sure, shown while it is typed.
pub(super) async fn confirmation(prompt: &str) -> anyhow::Result<String> {
    // Nobody is left to tell where stderr is closed.
    let _ = write!(stderr(), "{prompt}");
    let _ = stderr().flush();
    line().await
}

/// The new password.
pub(super) async fn password() -> anyhow::Result<String> {
    if !stdin().is_terminal() {
        return line().await;
    }
    let first = ask("New password, at least 10 characters: ").await?;
    if ask("Once more: ").await? != first {
        bail!("the two passwords differ; nothing was changed");
    }
    Ok(first)
}

async fn ask(prompt: &str) -> anyhow::Result<String> {
    let hidden = Hidden::begin()?;
    // Nobody is left to tell where stderr is closed.
    let _ = write!(stderr(), "{prompt}");
    let _ = stderr().flush();
    let answer = tokio::select! {
        answer = line() => answer,
        // Ctrl-C would leave the terminal without its echo.
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("stopped; nothing was changed")),
    };
    drop(hidden);
    let _ = writeln!(stderr());
    answer
}

/// One line without its end. Blanks around it are part of it.
async fn line() -> anyhow::Result<String> {
    let read = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        stdin().lock().read_line(&mut text).map(|_| text)
    });
    let text = read.await?.context("stdin could not be read")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// A terminal that does not show what is typed, until this is dropped.
#[cfg(unix)]
struct Hidden(rustix::termios::Termios);

#[cfg(unix)]
impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let usual = tcgetattr(stdin()).context("the terminal says nothing of itself")?;
        let mut hidden = usual.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // What was typed before the question was no answer to it.
        tcsetattr(stdin(), OptionalActions::Flush, &hidden)
            .context("the terminal would show the secret; pass it on stdin instead")?;
        Ok(Self(usual))
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // A terminal that is gone shows nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

/// Where the terminal cannot be told, a secret is passed on stdin.
#[cfg(not(unix))]
struct Hidden;

#[cfg(not(unix))]
impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        bail!("pass the secret on stdin, as one line");
    }
}
