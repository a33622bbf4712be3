//! The ways to reach Redis: a password from a file, a Unix socket, TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use support::bridge::{Bridge, READY};
use support::config::Config;
use support::load::numbered;
use support::redis::{RedisServer, free_port};
use support::rig::Rig;
use support::scenario::Scenario;

const SOON: Duration = Duration::from_secs(15);

/// One record gets through with this configuration and environment.
#[track_caller]
fn assert_delivers(scenario: &Scenario, config: &Config, env: &[(&str, &str)]) {
    let mut bridge = Bridge::spawn_with(config, env);
    bridge.wait_ready(READY);
    scenario.kafka.produce(&scenario.topic, [numbered(0, 0).1]);
    scenario.rig.recorder.wait_ids(&["0-0"], SOON);
    bridge.stop_cleanly();
    assert!(!bridge.log().join("\n").contains("secret"), "a secret was shown");
}

#[test]
fn a_password_comes_from_a_file() {
    let kafka = require_kafka!();
    let rig = Rig::around(RedisServer::start_with_password("filed-secret"));
    let scenario = Scenario::with_rig(kafka, 1, rig);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "filed-secret\n").unwrap();
    let config = scenario
        .config()
        .set("redis.password_file", file.to_str().unwrap());
    assert_delivers(&scenario, &config, &[]);
}

/// Redis before version 6, and some proxies: the role can't be confirmed, which is said, and nothing else changes.
#[test]
fn a_server_that_does_not_know_hello_will_do() {
    let kafka = require_kafka!();
    let options = ["--rename-command", "HELLO", "HELLO-IS-NOT-HERE"];
    let scenario = Scenario::with_rig(kafka, 1, Rig::around(RedisServer::start_with(&options)));
    assert_delivers(&scenario, &scenario.config().at_least_once(), &[]);
}

#[test]
fn a_unix_socket_will_do() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let url = format!("redis+unix://{}", scenario.rig.redis.socket().display());
    assert_delivers(&scenario, &scenario.config().set("redis.url", url), &[]);
}

#[test]
fn tls_trusts_the_certificates_it_is_told_to() {
    let kafka = require_kafka!();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let port = free_port().to_string();
    let options = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        cert,
        "--tls-key-file",
        key,
    ];
    let options = [
        options.as_slice(),
        &["--tls-ca-cert-file", cert, "--tls-auth-clients", "no"],
    ]
    .concat();
    let scenario = Scenario::with_rig(kafka, 1, Rig::around(RedisServer::start_with(&options)));
    let config = scenario
        .config()
        .set("redis.url", format!("rediss://localhost:{port}"));
    assert_delivers(&scenario, &config, &[("SSL_CERT_FILE", cert)]);
}
