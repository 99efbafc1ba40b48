//! From the network to the log, over loopback.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod compact;
mod datagram;

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use compact::{CLAIM, HEAD, key, written};
use datagram::{Datagram, KEY, directory};
use ingest::clock::{Clock, Millis};
use ingest::counter::Flag;
use ingest::gate::{Gate, Refusal, Refusals};
use ingest::limits::MAX_DATAGRAM;
use ingest::log::{Log, LogUrl, Settings};
use ingest::position::{OperatorKey, Position, Transport};
use ingest::udp::{self, Beside, Drops, Threads};
use ingest::wire::binary::{Acknowledgement, Claim, Head, MAC};

const NOON: Millis = Millis(1_764_158_400_000);

/// A log, and threads that fill it from an address of the loopback.
struct Service {
    _directory: tempfile::TempDir,
    log: Log,
    gate: Arc<Gate>,
    stop: Arc<Flag>,
    threads: Vec<Threads>,
    /// Those that were stopped, but for what they still have to answer.
    answering: Vec<JoinHandle<()>>,
    address: SocketAddr,
}

impl Service {
    fn start(address: &str, sockets: usize) -> Self {
        Self::of(udp::listen(address.parse().unwrap(), sockets, Beside::Nobody).unwrap())
    }

    fn of(sockets: Vec<UdpSocket>) -> Self {
        let directory_of_log = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOON);
        let settings = Settings { commit_interval_ms: 1, ..Settings::default() };
        let log =
            Log::open(&LogUrl::File(directory_of_log.path().to_owned()), &settings, clock.clone()).unwrap();
        let gate = Arc::new(Gate::new(Arc::new(directory()), Arc::new(Refusals::default())));
        let stop = Arc::new(Flag::default());
        let address = sockets[0].local_addr().unwrap();
        let serve =
            |socket| udp::serve(socket, gate.clone(), log.clone(), clock.clone(), stop.clone()).unwrap();
        let threads = sockets.into_iter().map(serve).collect();
        Self { _directory: directory_of_log, log, gate, stop, threads, answering: Vec::new(), address }
    }

    /// Asks the threads to stop and waits for them.
    fn stop(&mut self) {
        self.stop.raise();
        for Threads { receiving, answering } in self.threads.drain(..) {
            receiving.join().unwrap();
            self.answering.push(answering);
        }
    }

    /// Everything in the log, once it is closed.
    fn logged(&self) -> Vec<Position> {
        self.log.close();
        let mut reader = self.log.reader(&[]);
        let records = std::iter::from_fn(|| reader.poll(Duration::ZERO).unwrap());
        records.flat_map(|record| record.entries).collect()
    }

    /// A sender on a port of its own.
    fn sender(&self) -> UdpSocket {
        let any = SocketAddr::new(self.address.ip(), 0);
        let sender = UdpSocket::bind(any).unwrap();
        sender.connect(self.address).unwrap();
        sender
    }
}

#[test]
fn what_is_valid_is_logged_and_the_rest_is_counted() {
    for (address, sockets) in [("127.0.0.1:0", 1), ("127.0.0.1:0", 3), ("[::1]:0", 2)] {
        let mut service = Service::start(address, sockets);
        let unsigned = Datagram::default().signed("another key");
        for _ in 0..10 {
            let sender = service.sender();
            for _ in 0..20 {
                sender.send(&Datagram::default().signed(KEY)).unwrap();
            }
            sender.send(&unsigned).unwrap();
            sender.send(&unsigned).unwrap();
            sender.send(b"{oops").unwrap();
            sender.send(b"").unwrap();
            sender.send(&[b' '; MAX_DATAGRAM]).unwrap();
            sender.send(&[b' '; MAX_DATAGRAM + 1]).unwrap();
            sender.send(&[b' '; 3 * MAX_DATAGRAM]).unwrap();
        }
        service.stop();
        let expected = [
            (None, Refusal::TooLong, 20),
            (None, Refusal::NotJson, 30),
            (Some(OperatorKey(1)), Refusal::BadHash, 20),
        ];
        assert_eq!(service.gate.refusals().snapshot(), expected);
        assert_eq!(service.gate.refusals().accepted(), 200);
        let taken = service.gate.refusals().take();
        let sources = taken[0].2.sources.weights();
        assert_eq!((taken.len(), sources.len(), sources[0].at_least()), (1, 1, 20), "without the port");
        assert_eq!(sources[0].name, service.address.ip());
        let logged = service.logged();
        assert_eq!(logged.len(), 200);
        assert!(logged.iter().all(|p| p.received_at == NOON && p.transport == Transport::Udp));
    }
}

