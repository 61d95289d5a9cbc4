//! The HTTP client for the library: requests for the WhatsApp Web version and for files.
//!
//! The client sends requests only to WhatsApp's own hosts, even if the server on the socket names
//! another host. With a simulator, the simulator's address is allowed too. If the simulator's
//! WebSocket is unencrypted, its files use plain HTTP: the library writes `https://` before each
//! host.
//!
//! The only proxy is the configured proxy. `HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` of the
//! environment are ignored: these variables are often set for other programs, and the proxy would
//! learn when a device loads files.

use std::io::Read;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream;
use reqwest::header::CONTENT_LENGTH;
use url::Url;
use whatsapp_rust::anyhow::{self, anyhow, bail};
use whatsapp_rust::bytes::Bytes;
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse};
use whatsapp_rust::wacore::net::{StreamingHttpResponse, UploadBody};

use super::endpoint::is_whatsapp;

/// The timeout of a request, longer than any answer of WhatsApp takes. The library adds no timeout.
const DEADLINE: Duration = Duration::from_secs(20);

/// The timeout of an upload; the sender of the file gives up earlier.
const UPLOAD_DEADLINE: Duration = Duration::from_mins(5);

/// The timeout of a download.
const DOWNLOAD_DEADLINE: Duration = Duration::from_mins(5);

/// The maximum size of a downloaded file, encrypted or not; callers have stricter limits.
const LARGEST: u64 = 128 * 1024 * 1024;

/// The part of a file that is in memory at a time.
const PART: usize = 64 * 1024;

/// The HTTP client for WhatsApp's hosts.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    simulated: Option<Simulator>,
}

/// The address of a simulator, the only allowed host besides WhatsApp's hosts.
#[derive(Debug, Clone)]
struct Simulator {
    host: String,
    port: Option<u16>,
    /// The scheme for files: with TLS if the simulator's WebSocket has TLS.
    scheme: &'static str,
}

impl Http {
    /// `simulated` is the simulator's address, used without a proxy. `proxy` is the proxy for
    /// WhatsApp's own hosts.
    pub(super) fn new(
        simulated: Option<&Url>,
        proxy: Option<&Url>,
        tls: &rustls::ClientConfig,
    ) -> Result<Self, reqwest::Error> {
        let address = |url: &Url| Simulator {
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default(),
            scheme: if url.scheme() == "wss" {
                "https"
            } else {
                "http"
            },
        };
        let mut builder = reqwest::Client::builder()
            .timeout(DEADLINE)
            .https_only(simulated.is_none())
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(tls.clone())
            .no_proxy();
        if let (None, Some(proxy)) = (simulated, proxy) {
            builder = builder.proxy(reqwest::Proxy::all(proxy.clone())?);
        }
        Ok(Self {
            client: builder.build()?,
            simulated: simulated.map(address),
        })
    }

    fn request(&self, request: HttpRequest) -> anyhow::Result<reqwest::RequestBuilder> {
        let method = request
            .method
            .parse()
            .map_err(|_| anyhow!("no such HTTP method: {}", request.method))?;
        let mut call = self.client.request(method, self.judge(&request.url)?);
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        if let Some(body) = request.body {
            call = call.body(body);
        }
        Ok(call)
    }

    /// Returns the address to use, or an error for a forbidden host.
    fn judge(&self, url: &str) -> anyhow::Result<Url> {
        let mut url = Url::parse(url)?;
        let host = url.host_str().unwrap_or_default();
        if let Some(simulator) = &self.simulated
            && host == simulator.host
            && url.port_or_known_default() == simulator.port
        {
            url.set_scheme(simulator.scheme)
                .map_err(|()| anyhow!("not an HTTP URL"))?;
            return Ok(url);
        }
        if url.scheme() != "https" || !is_whatsapp(host) {
            bail!("request refused: the host is not WhatsApp's");
        }
        Ok(url)
    }
}

async fn response(call: reqwest::RequestBuilder) -> anyhow::Result<HttpResponse> {
    let answer = call.send().await?;
    Ok(HttpResponse {
        status_code: answer.status().as_u16(),
        body: answer.bytes().await?.to_vec(),
    })
}

#[async_trait]
impl HttpClient for Http {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        response(self.request(request)?).await
    }

    fn supports_streaming(&self) -> bool {
        true
    }

    /// The library calls the method on a thread that may block, and reads the body there too.
    fn execute_streaming(&self, request: HttpRequest) -> anyhow::Result<StreamingHttpResponse> {
        let call = self.request(request)?.timeout(DOWNLOAD_DEADLINE);
        let runtime = tokio::runtime::Handle::current();
        let answer = runtime.block_on(call.send())?;
        let status_code = answer.status().as_u16();
        let body = Body {
            runtime,
            answer,
            part: Bytes::new(),
        };
        Ok(StreamingHttpResponse {
            status_code,
            body: Box::new(body.take(LARGEST)),
        })
    }

    fn supports_upload_streaming(&self) -> bool {
        true
    }

    /// The library calls the method on a thread that may block, so reading the file may block.
    fn execute_upload(
        &self,
        request: HttpRequest,
        body: UploadBody,
        content_length: u64,
    ) -> anyhow::Result<HttpResponse> {
        let parts = stream::unfold(body, |mut body| async move {
            let mut part = vec![0; PART];
            match body.read(&mut part) {
                Ok(0) => None,
                Ok(count) => {
                    part.truncate(count);
                    Some((Ok(part), body))
                }
                Err(error) => Some((Err(error), body)),
            }
        });
        let call = self
            .request(request)?
            .header(CONTENT_LENGTH, content_length)
            .timeout(UPLOAD_DEADLINE)
            .body(reqwest::Body::wrap_stream(parts));
        tokio::runtime::Handle::current().block_on(response(call))
    }
}

