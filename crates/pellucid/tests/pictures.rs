//! Pictures of a real archive.

use std::path::{Path, PathBuf};

use pellucid::data::files::Files;
use pellucid::data::images::{USUAL_MEMORY, Unlabelled, Workers};

/// A place where the real data may lie.
fn data() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    std::env::var_os("PELLUCID_DATA").map_or(beside, PathBuf::from)
}

#[test]
fn jpegs_of_a_real_archive_have_the_same_pixels_on_every_machine_and_any_number_of_threads() {
    let path = data().join("cifar10-jpg.tar.gz");
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there; set PELLUCID_DATA", path.display());
        return;
    }
    let files = Files::open(&path, USUAL_MEMORY).expect("a whole archive");
    let pictures = Unlabelled::new(files).expect("pictures");
    assert_eq!((pictures.len(), pictures.notes().len()), (60_000, 0));
    assert_eq!(pictures.name(0), "cifar10/test/airplane/0000.jpg");
    let read = |threads: usize, shape| pictures.read(0..300, shape, Workers { threads, progress: &|_, _| () });
    let sum = |bytes: &[u8]| bytes.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let (used, bytes, bad) = read(1, [3, 32, 32]);
    assert_eq!((used.len(), bad.count, bytes.len()), (300, 0, 300 * 3 * 32 * 32));
    assert_eq!(sum(&bytes), 5_777_560_359_103_362_813);
    assert_eq!(read(3, [3, 32, 32]).1, bytes);
    assert_eq!(read(1, [1, 20, 24]).1, read(2, [1, 20, 24]).1);
}
