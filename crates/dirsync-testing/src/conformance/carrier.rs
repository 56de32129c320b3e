//! One suite for every carrier: what is promised to an exchange.

use dirsync_carrier::{Carrier, CarrierErrorKind, CarrierFile};
use dirsync_directory::PostofficeName;

/// The name of a file of the suite.
pub const FIRST: &str = "0000-0000000000-9-ab.piece";
const SECOND: &str = "0000-0000000009-9-ab.piece";
/// The number of files at a place that is used much.
const MANY: u64 = 60;

fn name(text: &str) -> PostofficeName {
    text.parse().expect("a postoffice name")
}

fn north() -> PostofficeName {
    name("NORTH/HQ")
}

/// The addressee of the files of the suite.
pub fn addressee() -> PostofficeName {
    name("South/..a")
}

fn file(name: &str) -> CarrierFile {
    CarrierFile { name: name.into(), bytes: None }
}

/// All files of a postoffice, as a reader gets them.
fn all(carrier: &dyn Carrier) -> Vec<(String, Vec<u8>)> {
    let listed = carrier.list().expect("listed");
    let fetch = |file: CarrierFile| {
        let bytes = carrier.fetch(&file, u64::MAX).expect("fetched").expect("it is there");
        assert!(file.bytes.is_none_or(|size| size == bytes.len() as u64), "it has its size");
        (file.name, bytes)
    };
    listed.into_iter().map(fetch).collect()
}

fn of(name: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    (name.into(), bytes.to_vec())
}

/// Runs the suite over lines that work. `connect` gives a postoffice's access to one fresh place, the same for all
/// calls.
///
/// # Panics
///
/// When a promise is broken.
pub fn run(connect: &dyn Fn(&PostofficeName) -> Box<dyn Carrier>) {
    let (from, to) = (connect(&north()), connect(&addressee()));
    assert!(!from.place().is_empty(), "people are told of it");
    assert_eq!(all(&*to), [], "nothing is there");
    to.taken(&file(FIRST)).expect("harmless");
    assert_eq!(to.fetch(&file(FIRST), 9).expect("harmless"), None);

    from.put(&addressee(), SECOND, b"").expect("left");
    from.put(&addressee(), FIRST, b"the first").expect("left");
    from.put(&addressee(), FIRST, b"the first").expect("left again");
    let both = [of(FIRST, b"the first"), of(SECOND, b"")];
    assert_eq!(all(&*to), both, "sorted; doubled putting is harmless");
    assert_eq!(all(&*to), both, "looking takes nothing");
    let other_case = connect(&name(&addressee().as_str().to_uppercase()));
    assert_eq!(all(&*other_case), both, "names have no case");
    for other in [&north(), &name("South/..b"), &name("South/x")] {
        assert_eq!(all(&*connect(other)), [], "{other}: it is for its addressee alone");
        connect(other).taken(&file(FIRST)).expect("harmless");
    }
    assert_eq!(all(&*to), both, "nor does anybody else take it");

    limits(&*from, &*to);
    readers(&*from, &*to, &*connect(&addressee()));
    names(&*to);
    many(&*from, &*to);
}

/// A file over a limit is an error, and stays.
fn limits(from: &dyn Carrier, to: &dyn Carrier) {
    for bytes_max in [0, 8] {
        let error = to.fetch(&file(FIRST), bytes_max).expect_err("it has nine bytes");
        assert_eq!(error.kind, CarrierErrorKind::TooLarge, "{error}");
    }
    let fetched = to.fetch(&file(FIRST), 9).expect("just as large").expect("it stayed");
    assert_eq!(fetched, b"the first");
    let Some(most) = from.file_bytes_max() else { return };
    let mut bytes = vec![7; usize::try_from(most).expect("a small limit")];
    from.put(&addressee(), "x.piece", &bytes).expect("just as large");
    to.taken(&file("x.piece")).expect("taken");
    bytes.push(7);
    let error = from.put(&addressee(), "x.piece", &bytes).expect_err("over the limit");
    assert_eq!(error.kind, CarrierErrorKind::TooLarge, "{error}");
    assert_eq!(to.fetch(&file("x.piece"), u64::MAX).expect("harmless"), None, "nothing was left");
}

