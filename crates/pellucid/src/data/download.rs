//! Fetching a file over HTTP into a folder: whole and verified, or not at all.
//!
//! The bytes go to a temporary file beside the target, are hashed as they pass, synced, and renamed only
//! when the length and the checksum are right. A file under its final name is therefore always a whole one.
//! Mirrors are tried in turn; a mirror gets a few tries where trying again can help (a broken connection,
//! a server that is overloaded), and one where it cannot (404, a wrong checksum).

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use md5::Md5;
use sha2::Sha256;
use sha2::digest::{Digest, DynDigest};

/// The checksum of a whole file, as published: lower-case hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum<'a> {
    /// SHA-256, 64 digits.
    Sha256(&'a str),
    /// MD5, 32 digits. It finds damage, not forgery; for files whose publisher gives nothing better.
    Md5(&'a str),
}

impl Checksum<'_> {
    fn hasher(self) -> Box<dyn DynDigest> {
        match self {
            Checksum::Sha256(_) => Box::new(Sha256::new()),
            Checksum::Md5(_) => Box::new(Md5::new()),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Checksum::Sha256(_) => "SHA-256",
            Checksum::Md5(_) => "MD5",
        }
    }

    fn expected(&self) -> &str {
        match self {
            Checksum::Sha256(hex) | Checksum::Md5(hex) => hex,
        }
    }

    /// `Err` with the checksum found if it is another one.
    fn check(self, hasher: Box<dyn DynDigest>) -> Result<(), String> {
        let found = hex(&hasher.finalize());
        if found.eq_ignore_ascii_case(self.expected()) { Ok(()) } else { Err(found) }
    }
}

/// Lower-case hexadecimal of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What to fetch.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Name of the file in the folder; a plain name without separators.
    pub file_name: &'a str,
    /// Addresses of the same file, best first.
    pub mirrors: &'a [String],
    /// What the bytes must hash to; `None` takes any bytes of the announced length.
    pub checksum: Option<Checksum<'a>>,
    /// The largest size accepted, in bytes.
    pub max_bytes: u64,
}

/// Patience and the way out to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Longest wait for name, connection and TLS. Default: 10 s.
    pub connect_timeout: Duration,
    /// Longest silence of the server, before the answer and between bytes. Default: 20 s.
    pub stall_timeout: Duration,
    /// Longest time for one try. Default: 10 min.
    pub total_timeout: Duration,
    /// Tries at each mirror, at least 1. Default: 3.
    pub tries: u32,
    /// Pause before the second try; doubled for each further one. Default: 0.5 s.
    pub backoff: Duration,
    /// Address of a proxy, such as `http://proxy:3128`. Default: none. The environment is not read here.
    pub proxy: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(20),
            total_timeout: Duration::from_secs(600),
            tries: 3,
            backoff: Duration::from_millis(500),
            proxy: None,
        }
    }
}

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// Every mirror failed; each is listed with its reason.
    #[error("cannot download {file_name}: no mirror has delivered it{}", list(.failures))]
    NoMirror {
        /// Name of the file.
        file_name: String,
        /// What happened at each mirror, in the order tried.
        failures: Vec<MirrorFailure>,
    },
    /// The folder cannot be written, so no mirror can help.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The proxy's address cannot be understood.
    #[error("proxy address {address:?} is not usable: expected something like http://host:3128")]
    Proxy {
        /// The address as given.
        address: String,
    },
}

/// What happened at one mirror: its last try.
#[derive(Debug)]
pub struct MirrorFailure {
    /// The address asked.
    pub url: String,
    /// How many times it was asked.
    pub tries: u32,
    /// What went wrong the last time.
    pub reason: Reason,
}

/// What went wrong in one try.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The server answered with something else than the file.
    #[error("HTTP status {0}")]
    Status(u16),
    /// No connection, no answer, or a connection that broke.
    #[error("{0}")]
    Transport(String),
    /// The transfer ended early.
    #[error("the transfer was cut after {received} of {expected} bytes")]
    Cut {
        /// Bytes that came.
        received: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// All bytes came, but they are not the file's.
    #[error("wrong {kind}: expected {expected}, found {found}")]
    Checksum {
        /// Name of the hash function.
        kind: &'static str,
        /// As published.
        expected: String,
        /// Of the bytes that came.
        found: String,
    },
    /// More bytes than the file can have.
    #[error("the file is larger than the {limit} bytes allowed")]
    TooLarge {
        /// The most bytes accepted.
        limit: u64,
    },
}

impl Reason {
    /// Whether the same request may succeed a moment later.
    fn is_passing(&self) -> bool {
        match self {
            Reason::Status(code) => *code >= 500 || *code == 408 || *code == 429,
            Reason::Transport(_) | Reason::Cut { .. } => true,
            Reason::Checksum { .. } | Reason::TooLarge { .. } => false,
        }
    }
}

fn list(failures: &[MirrorFailure]) -> String {
    struct Line<'a>(&'a MirrorFailure);
    impl fmt::Display for Line<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let tries = if self.0.tries == 1 { String::new() } else { format!(" ({} tries)", self.0.tries) };
            write!(f, "\n  {}: {}{tries}", self.0.url, self.0.reason)
        }
    }
    failures.iter().map(|failure| Line(failure).to_string()).collect()
}

