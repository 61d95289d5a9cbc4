//! Fetching a file: limits of size and time, and the guard for every redirect.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use waviro_core::net::unpack::Encoding;
use waviro_core::net::{FetchError, Fetched, NetError};

const WITHIN: Duration = Duration::from_secs(20);
const CAP: u64 = 100_000;

/// Starts a host that computes the answer from the path of a GET request; each connection serves
/// one request.
async fn host(answer: impl Fn(&str, SocketAddr) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    TaskTracker::new().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let count = stream.read(&mut request).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..count]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or("/").to_owned();
            let _ = stream.write_all(&answer(&path, address)).await;
        }
    });
    address
}

async fn fetch(address: SocketAddr, path: &str) -> (Result<Fetched, FetchError>, Vec<u8>) {
    let net = super::net(&["127.0.0.0/8"]);
    let url = format!("http://{address}{path}").parse().unwrap();
    let mut sink = Vec::new();
    let fetched = net.fetch(&url, &[], WITHIN, CAP, &mut sink).await;
    (fetched, sink)
}

fn file(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}\r\n").into_bytes();
    answer.extend_from_slice(body);
    answer
}

#[tokio::test]
async fn a_file_comes_whole_with_what_is_said_about_it() {
    let body: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
    let sent = body.clone();
    let address = host(move |_, _| {
        let length = sent.len();
        file(
            &format!("Content-Length: {length}\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=\"a b.png\"\r\n"),
            &sent,
        )
    })
    .await;
    let (fetched, sink) = fetch(address, "/a.png").await;
    let fetched = fetched.unwrap();
    assert_eq!(sink, body);
    assert_eq!(fetched.size, 80_000);
    assert_eq!(fetched.content_type.as_deref(), Some("image/png"));
    assert!(fetched.disposition.unwrap().contains("a b.png"));
}

#[tokio::test]
async fn a_file_above_the_cap_is_given_up_whatever_its_length_says() {
    for headers in ["", "Content-Length: 200000\r\n"] {
        let headers = headers.to_owned();
        let address = host(move |_, _| file(&headers, &vec![1; 200_000])).await;
        let (fetched, sink) = fetch(address, "/").await;
        assert!(
            matches!(fetched, Err(FetchError::TooLarge(CAP))),
            "{fetched:?}"
        );
        assert!(sink.len() as u64 <= CAP);
    }
}

#[tokio::test]
async fn three_redirects_are_followed_and_a_fourth_is_not() {
    let address = host(|path, at| {
        if path == "/0" {
            return file("Content-Length: 2\r\n", b"hi");
        }
        let next = path[1..].parse::<u32>().unwrap() - 1;
        // The last redirect has an absolute URL, the others a relative URL.
        let to = match next {
            0 => format!("http://{at}/0"),
            next => next.to_string(),
        };
        format!(
            "HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: {to}\r\n\r\n"
        )
        .into_bytes()
    })
    .await;
    let (fetched, sink) = fetch(address, "/3").await;
    assert_eq!(
        (fetched.unwrap().url.path(), sink.as_slice()),
        ("/0", b"hi".as_slice())
    );
    let (fetched, _) = fetch(address, "/4").await;
    assert!(matches!(fetched, Err(FetchError::Lost)), "{fetched:?}");
}

#[tokio::test]
async fn a_redirect_into_a_private_network_or_another_scheme_is_refused() {
    for target in [
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "http://[::1]/",
    ] {
        let address = host(move |_, _| {
            format!("HTTP/1.1 301 Moved\r\nConnection: close\r\nContent-Length: 0\r\nLocation: {target}\r\n\r\n")
                .into_bytes()
        })
        .await;
        let (fetched, _) = fetch(address, "/").await;
        assert!(
            matches!(fetched, Err(FetchError::Net(NetError::Refused(_)))),
            "{target}: {fetched:?}"
        );
    }
}

#[tokio::test]
async fn each_way_to_have_no_file_has_its_own_name() {
    let address = host(|path, _| match path {
        "/gone" => {
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnone".to_vec()
        }
        "/empty" => file("Content-Length: 0\r\n", b""),
        "/short" => file("Content-Length: 10\r\n", b"12345"),
        _ => file("Transfer-Encoding: chunked\r\n", b"5\r\n12345\r\n"),
    })
    .await;
    let (gone, _) = fetch(address, "/gone").await;
    assert!(matches!(gone, Err(FetchError::Status(404))), "{gone:?}");
    let (empty, _) = fetch(address, "/empty").await;
    assert!(matches!(empty, Err(FetchError::Empty)), "{empty:?}");
    for path in ["/short", "/chunked"] {
        let (broken, _) = fetch(address, path).await;
        assert!(
            matches!(broken, Err(FetchError::Net(NetError::Unreachable(_)))),
            "{path}: {broken:?}"
        );
    }
}

#[tokio::test]
async fn a_host_that_drips_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    TaskTracker::new().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 8192]).await;
        let _ = stream
            .write_all(&file("Content-Length: 1000\r\n", b""))
            .await;
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        while stream.write_all(b"x").await.is_ok() {
            beat.tick().await;
        }
    });
    let net = super::net(&["127.0.0.0/8"]);
    let url = format!("http://{address}/").parse().unwrap();
    let within = Duration::from_millis(400);
    let fetched = net.fetch(&url, &[], within, CAP, &mut Vec::new()).await;
    assert!(
        matches!(fetched, Err(FetchError::Net(NetError::TimedOut(_)))),
        "{fetched:?}"
    );
}

#[tokio::test]
async fn a_host_with_many_headers_and_an_encoding_is_read_like_another() {
    let address = host(|_, _| {
        let many: Vec<_> = (0..1_500)
            .map(|at| format!("X-Header-{at}: {at}\r\n"))
            .collect();
        let many = many.concat();
        let encoded = "Content-Encoding: br\r\nContent-Encoding: GZIP , none\r\n";
        file(&format!("{many}{encoded}Content-Length: 2\r\n"), b"hi")
    })
    .await;
    let (fetched, sink) = fetch(address, "/").await;
    let fetched = fetched.unwrap();
    assert_eq!((fetched.size, sink.as_slice()), (2, b"hi".as_slice()));
    assert_eq!(fetched.encodings, [Encoding::Brotli, Encoding::Gzip]);
}
