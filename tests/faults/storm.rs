//! Random faults at random times, then quiet. The whole storm follows from the seed before it begins, so the same seed
//! brings the same faults at the same times.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::poison::Odd;
use super::setting::Setting;
use super::support::bridge::Bridge;
use super::support::gateway::{Gateway, Way};
use super::support::private_broker::PrivateBroker;
use super::support::proxy::Mode;
use super::support::redis::RedisServer;
use super::support::rig::Rig;
use super::support::scenario::Scenario;
use super::support::wait;
use super::trial::{LONG, PARTITIONS, Trial};
use super::verdict::Rule;

const COPIES: usize = 3;
const RATE: u64 = 800;
/// So long after the end of a fault a record may still come twice: detected, taken over, delivered.
const AFTERMATH: Duration = Duration::from_secs(20);

/// What may happen. Faults of one kind don't overlap, those of different kinds do.
const KINDS: [&[Fault]; 4] = [
    &[
        Fault::RedisKilled,
        Fault::RedisFrozen,
        Fault::RedisPaused,
        Fault::RedisSwallowed,
        Fault::RedisCut,
        Fault::RedisReplica,
        Fault::RedisForbids,
    ],
    &[
        Fault::CopyKilled,
        Fault::CopyStopped,
        Fault::CopyFrozen,
        Fault::CopyAdded,
    ],
    &[Fault::BrokerKilled, Fault::BrokerSilent, Fault::BrokerCut],
    &[Fault::Poison],
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    RedisKilled,
    RedisFrozen,
    RedisPaused,
    RedisSwallowed,
    RedisCut,
    RedisReplica,
    RedisForbids,
    CopyKilled,
    CopyStopped,
    CopyFrozen,
    CopyAdded,
    BrokerKilled,
    BrokerSilent,
    BrokerCut,
    Poison,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// It lasts so long.
    Begin(Fault, Duration),
    End(Fault),
    /// The aftermath of a fault is over: the number is that of its disturbance.
    Calm(usize),
}

/// Everything that a storm breaks.
struct Storm<'a> {
    trial: Trial<'a>,
    broker: PrivateBroker,
    gateway: Gateway,
    master: RedisServer,
    poison: Odd,
    frozen: Option<Bridge>,
    leaving: Vec<Bridge>,
    /// Faults that last, and the numbers of their disturbances.
    under_way: Vec<(Fault, usize)>,
}

/// Faults for so long, then quiet.
pub fn rages(setting: &Setting, duration: Duration) {
    let mut steps = forecast(setting, duration);
    let mut storm = Storm::gather(setting);
    let began = Instant::now();
    while !steps.is_empty() {
        let (at, step) = steps.remove(0);
        wait::poll(at.saturating_sub(began.elapsed()), || None::<()>);
        if let Some(number) = storm.take(step) {
            let calm = began.elapsed() + AFTERMATH;
            let place = steps.partition_point(|(at, _)| *at <= calm);
            steps.insert(place, (calm, Step::Calm(number)));
        }
    }
    storm.quiet();
}

/// All steps in order of time.
fn forecast(setting: &Setting, duration: Duration) -> Vec<(Duration, Step)> {
    let between = |from: u64, to: u64| Duration::from_millis(from + setting.random(to - from));
    let mut steps = Vec::new();
    for kind in KINDS {
        let mut now = between(1_000, 8_000);
        while now < duration {
            let fault = kind[usize::try_from(setting.random(kind.len() as u64)).unwrap()];
            let lasts = between(500, 10_000);
            steps.push((now, Step::Begin(fault, lasts)));
            steps.push((now + lasts, Step::End(fault)));
            now += lasts + between(2_000, 12_000);
        }
    }
    steps.sort_by_key(|(at, _)| *at);
    steps
}

impl<'a> Storm<'a> {
    fn gather(setting: &'a Setting) -> Self {
        let gateway = Gateway::start();
        let broker = PrivateBroker::start_behind("storm", gateway.address()).expect("a broker");
        gateway.lead_to(broker.behind_gateway());
        let user = ["--user", "bridge", "on", ">pw", "&*", "+@connection", "+publish"];
        let rig = Rig::around(RedisServer::start_with(&user));
        let mut trial = Trial::on(setting, Scenario::with_rig(broker.kafka(), PARTITIONS, rig));
        let url = trial.scenario.rig.proxy.url_as("bridge", "pw");
        trial.config = trial
            .config
            .clone()
            .set("redis.url", url)
            .set("kafka.bootstrap_servers", gateway.address().to_string());
        for _ in 0..COPIES {
            trial.spawn();
        }
        trial.shared();
        let poison = Odd::poison(None, 3);
        trial.load_of(RATE, poison.make());
        trial.flows();
        Self {
            trial,
            broker,
            gateway,
            master: RedisServer::start(),
            poison,
            frozen: None,
            leaving: Vec::new(),
            under_way: Vec::new(),
        }
    }