/// Reads the body of an answer while the body arrives.
struct Body {
    runtime: tokio::runtime::Handle,
    answer: reqwest::Response,
    /// Received bytes that have not been read yet.
    part: Bytes,
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.part.is_empty() {
            match self.runtime.block_on(self.answer.chunk()) {
                Ok(Some(part)) => self.part = part,
                Ok(None) => return Ok(0),
                Err(error) => return Err(std::io::Error::other(error)),
            }
        }
        let read = self.part.split_to(self.part.len().min(into.len()));
        into[..read.len()].copy_from_slice(&read);
        Ok(read.len())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// The variable with the simulator's address, set by the test below for its second process.
    const SIMULATOR: &str = "WAVIRO_TEST_SIMULATOR";

    fn tls() -> Arc<rustls::ClientConfig> {
        super::super::tls::client_config(None).unwrap()
    }

    fn get(url: &str) -> HttpRequest {
        HttpRequest {
            url: url.to_owned(),
            method: "GET".to_owned(),
            headers: std::collections::HashMap::new(),
            body: None,
        }
    }

    /// Answers one request, and returns the first line of the request.
    async fn answer_one(listener: TcpListener, answer: &str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let count = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        let request = String::from_utf8_lossy(&request[..count]).into_owned();
        request.lines().next().unwrap_or_default().to_owned()
    }

    /// All tests of a process share the environment. Therefore the test starts itself again in a
    /// process with proxy variables, and the second process sends the request to the simulator.
    #[expect(
        clippy::disallowed_methods,
        reason = "an environment variable marks the second process"
    )]
    #[tokio::test]
    async fn proxies_of_the_environment_are_ignored() {
        if let Ok(address) = std::env::var(SIMULATOR) {
            return ask_the_simulator(&address).await;
        }
        let simulator = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = simulator.local_addr().unwrap();
        let asking = tokio::task::spawn_blocking(move || {
            let mut test = Command::new(std::env::current_exe().unwrap());
            let name = "whatsapp::http::tests::proxies_of_the_environment_are_ignored";
            test.args(["--exact", name]);
            for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
                // Nothing listens on port 1.
                test.env(proxy, "http://127.0.0.1:1");
                test.env(proxy.to_lowercase(), "http://127.0.0.1:1");
            }
            test.env_remove("NO_PROXY").env_remove("no_proxy");
            test.env(SIMULATOR, address.to_string()).output().unwrap()
        });
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let (first, asked) = tokio::join!(answer_one(simulator, answer), asking);
        assert_eq!(first, "GET /mms/image/x HTTP/1.1");
        let output = asked.unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    async fn ask_the_simulator(address: &str) {
        let simulator = Url::parse(&format!("ws://{address}/ws/chat")).unwrap();
        let http = Http::new(Some(&simulator), None, &tls()).unwrap();
        let url = format!("https://{address}/mms/image/x");
        let answer = http.execute(get(&url)).await.unwrap();
        assert_eq!(answer.status_code, 200);
    }

    #[tokio::test]
    async fn a_configured_proxy_is_asked_for_whatsapps_hosts_alone() {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", proxy.local_addr().unwrap())).unwrap();
        let http = Http::new(None, Some(&url), &tls()).unwrap();
        let refusing = answer_one(proxy, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        let request = get("https://mmg.whatsapp.net/v/t62/x");
        let (first, answer) = tokio::join!(refusing, http.execute(request));
        assert_eq!(first, "CONNECT mmg.whatsapp.net:443 HTTP/1.1");
        assert!(answer.is_err());
    }

    #[test]
    fn requests_go_only_to_whatsapp_and_the_configured_simulator() {
        let tls = tls();
        let simulator = Url::parse("ws://127.0.0.1:4000/ws/chat").unwrap();
        let secure = Url::parse("wss://127.0.0.1:4000/ws/chat").unwrap();
        let real = Http::new(None, None, &tls).unwrap();
        let simulated = Http::new(Some(&simulator), None, &tls).unwrap();
        let secured = Http::new(Some(&secure), None, &tls).unwrap();
        let file = "https://mmg.whatsapp.net/v/t62/x?auth=y";
        assert_eq!(real.judge(file).unwrap().as_str(), file);
        assert_eq!(simulated.judge(file).unwrap().as_str(), file);
        let at_home = "https://127.0.0.1:4000/mms/image/x";
        assert_eq!(
            simulated.judge(at_home).unwrap().as_str(),
            "http://127.0.0.1:4000/mms/image/x"
        );
        assert_eq!(secured.judge(at_home).unwrap().as_str(), at_home);
        assert!(real.judge(at_home).is_err());
        for foreign in [
            "https://127.0.0.1:4001/mms/image/x",
            "https://10.0.0.1:4000/x",
            "https://whatsapp.net.example/x",
            "http://mmg.whatsapp.net/x",
            "file:///etc/passwd",
        ] {
            assert!(simulated.judge(foreign).is_err(), "{foreign}");
            assert!(real.judge(foreign).is_err(), "{foreign}");
        }
    }
}
