//! Setting containers to known good images (K6). A container of an unknown name is refused: the server would add it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;

use super::super::config::{ConfigFault, fault};
use super::NoDraft;
use super::call::Site;
use super::change::Patching;
use super::deed::Deed;
use super::kinds::Thing;
use super::object::Object;
use super::part::Part;
use super::revision::shown;
use super::rights::Right;
use super::undo::{new_images, stuck};
use super::workloads::{of_new_templates, validate};
use crate::incident::words::Words;

/// Which images a workload gets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetImage {
    /// As `deployment/name`, `statefulset/name` or `daemonset/name`.
    pub workload: String,
    /// The image of each container that gets another, by its name; containers that are not named stay as they are.
    pub images: BTreeMap<String, String>,
    /// A roll-out that is paused goes on with these images, in the same change: false, and what is paused is refused.
    #[serde(default)]
    pub resume: bool,
}

#[async_trait]
impl Patching for SetImage {
    fn things(&self) -> Vec<Thing> {
        Thing::workload(&self.workload).into_iter().collect()
    }

    fn title(&self) -> Words {
        Words::new("kubernetes.title_image")
    }

    fn rights(&self) -> Vec<Right> {
        let things = self.things();
        // The way back goes through the revisions that the cluster keeps.
        let kept =
            things.iter().flat_map(|thing| ["list", "get"].map(|verb| Right::all(verb, thing.what.history()).extra()));
        of_new_templates(&things).into_iter().chain(kept).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate(std::slice::from_ref(&self.workload), &format!("{path}.workload"), faults);
        if self.images.is_empty() {
            let sentence =
                "nothing would change; name a container with its image, such as web: registry.example.com/web:1";
            faults.push(fault(format!("{path}.images"), sentence));
        }
        for (container, image) in &self.images {
            if image.is_empty() || image.contains(char::is_whitespace) {
                faults.push(fault(
                    format!("{path}.images.{container}"),
                    format!("“{image}” is no image; write name:tag"),
                ));
            }
        }
    }

    async fn part(&self, site: &Site<'_>, thing: &Thing, object: &Object) -> Result<Part, NoDraft> {
        if let Some(unknown) = self.images.keys().find(|name| object.image_of(name).is_none()) {
            let known: Vec<&str> = object.containers().into_iter().map(|(.., name)| name).collect();
            let why = Words::new("kubernetes.no_container").with("name", thing.name.as_str());
            return Err(NoDraft::Refused(why.with("wanted", unknown.as_str()).with("known", known)));
        }
        let diff = new_images(object, &self.images);
        let to = self.images.iter().map(|(container, image)| match object.containers().len() {
            1 => image.clone(),
            _ => format!("{container} {image}"),
        });
        let to = to.collect::<Vec<_>>().join(", ");
        let from = shown(&object.images(), object.revision());
        let stuck = stuck(site, thing, object).await?;
        let part =
            Part::new(thing, object, Deed::Image(self.images.clone()), Some(from), to).saying(diff).freeing(&stuck);
        Ok(if self.resume { part.resuming(object) } else { part })
    }
}