/// The path of `request.file_name` in `folder`, fetched unless it is there already with the right checksum.
///
/// `progress` is called with the bytes received so far and the total where the server announces it; the
/// count starts over when another try begins. The folder is made if it is missing.
///
/// # Errors
/// [`DownloadError`]; nothing is left in the folder then, and a file that stood under the name before stays.
pub fn fetch(
    request: &Request<'_>,
    folder: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<PathBuf, DownloadError> {
    let target = folder.join(request.file_name);
    if is_whole(&target, request.checksum) {
        return Ok(target);
    }
    fs::create_dir_all(folder).map_err(|source| DownloadError::Write { path: folder.to_path_buf(), source })?;
    let agent = agent(options)?;
    let mut failures = Vec::new();
    for url in request.mirrors {
        let mut pause = options.backoff;
        let mut tries = 0;
        loop {
            tries += 1;
            let reason = match attempt(&agent, url, request, &target, progress) {
                Ok(()) => return Ok(target),
                Err(Failure::Local(source)) => return Err(DownloadError::Write { path: target, source }),
                Err(Failure::Remote(reason)) => reason,
            };
            if tries >= options.tries || !reason.is_passing() {
                failures.push(MirrorFailure { url: url.clone(), tries, reason });
                break;
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
    }
    Err(DownloadError::NoMirror { file_name: request.file_name.to_string(), failures })
}

/// Whether `target` is there and has the checksum. A file that cannot be read counts as missing: fetching it
/// again either mends it or says why not.
fn is_whole(target: &Path, checksum: Option<Checksum<'_>>) -> bool {
    let Ok(mut file) = File::open(target) else { return false };
    let Some(checksum) = checksum else { return true };
    let mut hasher = checksum.hasher();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block) {
            Ok(0) => return checksum.check(hasher).is_ok(),
            Ok(count) => hasher.update(&block[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// Bytes moved at a time: large enough that hashing and system calls do not notice.
const BLOCK: usize = 64 * 1024;

fn agent(options: &Options) -> Result<ureq::Agent, DownloadError> {
    let proxy = match &options.proxy {
        None => None,
        Some(address) => {
            Some(ureq::Proxy::new(address).map_err(|_| DownloadError::Proxy { address: address.clone() })?)
        }
    };
    let config = ureq::Agent::config_builder()
        .proxy(proxy)
        .http_status_as_error(false)
        .timeout_connect(Some(options.connect_timeout))
        .timeout_recv_response(Some(options.stall_timeout))
        .timeout_per_read(Some(options.stall_timeout))
        .timeout_global(Some(options.total_timeout))
        .user_agent(concat!("pellucid/", env!("CARGO_PKG_VERSION")))
        // Some servers compress on the fly when they may, and the checksum is that of the file itself.
        .accept_encoding("identity")
        .build();
    Ok(config.into())
}

enum Failure {
    /// The mirror's or the network's: another mirror may do better.
    Remote(Reason),
    /// Our disk's: no mirror helps.
    Local(io::Error),
}

/// One request. The target appears only if every byte is there and right.
fn attempt(
    agent: &ureq::Agent,
    url: &str,
    request: &Request<'_>,
    target: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), Failure> {
    let transport = |error: ureq::Error| Failure::Remote(Reason::Transport(error.to_string()));
    let response = agent.get(url).call().map_err(transport)?;
    let status = response.status().as_u16();
    // 206 and the like would be a part of the file.
    if status != 200 {
        return Err(Failure::Remote(Reason::Status(status)));
    }
    let body = response.into_body();
    let total = body.content_length();
    let too_large = || Failure::Remote(Reason::TooLarge { limit: request.max_bytes });
    if total.is_some_and(|total| total > request.max_bytes) {
        return Err(too_large());
    }

    let folder = target.parent().unwrap_or(Path::new("."));
    let mut part = tempfile::Builder::new()
        .prefix(&format!(".{}.", request.file_name))
        .suffix(".part")
        .tempfile_in(folder)
        .map_err(Failure::Local)?;
    let mut hasher = request.checksum.map(Checksum::hasher);
    let mut reader = body.into_reader();
    let mut block = vec![0; BLOCK];
    let mut received: u64 = 0;
    progress(0, total);
    loop {
        let count = match reader.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Remote(broken(&error, received, total))),
        };
        received += count as u64;
        if received > request.max_bytes {
            return Err(too_large());
        }
        if let Some(hasher) = &mut hasher {
            hasher.update(&block[..count]);
        }
        part.write_all(&block[..count]).map_err(Failure::Local)?;
        progress(received, total);
    }
    if let Some(expected) = total.filter(|expected| *expected != received) {
        return Err(Failure::Remote(Reason::Cut { received, expected }));
    }
    if let (Some(checksum), Some(hasher)) = (request.checksum, hasher) {
        checksum.check(hasher).map_err(|found| {
            let expected = checksum.expected().to_string();
            Failure::Remote(Reason::Checksum { kind: checksum.kind(), expected, found })
        })?;
    }
    part.as_file().sync_all().map_err(Failure::Local)?;
    part.persist(target).map_err(|error| Failure::Local(error.error))?;
    sync_folder(folder).map_err(Failure::Local)
}

/// A connection that ends while bytes are due is a cut transfer; anything else keeps its own words.
fn broken(error: &io::Error, received: u64, total: Option<u64>) -> Reason {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match (error.kind(), total) {
        (UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe, Some(expected)) => {
            Reason::Cut { received, expected }
        }
        _ => Reason::Transport(error.to_string()),
    }
}

/// Makes the rename itself survive a power cut, where the system can.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
