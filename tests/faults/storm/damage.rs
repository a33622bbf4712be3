//! What a storm breaks, and how.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::super::poison::Odd;
use super::super::setting::Setting;
use super::super::support::bridge::Bridge;
use super::super::support::gateway::{Gateway, Way};
use super::super::support::private_broker::PrivateBroker;
use super::super::support::proxy::Mode;
use super::super::support::redis::RedisServer;
use super::super::support::rig::Rig;
use super::super::support::scenario::Scenario;
use super::super::support::wait;
use super::super::trial::{LONG, PARTITIONS, Trial};
use super::super::verdict::Rule;

const COPIES: usize = 3;
const RATE: u64 = 800;

/// What may happen. Faults of one kind don't overlap, those of different kinds do.
pub const KINDS: [&[Fault]; 4] = [
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
pub enum Fault {
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

/// Everything that a storm breaks.
pub struct Storm<'a> {
    trial: Trial<'a>,
    broker: Arc<PrivateBroker>,
    gateway: Gateway,
    master: RedisServer,
    poison: Odd,
    frozen: Option<Bridge>,
    leaving: Vec<Bridge>,
}

impl<'a> Storm<'a> {
    /// Three copies under load, everything flowing.
    pub fn gather(setting: &'a Setting) -> Self {
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
            .set("kafka.bootstrap_servers", gateway.address().to_string())
            // A copy that ends because no broker is there for so long would be started again by its supervisor.
            .set("kafka.startup_timeout", "10m");
        for _ in 0..COPIES {
            trial.spawn();
        }
        trial.shared();
        let poison = Odd::poison(None, 3);
        trial.load_of(RATE, poison.make());
        trial.flows();
        Self {
            trial,
            broker: Arc::new(broker),
            gateway,
            master: RedisServer::start(),
            poison,
            frozen: None,
            leaving: Vec::new(),
        }
    }

    /// A fault begins. Returns the number of its disturbance.
    pub fn begin(&mut self, fault: Fault, lasts: Duration, lot: u64) -> usize {
        self.trial.fault(&format!("{fault:?} begins"));
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
                let mut copy = self.take_copy(lot);
                copy.kill();
                self.trial.ended.push(copy);
            }
            Fault::CopyStopped => {
                let copy = self.take_copy(lot);
                copy.signal(Signal::SIGTERM);
                self.leaving.push(copy);
            }
            Fault::CopyFrozen => {
                let copy = self.take_copy(lot);
                copy.signal(Signal::SIGSTOP);
                self.frozen = Some(copy);
            }
            Fault::CopyAdded => self.trial.spawn(),
            Fault::BrokerKilled => self.broker.control("kill"),
            Fault::BrokerSilent => self.gateway.set(Way::Silent),
            Fault::BrokerCut => self.gateway.set(Way::Shut),
            Fault::Poison => self.poison.begin(),
        }
        self.trial.disturbances.len() - 1
    }

    /// A fault ends, at once or when the repair that is returned is done.
    pub fn end(&mut self, fault: Fault) -> Option<JoinHandle<()>> {
        self.trial.setting.tell(&format!("{fault:?} ends"));
        let rig = &self.trial.scenario.rig;
        match fault {
            Fault::RedisKilled => drop(rig.restore_redis()),
            Fault::RedisFrozen => rig.redis.cont(),
            Fault::RedisSwallowed => rig.proxy.set(Mode::Pass),
            Fault::RedisPaused => wait::until_true("the pause is over", LONG, || {
                rig.redis.try_query::<redis::Value>(&["PING"]).is_ok()
            }),
            // Whoever was cut off may connect at once.
            Fault::RedisCut => {}
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
            Fault::BrokerKilled => {
                let broker = Arc::clone(&self.broker);
                return Some(std::thread::spawn(move || broker.control("restart")));
            }
            Fault::BrokerSilent | Fault::BrokerCut => self.gateway.set(Way::Open),
            Fault::Poison => self.poison.end(),
        }
        None
    }

    fn take_copy(&mut self, lot: u64) -> Bridge {
        let which = lot % self.trial.copies.len() as u64;
        self.trial.copies.remove(usize::try_from(which).unwrap())
    }

    /// The aftermath of a disturbance is over.
    pub fn calm(&mut self, number: usize) {
        self.trial.disturbances[number].until = self.trial.scenario.rig.recorder.len();
    }

    /// Nothing is broken any more: everything flows, and the oracle judges.
    pub fn quiet(mut self) {
        self.trial.over("quiet");
        let codes: Vec<i32> = self.leaving.iter_mut().map(|copy| copy.wait_exit(LONG)).collect();
        self.trial.ended.append(&mut self.leaving);
        let expected = codes.iter().all(|code| [0, 75].contains(code));
        assert!(expected, "told to end, they ended with {codes:?}");
        self.trial.shared();
        self.trial.recovers_within(LONG);
        self.trial.goes_on();
        self.trial.finish_with(Rule::Uncommitted, &self.poison.ids());
    }
}
