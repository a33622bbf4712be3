//! Whatever is written as a configuration: it loads, or every mistake is told in a line of its own; and no secret is
//! seen in either case.

use std::io::Write as _;
use std::path::Path;

use kafka_redis_bridge::config::{Config, ConfigError, MASK, load};

/// Stands in every place that is secret, and may come out nowhere.
const SECRET: &str = "hunter2secret";

fn write(path: &Path, text: &str) {
    std::fs::File::create(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

fn load_text(dir: &Path, text: &str) -> Result<Config, ConfigError> {
    let path = dir.join("bridge.toml");
    write(&path, text);
    load(Some(&path), std::iter::empty(), Vec::new())
}

fn check(outcome: &Result<Config, ConfigError>) {
    let error = match outcome {
        Ok(_) => return,
        Err(error) => error,
    };
    assert!(!error.problems().is_empty(), "it says what is wrong");
    for problem in error.problems() {
        let shown = problem.to_string();
        assert!(
            !problem.message.is_empty() && !shown.contains(char::is_control),
            "one line: {shown:?}"
        );
        assert!(
            problem.origin.is_some() || !problem.key.is_empty(),
            "file, variable or key: {shown}"
        );
    }
}

/// A file with this text.
pub fn any_file_is_answered(dir: &Path, text: &str) {
    let outcome = load_text(dir, text);
    check(&outcome);
    let Ok(config) = outcome else { return };
    let printed = config.effective_toml();
    if printed.contains(MASK) {
        return;
    }
    // What `check --print` shows says the same as the file that it was made of.
    let again = load_text(dir, &printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(again.effective_toml(), printed);
}

/// Environment variables, one a line, `SECTION__KEY=VALUE`.
pub fn any_environment_is_answered(text: &str) {
    let variables = text.lines().filter_map(|line| line.split_once('='));
    let ours = variables.map(|(name, value)| (format!("KAFKA_REDIS_BRIDGE__{name}"), value.to_owned()));
    check(&load(None, ours, Vec::new()));
}

/// Puts the secret with `before` and `after` around it where a password may be written, or may be written wrongly:
/// whatever is wrong with it, it isn't shown. `place` chooses where.
pub fn no_secret_is_seen(dir: &Path, before: &str, after: &str, place: u8) {
    let password = format!("{before}{SECRET}{after}");
    let variable = |name: &str, value: &str| (format!("KAFKA_REDIS_BRIDGE__{name}"), value.to_owned());
    let url = format!("redis://user:{password}@localhost");
    match place % 16 {
        0 => unseen(&password, &load_with(&[variable("REDIS__URL", &url)])),
        1 => unseen(
            &password,
            &load_with(&[variable("KAFKA__PROPERTIES__SASL_PASSWORD", &password)]),
        ),
        place => {
            let text = format!(
                "[kafka]\nbootstrap_servers = 'h:1'\ntopics = ['t']\n[redis]\n{}\n",
                in_a_file(dir, &password, place)
            );
            unseen(&text, &load_text(dir, &text));
        }
    }
}

fn load_with(variables: &[(String, String)]) -> Result<Config, ConfigError> {
    let needed = [
        "KAFKA__BOOTSTRAP_SERVERS=h:1",
        "KAFKA__TOPICS=['t']",
        "REDIS__URL=redis://h",
    ];
    let needed = needed.iter().filter_map(|variable| variable.split_once('='));
    let needed = needed.map(|(name, value)| (format!("KAFKA_REDIS_BRIDGE__{name}"), value.to_owned()));
    let given = variables.iter().cloned();
    let missing = needed.filter(|(name, _)| variables.iter().all(|(given, _)| given != name));
    load(None, given.chain(missing), Vec::new())
}

/// The keys of `[redis]`, and maybe properties, with the password in its place.
fn in_a_file(dir: &Path, password: &str, place: u8) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let file = || {
        let path = dir.join("password");
        write(&path, password);
        quoted(&path.display().to_string())
    };
    let url = |scheme: &str, user: &str| quoted(&format!("{scheme}://{user}:{password}@localhost"));
    let property =
        |name: &str, value: String| format!("url = 'redis://h'\n[kafka.properties]\n\"{name}\" = {value}");
    match place {
        2 => format!("url = {}", url("redis", "")),
        3 => format!("url = {}", url("rediss", "user")),
        4 => format!("url = [{}]", url("redis", "user")),
        5 => format!(
            "url = {}",
            quoted(&format!("unix:///r.sock?user=u&pass={password}"))
        ),
        6 => format!("url = 'redis://user@h'\npassword_file = {}", file()),
        7 => format!("url = 'redis://h'\npassword_file = [{}, 1]", file()),
        8 => property("sasl.password", quoted(password)),
        9 => property("sasl.password", format!("{{ file = {} }}", file())),
        10 => property("sasl.password", format!("[{}]", quoted(password))),
        11 => property("sasl.password", format!("{{ text = {} }}", quoted(password))),
        12 => property("ssl.key.password", quoted(password)),
        13 => property("ssl.key.pem", quoted(password)),
        14 => property("sasl.jaas.config", quoted(password)),
        _ => property("sasl.oauthbearer.config", format!("{{ file = {} }}", file())),
    }
}

fn unseen(text: &str, outcome: &Result<Config, ConfigError>) {
    check(outcome);
    let shown = match outcome {
        Ok(config) => format!("{config:?}\n{}\n{}", config.effective_toml(), config.redis.url),
        Err(error) => format!("{error}\n{error:?}"),
    };
    assert!(!shown.to_lowercase().contains(SECRET), "{shown}\nof\n{text}");
}