/// Two processes take the files of one postoffice, and a file that was taken comes once more.
fn readers(from: &dyn Carrier, one: &dyn Carrier, other: &dyn Carrier) {
    assert_eq!(all(one), all(other));
    let listed = one.list().expect("listed");
    one.taken(&listed[0]).expect("taken");
    assert_eq!(other.fetch(&listed[0], 9).expect("harmless"), None, "gone is not an error");
    for reader in [one, other] {
        reader.taken(&listed[0]).expect("doubled taking is harmless");
        assert_eq!(all(reader), [of(SECOND, b"")], "the other file stays");
    }
    from.put(&addressee(), FIRST, b"once more").expect("left");
    assert_eq!(all(other), [of(FIRST, b"once more"), of(SECOND, b"")]);
    for file in other.list().expect("listed") {
        other.taken(&file).expect("taken");
    }
    assert_eq!(all(one), []);
}

/// A name that no listing has is that of a file which is gone.
fn names(to: &dyn Carrier) {
    for name in ["", ".", "..", "../x.piece", "/x.piece", "done/x.piece", "X.piece", "x", "é.piece"]
    {
        assert_eq!(to.fetch(&file(name), 9).expect("harmless"), None, "\"{name}\"");
        to.taken(&file(name)).expect("harmless");
    }
}

/// A long listing is complete, and sorted.
fn many(from: &dyn Carrier, to: &dyn Carrier) {
    let name_of = |nth: u64| format!("{nth:04}.piece");
    for nth in 0..MANY {
        let nth = nth * 77 % MANY;
        from.put(&addressee(), &name_of(nth), &nth.to_le_bytes()).expect("left");
    }
    let expected: Vec<_> = (0..MANY).map(|nth| (name_of(nth), nth.to_le_bytes().into())).collect();
    assert_eq!(all(to), expected);
    for file in to.list().expect("listed") {
        to.taken(&file).expect("taken");
    }
}

/// A place whose lines fail.
pub trait FailingPlace {
    /// A postoffice's access that works.
    fn connect(&self, me: &PostofficeName) -> Box<dyn Carrier>;

    /// Works over an access that fails once `nth` bytes have passed, or `nth` operations have been done.
    fn failing(&self, me: &PostofficeName, nth: u64, work: &mut dyn FnMut(&dyn Carrier));
}

/// The number of points at which the operations of a carrier can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Points {
    /// Those of [`Carrier::put`].
    pub put: u64,
    /// Those of [`Carrier::list`].
    pub list: u64,
    /// Those of [`Carrier::fetch`].
    pub fetch: u64,
    /// Those of [`Carrier::taken`].
    pub taken: u64,
}

const BYTES: &[u8] = b"all of it";

/// Runs the suite over lines that fail at each point: an operation that fails is harmless, and succeeds when it is
/// done again. `fresh` makes a place.
///
/// # Panics
///
/// When a promise is broken.
pub fn run_failing(fresh: &dyn Fn() -> Box<dyn FailingPlace>) -> Points {
    let put = at_each(&|nth| put_fails(&*fresh(), nth));
    if fresh().connect(&north()).continues() {
        (1..BYTES.len()).for_each(|step| put_continues(&*fresh(), step));
    }
    let with_file = || {
        let place = fresh();
        place.connect(&north()).put(&addressee(), FIRST, BYTES).expect("left");
        place
    };
    let list = at_each(&|nth| {
        let place = with_file();
        let listed = over(&*place, &addressee(), nth, &mut |carrier| carrier.list().ok());
        assert!(listed.as_ref().is_none_or(|files| files.len() == 1), "{nth}: it is complete");
        listed.is_some()
    });
    let fetch = at_each(&|nth| {
        let place = with_file();
        let fetch = &mut |carrier: &dyn Carrier| carrier.fetch(&file(FIRST), 100).ok();
        let fetched = over(&*place, &addressee(), nth, fetch);
        let is_whole = |bytes: &Option<Vec<u8>>| bytes.as_deref() == Some(BYTES);
        assert!(fetched.as_ref().is_none_or(is_whole), "{nth}: neither half of it nor gone");
        assert_eq!(all(&*place.connect(&addressee())), [of(FIRST, BYTES)], "{nth}: it stays");
        fetched.is_some()
    });
    let taken = at_each(&|nth| {
        let place = with_file();
        let taken =
            over(&*place, &addressee(), nth, &mut |carrier| carrier.taken(&file(FIRST)).ok());
        let left = all(&*place.connect(&addressee()));
        assert!(left.is_empty() || taken.is_none() && left == [of(FIRST, BYTES)], "{nth}");
        place.connect(&addressee()).taken(&file(FIRST)).expect("it succeeds now");
        assert_eq!(all(&*place.connect(&addressee())), [], "{nth}");
        taken.is_some()
    });
    Points { put, list, fetch, taken }
}

