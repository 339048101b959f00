//! MNIST and Fashion-MNIST: 60,000 images for training and 10,000 for testing, 28×28, ten classes.
//!
//! The four IDX files come from a folder of the user's, or else from a cache folder that is filled over the network
//! the first time. Files that were downloaded must be the published ones to the bit. A folder of the user's may hold
//! other data in the same form, so there a difference is a notice, not an error.

use std::path::{Path, PathBuf};

use super::download::{self, Checksum, DownloadError};
use super::idx::{self, Idx, IdxError};
use super::sources::{Origin, Source};
use super::{Dataset, Task, TaskKind};

/// A data set published as four IDX files.
#[derive(Debug, PartialEq, Eq)]
pub struct IdxSource {
    /// Name, as the user writes it; also the name of the folder in the cache.
    pub name: &'static str,
    /// Names of the classes in the order of the labels.
    pub classes: &'static [&'static str],
    /// The four files.
    files: Files<Published>,
    /// Folders on the network that hold the gzipped files, with the last slash.
    mirrors: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Files<T> {
    train: Pair<T>,
    test: Pair<T>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair<T> {
    images: T,
    labels: T,
}

/// Checksums of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Published {
    /// MD5 of the gzipped file, as its publisher and torchvision give it.
    gz_md5: &'static str,
    /// SHA-256 of the file without compression, where known.
    sha256: Option<&'static str>,
}

const fn published(gz_md5: &'static str, sha256: Option<&'static str>) -> Published {
    Published { gz_md5, sha256 }
}

/// Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998.
pub const MNIST: IdxSource = IdxSource {
    name: "mnist",
    classes: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    files: Files {
        train: Pair {
            images: published(
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                Some("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
            ),
            labels: published(
                "d53e105ee54ea40749a09fcbcd1e9432",
                Some("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
            ),
        },
        test: Pair {
            images: published(
                "9fb629c4189551a2d022fa330f9573f3",
                Some("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
            ),
            labels: published(
                "ec29112dd5afa0611ce80d1b7f02629c",
                Some("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
            ),
        },
    },
    mirrors: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ],
};

/// H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
/// Algorithms", 2017, arXiv:1708.07747; MIT licence.
pub const FASHION_MNIST: IdxSource = IdxSource {
    name: "fashion-mnist",
    classes: &[
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    files: Files {
        train: Pair {
            images: published("8d4fb7e6c68d591d4c3dfef9ec88bf0d", None),
            labels: published("25c81989df183df01b3e8a0aad5dffbe", None),
        },
        test: Pair {
            images: published("bef4ecab320f06d8554ea6380940ec79", None),
            labels: published("bb300cfdad3c16e7a12a480ee83cd310", None),
        },
    },
    mirrors: &[
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ],
};

pub(crate) const MNIST_SOURCE: Source = Source {
    name: MNIST.name,
    description: "handwritten digits, 28×28 pixels (downloaded)",
    rows: 60_000,
    test_rows: 10_000,
    task: TaskKind::Multiclass,
    origin: Origin::Files(&MNIST),
};

pub(crate) const FASHION_MNIST_SOURCE: Source = Source {
    name: FASHION_MNIST.name,
    description: "pictures of clothes, 28×28 pixels (downloaded)",
    rows: 60_000,
    test_rows: 10_000,
    task: TaskKind::Multiclass,
    origin: Origin::Files(&FASHION_MNIST),
};

/// Kind of a file, in its name: `train-images-idx3-ubyte`.
const STEMS: Files<(&str, &str)> = Files {
    train: Pair { images: ("train-images", "idx3-ubyte"), labels: ("train-labels", "idx1-ubyte") },
    test: Pair { images: ("t10k-images", "idx3-ubyte"), labels: ("t10k-labels", "idx1-ubyte") },
};

/// No file of these sets takes more than 27 MB gzipped.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// A data set that comes in two parts, of which the second is for the final test only.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainTest {
    /// Rows to learn from.
    pub train: Dataset,
    /// Rows for the final test.
    pub test: Dataset,
    /// What is to be predicted.
    pub task: Task,
    /// Height and width of the images, in pixels of one channel.
    pub image_size: [usize; 2],
    /// What the user should know: files that are not the published ones. Empty for the published data.
    pub notices: Vec<String>,
}

/// Where the files are.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A folder with the four files, gzipped or not, under any of their usual names; also in a subfolder named after
    /// the data set, or laid out as torchvision does (`MNIST/raw`). Nothing is downloaded.
    Folder(&'a Path),
    /// The folder for caches: files are looked for in a subfolder named after the data set, and downloaded to it.
    Cache(&'a Path, &'a download::Options),
}

/// Why the data could not be had.
#[derive(Debug, thiserror::Error)]
pub enum IdxSourceError {
    /// The user's folder does not hold a file.
    #[error("{} holds no file {names}; give the folder with the four files of {source_name}, or let it be downloaded", folder.display())]
    Missing {
        /// The folder given.
        folder: PathBuf,
        /// The names looked for.
        names: String,
        /// Name of the data set.
        source_name: &'static str,
    },
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] IdxError),
    /// A file could not be fetched.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// A downloaded file has the right archive checksum but not the right content.
    #[error("{}: its SHA-256 without compression is {found}, expected {expected}; delete the file to have it fetched again", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// As published.
        expected: &'static str,
        /// Of the file.
        found: String,
    },
    /// Training and test images differ in size.
    #[error("training images are {train:?} pixels, test images {test:?} (height, width); they must agree")]
    ImageSize {
        /// Height and width of the training images.
        train: [usize; 2],
        /// Height and width of the test images.
        test: [usize; 2],
    },
}

