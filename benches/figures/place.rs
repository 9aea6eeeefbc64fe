//! Where the bots keep their files: a folder on a real disk, for a commit costs nothing in memory.

use std::path::Path;

use tempfile::TempDir;

/// A folder that goes away with this, in `VIGIE_BENCH_FOLDER` or where the system has such folders.
pub fn folder() -> TempDir {
    match std::env::var_os("VIGIE_BENCH_FOLDER") {
        Some(place) => tempfile::tempdir_in(Path::new(&place)),
        None => tempfile::tempdir(),
    }
    .expect("a folder can be made")
}
