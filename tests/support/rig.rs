//! Redis, the proxy that the bridge goes through, and the recorder that doesn't.

use std::time::{Duration, Instant};

use super::proxy::{Mode, Proxy};
use super::recorder::Recorder;
use super::redis::RedisServer;

/// A Redis of the test's own with everything around it.
pub struct Rig {
    /// Where notifications are heard.
    pub recorder: Recorder,
    /// Where the bridge connects.
    pub proxy: Proxy,
    /// The server behind.
    pub redis: RedisServer,
}

impl Rig {
    /// A running server with the recorder subscribed.
    pub fn start() -> Self {
        Self::around(RedisServer::start())
    }

    /// The same around a server that runs already.
    pub fn around(redis: RedisServer) -> Self {
        let rig = Self::before(redis);
        rig.recorder.subscribed();
        rig
    }

    /// The same around a server that isn't there yet.
    pub fn before(redis: RedisServer) -> Self {
        Self {
            recorder: Recorder::start(&redis),
            proxy: Proxy::start(redis.port()),
            redis,
        }
    }

    /// The URL of the proxy for a user of the bridge's own, who may publish to the channels of this pattern and no more.
    pub fn url_of_publisher(&self, channels: &str) -> String {
        let channels = format!("&{channels}");
        let rules = [
            "on",
            ">pw",
            "resetchannels",
            &channels,
            "+@connection",
            "+publish",
        ];
        self.redis
            .command(&[["ACL", "SETUSER", "bridge"].as_slice(), &rules].concat());
        self.proxy.url_as("bridge", "pw")
    }

    /// Kills Redis, but only after the recorder has heard all that Redis has taken: what Redis answered and a
    /// killed socket swallowed would be Pub/Sub's loss, not the bridge's.
    pub fn kill_redis(&self) {
        self.proxy.set(Mode::HoldRequests);
        self.recorder.barrier(&self.redis);
        self.proxy.set(Mode::Refuse);
        self.redis.kill();
        self.proxy.cut();
        self.recorder.disconnected();
    }

    /// Starts Redis again and opens the way to it once the recorder has subscribed; returns when that was.
    pub fn restore_redis(&self) -> Instant {
        self.redis.start_again();
        self.recorder.subscribed();
        self.proxy.set(Mode::Pass);
        Instant::now()
    }

    /// Waits until that many different ids were heard.
    #[track_caller]
    pub fn wait_distinct(&self, count: usize, deadline: Duration) {
        self.recorder.wait_distinct(count, deadline);
    }
}