impl IdxSource {
    /// Reads the data set. Training and test part are decoded side by side on two threads.
    ///
    /// `progress` hears of downloads only: the file's name, the bytes so far, and the total where announced.
    ///
    /// # Errors
    /// [`IdxSourceError`], which names the file and what to do.
    pub fn load(
        &self,
        place: Place<'_>,
        progress: &mut dyn FnMut(&str, u64, Option<u64>),
    ) -> Result<TrainTest, IdxSourceError> {
        let mut locate = |stem, published| self.locate(stem, published, place, progress);
        let train = Pair {
            images: locate(STEMS.train.images, self.files.train.images)?,
            labels: locate(STEMS.train.labels, self.files.train.labels)?,
        };
        let test = Pair {
            images: locate(STEMS.test.images, self.files.test.images)?,
            labels: locate(STEMS.test.labels, self.files.test.labels)?,
        };
        let strict = matches!(place, Place::Cache(..));
        let (train, test) = std::thread::scope(|scope| {
            let test = scope.spawn(|| self.read_part(test, self.files.test, strict));
            let train = self.read_part(train, self.files.train, strict);
            (train, test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let (train, test) = (train?, test?);
        if train.image_size != test.image_size {
            return Err(IdxSourceError::ImageSize { train: train.image_size, test: test.image_size });
        }
        let classes = self.classes.iter().map(|class| class.to_string()).collect();
        Ok(TrainTest {
            train: train.dataset,
            test: test.dataset,
            task: Task::Multiclass { classes },
            image_size: train.image_size,
            notices: [train.notices, test.notices].concat(),
        })
    }

    fn locate(
        &self,
        stem: (&str, &str),
        published: Published,
        place: Place<'_>,
        progress: &mut dyn FnMut(&str, u64, Option<u64>),
    ) -> Result<PathBuf, IdxSourceError> {
        match place {
            Place::Folder(folder) => self.find(stem, folder),
            Place::Cache(cache, options) => {
                let file_name = format!("{}-{}.gz", stem.0, stem.1);
                let mirrors: Vec<String> = self.mirrors.iter().map(|mirror| format!("{mirror}{file_name}")).collect();
                let request = download::Request {
                    file_name: &file_name,
                    mirrors: &mirrors,
                    checksum: Some(Checksum::Md5(published.gz_md5)),
                    max_bytes: MAX_FILE_BYTES,
                };
                let folder = cache.join(self.name);
                let mut progress = |received, total| progress(&file_name, received, total);
                Ok(download::fetch(&request, &folder, options, &mut progress)?)
            }
        }
    }

    /// The file of that kind in the user's folder.
    fn find(&self, (stem, kind): (&str, &str), folder: &Path) -> Result<PathBuf, IdxSourceError> {
        // torchvision keeps `MNIST/raw` and `FashionMNIST/raw`.
        let torchvision = if self.name == MNIST.name { "MNIST/raw" } else { "FashionMNIST/raw" };
        let names = [
            format!("{stem}-{kind}"),
            format!("{stem}-{kind}.gz"),
            format!("{stem}.{kind}"),
            format!("{stem}.{kind}.gz"),
        ];
        let folders = [folder.to_path_buf(), folder.join(self.name), folder.join(torchvision)];
        folders
            .iter()
            .flat_map(|folder| names.iter().map(|name| folder.join(name)))
            .find(|path| path.is_file())
            .ok_or_else(|| IdxSourceError::Missing {
                folder: folder.to_path_buf(),
                names: format!("{}, {}, {} or {}", names[0], names[1], names[2], names[3]),
                source_name: self.name,
            })
    }

    fn read_part(
        &self,
        paths: Pair<PathBuf>,
        published: Pair<Published>,
        strict: bool,
    ) -> Result<Part, IdxSourceError> {
        let mut notices = Vec::new();
        let mut read = |path: &Path, published: Published| -> Result<Idx, IdxSourceError> {
            let idx = idx::read(path)?;
            if let Some(notice) = self.verify(path, &idx, published, strict)? {
                notices.push(notice);
            }
            Ok(idx)
        };
        let images = read(&paths.images, published.images)?;
        let labels = read(&paths.labels, published.labels)?;
        let image_size = idx::image_size(&images, &paths.images)?;
        let dataset = idx::dataset((images, &paths.images), (labels, &paths.labels), self.classes.len())?;
        Ok(Part { dataset, image_size, notices })
    }

    /// Compares a file with what was published; a difference is an error for what we fetched ourselves.
    fn verify(
        &self,
        path: &Path,
        idx: &Idx,
        published: Published,
        strict: bool,
    ) -> Result<Option<String>, IdxSourceError> {
        let found = idx.sha256();
        let Some(expected) = published.sha256 else {
            // The two sets share the names of their files, so a folder is easily mistaken.
            let is_mnist = MNIST.files.hashes().contains(&Some(found.as_str()));
            let notice = || format!("{}: the published file of mnist, read as {}", path.display(), self.name);
            return Ok(is_mnist.then(notice));
        };
        if found == expected {
            return Ok(None);
        }
        if strict {
            return Err(IdxSourceError::Content { path: path.to_path_buf(), expected, found });
        }
        Ok(Some(format!(
            "{}: not the published file of {} (SHA-256 without compression {found}, expected {expected}); used as it is",
            path.display(),
            self.name
        )))
    }
}

impl Files<Published> {
    fn hashes(&self) -> [Option<&'static str>; 4] {
        let Files { train, test } = self;
        [train.images, train.labels, test.images, test.labels].map(|file| file.sha256)
    }
}

struct Part {
    dataset: Dataset,
    image_size: [usize; 2],
    notices: Vec<String>,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use md5::{Digest, Md5};

    use super::*;

    /// Three training and two test images of 1×2 pixels, as plain files in the order of [`NAMES`].
    fn plain() -> [Vec<u8>; 4] {
        [
            vec![0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 10, 11, 20, 21, 30, 31],
            vec![0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9],
            vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 40, 41, 50, 51],
            vec![0, 0, 8, 1, 0, 0, 0, 2, 0, 1],
        ]
    }

    const NAMES: [&str; 4] =
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// The small files as if they were published, at `mirror`.
    fn small(mirror: String) -> IdxSource {
        let entry = |index: usize| {
            let plain = &plain()[index];
            let md5: &'static str = download::hex(&Md5::digest(gzip(plain))).leak();
            let sha256: &'static str = download::hex(&sha2::Sha256::digest(plain)).leak();
            published(md5, Some(sha256))
        };
        let files = Files {
            train: Pair { images: entry(0), labels: entry(1) },
            test: Pair { images: entry(2), labels: entry(3) },
        };
        let mirror: &'static str = mirror.leak();
        IdxSource { name: "small", classes: MNIST.classes, files, mirrors: vec![mirror].leak() }
    }

    fn options() -> download::Options {
        download::Options { tries: 1, stall_timeout: Duration::from_secs(2), ..Default::default() }
    }

    fn check(loaded: &TrainTest) {
        assert_eq!((loaded.train.rows(), loaded.test.rows(), loaded.image_size), (3, 2, [1, 2]));
        assert_eq!(
            (loaded.train.targets.as_slice(), loaded.test.targets.as_slice()),
            (&[7., 8., 9.][..], &[0., 1.][..])
        );
        let mut row = [0.0; 2];
        loaded.test.gather_features(&[1], &mut row).expect("in memory");
        assert_eq!(row, [50.0 * (1.0 / 255.0), 51.0 * (1.0 / 255.0)]);
        assert_eq!(loaded.task.output_width(), 10);
    }

    #[test]
    fn files_are_found_under_all_their_usual_names_and_places() {
        let source = small("http://127.0.0.1:9/".into());
        let names: [fn(&str) -> String; 4] = [
            |name| name.to_string(),
            |name| format!("{name}.gz"),
            |name| name.replace("-idx", ".idx"),
            |name| format!("{}.gz", name.replace("-idx", ".idx")),
        ];
        for place in ["", "small", "FashionMNIST/raw"] {
            for name in names {
                let folder = tempfile::tempdir().unwrap();
                let place = folder.path().join(place);
                fs::create_dir_all(&place).unwrap();
                for (stem, bytes) in NAMES.iter().zip(plain()) {
                    let name = name(stem);
                    let bytes = if name.ends_with("gz") { gzip(&bytes) } else { bytes };
                    fs::write(place.join(name), bytes).unwrap();
                }
                let loaded = source.load(Place::Folder(folder.path()), &mut |_, _, _| {}).unwrap();
                check(&loaded);
                assert_eq!(loaded.notices, Vec::<String>::new());
            }
        }
    }

    #[test]
    fn a_folder_without_a_file_is_told_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in NAMES.iter().zip(plain()).take(3) {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let error = small(String::new()).load(Place::Folder(folder.path()), &mut |_, _, _| {}).unwrap_err().to_string();
        assert!(
            error.contains(folder.path().to_str().unwrap()) && error.contains("t10k-labels-idx1-ubyte.gz"),
            "{error}"
        );
    }

    #[test]
    fn other_data_in_the_users_folder_is_used_with_a_notice() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = plain();
        files[0][16] = 99;
        for (name, bytes) in NAMES.iter().zip(files) {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let loaded = small(String::new()).load(Place::Folder(folder.path()), &mut |_, _, _| {}).unwrap();
        check(&loaded);
        let [notice] = loaded.notices.as_slice() else { panic!("{:?}", loaded.notices) };
        assert!(notice.contains("train-images") && notice.contains("not the published file of small"), "{notice}");
    }

    /// Serves the small files; the training labels damaged if asked to.
    fn serve(damaged: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/folder/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                let index = NAMES.iter().position(|name| head.starts_with(&format!("GET /folder/{name}.gz "))).unwrap();
                let mut body = gzip(&plain()[index]);
                if damaged && index == 1 {
                    body[15] ^= 1;
                }
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                stream.write_all(&[answer.as_bytes(), &body].concat()).unwrap();
            }
        });
        address
    }

    #[test]
    fn an_empty_cache_is_filled_once() {
        let cache = tempfile::tempdir().unwrap();
        let options = options();
        let place = Place::Cache(cache.path(), &options);
        let mut heard = Vec::new();
        let loaded = small(serve(false)).load(place, &mut |name, _, _| heard.push(name.to_string())).unwrap();
        check(&loaded);
        heard.dedup();
        assert_eq!(heard, NAMES.map(|name| format!("{name}.gz")));
        // Nobody listens here: everything must come from the cache.
        let nowhere = small("http://127.0.0.1:9/".into());
        check(&nowhere.load(place, &mut |_, _, _| panic!("nothing is to be downloaded")).unwrap());

        fs::write(cache.path().join("small/t10k-labels-idx1-ubyte.gz"), b"half a fi").unwrap();
        let error = nowhere.load(place, &mut |_, _, _| {}).unwrap_err();
        assert!(matches!(error, IdxSourceError::Download(_)), "a damaged file is never taken for whole: {error}");
        check(&small(serve(false)).load(place, &mut |_, _, _| {}).unwrap());
    }

    #[test]
    fn a_damaged_download_is_refused() {
        let cache = tempfile::tempdir().unwrap();
        let error =
            small(serve(true)).load(Place::Cache(cache.path(), &options()), &mut |_, _, _| {}).unwrap_err().to_string();
        assert!(error.contains("train-labels-idx1-ubyte.gz") && error.contains("wrong MD5"), "{error}");
        assert!(!cache.path().join("small/train-labels-idx1-ubyte.gz").exists());
    }
}
