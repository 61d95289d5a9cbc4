//! Reads passwords and keys: without echo from a terminal, or as a line of stdin from a program. A
//! secret is never a command line argument, because every process of the machine could read the
//! argument.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};

use anyhow::{Context, bail};

/// Requires `-`, for stdin, as the value of an option for a secret. The error does not show another
/// value.
pub(super) fn must_be_stdin(option: &str, given: &str) -> anyhow::Result<()> {
    if given != "-" {
        bail!(
            "{option} accepts only -, and reads the key from stdin; every process of this machine can read an argument"
        );
    }
    Ok(())
}

/// Reads an existing key.
pub(super) async fn key(what: &str) -> anyhow::Result<String> {
    let key = if stdin().is_terminal() {
        ask(&format!("{what}: ")).await?
    } else {
        line().await?
    };
    if key.trim().is_empty() {
        bail!("no {what} was given on stdin; nothing was changed");
    }
    Ok(key)
}

/// Reads a confirmation with echo.
pub(super) async fn confirmation(prompt: &str) -> anyhow::Result<String> {
    // If stderr is closed, the prompt cannot be shown.
    let _ = write!(stderr(), "{prompt}");
    let _ = stderr().flush();
    line().await
}

/// Reads a new password.
pub(super) async fn password() -> anyhow::Result<String> {
    if !stdin().is_terminal() {
        return line().await;
    }
    let first = ask("New password, at least 10 characters: ").await?;
    if ask("Repeat the password: ").await? != first {
        bail!("the two passwords differ; nothing was changed");
    }
    Ok(first)
}

async fn ask(prompt: &str) -> anyhow::Result<String> {
    let hidden = Hidden::begin()?;
    // If stderr is closed, the prompt cannot be shown.
    let _ = write!(stderr(), "{prompt}");
    let _ = stderr().flush();
    let answer = tokio::select! {
        answer = line() => answer,
        // Ctrl-C would leave the terminal without echo.
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("stopped; nothing was changed")),
    };
    drop(hidden);
    let _ = writeln!(stderr());
    answer
}

/// Reads a line without the line end. Surrounding blanks belong to the secret.
async fn line() -> anyhow::Result<String> {
    let read = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        stdin().lock().read_line(&mut text).map(|_| text)
    });
    let text = read.await?.context("stdin could not be read")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// Switches the terminal's echo off until the value is dropped.
#[cfg(unix)]
struct Hidden(rustix::termios::Termios);

#[cfg(unix)]
impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let usual = tcgetattr(stdin()).context("the state of the terminal could not be read")?;
        let mut hidden = usual.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // Input typed before the prompt is discarded, because such input is no answer to the
        // prompt.
        tcsetattr(stdin(), OptionalActions::Flush, &hidden)
            .context("the terminal would show the secret; pass the secret on stdin instead")?;
        Ok(Self(usual))
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // An error means a closed terminal.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

/// On systems without termios a secret must come from stdin.
#[cfg(not(unix))]
struct Hidden;

#[cfg(not(unix))]
impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        bail!("pass the secret on stdin, as one line");
    }
}
