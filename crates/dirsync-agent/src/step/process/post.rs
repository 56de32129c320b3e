//! Sends the answers of T2.

use std::collections::BTreeMap;

use dirsync_carrier::{Carrier, EncodedBody, Outgoing};
use dirsync_directory::PostofficeName;
use dirsync_message::Update;

use super::ProcessReport;
use crate::step::place::Failures;

/// The routes to the requestors, and the answers that could not be sent.
pub(super) struct Post<'a> {
    routes: BTreeMap<PostofficeName, (String, &'a dyn Carrier)>,
    /// Counts messages that are sent, and has the failures of places.
    pub report: &'a mut ProcessReport,
    /// The answers that could not be sent.
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

    /// Bodies for these addressees that are larger than this (encoded) are split into parts.
    pub(super) fn part_bytes_max<'n>(
        &self,
        to: impl IntoIterator<Item = &'n PostofficeName>,
    ) -> u64 {
        let carriers = to.into_iter().filter_map(|name| self.routes.get(name));
        carriers.map(|(_, carrier)| carrier.part_bytes_max()).min().unwrap_or(u64::MAX)
    }

    /// Sends one body under several heads. An addressee that cannot be reached delays no other: its answer is
    /// kept as unsent, and nothing more is sent to it in this step.
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

/// The epoch in a file's name. A side answer may have the number of the main answer, or of another machine's
/// side answer, so its request's id is part of it.
fn epoch(head: &Update) -> String {
    match head.side {
        Some(_) => format!("{}.{}", head.server_epoch, head.request_id),
        None => head.server_epoch.to_string(),
    }
}
