//! What was kept of the state before a run: each file once in the incident's channel, when somebody asks for it.

use super::super::cards::pen::Pen;
use super::super::client::Slack;
use super::super::fault::SlackFault;
use super::super::paper::{self, Document};
use super::super::scene::Scene;
use super::document::not_shared_yet;
use super::{channel_of, undrawable};
use crate::incident::decision::Report;
use crate::incident::id::RunId;
use crate::incident::state::Incident;
use crate::incident::timeline::Card;

impl Slack {
    /// Uploads one kept file, once.
    pub(super) async fn share_kept(
        &self,
        scene: &Scene<'_>,
        incident: &Incident,
        run: RunId,
        sha256: &str,
        attempt: u32,
    ) -> Result<Vec<Report>, SlackFault> {
        let card = Card::Kept(run, sha256.to_owned());
        if incident.cards.contains_key(&card) {
            return Ok(Vec::new());
        }
        let state = incident.runs.get(&run);
        let kept = state.and_then(|state| state.kept.as_ref());
        let file = kept.and_then(|kept| kept.files.iter().find(|file| file.sha256 == sha256));
        // State that was kept anew since stands under other fingerprints; that is what is shared then.
        let (Some(state), Some(kept), Some(file), Some(content)) = (state, kept, file, scene.kept) else {
            return Ok(Vec::new());
        };
        let channel = channel_of(incident, attempt)?.id.clone();
        let pen = Pen::for_channel(scene, incident);
        let name = format!("{run}-{}", file.name);
        let comment = paper::kept_comment(&pen, state, kept).map_err(|cause| undrawable("kept file", &cause))?;
        let document = Document { title: name.clone(), comment, markdown: content.to_owned() };
        let (shared, _) = self.share_once(incident, &channel, &name, &document, attempt).await?;
        let message = shared.ok_or_else(|| not_shared_yet("file"))?;
        Ok(vec![Report::CardPosted { card, message }])
    }
}
