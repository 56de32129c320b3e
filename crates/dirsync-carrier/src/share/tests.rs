use std::sync::mpsc::Receiver;
use std::time::Instant;

use super::*;

const PATIENCE: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(600);

/// A transit that begins an operation when it is let.
struct Slow {
    let_in: Arc<Mutex<Receiver<()>>>,
    begun: AtomicUsize,
}

impl Slow {
    fn new() -> (Self, Sender<()>) {
        let (open, let_in) = channel();
        (Self { let_in: Arc::new(Mutex::new(let_in)), begun: AtomicUsize::new(0) }, open)
    }

    fn operate<R>(&self, result: R) -> Result<R, TransitError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.let_in.lock().unwrap().recv().unwrap();
        Ok(result)
    }
}

/// A file in which a read begins when it is let. The reads before the first seek wait for nobody.
struct SlowFile {
    bytes: Cursor<Vec<u8>>,
    let_in: Arc<Mutex<Receiver<()>>>,
}

impl Read for SlowFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl Seek for SlowFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if to != SeekFrom::Start(0) {
            self.let_in.lock().unwrap().recv().unwrap();
        }
        self.bytes.seek(to)
    }
}

impl Transit for Slow {
    fn send(&self, message: &Outgoing<'_>) -> Result<u64, TransitError> {
        self.operate(message.number)
    }

    fn arrived(&self) -> Result<Vec<Arrived>, TransitError> {
        self.operate(Vec::new())
    }

    fn open(&self, _: &Arrived) -> Result<Option<io::Result<Box<dyn MessageFile>>>, TransitError> {
        let bytes = vec![7; SMALL_BYTES as usize + 1];
        let file = SlowFile { bytes: Cursor::new(bytes), let_in: Arc::clone(&self.let_in) };
        Ok(Some(Ok(Box::new(file))))
    }

    fn finished(&self, _: &Arrived) -> Result<bool, TransitError> {
        self.operate(true)
    }

    fn refuse(&self, _: &Arrived, _: &str) -> Result<bool, TransitError> {
        self.operate(true)
    }

    fn keep_waiting(
        &self,
        _: &Arrived,
        _: &PostofficeName,
    ) -> Result<Option<Arrived>, TransitError> {
        self.operate(None)
    }

    fn waiting(&self) -> Result<Vec<Arrived>, TransitError> {
        self.operate(Vec::new())
    }

    fn purge(&self, before: u64) -> Result<u64, TransitError> {
        self.operate(before)
    }
}

fn patient<C: Transit + Send + Sync + 'static>(
    shares: &Shares,
    folder: &str,
    transit: C,
    patience: Duration,
) -> PatientTransit<C> {
    PatientTransit::new(transit, folder.into(), shares.clone(), patience)
}

fn is_away<R>(result: Result<R, TransitError>) -> bool {
    matches!(result, Err(TransitError::Unreachable { source, .. })
        if source.kind() == io::ErrorKind::TimedOut)
}

/// A share that is slow has more time after each operation that ended too late, and one that hangs has little for ever.
#[test]
fn a_program_in_haste_learns_which_shares_are_slow() {
    let (at_first, most) = (Duration::from_millis(10), Duration::from_millis(70));
    let shares = Shares { at_first: Some(at_first), ..Shares::default() };
    let (slow, open) = Slow::new();
    let slow = patient(&shares, "slow", slow, most);
    let wait = || {
        let threads = shares.threads.lock().unwrap();
        threads[Path::new("slow")].patience(most)
    };
    for expected in [10, 20, 40, 70, 70] {
        assert!(is_away(slow.arrived()));
        assert_eq!(wait(), Duration::from_millis(expected));
        open.send(()).unwrap();
        // Until it ends, the share does nothing else.
        while shares.run(Path::new("slow"), LONG, 0, || ()).is_err() {
            std::thread::yield_now();
        }
    }
    assert!(is_away(slow.arrived()), "it hangs");
    assert_eq!(wait(), most);
}