#[test]
fn who_asks_with_its_key_hears_of_what_is_in_the_log_and_nobody_else_of_anything() {
    for sockets in [1, 3] {
        let mut service = Service::start("127.0.0.1:0", sockets);
        let sender = service.sender();
        sender.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut reader = service.log.reader(&[]);
        let full = [&[CLAIM; 30][..], &[Claim { taxi: b"nobody", ..CLAIM }]].concat();
        for sequence in 0..100 {
            let datagram =
                written(&Head { sequence, wants_acknowledgement: sequence % 10 == 9, ..HEAD }, &full);
            let forged = [&datagram[..datagram.len() - MAC], &[0; MAC]].concat();
            for datagram in [&forged, &datagram, &datagram, &Datagram::default().signed(KEY)] {
                sender.send(datagram).unwrap();
            }
        }
        let none = Claim { taxi: b"nobody", ..CLAIM };
        sender.send(&written(&Head { sequence: 100, ..HEAD }, &[none])).unwrap();
        let mut answered = Vec::new();
        let mut seen = 0;
        while answered.len() < 11 {
            let mut bytes = [0; 64];
            let length = sender.recv(&mut bytes).unwrap();
            let answer = Acknowledgement::open(&bytes[..length], &key()).unwrap();
            assert_eq!((answer.session, answer.refused), (HEAD.session, 1));
            assert_eq!(answer.taken, if answer.sequence == 100 { 0 } else { 30 });
            answered.push(answer.sequence);
            // What is acknowledged can be read: of each ten datagrams this is the last.
            let acknowledged = answered.iter().filter(|sequence| **sequence < 100).count() * 30;
            while seen < acknowledged {
                seen += reader.poll(Duration::ZERO).unwrap().unwrap().entries.len();
            }
        }
        answered.sort_unstable();
        assert_eq!(answered, (0..10).map(|ten| 10 * ten + 9).chain([100]).collect::<Vec<_>>());
        service.stop();
        sender.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(sender.recv(&mut [0; 64]).is_err(), "once");
        let refused = [(Refusal::BadHash, 100), (Refusal::Replayed, 3_100), (Refusal::UnknownTaxi, 101)];
        assert_eq!(service.gate.refusals().refused_of(OperatorKey(1)), refused);
        let logged = service.logged();
        let moving = logged.iter().filter(|position| position.motion.speed.is_some()).count();
        assert_eq!((logged.len(), moving), (3_100, 3_000));
    }
}

#[test]
fn what_is_not_synced_is_not_acknowledged() {
    let mut service = Service::start("127.0.0.1:0", 1);
    service.log.close();
    let sender = service.sender();
    sender.send(&written(&HEAD, &[CLAIM, CLAIM])).unwrap();
    service.stop();
    sender.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(sender.recv(&mut [0; 64]).is_err());
    assert_eq!(service.gate.refusals().refused_of(OperatorKey(1)), [(Refusal::Overloaded, 2)]);
}

#[test]
fn who_is_owed_an_answer_has_it_once_everything_has_ended() {
    let mut service = Service::start("127.0.0.1:0", 3);
    let senders: Vec<_> = (0..30).map(|_| service.sender()).collect();
    for (session, sender) in (0..).zip(&senders) {
        sender.send(&written(&Head { session, ..HEAD }, &[CLAIM; 20])).unwrap();
    }
    service.stop();
    service.log.close();
    service.answering.drain(..).for_each(|thread| thread.join().unwrap());
    for sender in &senders {
        sender.set_nonblocking(true).unwrap();
        assert!(sender.recv(&mut [0; 64]).is_ok(), "nothing is sent any more");
    }
}

#[test]
fn a_stop_is_seen_soon_and_takes_what_has_come() {
    let mut service = Service::start("127.0.0.1:0", 1);
    let sender = service.sender();
    for _ in 0..500 {
        sender.send(&Datagram::default().signed(KEY)).unwrap();
    }
    let asked = Instant::now();
    service.stop();
    assert!(asked.elapsed() < Duration::from_secs(5), "the threads wait for datagrams that never come");
    assert_eq!(service.logged().len(), 500);
}

