//! Asks for a password: without showing it where somebody types, as one line where a program does. Never as an argument, which every
//! process of the machine could read.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};

use anyhow::{Context, bail};

/// The new password.
pub(super) async fn read() -> anyhow::Result<String> {
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
    let text = read.await?.context("the password could not be read")?;
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
            .context("the terminal would show the password; pass it on stdin instead")?;
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

/// Where the terminal cannot be told, a password is passed on stdin.
#[cfg(not(unix))]
struct Hidden;

#[cfg(not(unix))]
impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        bail!("pass the password on stdin, as one line");
    }
}
