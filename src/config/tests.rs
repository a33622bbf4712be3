//! The layers, and the secrets in them.

use std::path::PathBuf;

use super::*;

const FILE: &str = r#"
[kafka]
bootstrap_servers = "file:9092"
topics = ["from-file"]
group_id = "file"
properties = { "client.id" = "file", "client.rack" = "file" }
[redis]
url = "redis://file"
"#;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn env(vars: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let named = |(name, text): &(&str, &str)| (format!("KAFKA_REDIS_BRIDGE__{name}"), (*text).to_owned());
    vars.iter().map(named).collect::<Vec<_>>().into_iter()
}

fn load_all(vars: &[(&str, &str)], overrides: Vec<Override>) -> Result<Config, ConfigError> {
    let dir = Dir::new();
    load(Some(&dir.write("bridge.toml", FILE)), env(vars), overrides)
}

fn from_env(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let required = [
        ("KAFKA__BOOTSTRAP_SERVERS", "env:9092"),
        ("KAFKA__TOPICS", r#"["a", "^b"]"#),
        ("REDIS__URL", "redis://env"),
    ];
    let given: Vec<_> = required
        .iter()
        .filter(|(name, _)| vars.iter().all(|var| var.0 != *name))
        .collect();
    let all: Vec<_> = given.into_iter().chain(vars).copied().collect();
    load(None, env(&all), Vec::new())
}

fn messages(result: Result<Config, ConfigError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let overrides = vec![
        Override::new("kafka.group_id", "flag", "--group-id"),
        Override::new("kafka.properties.client.id", "flag", "--property"),
        Override::new("kafka.topics", vec!["flag"], "--topic"),
    ];
    let vars = [
        ("KAFKA__GROUP_ID", "env"),
        ("KAFKA__BOOTSTRAP_SERVERS", "env:9092"),
        ("KAFKA__TOPICS", "['env']"),
        ("KAFKA__PROPERTIES", "{ client.id = 'env', fetch.min.bytes = 3 }"),
    ];
    let config = load_all(&vars, overrides).unwrap();
    assert_eq!(config.kafka.group_id, "flag");
    assert_eq!(config.kafka.bootstrap_servers, "env:9092");
    assert_eq!(config.kafka.topics, ["flag"]);
    assert_eq!(config.redis.url.display(), "redis://file");
    let properties: Vec<_> = config.kafka.properties.expose().collect();
    assert_eq!(
        properties,
        [
            ("client.id", "flag"),
            ("client.rack", "file"),
            ("fetch.min.bytes", "3")
        ]
    );
    assert_eq!(config.dlq.topic, "flag.dlq");
}

#[test]
fn no_file_is_needed() {
    let overrides = vec![
        Override::new("kafka.bootstrap_servers", "localhost:9092", "--bootstrap-servers"),
        Override::new("kafka.topics", vec!["orders"], "--topic"),
        Override::new("redis.url", "redis://localhost", "--redis-url"),
    ];
    let config = load(None, std::iter::empty(), overrides).unwrap();
    assert_eq!(config.kafka.topics, ["orders"]);
    assert_eq!(
        messages(load(None, std::iter::empty(), Vec::new()))
            .lines()
            .next(),
        Some(
            "configuration: redis.url: is missing; set it in the file, as KAFKA_REDIS_BRIDGE__REDIS__URL or by \
             --redis-url"
        )
    );
}

#[test]
fn the_environment_holds_every_type() {
    let config = from_env(&[
        ("KAFKA__GROUP_ID", "123"),
        ("KAFKA__START_FROM", "2026-01-31T12:00:00Z"),
        ("KAFKA__PROPERTIES__SASL_PASSWORD", "00123"),
        ("KAFKA__PROPERTIES__fetch.min.bytes", "5"),
        ("BATCH__MAX_RECORDS", "10"),
        ("DLQ__GUARD", "{ rate = 2.5, share = 1 }"),
        ("DLQ__GUARD__BURST", "7"),
        ("LOG__LEVEL", "\"debug\""),
        ("LOG__FORMAT", ""),
        (
            "ROUTES",
            r#"[{ topics = ["a"] }, { topics = ["^b"], fields = { x = "/x" } }]"#,
        ),
    ])
    .unwrap();
    assert_eq!(config.kafka.group_id, "123");
    assert_eq!(
        config.kafka.start_from,
        StartFrom::Time("2026-01-31T12:00:00Z".parse().unwrap())
    );
    assert_eq!(config.kafka.properties.get("sasl.password"), Some("00123"));
    assert_eq!(config.kafka.properties.get("fetch.min.bytes"), Some("5"));
    assert_eq!(config.batch.max_records, 10);
    assert_eq!(
        config.dlq.guard,
        Guard {
            burst: 7,
            rate: 2.5,
            share: 1.0
        }
    );
    assert_eq!(
        (config.log.level.as_str(), config.log.format),
        ("debug", LogFormat::Text)
    );
    assert_eq!(config.routes[1].fields["x"], "/x");
}

#[test]
fn a_start_time_may_be_written_as_a_toml_date() {
    let text = FILE.replace("[redis]", "start_from = 2026-01-31T12:00:00Z\n[redis]");
    let dir = Dir::new();
    let config = load(Some(&dir.write("b.toml", &text)), std::iter::empty(), Vec::new()).unwrap();
    assert_eq!(config.kafka.start_from.to_string(), "2026-01-31T12:00:00Z");
}

#[test]
fn a_problem_names_the_variable_or_the_flag_it_came_from() {
    let result = from_env(&[
        ("BATCH__MAX_RECORDS", "1.5"),
        ("DELIVERY__MODES", "x"),
        ("DELIVERY__RETRY_FOR", "ages"),
        ("KAFKA__TOPICS", "[a"),
        ("ROUTES__0__ID", "/id"),
        ("ROUTES", "[{ topics = ['a'] }]"),
    ]);
    let v = "environment variable KAFKA_REDIS_BRIDGE";
    let expected = [
        format!(
            "{v}__BATCH__MAX_RECORDS: batch.max_records: found a number with a fraction, expected a whole number, zero or more"
        ),
        format!("{v}__DELIVERY__MODES: delivery.modes: unknown key; did you mean `mode`?"),
        format!(
            "{v}__DELIVERY__RETRY_FOR: delivery.retry_for: `ages` is not a duration; write a number and its unit, such as \"500ms\", \"30s\" or \"30d\""
        ),
        format!(
            "{v}__KAFKA__TOPICS: kafka.topics: found a string, expected a list, but it isn't TOML: unclosed array, expected `]`"
        ),
        format!(
            "{v}__ROUTES__0__ID: routes.0.id: can't be set, because `routes` is a list: set it as a whole, as TOML"
        ),
    ];
    assert_eq!(messages(result), expected.join("\n"));

    let flag = |path, value: &str| Override::new(path, value, format!("--{path}"));
    let result = load_all(
        &[],
        vec![flag("redis.url", "localhost"), flag("log.level", "loud")],
    );
    let expected = [
        "--log.level: `loud` is no level; write off, error, warn, info, debug or trace, or `target=level`",
        "--redis.url: is not a URL: relative URL without a base; write redis://HOST:PORT, rediss://HOST:PORT (TLS) or \
         unix:///PATH",
    ];
    assert_eq!(messages(result), expected.join("\n"));
}

#[test]
fn a_variable_that_names_no_key_is_told_by_its_name() {
    for name in ["", "__", "REDIS__", "__URL", "KAFKA____TOPICS"] {
        let expected = format!(
            "environment variable KAFKA_REDIS_BRIDGE__{name}: names no key: something must stand before, between and \
             after `__`, as in REDIS__URL"
        );
        assert_eq!(messages(from_env(&[(name, "x")])), expected);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_configuration_failure() {
    let error = load(
        Some(Path::new("/nonexistent/b.toml")),
        std::iter::empty(),
        Vec::new(),
    )
    .unwrap_err();
    let failure = crate::exit::Failure::from(error);
    assert_eq!(failure.exit, crate::exit::Exit::Config);
    let expected = "/nonexistent/b.toml: the file can't be read: No such file or directory (os error 2)";
    assert_eq!(failure.message, expected);
}

#[test]
fn no_secret_is_ever_shown() {
    let dir = Dir::new();
    let in_file = dir.write("password", "s3cret-in-file\n");
    let key_file = dir.write("key", "s3cret-key\r\n");
    let text = format!(
        r#"
        [kafka]
        bootstrap_servers = "h:1"
        topics = ["a"]
        [kafka.properties]
        sasl.password = "s3cret-plain"
        sasl.username = "s3cret-user"
        sasl.oauthbearer.config = "secret=s3cret"
        ssl.key.password = {{ file = {key_file:?} }}
        ssl.key.location = "/shown"
        client.rack = "shown-too"
        [redis]
        url = "rediss://user:s3cret-url@h:1/2"
        password_file = {in_file:?}
        "#
    );
    let config = load(Some(&dir.write("b.toml", &text)), std::iter::empty(), Vec::new()).unwrap();
    assert_eq!(config.redis.password(), Some("s3cret-in-file"));
    let info = config.redis.connection_info();
    assert_eq!(info.redis_settings().password(), Some("s3cret-in-file"));
    assert_eq!(
        (info.redis_settings().username(), info.redis_settings().db()),
        (Some("user"), 2)
    );
    assert_eq!(
        config.kafka.properties.get("ssl.key.password"),
        Some("s3cret-key")
    );

    let printed = config.effective_toml();
    let flag = Override::new("redis.url", "redis://:s3cret@h", "--redis-url");
    for shown in [
        format!("{flag:?}"),
        format!("{config:?}"),
        format!("{config:#?}"),
        printed.clone(),
        config.redis.url.to_string(),
    ] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    for line in [
        r#"url = "rediss://user:********@h:1/2""#,
        r#""sasl.password" = "********""#,
        r#""ssl.key.location" = "/shown""#,
        r#""client.rack" = "shown-too""#,
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    // What was printed is a configuration again.
    let again = load(
        Some(&dir.write("again.toml", &printed)),
        std::iter::empty(),
        Vec::new(),
    )
    .unwrap();
    assert_eq!(again.effective_toml(), printed);
}

#[test]
fn what_is_printed_reads_back_the_same() {
    let vars = [
        ("DELIVERY__MAX_AGE", "90s"),
        ("DLQ__REPLICATION_FACTOR", "3"),
        ("REDIS__GAP_CHANNEL", "gap"),
        ("KAFKA__START_FROM", "earliest"),
        (
            "ROUTES",
            r#"[{ topics = ["^"], id = "coordinates", fields = { "x y" = "/x" } }]"#,
        ),
    ];
    let printed = from_env(&vars).unwrap().effective_toml();
    for line in [
        "max_age = \"90s\"",
        "replication_factor = 3",
        "start_from = \"earliest\"",
        "retention = \"30d\"",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    let dir = Dir::new();
    let again = load(
        Some(&dir.write("b.toml", &printed)),
        std::iter::empty(),
        Vec::new(),
    )
    .unwrap();
    assert_eq!(again.effective_toml(), printed);
}