#[test]
fn what_the_log_has_no_room_for_is_counted() {
    let mut service = Service::start("127.0.0.1:0", 1);
    service.log.close();
    let sender = service.sender();
    sender.send(&Datagram::default().signed(KEY)).unwrap();
    sender.send(&Datagram::default().signed(KEY)).unwrap();
    service.stop();
    assert_eq!(service.gate.refusals().snapshot(), [(Some(OperatorKey(1)), Refusal::Overloaded, 2)]);
    assert_eq!(service.logged(), []);
}

#[test]
fn positions_reach_a_waiting_reader_while_others_still_come() {
    let service = Service::start("127.0.0.1:0", 1);
    let mut reader = service.log.reader(&[]);
    let (sender, seen) = mpsc::channel();
    let follow = std::thread::spawn(move || sender.send(reader.poll(Duration::from_secs(30))).unwrap());
    service.sender().send(&Datagram::default().signed(KEY)).unwrap();
    let record = seen.recv_timeout(Duration::from_secs(20)).unwrap().unwrap().unwrap();
    assert_eq!(record.entries.len(), 1);
    follow.join().unwrap();
}

#[test]
fn what_is_sent_is_either_received_or_dropped_by_the_kernel() {
    const SENT: u64 = 100;
    let sockets = udp::listen("127.0.0.1:0".parse().unwrap(), 1, Beside::Nobody).unwrap();
    let other = udp::listen("127.0.0.1:0".parse().unwrap(), 1, Beside::Nobody).unwrap();
    let (drops, of_another) = (Drops::of(&sockets).unwrap(), Drops::of(&other).unwrap());
    assert_eq!(drops.count().unwrap(), 0);
    let room = socket2::SockRef::from(&sockets[0]);
    room.set_recv_buffer_size(4_096).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..SENT {
        sender.send_to(&[b' '; MAX_DATAGRAM], sockets[0].local_addr().unwrap()).unwrap();
    }
    let dropped = drops.count().unwrap();
    let mut service = Service::of(sockets);
    service.stop();
    assert_eq!(service.gate.refusals().total(Refusal::NotJson) + dropped, SENT);
    assert!((80..SENT).contains(&dropped), "{dropped}");
    assert_eq!(of_another.count().unwrap(), 0, "sockets are told apart");
}

#[test]
fn an_address_is_shared_by_our_own_sockets_only() {
    let listen = |address, sockets| udp::listen(address, sockets, Beside::Nobody);
    for sockets in [1, 3] {
        let ours = listen("127.0.0.1:0".parse().unwrap(), sockets).unwrap();
        let address = ours[0].local_addr().unwrap();
        assert!(ours.iter().all(|socket| socket.local_addr().unwrap() == address));
        assert!(listen(address, 1).is_err() && listen(address, 3).is_err(), "{sockets}");
    }
}

#[test]
fn the_next_process_takes_over_without_a_loss() {
    // As if they were two processes: sockets of one address, bound by nobody together.
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let start = || Service::of(udp::listen(address, 2, Beside::Processes).unwrap());
    let (mut old, mut new) = (start(), None);
    // The kernel gives each to one of the sockets, the same one as long as they stay the same.
    let senders: Vec<_> = (0..64).map(|_| old.sender()).collect();
    let (datagram, mut sent) = (Datagram::default().signed(KEY), 0);
    let mut send_until = |old: &Service, new: Option<&Service>, is_enough: &dyn Fn() -> bool| {
        let taken = || accepted(old) + new.map_or(0, accepted);
        while !is_enough() {
            for sender in &senders {
                sender.send(&datagram).unwrap();
                sent += 1;
            }
            // No more than a buffer holds, so that none is dropped for another reason.
            wait_until(|| sent - taken() < 256);
        }
        wait_until(|| taken() == sent);
    };
    send_until(&old, None, &|| accepted(&old) > 1_000);
    let beside = new.insert(start());
    send_until(&old, Some(beside), &|| accepted(beside) > 1_000);
    let before = accepted(&old);
    old.stop.raise();
    send_until(&old, Some(beside), &|| old.threads.iter().all(|threads| threads.receiving.is_finished()));
    send_until(&old, Some(beside), &|| true);
    assert!(accepted(&old) > before, "the stop came before anything else was sent");
    old.stop();
    beside.stop();
}

fn accepted(service: &Service) -> u64 {
    service.gate.refusals().accepted()
}

fn wait_until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "datagrams were lost");
        std::thread::yield_now();
    }
}
