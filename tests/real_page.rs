//! The status page in a real browser, while a real bridge works and while it doesn't.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use support::bridge::Bridge;
use support::browser::Browser;
use support::load::numbered;
use support::producer::NewRecord;
use support::scenario::Scenario;
use support::schema::valid_status;
use support::wait;

const SOON: Duration = Duration::from_secs(40);

fn url(bridge: &Bridge) -> String {
    format!("http://{}/", bridge.address().unwrap())
}

/// Where screenshots are left, for somebody to look at.
fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("status-page/{name}.png"))
}

/// The number in front of these words, on the page.
fn figure(text: &str, words: &str) -> u64 {
    let before = text.split(words).next().unwrap();
    let digits = before
        .rsplit(|c: char| !c.is_ascii_digit() && c != ',')
        .next()
        .unwrap();
    digits.replace(',', "").parse().unwrap_or(0)
}

#[track_caller]
fn wait_headline(page: &mut Browser, beginning: &str) {
    let found = wait::poll(SOON, || page.text("h1").starts_with(beginning).then_some(()));
    assert!(
        found.is_some(),
        "{beginning:?} isn't said but {:?}",
        page.text("#headline")
    );
}

#[test]
fn the_page_follows_what_happens_and_the_console_has_nothing_to_complain_about() {
    let test = "the_page_follows_what_happens_and_the_console_has_nothing_to_complain_about";
    let scenario = Scenario::new(require_kafka!(), 8);
    let Some(mut page) = Browser::start(test) else {
        return;
    };
    let mut bridge = Bridge::start(&scenario.config());
    let load = scenario.load(1_000_000, 1_500);
    let poison = (0..3).map(|p| NewRecord::of("poison").to(p));
    scenario.kafka.produce(&scenario.topic, poison);
    page.resize(1180, 860, false);
    page.prefer("light");
    page.open(&url(&bridge));
    // Whoever loads the page anew, as it does without scripts, loses this.
    page.evaluate("window.isTheSame = true");
    wait_headline(&mut page, "Keeping up");
    let published = |page: &mut Browser| figure(&page.text("#about"), " records published");
    let before = published(&mut page);
    wait::until_true("the numbers move", SOON, || published(&mut page) > before + 3_000);
    wait::until_true("dead letters show", SOON, || {
        page.text(".card.warning .figure") == "3"
    });
    wait::until_true("a minute's line has begun", SOON, || {
        page.evaluate("document.querySelector('.spark polyline').points.length")
            .as_u64()
            > Some(12)
    });
    assert_eq!(page.evaluate("document.querySelectorAll('tbody tr').length"), 8);
    page.screenshot(&picture("light"));
    page.prefer("dark");
    page.screenshot(&picture("dark"));
    page.resize(390, 844, true);
    let overflow = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
    assert_eq!(
        page.evaluate(overflow),
        false,
        "nobody has to scroll sideways on a phone"
    );
    page.screenshot(&picture("phone"));
    valid_status(&bridge);

    scenario.rig.kill_redis();
    wait_headline(&mut page, "Redis is down since ");
    assert_eq!(valid_status(&bridge)["health"]["state"], "redis_down");
    page.resize(1180, 860, false);
    page.prefer("light");
    wait::until_true("lag grows", SOON, || {
        figure(&page.text("#live"), " records to the end") > 5_000
    });
    page.screenshot(&picture("redis-down"));
    scenario.rig.restore_redis();
    wait_headline(&mut page, "Keeping up");
    assert_eq!(page.evaluate("window.isTheSame"), true);
    assert_eq!(page.complaints(), [] as [&str; 0]);

    load.stop();
    bridge.stop_cleanly();
    wait::until_true("it is stale", SOON, || {
        page.text("#stale").contains("No answer from the bridge")
    });
    page.screenshot(&picture("stale"));
}

#[test]
fn without_scripts_it_is_a_table_that_renews_itself() {
    let scenario = Scenario::new(require_kafka!(), 2);
    let Some(mut page) = Browser::start("without_scripts_it_is_a_table_that_renews_itself") else {
        return;
    };
    let bridge = Bridge::start(&scenario.config());
    page.disable_scripts();
    page.open(&url(&bridge));
    wait::until_true("the partitions are there", SOON, || {
        let html = page.html();
        html.contains("<tbody>") && html.matches(&format!(">{}<", scenario.topic)).count() == 2
    });
    scenario
        .kafka
        .produce(&scenario.topic, (0..10).map(|n| numbered(0, n).1));
    wait::until_true("what is published", SOON, || {
        page.html().contains("10 records published")
    });
    assert!(
        !page.html().contains("Kafka can't be reached"),
        "librdkafka has not told yet"
    );
    assert_eq!(page.complaints(), [] as [&str; 0]);
    page.screenshot(&picture("without-scripts"));
}

#[test]
fn of_a_thousand_partitions_the_worst_are_shown_and_the_rest_is_counted() {
    let scenario = Scenario::new(require_kafka!(), 1_000);
    let Some(mut page) = Browser::start("of_a_thousand_partitions") else {
        return;
    };
    let bridge = Bridge::start(&scenario.config());
    wait::until_true("it has them all", Duration::from_secs(60), || {
        bridge.assigned() == 1_000
    });
    scenario.rig.kill_redis();
    scenario.kafka.produce(
        &scenario.topic,
        (0..400).flat_map(|p| (0..=i64::from(p % 7)).map(move |n| numbered(p, n).1)),
    );
    page.resize(1180, 860, false);
    page.open(&url(&bridge));
    wait::until_true("the rest is counted", SOON, || {
        page.text(".rest").starts_with("and 950 more")
    });
    assert_eq!(page.evaluate("document.querySelectorAll('tbody tr').length"), 50);
    wait::until_true("the worst is first", SOON, || {
        page.text("tbody td.number:nth-child(4)") == "7"
    });
    page.screenshot(&picture("thousand"));
    let status = valid_status(&bridge);
    assert_eq!(status["partitions"].as_array().unwrap().len(), 1_000);
}
