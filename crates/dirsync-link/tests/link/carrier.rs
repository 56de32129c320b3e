//! The suite of all carriers, over a link.

use dirsync_carrier::{Carrier, CarrierErrorKind};
use dirsync_directory::PostofficeName;
use dirsync_link::connector::Deadlines;
use dirsync_testing::conformance::carrier::{FailingPlace, addressee, all_fail, run, run_failing};

use crate::proxy::{Fault, Line};
use crate::{Site, name};

/// A fault is tried every so many bytes.
const STEP: u64 = 211;

/// The requestors take what the server leaves for them in its folder.
#[test]
fn a_requestor_is_promised_what_every_addressee_is() {
    let readers = ["South/..a", "South/..b", "South/x", "SOUTH/..A"];
    let site = Site::new("NORTH/HQ", &readers);
    run(&|me| match me == &site.me {
        true => Box::new(site.desk.folder(me)),
        false => Box::new(site.server.link(me)),
    });
}

/// The server takes out of its folder what a requestor leaves at its link.
#[test]
fn a_requestor_is_promised_what_every_sender_is() {
    let site = Site::new("South/..a", &["NORTH/HQ"]);
    run(&|me| match me == &name("NORTH/HQ") {
        true => Box::new(site.server.link(me)),
        false => Box::new(site.desk.folder(me)),
    });
}

/// A link whose line is cut for ever after so many bytes.
struct Cut(Site);

impl FailingPlace for Cut {
    fn connect(&self, me: &PostofficeName) -> Box<dyn Carrier> {
        match me == &self.0.me {
            true => Box::new(self.0.desk.folder(me)),
            false => Box::new(self.0.server.link(me)),
        }
    }

    fn failing(&self, me: &PostofficeName, nth: u64, work: &mut dyn FnMut(&dyn Carrier)) {
        if me == &self.0.me {
            // Its own folder does not fail here.
            return work(&self.0.desk.folder(me));
        }
        let mut faults = [(nth * STEP, Fault::Down)].into_iter();
        let line = Line::to(self.0.server.address(), move || faults.next());
        work(&self.0.server.link_by(me, line.port, Deadlines::default()));
    }
}

#[test]
fn what_is_cut_off_while_it_is_sent_is_all_there_or_not_at_all() {
    let site = || Site::new("South/..a", &["NORTH/HQ"]);
    let points = run_failing(&|| Box::new(Cut(site())));
    assert!(points.put > 8, "{points:?}");
}

#[test]
fn what_is_cut_off_while_it_is_taken_stays() {
    let site = || Site::new("NORTH/HQ", &["South/..a"]);
    let points = run_failing(&|| Box::new(Cut(site())));
    assert!(points.list > 8 && points.fetch > 8 && points.taken > 8, "{points:?}");
}

#[test]
fn a_server_that_is_away_is_unreachable() {
    let site = Site::new("South/..a", &["NORTH/HQ"]);
    let link = site.server.link(&name("NORTH/HQ"));
    drop(site);
    assert_eq!(link.server.keys.name(), &addressee());
    all_fail(&link, CarrierErrorKind::Unreachable);
}
