//! The answers of T2 on their way out.

use std::collections::BTreeMap;

use dirsync_carrier::{Carrier, EncodedBody, Outgoing};
use dirsync_directory::PostofficeName;
use dirsync_message::Update;

use super::place::Failures;
use super::process::ProcessReport;

/// Through which carrier each requestor is reached, and what was sent.
#[derive(Default)]
pub(super) struct Post<'a> {
    routes: BTreeMap<PostofficeName, (&'a str, &'a dyn Carrier)>,
    messages: u64,
    bytes: u64,
    failures: Failures,
    unsent: Vec<Update>,
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
    /// the others waiting: [`Self::finish`] tells. Nothing more is sent to them in this step.
    pub(super) fn send(&mut self, heads: &[Update], part: u32, body: &EncodedBody) {
        let mut by_carrier: BTreeMap<&str, (&dyn Carrier, Vec<&Update>)> = BTreeMap::new();
        for head in heads {
            let Some((place, carrier)) = self.routes.get(&head.to) else { continue };
            if self.is_cut_off(place, &head.to) {
                self.unsent.push(head.clone());
            } else {
                by_carrier.entry(place).or_insert((*carrier, Vec::new())).1.push(head);
            }
        }
        for (place, (carrier, heads)) in by_carrier {
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
            for (head, sent) in heads.iter().zip(carrier.send_all(&outgoing)) {
                match sent {
                    Ok(bytes) => {
                        self.messages += 1;
                        self.bytes += bytes;
                    }
                    Err(error) => {
                        self.failures.add(place, Some(&head.to), &error);
                        self.unsent.push((*head).clone());
                    }
                }
            }
        }
    }

    fn is_cut_off(&self, place: &str, to: &PostofficeName) -> bool {
        let concerns = |to_failed: &Option<PostofficeName>| to_failed.as_ref() == Some(to);
        self.failures.is_away(place)
            || self.failures.0.iter().any(|failure| failure.place == place && concerns(&failure.to))
    }

    /// Says what was sent and what failed. Returns the answers that are still to be sent.
    pub(super) fn finish(self, report: &mut ProcessReport) -> Vec<Update> {
        report.messages += self.messages;
        report.bytes += self.bytes;
        report.failed.extend(self.failures.0);
        self.unsent
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
