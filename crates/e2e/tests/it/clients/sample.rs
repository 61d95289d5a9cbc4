//! A sample of the API document, sent unchanged by its client. Only the placeholders are replaced.

use std::path::{Path, PathBuf};
use std::process::Output;

use e2e::PATIENCE;
use e2e::gateway::Answer;
use reqwest::StatusCode;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

/// The client that sends a sample.
#[derive(Debug, Clone, Copy)]
pub enum Client {
    /// The HTTP request as printed in the API document, written to a socket.
    Plain,
    /// PHP with its curl extension.
    Php,
    /// curl in a shell.
    Curl,
}

pub const CLIENTS: [Client; 3] = [Client::Plain, Client::Php, Client::Curl];

/// The values for the placeholders of the API document.
#[derive(Debug, Clone)]
pub struct Places {
    /// `http://HOST:PORT`
    pub gateway: String,
    pub key: String,
    pub person: String,
    pub group: String,
    pub notify: String,
    pub media: String,
}

#[derive(Debug)]
pub struct Sample {
    client: Client,
    host: String,
    text: String,
}

impl Sample {
    /// Reads the sample of an endpoint for a client and replaces the placeholders.
    pub fn of(endpoint: &str, client: Client, places: &Places) -> Self {
        let extension = match client {
            Client::Plain => "http",
            Client::Php => "php",
            Client::Curl => "sh",
        };
        let file = format!("samples/{endpoint}.{extension}");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let mut text = std::fs::read_to_string(&file).unwrap();
        let host = places.gateway.strip_prefix("http://").unwrap();
        for (placeholder, meant) in [
            ("https://{{bot_url}}", places.gateway.as_str()),
            ("{{bot_url}}", host),
            ("{{secret_key}}", &places.key),
            ("{{secretkey}}", &places.key),
            ("628123xxxxxx", &places.person),
            ("628124xxxxxx", "6281240000001"),
            ("628125xxxxxx", "6281250000002"),
            ("628126xxxxxx", "6281260000003"),
            ("120363xxxxxxxxxxx", &places.group),
            ("https://yourdomain/your_notify_url", &places.notify),
            ("https://yourdomain/yourmedia.pdf", &places.media),
        ] {
            text = text.replace(placeholder, meant);
        }
        for left in ["{{", "xxx", "yourdomain"] {
            assert!(!text.contains(left), "{}: {text}", file.display());
        }
        Self {
            client,
            host: host.to_owned(),
            text,
        }
    }

    /// Changes the path to its other form: adds the slash at the end, or removes the slash.
    #[must_use]
    pub fn at_the_other_form_of_its_path(mut self) -> Self {
        let name = self.text.find("/api/").unwrap() + "/api/".len();
        let letters = self.text[name..].find(|letter: char| !letter.is_ascii_lowercase());
        let end = name + letters.unwrap();
        if self.text[end..].starts_with('/') {
            self.text.remove(end);
        } else {
            self.text.insert(end, '/');
        }
        self
    }

    /// Sends the sample. A redirect fails the test.
    pub async fn send(&self) -> Answer {
        let sending = async {
            match self.client {
                Client::Plain => self.plain().await,
                Client::Php => self.php().await,
                Client::Curl => self.curl().await,
            }
        };
        tokio::time::timeout(PATIENCE, sending)
            .await
            .expect("an answer")
    }

    /// Adds the parts that the printed request leaves out: the CRLF line ends and the length of the
    /// body.
    async fn plain(&self) -> Answer {
        let text = self.text.strip_suffix('\n').unwrap();
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let head = head.replace('\n', "\r\n");
        let length = match body.len() {
            0 => String::new(),
            length => format!("\r\nContent-Length: {length}"),
        };
        let request = format!("{head}{length}\r\n\r\n{body}");
        let mut stream = TcpStream::connect(&self.host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        read(&mut BufReader::new(stream)).await
    }

    async fn php(&self) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let script = written(folder.path(), "sample.php", &self.text);
        // The sample does not read the status and the number of redirects, so a second script does.
        let after = "<?php fprintf(STDERR, '%d %d', curl_getinfo($curl, CURLINFO_RESPONSE_CODE), \
                     curl_getinfo($curl, CURLINFO_REDIRECT_COUNT));";
        let after = written(folder.path(), "after.php", after);
        let mut php = Command::new("php");
        php.args(["-d", "display_errors=stdout", "-d"])
            .arg(format!("auto_append_file={}", after.display()))
            .arg(script);
        let output = run(php, "php-cli and php-curl").await;
        let status_line = String::from_utf8(output.stderr.clone()).unwrap();
        answer(
            &output,
            &String::from_utf8_lossy(&output.stdout),
            &status_line,
        )
    }

    async fn curl(&self) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let script = written(folder.path(), "sample.sh", &self.text);
        let settings = "silent\nshow-error\nwrite-out = \"\\n%{http_code} %{num_redirects}\"\n";
        written(folder.path(), ".curlrc", settings);
        let mut shell = Command::new("sh");
        shell.arg(script).env("CURL_HOME", folder.path());
        let output = run(shell, "curl").await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status_line) = text.rsplit_once('\n').unwrap_or_default();
        answer(&output, body, status_line)
    }
}

/// Runs the command to its end, without any proxy of this machine.
async fn run(mut command: Command, package: &str) -> Output {
    let ended = command
        .env("no_proxy", "*")
        .env("NO_PROXY", "*")
        .kill_on_drop(true)
        .output();
    let output = ended.await;
    let output = output.unwrap_or_else(|error| {
        panic!("{command:?} does not start ({error}): install {package}, as scripts/test does")
    });
    assert!(
        output.status.success(),
        "{command:?} failed, which needs {package}; scripts/test installs them: {output:?}"
    );
    output
}

/// Builds the answer; `status_line` holds the status and the number of redirects.
fn answer(output: &Output, body: &str, status_line: &str) -> Answer {
    let (status, redirects) = status_line.split_once(' ').unwrap_or_default();
    assert_eq!(redirects, "0", "{output:?}");
    Answer {
        status: status.parse().unwrap(),
        body: serde_json::from_str(body).expect(body),
    }
}

/// Reads one answer from a connection that stays open.
async fn read(stream: &mut BufReader<TcpStream>) -> Answer {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        assert!(!line.is_empty(), "the connection ended after: {head}");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let status = head.split(' ').nth(1).unwrap();
    Answer {
        status: status.parse::<StatusCode>().unwrap(),
        body: serde_json::from_slice(&body).unwrap(),
    }
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
