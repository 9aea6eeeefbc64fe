//! Files that were kept beside the timeline: each once, found by the fingerprint that the timeline names.

use super::db::{Conn, Write, args};
use super::{Store, StoreFault, sql};
use crate::incident::id::RunId;
use crate::incident::time::Instant;

impl Store {
    /// Keeps files of a run, each under its fingerprint. Doing it again changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_files(&self, run: RunId, files: Vec<(String, String)>, now: Instant) -> Result<(), StoreFault> {
        self.db.write(KeepFiles { run, files, now }).await
    }

    /// The content of a file that was kept for a run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn kept_file(&self, run: RunId, sha256: &str) -> Result<Option<String>, StoreFault> {
        let row = self.db.read_first(&sql::KEPT_FILE, args![run.to_string(), sha256]).await?;
        row.map(|row| row.text("content")).transpose()
    }
}

struct KeepFiles {
    run: RunId,
    files: Vec<(String, String)>,
    now: Instant,
}

impl Write for KeepFiles {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        for (sha256, content) in &self.files {
            let row = args![self.run.to_string(), sha256.as_str(), self.now.0, content.as_str()];
            conn.run(&sql::KEEP_FILE, row).await?;
        }
        Ok(())
    }
}