#[test]
fn a_share_that_hangs_is_away_until_it_answers_and_holds_up_no_other() {
    let shares = Shares::default();
    let (slow, open) = Slow::new();
    let hangs = patient(&shares, "hangs", slow, PATIENCE);
    let (other, let_other) = Slow::new();
    let works = patient(&shares, "works", other, LONG);

    assert!(is_away(hangs.arrived()));
    // Everything else there fails without being tried, whatever the patience.
    let impatient = patient(&shares, "hangs", Slow::new().0, LONG);
    let start = Instant::now();
    assert!(is_away(hangs.waiting()) && is_away(impatient.purge(1)));
    assert!(start.elapsed() < LONG);
    assert_eq!(hangs.transit.begun.load(Ordering::SeqCst), 1);
    assert_eq!(impatient.transit.begun.load(Ordering::SeqCst), 0);
    let_other.send(()).unwrap();
    assert!(works.arrived().is_ok());

    open.send(()).unwrap();
    open.send(()).unwrap();
    // The work that was given up ends in its own time.
    while is_away(patient(&shares, "hangs", Ready, LONG).arrived()) {
        std::thread::yield_now();
    }
    assert_eq!(patient(&shares, "hangs", Ready, LONG).purge(5).unwrap(), 5);
}

/// A transit that works at once.
struct Ready;

impl Transit for Ready {
    fn send(&self, message: &Outgoing<'_>) -> Result<u64, TransitError> {
        Ok(message.number * 10)
    }

    fn arrived(&self) -> Result<Vec<Arrived>, TransitError> {
        Ok(Vec::new())
    }

    fn open(&self, _: &Arrived) -> Result<Option<io::Result<Box<dyn MessageFile>>>, TransitError> {
        panic!("the transit panics")
    }

    fn finished(&self, _: &Arrived) -> Result<bool, TransitError> {
        Ok(true)
    }

    fn refuse(&self, _: &Arrived, reason: &str) -> Result<bool, TransitError> {
        Ok(reason == "why")
    }

    fn keep_waiting(
        &self,
        arrived: &Arrived,
        _: &PostofficeName,
    ) -> Result<Option<Arrived>, TransitError> {
        Ok(Some(arrived.clone()))
    }

    fn waiting(&self) -> Result<Vec<Arrived>, TransitError> {
        Ok(Vec::new())
    }

    fn purge(&self, before: u64) -> Result<u64, TransitError> {
        Ok(before)
    }
}

fn send_all<C: Transit>(transit: &C, count: u64) -> Vec<Result<u64, TransitError>> {
    let (from, to) = ("NORTH/HQ".parse().unwrap(), "SOUTH/HQ".parse().unwrap());
    let body = Body::from(b"body".to_vec());
    let outgoing = |number| Outgoing {
        from: &from,
        to: &to,
        epoch: "e",
        number,
        part: 1,
        front: b"h",
        body: &body,
    };
    transit.send_all(&(1..=count).map(outgoing).collect::<Vec<_>>())
}

#[test]
fn many_messages_are_sent_in_their_order_and_each_has_its_result() {
    let shares = Shares::default();
    let count = 2 * MESSAGES_AT_ONCE as u64 + 1;
    let sent = send_all(&patient(&shares, "works", Ready, LONG), count);
    let sent: Vec<u64> = sent.into_iter().map(Result::unwrap).collect();
    assert_eq!(sent, (1..=count).map(|number| number * 10).collect::<Vec<_>>());

    let (slow, open) = Slow::new();
    (0..MESSAGES_AT_ONCE + 3).for_each(|_| open.send(()).unwrap());
    let sent = send_all(&patient(&shares, "hangs", slow, PATIENCE), count);
    assert_eq!(sent.len() as u64, count);
    let (first, later) = sent.split_at(MESSAGES_AT_ONCE);
    assert!(first.iter().all(Result::is_ok));
    assert!(later.iter().all(|sent| matches!(sent, Err(TransitError::Unreachable { .. }))));
    drop(open);
}

#[test]
fn a_panic_is_the_callers_and_the_share_works_on() {
    let shares = Shares::default();
    let transit = patient(&shares, "works", Ready, LONG);
    let token = crate::name::encode("a/b");
    let arrived = crate::name::read(&format!("{token}-{token}-1-1.dirsync")).unwrap();
    let opened = catch_unwind(AssertUnwindSafe(|| transit.open(&arrived).is_ok()));
    assert!(opened.is_err());
    assert!(transit.finished(&arrived).unwrap() && transit.refuse(&arrived, "why").unwrap());
}

#[test]
fn a_long_message_has_more_time() {
    let shares = Shares::default();
    let (slow, open) = Slow::new();
    let transit = patient(&shares, "slow", slow, PATIENCE);
    let (from, to) = ("NORTH/HQ".parse().unwrap(), "SOUTH/HQ".parse().unwrap());
    let body = Body::from(vec![0; 30 * BYTES_PER_SECOND as usize]);
    let (epoch, number, part, front) = ("e", 7, 1, b"front");
    let long = Outgoing { from: &from, to: &to, epoch, number, part, front, body: &body };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(3 * PATIENCE);
            open.send(()).unwrap();
        });
        assert_eq!(transit.send(&long).unwrap(), 7);
    });
}