    /// Takes a step. Returns the number of the disturbance whose aftermath begins.
    fn take(&mut self, step: Step) -> Option<usize> {
        match step {
            Step::Begin(fault, lasts) => {
                self.trial.fault(&format!("{fault:?} begins"));
                self.under_way.push((fault, self.trial.disturbances.len() - 1));
                self.begin(fault, lasts);
            }
            Step::End(fault) => {
                self.trial.setting.tell(&format!("{fault:?} ends"));
                self.end(fault);
                let place = self
                    .under_way
                    .iter()
                    .position(|(other, _)| *other == fault)
                    .unwrap();
                return Some(self.under_way.swap_remove(place).1);
            }
            Step::Calm(number) => {
                self.trial.disturbances[number].until = self.trial.scenario.rig.recorder.len();
            }
        }
        None
    }

    fn begin(&mut self, fault: Fault, lasts: Duration) {
        let rig = &self.trial.scenario.rig;
        match fault {
            Fault::RedisKilled => rig.kill_redis(),
            Fault::RedisFrozen => rig.redis.stop(),
            Fault::RedisPaused => {
                let milliseconds = lasts.as_millis().to_string();
                rig.redis.command(&["CLIENT", "PAUSE", &milliseconds, "ALL"]);
            }
            Fault::RedisSwallowed => rig.proxy.set(Mode::Swallow),
            Fault::RedisCut => rig.proxy.cut(),
            Fault::RedisReplica => {
                let port = self.master.port().to_string();
                rig.redis.command(&["REPLICAOF", "127.0.0.1", &port]);
            }
            Fault::RedisForbids => rig.redis.command(&["ACL", "SETUSER", "bridge", "-publish"]),
            Fault::CopyKilled => {
                let which = self.which();
                let mut copy = self.trial.copies.remove(which);
                copy.kill();
                self.trial.ended.push(copy);
            }
            Fault::CopyStopped => {
                let which = self.which();
                let copy = self.trial.copies.remove(which);
                copy.signal(Signal::SIGTERM);
                self.leaving.push(copy);
            }
            Fault::CopyFrozen => {
                let which = self.which();
                let copy = self.trial.copies.remove(which);
                copy.signal(Signal::SIGSTOP);
                self.frozen = Some(copy);
            }
            Fault::CopyAdded => self.trial.spawn(),
            Fault::BrokerKilled => self.broker.control("kill"),
            Fault::BrokerSilent => self.gateway.set(Way::Silent),
            Fault::BrokerCut => self.gateway.set(Way::Shut),
            Fault::Poison => self.poison.begin(),
        }
    }

    fn end(&mut self, fault: Fault) {
        let rig = &self.trial.scenario.rig;
        match fault {
            Fault::RedisKilled => drop(rig.restore_redis()),
            Fault::RedisFrozen => rig.redis.cont(),
            Fault::RedisSwallowed => rig.proxy.set(Mode::Pass),
            // They end by themselves.
            Fault::RedisCut | Fault::RedisPaused => {}
            Fault::RedisReplica => rig.redis.command(&["REPLICAOF", "NO", "ONE"]),
            Fault::RedisForbids => rig.redis.command(&["ACL", "SETUSER", "bridge", "+publish"]),
            Fault::CopyKilled | Fault::CopyStopped => self.trial.spawn(),
            Fault::CopyFrozen => {
                let copy = self.frozen.take().unwrap();
                copy.signal(Signal::SIGCONT);
                self.trial.copies.push(copy);
            }
            Fault::CopyAdded => {
                let copy = self.trial.copies.remove(0);
                copy.signal(Signal::SIGTERM);
                self.leaving.push(copy);
            }
            Fault::BrokerKilled => self.broker.control("restart"),
            Fault::BrokerSilent | Fault::BrokerCut => self.gateway.set(Way::Open),
            Fault::Poison => self.poison.end(),
        }
    }

    fn which(&self) -> usize {
        usize::try_from(self.trial.setting.random(self.trial.copies.len() as u64)).unwrap()
    }

    /// Nothing is broken any more: everything flows, and the oracle judges.
    fn quiet(mut self) {
        self.trial.over("quiet");
        for copy in &mut self.leaving {
            let code = copy.wait_exit(LONG);
            assert!([0, 75].contains(&code), "told to end, it ended with {code}");
        }
        self.trial.ended.append(&mut self.leaving);
        self.trial.shared();
        self.trial.recovers_within(LONG);
        self.trial.goes_on();
        self.trial.finish_with(Rule::Uncommitted, &self.poison.ids());
    }
}
