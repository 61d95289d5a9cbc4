//! `waviro conform`: checks a host against the API document.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use url::Url;
use waviro_conform::{Origin, Target};

use super::output::{complain, print_line};
use super::secret;

/// The rate limit in the API document.
const MESSAGES_A_MINUTE: u32 = 5;

#[derive(Debug, Args)]
pub(super) struct Conform {
    /// The URL before /api, such as <http://127.0.0.1:8080>
    #[arg(long, value_name = "URL", required_unless_present = "list")]
    url: Option<Url>,
    /// The SecretKey of a linked bot; `-` reads it from stdin, hidden from other processes of this
    /// machine
    #[arg(
        long,
        env = "WAVIRO_CONFORM_KEY",
        hide_env_values = true,
        required_unless_present = "list"
    )]
    key: Option<String>,
    /// A number on WhatsApp that receives the messages, with country code
    #[arg(long, value_name = "NUMBER", required_unless_present = "list")]
    to: Option<String>,
    /// A group of the bot, as shown by /api/groups
    #[arg(long, value_name = "GROUPID", required_unless_present = "list")]
    group: Option<String>,
    /// The SecretKey of an unlinked bot; without it, the answers of an unlinked bot are not
    /// checked. `-` reads it from stdin, after the other key
    #[arg(
        long,
        value_name = "KEY",
        env = "WAVIRO_CONFORM_UNLINKED_KEY",
        hide_env_values = true
    )]
    unlinked_key: Option<String>,
    /// A well-formed number that is not on WhatsApp
    #[arg(long, value_name = "NUMBER", default_value = "6289999999999")]
    nobody: String,
    /// Address where the suite receives callbacks and serves files
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// URL at which the host reaches that address [default: loopback, if the host is on this
    /// machine]
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
    /// The most messages per minute; 0 for no limit [default: none on this machine, otherwise 5 as
    /// the document asks]
    #[arg(long, value_name = "N")]
    per_minute: Option<u32>,
    /// The longest wait for a callback
    #[arg(long, value_name = "SECONDS", default_value = "90")]
    patience: u64,
    /// Run only checks whose name begins with NAME; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Print the name of each check and the source of its promise
    #[arg(long)]
    list: bool,
    /// Write the result as `JUnit` XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the result and all accepted messages as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Conform {
    /// Exits with 0 if all checks pass, 1 if a check fails, and 2 (also clap's code) if nothing
    /// could be checked.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        if self.list {
            list();
            return Ok(ExitCode::SUCCESS);
        }
        let (Some(url), Some(key), Some(to), Some(group)) =
            (self.url, self.key, self.to, self.group)
        else {
            bail!("--url, --key, --to and --group are required");
        };
        if !matches!(url.scheme(), "http" | "https") {
            bail!("--url must begin with http:// or https://");
        }
        let key = given(key, "SecretKey").await?;
        let unlinked_key = match self.unlinked_key {
            Some(key) => Some(given(key, "SecretKey of the unlinked bot").await?),
            None => None,
        };
        let mut target = Target {
            url,
            key,
            to,
            group,
            unlinked_key,
            nobody: self.nobody,
            listen: self.listen,
            public_url: self.public_url,
            pace: Duration::ZERO,
            patience: Duration::from_secs(self.patience),
            only: self.only,
        };
        let per_minute = match self.per_minute {
            Some(count) => count,
            None if target.is_near() => 0,
            None => MESSAGES_A_MINUTE,
        };
        if per_minute > 0 {
            target.pace = Duration::from_mins(1) / per_minute;
        }
        print_line(format_args!(
            "WAVIRO API at {}: real messages are sent to {} and {}{}\n",
            target.url,
            target.to,
            target.group,
            if per_minute == 0 {
                String::new()
            } else {
                format!(", at most {per_minute} a minute")
            }
        ));
        let files = (
            create(self.junit.as_deref())?,
            create(self.json.as_deref())?,
        );
        let report = match waviro_conform::run(&target, |tried| print_line(tried.line())).await {
            Ok(report) => report,
            Err(error) => {
                complain(&error.into());
                return Ok(ExitCode::from(2));
            }
        };
        print_line(format_args!("\n{}", report.summary()));
        if let Some((path, file)) = files.1 {
            write(&path, file, &report.json().to_string())?;
        }
        if let Some((path, file)) = files.0 {
            write(&path, file, &report.junit().map_err(anyhow::Error::msg)?)?;
        }
        Ok(if report.failed().next().is_some() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// Returns a key from an argument or the environment; for `-`, reads the key from stdin.
async fn given(key: String, what: &str) -> anyhow::Result<String> {
    if key == "-" {
        let key = secret::key(what).await?;
        return Ok(key.trim().to_owned());
    }
    Ok(key)
}

fn list() {
    for check in waviro_conform::checks() {
        let by = match check.origin {
            Origin::Document => "document",
            Origin::Waviro => "waviro",
        };
        print_line(format_args!("{:<34} {by:<9} {}", check.name, check.says));
    }
}

/// Creates the result file before the first message: an unwritable path then costs no messages.
fn create(path: Option<&Path>) -> anyhow::Result<Option<(PathBuf, File)>> {
    let Some(path) = path else { return Ok(None) };
    let file = File::create(path)
        .with_context(|| format!("{} cannot be written; nothing was sent", path.display()))?;
    Ok(Some((path.to_owned(), file)))
}

fn write(path: &Path, mut file: File, text: &str) -> anyhow::Result<()> {
    file.write_all(text.as_bytes())
        .with_context(|| format!("{} could not be written", path.display()))
}
