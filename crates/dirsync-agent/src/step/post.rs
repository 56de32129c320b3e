//! The answers of T2 on their way out.

use std::collections::BTreeMap;

use dirsync_carrier::{Carrier, CarrierError, EncodedBody, Outgoing};
use dirsync_directory::PostofficeName;
use dirsync_message::Update;

use super::StepError;
use super::process::ProcessReport;

/// Through which carrier each requestor is reached, and what was sent.
#[derive(Default)]
pub(super) struct Post<'a> {
    routes: BTreeMap<PostofficeName, (&'a str, &'a dyn Carrier)>,
    messages: u64,
    bytes: u64,
    failed: Option<CarrierError>,
}

impl<'a> Post<'a> {
    pub(super) fn add_route(
        &mut self,
        name: PostofficeName,
        place: &'a str,
        carrier: &'a dyn Carrier,
    ) {
        self.routes.insert(name, (place, carrier));
    }

    /// From how many bytes on a body that goes to all of them is cut.
    pub(super) fn part_bytes_max<'n>(
        &self,
        to: impl IntoIterator<Item = &'n PostofficeName>,
    ) -> u64 {
        let carriers = to.into_iter().filter_map(|name| self.routes.get(name));
        carriers.map(|(_, carrier)| carrier.part_bytes_max()).min().unwrap_or(u64::MAX)
    }

    /// Sends one body under several heads, each to somebody else. Who cannot be reached does not keep
    /// the others waiting: [`Self::finish`] tells.
    pub(super) fn send(&mut self, heads: &[Update], part: u32, body: &EncodedBody) {
        let mut by_carrier: BTreeMap<&str, (&dyn Carrier, Vec<&Update>)> = BTreeMap::new();
        for head in heads {
            if let Some((place, carrier)) = self.routes.get(&head.to) {
                by_carrier.entry(place).or_insert((*carrier, Vec::new())).1.push(head);
            }
        }
        for (carrier, heads) in by_carrier.into_values() {
            let texts: Vec<_> = heads.iter().map(|head| (epoch(head), head.to_text())).collect();
            let outgoing: Vec<_> = heads
                .iter()
                .zip(&texts)
                .map(|(head, (epoch, text))| Outgoing {
                    from: &head.from,
                    to: &head.to,
                    epoch,
                    number: head.answers.0,
                    part,
                    head: text,
                    body,
                })
                .collect();
            for sent in carrier.send_all(&outgoing) {
                match sent {
                    Ok(bytes) => {
                        self.messages += 1;
                        self.bytes += bytes;
                    }
                    Err(error) => {
                        self.failed.get_or_insert(error);
                    }
                }
            }
        }
    }

    /// Says what was sent, or the first thing that went wrong.
    pub(super) fn finish(self, report: &mut ProcessReport) -> Result<(), StepError> {
        report.messages += self.messages;
        report.bytes += self.bytes;
        self.failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// The epoch that a file's name says. A side answer and the answer proper may have one number, and
/// those of two machines with one name too: the request tells them apart.
fn epoch(head: &Update) -> String {
    match head.side {
        Some(_) => {
            format!("{}.{}", head.server_epoch, head.request_id)
        }
        None => head.server_epoch.to_string(),
    }
}
