//! `dirsync carrier …`: the places of a requestor.

use std::path::Path;

use dirsync_postoffice::places::PlaceStatus;
use dirsync_postoffice::{Postoffice, carrier, now_ms};

use super::probe;
use crate::cli::CarrierCommand;
use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::time::Times;
use crate::words;

/// `dirsync carrier …`.
pub fn run(folder: &Path, command: &CarrierCommand, json: bool) -> Result<ExitStatus> {
    match command {
        CarrierCommand::List => {
            let mut postoffice = super::read(folder)?;
            let places = carrier::list(&mut postoffice)?;
            if json {
                document::print(&places);
            } else {
                print(&postoffice, &places);
            }
        }
        CarrierCommand::Set { places } => {
            let mut postoffice = Postoffice::open(folder, "carrier set")?;
            let places = carrier::set(&mut postoffice, places.named()?)?;
            if json {
                document::print(&places);
            } else {
                println!("messages to {} travel through:", postoffice.server);
                print(&postoffice, &places);
                println!(
                    "next, at {}: `requestor set {} {}`, with the same places in the same order",
                    postoffice.server,
                    postoffice.name,
                    words::status::options(&places)
                );
            }
        }
        CarrierCommand::Test { wait } => return probe::run(folder, None, wait.duration(), json),
    }
    Ok(ExitStatus::Done)
}

fn print(postoffice: &Postoffice, places: &[PlaceStatus]) {
    let times = Times { zone: postoffice.config.zone(), now: now_ms() };
    for (number, place) in (1..).zip(places) {
        println!("  {number}  {}", words::status::place(place, &times));
    }
}
