//! Downloads against a server on loopback that behaves badly in the ways servers do.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pellucid::data::download::{Checksum, DownloadError, Options, Reason, Request, fetch};
use sha2::{Digest, Sha256};

/// What the server does with one connection.
#[derive(Clone, Copy)]
enum Answer {
    /// 200 with this body.
    Body(&'static [u8]),
    /// 200, announcing this many bytes more than it sends, then closing.
    Cut(&'static [u8], usize),
    /// 200 with a body and no length: it ends with the connection.
    Endless(&'static [u8], usize),
    /// A status with an empty body.
    Status(&'static str),
    /// 302 to this path.
    Redirect(&'static str),
    /// 200 and half of the body, then silence.
    Stall(&'static [u8]),
}

/// A server that gives its answers in order, the last one again and again. It ends with the test process.
struct Server {
    address: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn start(answers: &'static [Answer]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let index = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
                // The client may hang up at any moment; that is its good right.
                std::thread::spawn(move || drop(answer(stream.unwrap(), answers[index])));
            }
        });
        Server { address, requests }
    }

    fn url(&self) -> String {
        format!("{}/file.bin", self.address)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let ok = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    match answer {
        Answer::Body(body) => {
            stream.write_all(ok(body.len()).as_bytes())?;
            stream.write_all(body)
        }
        Answer::Cut(body, missing) => {
            stream.write_all(ok(body.len() + missing).as_bytes())?;
            stream.write_all(body)
        }
        Answer::Endless(body, times) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            (0..times).try_for_each(|_| stream.write_all(body))
        }
        Answer::Status(status) => {
            stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
        }
        Answer::Redirect(path) => stream.write_all(
            format!("HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        ),
        Answer::Stall(body) => {
            stream.write_all(ok(body.len()).as_bytes())?;
            stream.write_all(&body[..body.len() / 2])?;
            std::thread::sleep(Duration::from_secs(20));
            Ok(())
        }
    }
}

const BODY: &[u8] = b"the bytes of a small data set";
/// `printf 'the bytes of a small data set' | md5sum`
const BODY_MD5: &str = "b73ffc0193df18897baca758a9cda99b";

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Impatient, so that the tests are quick.
fn options() -> Options {
    Options {
        connect_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_millis(300),
        total_timeout: Duration::from_secs(10),
        tries: 3,
        backoff: Duration::from_millis(5),
        proxy: None,
    }
}

fn fetch_body(mirrors: &[String], folder: &Path) -> Result<std::path::PathBuf, DownloadError> {
    let sum = sha256(BODY);
    let checksum = Some(Checksum::Sha256(&sum));
    let request = Request { file_name: "file.bin", mirrors, checksum, max_bytes: 1000 };
    fetch(&request, folder, &options(), &mut |_, _| {})
}

fn entries(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Fetches from mirrors that all fail, asserts that nothing is left behind, and returns the reasons with the tries.
fn failures(mirrors: &[String]) -> Vec<(Reason, u32)> {
    let folder = tempfile::tempdir().unwrap();
    let error = fetch_body(mirrors, folder.path()).unwrap_err();
    assert_eq!(entries(folder.path()), Vec::<String>::new(), "something was left half-written");
    let text = error.to_string();
    let DownloadError::NoMirror { failures, .. } = error else { panic!("another error: {text}") };
    for (url, failure) in mirrors.iter().zip(&failures) {
        assert_eq!(url, &failure.url);
        assert!(text.contains(url.as_str()) && text.contains(&failure.reason.to_string()), "{text}");
    }
    assert_eq!(failures.len(), mirrors.len());
    failures.into_iter().map(|failure| (failure.reason, failure.tries)).collect()
}

#[test]
fn a_good_file_arrives_whole_with_progress_and_is_not_fetched_twice() {
    let server = Server::start(&[Answer::Body(BODY)]);
    let folder = tempfile::tempdir().unwrap();
    let nested = folder.path().join("cache/of/files");
    for checksum in [Checksum::Sha256(&sha256(BODY)), Checksum::Md5(BODY_MD5)] {
        let mirrors = [server.url()];
        let request = Request { file_name: "file.bin", mirrors: &mirrors, checksum: Some(checksum), max_bytes: 29 };
        let mut seen = Vec::new();
        let path = fetch(&request, &nested, &options(), &mut |bytes, total| seen.push((bytes, total))).unwrap();
        assert_eq!(fs::read(&path).unwrap(), BODY);
        if checksum == Checksum::Md5(BODY_MD5) {
            assert_eq!(seen, [], "the file was there with the right checksum");
        } else {
            assert_eq!(seen.first(), Some(&(0, Some(29))));
            assert_eq!(seen.last(), Some(&(29, Some(29))));
        }
    }
    assert_eq!(server.requests(), 1);
    assert_eq!(entries(&nested), ["file.bin"]);
}

#[test]
fn a_file_with_another_checksum_is_replaced() {
    let server = Server::start(&[Answer::Body(BODY)]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file.bin"), b"the bytes of a").unwrap();
    let path = fetch_body(&[server.url()], folder.path()).unwrap();
    assert_eq!(fs::read(path).unwrap(), BODY);
}

#[test]
fn a_wrong_checksum_is_refused_at_once() {
    let server = Server::start(&[Answer::Body(b"the bytes of a forged data se")]);
    let reasons = failures(&[server.url()]);
    let [(Reason::Checksum { kind: "SHA-256", expected, found }, 1)] = reasons.as_slice() else {
        panic!("{reasons:?}")
    };
    assert_eq!(expected, &sha256(BODY));
    assert_eq!(found, &sha256(b"the bytes of a forged data se"));
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_cut_transfer_is_tried_again_and_then_refused() {
    let server = Server::start(&[Answer::Cut(BODY, 10)]);
    let reasons = failures(&[server.url()]);
    assert!(matches!(reasons.as_slice(), [(Reason::Cut { received: 29, expected: 39 }, 3)]), "{reasons:?}");
    assert_eq!(server.requests(), 3);
}

#[test]
fn a_transfer_cut_once_is_mended() {
    let server = Server::start(&[Answer::Cut(BODY, 10), Answer::Body(BODY)]);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(fs::read(fetch_body(&[server.url()], folder.path()).unwrap()).unwrap(), BODY);
    assert_eq!(entries(folder.path()), ["file.bin"]);
}

#[test]
fn a_missing_file_is_not_asked_for_again() {
    let server = Server::start(&[Answer::Status("404 Not Found")]);
    let reasons = failures(&[server.url()]);
    assert!(matches!(reasons.as_slice(), [(Reason::Status(404), 1)]), "{reasons:?}");
    assert_eq!(server.requests(), 1);
}

#[test]
fn the_second_mirror_helps_out() {
    let (bad, good) = (Server::start(&[Answer::Status("404 Not Found")]), Server::start(&[Answer::Body(BODY)]));
    let folder = tempfile::tempdir().unwrap();
    let path = fetch_body(&[bad.url(), good.url()], folder.path()).unwrap();
    assert_eq!(fs::read(path).unwrap(), BODY);
    assert_eq!((bad.requests(), good.requests()), (1, 1));
}

#[test]
fn every_mirror_is_listed_with_its_reason() {
    let (missing, cut) = (Server::start(&[Answer::Status("404 Not Found")]), Server::start(&[Answer::Cut(BODY, 1)]));
    // A port that was free a moment ago: nobody listens there.
    let closed = format!("http://{}/file.bin", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let reasons = failures(&[missing.url(), cut.url(), closed]);
    let [(Reason::Status(404), 1), (Reason::Cut { .. }, 3), (Reason::Transport(_), 3)] = reasons.as_slice() else {
        panic!("{reasons:?}")
    };
}

#[test]
fn a_server_that_stalls_is_given_up() {
    let server = Server::start(&[Answer::Stall(BODY)]);
    let start = Instant::now();
    let reasons = failures(&[server.url()]);
    assert!(matches!(reasons.as_slice(), [(Reason::Transport(_), 3)]), "{reasons:?}");
    assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());
}

#[test]
fn an_overloaded_server_is_asked_again() {
    let server = Server::start(&[
        Answer::Status("503 Service Unavailable"),
        Answer::Status("503 Service Unavailable"),
        Answer::Body(BODY),
    ]);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(fs::read(fetch_body(&[server.url()], folder.path()).unwrap()).unwrap(), BODY);
    assert_eq!(server.requests(), 3);
    let reasons = failures(&[Server::start(&[Answer::Status("503 Service Unavailable")]).url()]);
    assert!(matches!(reasons.as_slice(), [(Reason::Status(503), 3)]), "{reasons:?}");
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let server = Server::start(&[Answer::Body(BODY)]);
    let reasons = failures(&[server.url().replace("http:", "https:")]);
    assert!(matches!(reasons.as_slice(), [(Reason::Transport(_), 3)]), "{reasons:?}");
}

#[test]
fn a_redirect_is_followed() {
    let server = Server::start(&[Answer::Redirect("/elsewhere.bin"), Answer::Body(BODY)]);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(fs::read(fetch_body(&[server.url()], folder.path()).unwrap()).unwrap(), BODY);
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let announced = Server::start(&[Answer::Cut(BODY, 10_000)]);
    let unannounced = Server::start(&[Answer::Endless(BODY, 1000)]);
    let reasons = failures(&[announced.url(), unannounced.url()]);
    let [(Reason::TooLarge { limit: 1000 }, 1), (Reason::TooLarge { limit: 1000 }, 1)] = reasons.as_slice() else {
        panic!("{reasons:?}")
    };
}

#[test]
fn a_failed_download_leaves_the_earlier_file() {
    let server = Server::start(&[Answer::Status("404 Not Found")]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file.bin"), b"earlier").unwrap();
    fetch_body(&[server.url()], folder.path()).unwrap_err();
    assert_eq!(fs::read(folder.path().join("file.bin")).unwrap(), b"earlier");
    assert_eq!(entries(folder.path()), ["file.bin"]);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let server = Server::start(&[Answer::Body(BODY)]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    fs::write(&file, b"").unwrap();
    let error = fetch_body(&[server.url()], &file.join("sub")).unwrap_err();
    assert!(matches!(&error, DownloadError::Write { path, .. } if path == &file.join("sub")), "{error}");
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_proxy_address_that_makes_no_sense_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let request = Request { file_name: "file.bin", mirrors: &[], checksum: None, max_bytes: 1 };
    let options = Options { proxy: Some("::nonsense::".into()), ..options() };
    let error = fetch(&request, folder.path(), &options, &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("::nonsense::"), "{error}");
}
