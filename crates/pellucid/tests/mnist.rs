//! The real MNIST, read from the folder of test data.

use std::path::{Path, PathBuf};

use pellucid::data::Features;
use pellucid::data::mnist::{FASHION_MNIST, MNIST, Place};

/// The folder `mnist` of the test data; says so loudly where there is none.
fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("PELLUCID_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = data.join("mnist");
    if !folder.is_dir() {
        eprintln!("SKIPPED: no MNIST in {} (set PELLUCID_DATA)", data.display());
        return None;
    }
    Some(folder)
}

#[test]
fn the_published_files_are_recognised_and_read() {
    let Some(folder) = folder() else { return };
    let start = std::time::Instant::now();
    let loaded = MNIST.load(Place::Folder(&folder), &mut |_, _, _| {}).unwrap();
    println!("loaded in {:?}", start.elapsed());
    assert_eq!(loaded.notices, Vec::<String>::new(), "all four SHA-256 are the published ones");
    assert_eq!((loaded.train.rows(), loaded.test.rows()), (60_000, 10_000));
    assert_eq!((loaded.train.sample_shape.as_slice(), loaded.image_size), (&[1, 28, 28][..], [28, 28]));
    assert_eq!(loaded.task.class_names(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    loaded.train.check().unwrap();
    loaded.test.check().unwrap();

    assert_eq!(loaded.train.targets[..10], [5., 0., 4., 1., 9., 2., 1., 3., 1., 4.]);
    assert_eq!(loaded.test.targets[..10], [7., 2., 1., 0., 4., 1., 4., 9., 5., 9.]);
    // The well-known mean and standard deviation of the training pixels.
    let Features::U8 { bytes, .. } = &loaded.train.features else { panic!("images are kept as bytes") };
    let (mut sum, mut squares) = (0u64, 0u64);
    for byte in bytes {
        sum += u64::from(*byte);
        squares += u64::from(*byte) * u64::from(*byte);
    }
    let mean = sum as f64 / bytes.len() as f64;
    let deviation = (squares as f64 / bytes.len() as f64 - mean * mean).sqrt();
    assert!((mean / 255.0 - 0.1307).abs() < 5e-5 && (deviation / 255.0 - 0.3081).abs() < 5e-5);
}

#[test]
fn digits_taken_for_clothes_are_noticed() {
    let Some(folder) = folder() else { return };
    let loaded = FASHION_MNIST.load(Place::Folder(&folder), &mut |_, _, _| {}).unwrap();
    assert_eq!(loaded.notices.len(), 4);
    assert!(
        loaded.notices[0].ends_with("train-images-idx3-ubyte.gz: the published file of mnist, read as fashion-mnist")
    );
}
