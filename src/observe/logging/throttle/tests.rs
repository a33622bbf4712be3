use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

/// What reaches the layers behind the throttle.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Seen {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = Line::of(event);
        self.0.lock().unwrap().push(line.message + &line.subjects);
    }
}

/// The lines that `work` logs and that are told.
fn told(work: impl FnOnce()) -> (Throttle, Vec<String>) {
    let (throttle, seen) = (Throttle::default(), Seen::default());
    let subscriber = tracing_subscriber::registry()
        .with(seen.clone())
        .with(throttle.clone());
    tracing::subscriber::with_default(subscriber, work);
    let lines = seen.0.lock().unwrap().clone();
    (throttle, lines)
}

fn fails(port: u16, partition: i32) {
    let error = format!("connection to 10.0.0.1:{port} reset");
    tracing::warn!(partition, error, "it fails after {port} ms");
}

/// A line with nothing but a text.
fn line(message: &str) -> Line {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    Line {
        hasher,
        message: message.to_owned(),
        subjects: String::new(),
    }
}

#[test]
fn numbers_make_no_other_line_and_what_is_left_out_is_counted() {
    let (throttle, lines) = told(|| (0..10).for_each(|n| fails(4000 + n, 3)));
    assert_eq!(lines.len(), BURST as usize, "{lines:?}");
    let mut table = throttle.lock();
    assert!(table.is_told);
    assert_eq!(table.take_due(Instant::now()), [], "its time has not come");
    let left_out = LeftOut {
        level: Level::WARN,
        count: 7,
        message: "it fails after 4003 ms partition=3".to_owned(),
    };
    assert_eq!(table.take_due(Instant::now() + INTERVAL), [left_out]);
    assert!(table.next_due(Instant::now()).is_none() && !table.is_told);
}

#[test]
fn other_partitions_other_texts_and_other_places_are_other_lines() {
    let (_, lines) = told(|| {
        for n in 0..u16::try_from(BURST).unwrap() {
            (0..5).for_each(|partition| fails(n, partition));
            tracing::info!("it is well again");
            tracing::info!("it is better");
        }
    });
    assert_eq!(lines.len(), 7 * BURST as usize, "{lines:?}");
}

#[test]
fn lines_for_debugging_are_never_left_out() {
    let (_, lines) = told(|| (0..50).for_each(|_| tracing::debug!("again")));
    assert_eq!(lines.len(), 50);
}

#[test]
fn a_line_begins_anew_when_its_time_is_over() {
    let mut table = Table::default();
    let now = Instant::now();
    let mut told = |at: Instant| table.admit(line("a"), Level::INFO, at);
    assert!((0..BURST).all(|_| told(now)));
    assert!(told(now + INTERVAL), "nothing was left out");
    assert!((1..BURST).all(|_| told(now + INTERVAL)));
    assert!(!told(now + INTERVAL));
    assert_eq!(table.next_due(now + INTERVAL), Some(INTERVAL));
    assert_eq!(table.take_due(now + 2 * INTERVAL).len(), 1);
    assert_eq!(table.next_due(now + 2 * INTERVAL), None);
    let mut told = |at: Instant| table.admit(line("a"), Level::INFO, at);
    assert!(
        told(now + 2 * INTERVAL) && !told(now + 2 * INTERVAL),
        "it goes on"
    );
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut table = Table::default();
    let now = Instant::now();
    let mut told = |n: usize, at: Instant| table.admit(line(&n.to_string()), Level::INFO, at);
    let count = (0..2 * MAX_LINES).filter(|n| told(*n, now)).count();
    assert_eq!(count, MAX_LINES + BURST as usize);
    assert!(told(9 * MAX_LINES, now + INTERVAL), "old ones make room");
    assert!(table.lines.len() <= MAX_LINES + 1);
}