#[test]
fn a_long_file_is_read_with_patience_and_no_more() {
    let shares = Shares::default();
    let (slow, open) = Slow::new();
    let transit = patient(&shares, "slow", slow, PATIENCE);
    let token = crate::name::encode("a/b");
    let arrived = crate::name::read(&format!("{token}-{token}-1-1.dirsync")).unwrap();
    let mut file = transit.open(&arrived).unwrap().unwrap().unwrap();
    let mut bytes = Vec::new();
    assert_eq!(file.read_to_end(&mut bytes).unwrap() as u64, SMALL_BYTES + 1);
    open.send(()).unwrap();
    assert_eq!(file.seek(SeekFrom::Start(7)).unwrap(), 7);
    let error = file.seek(SeekFrom::Start(8)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(open);
}

/// A transit that counts how often it is handed work.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Counting {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Transit for Counting {
    fn send(&self, message: &Outgoing<'_>) -> Result<u64, TransitError> {
        Ready.send(message)
    }

    fn arrived(&self) -> Result<Vec<Arrived>, TransitError> {
        Ready.arrived()
    }

    fn open(
        &self,
        arrived: &Arrived,
    ) -> Result<Option<io::Result<Box<dyn MessageFile>>>, TransitError> {
        Ok((arrived.number > 0).then(|| Ok(Box::new(Cursor::new(vec![arrived.number as u8])) as _)))
    }

    fn open_all(&self, messages: &[&Arrived]) -> Vec<OpenedFile> {
        self.count();
        messages.iter().map(|message| self.open(message)).collect()
    }

    fn finished(&self, arrived: &Arrived) -> Result<bool, TransitError> {
        Ok(arrived.number > 0)
    }

    fn finished_all(&self, messages: &[&Arrived]) -> Vec<Result<bool, TransitError>> {
        self.count();
        messages.iter().map(|message| self.finished(message)).collect()
    }

    fn refuse(&self, arrived: &Arrived, reason: &str) -> Result<bool, TransitError> {
        Ready.refuse(arrived, reason)
    }

    fn keep_waiting(
        &self,
        arrived: &Arrived,
        sender: &PostofficeName,
    ) -> Result<Option<Arrived>, TransitError> {
        Ready.keep_waiting(arrived, sender)
    }

    fn waiting(&self) -> Result<Vec<Arrived>, TransitError> {
        Ready.waiting()
    }

    fn purge(&self, before: u64) -> Result<u64, TransitError> {
        Ready.purge(before)
    }
}

fn arrived(number: u64) -> Arrived {
    let token = crate::name::encode("a/b");
    crate::name::read(&format!("{token}-{token}-{number}-1.dirsync")).unwrap()
}

#[test]
fn many_messages_are_opened_and_set_aside_in_one_turn_of_the_thread() {
    let shares = Shares::default();
    let transit = patient(&shares, "works", Counting::default(), LONG);
    let messages: Vec<Arrived> = (0..100).map(arrived).collect();
    let messages: Vec<&Arrived> = messages.iter().collect();
    let read = |file: OpenedFile| {
        let mut bytes = Vec::new();
        file.unwrap().map(|file| file.unwrap().read_to_end(&mut bytes).unwrap()).map(|_| bytes[0])
    };
    let opened: Vec<Option<u8>> = transit.open_all(&messages).into_iter().map(read).collect();
    assert_eq!(opened, (0..100).map(|number| (number > 0).then_some(number)).collect::<Vec<_>>());
    let finished = transit.finished_all(&messages).into_iter().map(Result::unwrap);
    assert_eq!(finished.filter(|finished| *finished).count(), 99);
    assert_eq!(transit.transit.0.load(Ordering::SeqCst), 2, "each is handed over once");
    assert!(transit.finished_all(&[]).is_empty());
}

#[test]
fn a_share_that_hangs_fails_each_message_that_is_set_aside() {
    let shares = Shares::default();
    let (slow, open) = Slow::new();
    let transit = patient(&shares, "hangs", slow, PATIENCE);
    let (one, two) = (arrived(1), arrived(2));
    let finished = transit.finished_all(&[&one, &two]);
    assert!(finished.into_iter().map(is_away).eq([true, true]));
    let opened = transit.open_all(&[&one, &two]);
    assert!(opened.into_iter().map(is_away).eq([true]), "nothing is opened after a failure");
    drop(open);
}