/// Tries with a failure at each point until nothing fails. Returns the number of points.
fn at_each(succeeds: &dyn Fn(u64) -> bool) -> u64 {
    (0..).find(|nth| succeeds(*nth)).expect("it ends")
}

/// The result of work over an access that fails.
fn over<T>(
    place: &dyn FailingPlace,
    me: &PostofficeName,
    nth: u64,
    work: &mut dyn FnMut(&dyn Carrier) -> T,
) -> T {
    let mut result = None;
    place.failing(me, nth, &mut |carrier| result = Some(work(carrier)));
    result.expect("the place lets it work")
}

/// Whether a put with a failure at this point succeeds. The other side sees nothing, or the whole file.
fn put_fails(place: &dyn FailingPlace, nth: u64) -> bool {
    let (from, to) = (place.connect(&north()), place.connect(&addressee()));
    let put = &mut |carrier: &dyn Carrier| carrier.put(&addressee(), FIRST, BYTES);
    let whole = [of(FIRST, BYTES)];
    let succeeds = over(place, &north(), nth, put).is_ok();
    let seen = all(&*to);
    assert!(seen == whole || !succeeds && seen.is_empty(), "{nth}: all of it or nothing");
    from.put(&addressee(), FIRST, BYTES).expect("it succeeds now");
    assert_eq!(all(&*to), whole, "{nth}");
    let _ = over(place, &north(), nth, put);
    assert_eq!(all(&*to), whole, "{nth}: what is there stays whole");
    succeeds
}

/// A file passes in steps of so many bytes. Nothing of it is seen before the last one.
fn put_continues(place: &dyn FailingPlace, step: usize) {
    let to = place.connect(&addressee());
    let mut passed = step;
    let put = &mut |carrier: &dyn Carrier| carrier.put(&addressee(), FIRST, BYTES);
    while let Err(error) = over(place, &north(), step as u64, put) {
        assert_eq!(error.kind, CarrierErrorKind::CutOff, "{error}");
        assert_eq!(all(&*to), [], "only {passed} bytes have passed");
        assert!(passed < BYTES.len(), "it is continued, not begun again");
        passed += step;
    }
    assert_eq!(all(&*to), [of(FIRST, BYTES)]);

    let fetch = &mut |carrier: &dyn Carrier| carrier.fetch(&file(FIRST), 100);
    let tries = BYTES.len().div_ceil(step);
    for nth in 1..=tries {
        match over(place, &addressee(), step as u64, fetch) {
            Ok(bytes) => assert_eq!((bytes.as_deref(), nth), (Some(BYTES), tries)),
            Err(error) => assert!(error.kind == CarrierErrorKind::CutOff && nth < tries, "{error}"),
        }
    }
}

/// Checks that every operation fails with an error of this kind, as at a place that is away.
///
/// # Panics
///
/// When one succeeds, or fails otherwise.
pub fn all_fail(carrier: &dyn Carrier, kind: CarrierErrorKind) {
    let errors = [
        ("put", carrier.put(&addressee(), FIRST, BYTES).err()),
        ("list", carrier.list().err()),
        ("fetch", carrier.fetch(&file(FIRST), 100).err()),
        ("taken", carrier.taken(&file(FIRST)).err()),
    ];
    for (operation, error) in errors {
        let error = error.unwrap_or_else(|| panic!("{operation} fails"));
        assert_eq!(error.kind, kind, "{operation}: {error}");
    }
}
