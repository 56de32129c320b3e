//! The answers of T2 on their way out.

use std::collections::BTreeMap;

use dirsync_carrier::{Carrier, EncodedBody, Outgoing};
use dirsync_directory::PostofficeName;
use dirsync_message::Update;

use super::ProcessReport;
use crate::step::place::Failures;

/// The routes to the requestors, and the answers that could not take them.
pub(super) struct Post<'a> {
    routes: BTreeMap<PostofficeName, (String, &'a dyn Carrier)>,
    /// Counts what is sent, and names the places that fail.
    pub report: &'a mut ProcessReport,
    /// The answers that are still to be sent.
    pub unsent: Vec<Update>,
}

impl<'a> Post<'a> {
    pub(super) fn new(report: &'a mut ProcessReport) -> Self {
        Self { routes: BTreeMap::new(), report, unsent: Vec::new() }
    }

    pub(super) fn add_route(
        &mut self,
        name: PostofficeName,
        place: String,
        carrier: &'a dyn Carrier,
    ) {
        self.routes.insert(name, (place, carrier));
    }

    /// Bodies larger than this (encoded) are split into parts, if they go to all of these.
    pub(super) fn part_bytes_max<'n>(
        &self,
        to: impl IntoIterator<Item = &'n PostofficeName>,
    ) -> u64 {
        let carriers = to.into_iter().filter_map(|name| self.routes.get(name));
        carriers.map(|(_, carrier)| carrier.part_bytes_max()).min().unwrap_or(u64::MAX)
    }

    /// Sends one body under several heads. An addressee that cannot be reached keeps no other waiting:
    /// its answer is unsent, and nothing more is sent to it in this step.
    pub(super) fn send<'h>(
        &mut self,
        heads: impl IntoIterator<Item = &'h Update>,
        part: u32,
        body: &EncodedBody,
    ) {
        let mut failures = Failures(&mut self.report.failed);
        let mut by_carrier: BTreeMap<&str, (&dyn Carrier, Vec<&Update>)> = BTreeMap::new();
        for head in heads {
            let Some((place, carrier)) = self.routes.get(&head.to) else { continue };
            if failures.is_cut_off(place, &head.to) {
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
                        self.report.messages += 1;
                        self.report.bytes += bytes;
                    }
                    Err(error) => {
                        failures.add(place, Some(&head.to), &error);
                        self.unsent.push((*head).clone());
                    }
                }
            }
        }
    }
}

/// The epoch in a file's name. A side answer and the main answer may have one number, and those of two
/// machines with one name too: the request tells them apart.
fn epoch(head: &Update) -> String {
    match head.side {
        Some(_) => format!("{}.{}", head.server_epoch, head.request_id),
        None => head.server_epoch.to_string(),
    }
}
