//! Answers for whoever waits at a terminal: kept with the decision, and taken away when they are read.

use super::db::{Conn, Write, args};
use super::{Store, StoreFault, read, sql};
use crate::incident::words::Words;

impl Store {
    /// Whether what came in under this source has been decided upon.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_decided(&self, source: &str) -> Result<bool, StoreFault> {
        let row = self.db.read_first(&sql::INPUT_STATE, args![source]).await?;
        let state = row.map(|row| row.text("state")).transpose()?;
        Ok(state.is_some_and(|state| state != "new"))
    }

    /// The answer to a question, once.
    ///
    /// # Errors
    /// When the database fails or the row cannot be read.
    pub async fn take_answer(&self, ask: &str) -> Result<Option<Words>, StoreFault> {
        self.db.write(TakeAnswer { ask: ask.to_owned() }).await
    }
}

struct TakeAnswer {
    ask: String,
}

impl Write for TakeAnswer {
    type Out = Option<Words>;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<Option<Words>, StoreFault> {
        let row = conn.first(&sql::TAKE_ANSWER, args![self.ask.as_str()]).await?;
        row.map(|row| read("answer", row.text("words")?)).transpose()
    }
}
