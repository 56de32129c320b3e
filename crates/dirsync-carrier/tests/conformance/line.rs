//! The line of the tests.

use dirsync_carrier::{Carrier, CarrierErrorKind};
use dirsync_directory::PostofficeName;
use dirsync_testing::conformance::carrier::{FailingPlace, Points, run, run_failing};
use dirsync_testing::{Line, LinePlace};

/// Lines that are cut off after so many bytes.
struct Cut {
    place: LinePlace,
    continues: bool,
}

impl FailingPlace for Cut {
    fn connect(&self, me: &PostofficeName) -> Box<dyn Carrier> {
        let mut line = Line::local(&self.place, me);
        line.continues = self.continues;
        Box::new(line)
    }

    fn failing(&self, me: &PostofficeName, nth: u64, work: &mut dyn FnMut(&dyn Carrier)) {
        let mut line = Line::new(&self.place, me, nth);
        line.continues = self.continues;
        work(&line);
    }
}

#[test]
fn it_keeps_its_promises() {
    for file_bytes_max in [None, Some(100)] {
        let place = LinePlace::default();
        run(&|me| {
            let mut line = Line::local(&place, me);
            line.file_bytes_max = file_bytes_max;
            Box::new(line)
        });
        assert_eq!(place.bytes_passed(), 0, "a local line costs nothing");
    }
}

#[test]
fn it_is_cut_off_at_each_byte() {
    for continues in [true, false] {
        let points = run_failing(&|| Box::new(Cut { place: LinePlace::default(), continues }));
        assert_eq!(points, Points { put: 9, list: 0, fetch: 9, taken: 0 });
    }
}

/// The bytes of a file that passed before are those of another file of its name.
#[test]
fn a_file_that_was_cut_off_may_become_another() {
    let place = LinePlace::default();
    let (north, south) = ("NORTH/HQ".parse().unwrap(), "SOUTH/HQ".parse().unwrap());
    let put = |bytes: &[u8]| Line::new(&place, &north, 5).put(&south, "x.piece", bytes);
    assert_eq!(put(b"a long file").unwrap_err().kind, CarrierErrorKind::CutOff);
    put(b"short").unwrap();
    let to = Line::local(&place, &south);
    let file = &to.list().unwrap()[0];
    assert_eq!(to.fetch(file, 10).unwrap().unwrap(), b"short");
}

#[test]
fn what_is_lost_is_gone_and_comes_again() {
    let place = LinePlace::default();
    let (north, south) = ("NORTH/HQ".parse().unwrap(), "SOUTH/HQ".parse().unwrap());
    let (from, to) = (Line::local(&place, &north), Line::local(&place, &south));
    for name in ["a.piece", "b.piece"] {
        from.put(&south, name, b"bytes").unwrap();
    }
    let listed = to.list().unwrap();
    place.lose(|name| name == "a.piece");
    assert_eq!(to.fetch(&listed[0], 10).unwrap(), None, "between list and fetch");
    to.taken(&listed[0]).unwrap();
    assert_eq!(place.names(), ["b.piece"]);
    from.put(&south, "a.piece", b"bytes").unwrap();
    assert_eq!(to.list().unwrap(), listed);
}
