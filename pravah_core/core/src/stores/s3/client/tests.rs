//! Requests to a server on this machine that holds some of its answers back.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use super::{
    super::{
        place::Place,
        runtime::{begin, wait},
    },
    *,
};

/// How a server answers a request.
enum Act {
    Give,
    /// With 503 SlowDown.
    Refuse,
    /// After so long.
    Late(Duration),
    /// Letter by letter, with a pause behind each.
    Slowly(Duration),
    /// Its first half only; the rest when the test has ended.
    Half,
    /// When the test has ended.
    Never,
}

/// What the client waits for an answer, and for more of one.
const SILENCE: Duration = Duration::from_secs(3);

/// A server whose answers depend on the key, and on how often it was asked for that.
struct Server {
    place: Place,
    asked: Arc<Mutex<HashMap<String, usize>>>,
    /// Answers that are held back wait for it to go.
    _held: Sender<()>,
}

impl Server {
    fn start(act: impl Fn(&str, usize) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("has a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("is bound"));
        let asked = Arc::<Mutex<HashMap<String, usize>>>::default();
        let (held, gone) = channel();
        let (act, gone, counts) = (Arc::new(act), Arc::new(Mutex::new(gone)), Arc::clone(&asked));
        thread::spawn(move || {
            for line in listener.incoming().flatten() {
                let (act, gone, counts) = (Arc::clone(&act), Arc::clone(&gone), Arc::clone(&counts));
                thread::spawn(move || serve(line, &*act, &counts, &gone));
            }
        });
        let credentials = Credentials {
            access_key_id: "id".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: None,
            expires_at_s: None,
            origin: String::new(),
        };
        let (endpoint, region) = (Some(endpoint), "us-east-1".to_owned());
        let described = Description { endpoint, region, credentials, largest_copy_bytes: None };
        let client = Client { silence: SILENCE, ..Client::new("test", described).expect("is a client") };
        let place = Place {
            client: Arc::new(client),
            bucket: "bucket".to_owned(),
            prefix: String::new(),
            hedged: Arc::default(),
            uploads_left: Arc::default(),
            ending: None,
        };
        Self { place, asked, _held: held }
    }

    fn get(&self, key: &str) -> Bytes {
        wait(self.place.get_first(key, 100)).expect("is answered").bytes
    }

    fn asked(&self, key: &str) -> usize {
        self.asked.lock().expect("is whole")[key]
    }

    fn hedged(&self) -> u64 {
        self.place.hedged.load(Ordering::Relaxed)
    }
}

fn serve(
    line: TcpStream,
    act: &dyn Fn(&str, usize) -> Act,
    counts: &Mutex<HashMap<String, usize>>,
    gone: &Mutex<Receiver<()>>,
) {
    let mut reader = BufReader::new(line.try_clone().expect("is open"));
    while let Some(key) = asked_for(&mut reader) {
        let count = {
            let mut counts = counts.lock().expect("is whole");
            let count = counts.entry(key.clone()).or_default();
            *count += 1;
            *count
        };
        let (mut status, mut pieces, mut pause) = ("200 OK", vec![key.as_bytes()], Duration::ZERO);
        let wait_for_the_end = || gone.lock().expect("is whole").recv().unwrap_or_default();
        match act(&key, count) {
            Act::Give => {}
            Act::Refuse => status = "503 Slow Down",
            Act::Late(time) => thread::sleep(time),
            Act::Slowly(time) => (pieces, pause) = (key.as_bytes().chunks(1).collect(), time),
            Act::Half => pieces = vec![&key.as_bytes()[..key.len() / 2]],
            Act::Never => wait_for_the_end(),
        }
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\netag: \"x\"\r\n\r\n", key.len());
        let mut sent = (&line).write_all(head.as_bytes());
        for piece in &pieces {
            sent = sent.and_then(|()| (&line).write_all(piece));
            thread::sleep(pause);
        }
        if sent.is_err() {
            return;
        }
        if pieces.concat().len() < key.len() {
            wait_for_the_end();
        }
    }
}

/// Read the head of a request; gives its key.
fn asked_for(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head.split(' ').nth(1)?.trim_start_matches("/bucket/").to_owned())
}

#[test]
fn test_answer_that_is_held_back_is_not_waited_for() {
    let server = Server::start(|key, count| if (key, count) == ("60", 1) { Act::Never } else { Act::Give });
    for number in 0..100 {
        assert_eq!(server.get(&number.to_string()), number.to_string());
    }
    assert_eq!((server.hedged(), server.asked("60"), server.asked("61")), (1, 2, 1));
}

#[test]
fn test_late_answer_is_waited_for_after_the_server_had_too_much_to_do() {
    let server = Server::start(|key, count| match (key, count) {
        ("50", 1) => Act::Refuse,
        ("60", _) => Act::Late(Duration::from_secs(1)),
        _ => Act::Give,
    });
    (0..100).for_each(|number| assert_eq!(server.get(&number.to_string()), number.to_string()));
    assert_eq!((server.hedged(), server.asked("50"), server.asked("60")), (0, 2, 1));
}

#[test]
fn test_no_more_than_a_twentieth_is_asked_for_twice() {
    let late = |key: &str, _| match key.parse::<u32>() {
        Ok(40..) => Act::Late(Duration::from_millis(700)),
        _ => Act::Give,
    };
    let server = Server::start(late);
    (0..40).for_each(|number| assert_eq!(server.get(&number.to_string()), number.to_string()));
    let asked: Vec<_> = (40..60)
        .map(|number| {
            let (place, key) = (server.place.clone(), number.to_string());
            begin(async move { place.get_first(&key, 100).await })
        })
        .collect();
    for got in asked {
        wait(got).expect("ends").expect("is answered");
    }
    assert!((1..=3).contains(&server.hedged()), "{}", server.hedged());
}

#[test]
fn test_answer_that_comes_slowly_is_waited_for() {
    let server = Server::start(|_, _| Act::Slowly(SILENCE / 6));
    assert_eq!((server.get("twelve-parts"), server.asked("twelve-parts")), ("twelve-parts".into(), 1));
}

#[test]
fn test_answer_that_stands_still_is_asked_for_again() {
    let server = Server::start(|_, count| if count == 1 { Act::Half } else { Act::Give });
    assert_eq!((server.get("two-halves"), server.asked("two-halves")), ("two-halves".into(), 2));
}

#[test]
fn test_server_is_asked_again_when_it_wants_to_be() {
    let answer = |headers: &[(&'static str, &'static str)]| {
        let headers =
            headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        Answer { headers: headers.collect(), body: Bytes::new(), tries: 1 }
    };
    assert_eq!(pause(1, retry_after_s(&answer(&[("retry-after", "20")]))), Duration::from_secs(20));
    let at = [("retry-after", "Fri, 02 Jan 2026 03:04:35 GMT"), ("date", "Fri, 02 Jan 2026 03:04:05 GMT")];
    assert_eq!(pause(1, retry_after_s(&answer(&at))), Duration::from_secs(30));
    assert!(pause(9, None) <= PAUSE);
}
