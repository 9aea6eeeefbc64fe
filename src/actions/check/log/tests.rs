//! Real files and real programs.

use super::*;
use crate::actions::toy::{world, world_with};
use crate::english::english;
use crate::incident::approval::Verdict;
use serde_json::{Value, json};
use std::io::Write as _;

const LONG: Duration = Duration::from_secs(20);

fn check(config: Value) -> LogCheck {
    serde_json::from_value(config).unwrap()
}

fn printed(script: &str) -> LogCheck {
    let command = json!({"argv": ["sh", "-c", script]});
    check(json!({"command": command, "filter": "ERROR|panic", "limits": {"warn_above": 0, "fail_above": 2}}))
}

fn log(lines: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(lines.as_bytes()).unwrap();
    file
}

fn of_file(file: &tempfile::NamedTempFile, within: Option<&str>) -> LogCheck {
    let mut config = json!({"file": file.path(), "filter": "ERROR", "limits": {"fail_above": 2}});
    if let Some(within) = within {
        config["within"] = json!(within);
    }
    check(config)
}

#[tokio::test]
async fn errors_of_a_program_that_prints_the_log_are_counted_and_the_newest_is_shown() {
    let seen = printed("echo INFO; echo ERROR one; echo ERROR two >&2; echo panic: three").look(&world(), LONG).await;
    assert_eq!((seen.verdict, english(&seen.value).as_str()), (Verdict::Fail, "3 lines: panic: three"));
    assert_eq!(seen.limit.as_ref().map(english).as_deref(), Some("≤ 2"));
    assert_eq!(seen.figure.map(|figure| figure.number), Some(3.0));
    let calm = printed("echo INFO").look(&world(), LONG).await;
    assert_eq!((calm.verdict, english(&calm.value).as_str()), (Verdict::Pass, "0 lines"));
}

#[tokio::test]
async fn a_flood_of_output_is_counted_and_not_kept() {
    let seen = printed("yes 'ERROR again' | head -n 2000000; echo done").look(&world(), LONG).await;
    assert_eq!(seen.figure.map(|figure| figure.number), Some(2_000_000.0), "28 MB passed by");
}

#[tokio::test]
async fn a_program_that_fails_or_does_not_end_counts_nothing() {
    let failed = printed("echo ERROR; echo no such container >&2; exit 1").look(&world(), LONG).await;
    assert_eq!((failed.verdict, english(&failed.value).as_str()), (Verdict::Fail, "exit 1: no such container"));
    let hung = printed("echo ERROR; exec sleep 60").look(&world(), Duration::from_millis(200)).await;
    assert_eq!(hung.verdict, Verdict::Hung);
}

#[tokio::test]
async fn errors_are_counted_within_their_window_only() {
    let file = log("2026-01-01T07:49:59Z ERROR long ago\n\
        2026-01-01T09:55:00.5+02:00 ERROR as a zone says it\n    ERROR in the trace below it\n\
        2026-01-01 07:59:00 INFO fine\n{\"time\":\"2026-01-01T08:00:00Z\",\"level\":\"ERROR\"}\n");
    let seen = of_file(&file, Some("10m")).look(&world(), LONG).await;
    assert_eq!(seen.figure.as_ref().map(|figure| figure.number), Some(3.0), "{seen:?}");
    assert!(english(&seen.value).starts_with("3 lines in 10 min: "), "{}", english(&seen.value));
    let whole = of_file(&file, None).look(&world(), LONG).await;
    assert_eq!(whole.figure.map(|figure| figure.number), Some(4.0));
}

/// Whoever died an hour ago logs no errors any more, and those that were there are not of the last ten minutes.
#[tokio::test]
async fn a_log_that_fell_silent_has_no_errors_of_now() {
    for zone in ["Z", ""] {
        let file = log(&format!("2026-01-01T07:59:00{zone} ERROR one\n2026-01-01T08:00:00{zone} ERROR two\n"));
        let written = file.as_file().metadata().unwrap().modified().unwrap();
        for (silent, errors) in [(0, 2.0), (9 * 60 + 30, 1.0), (60 * 60, 0.0)] {
            file.as_file().set_modified(written - Duration::from_secs(silent)).unwrap();
            let seen = of_file(&file, Some("10m")).look(&world(), LONG).await;
            assert_eq!(seen.figure.as_ref().map(|figure| figure.number), Some(errors), "{silent}: {seen:?}");
        }
        let ahead = written + Duration::from_secs(3_600);
        file.as_file().set_modified(ahead).unwrap();
        let seen = of_file(&file, Some("10m")).look(&world(), LONG).await;
        assert_eq!(seen.figure.map(|figure| figure.number), Some(2.0));
    }
}

#[tokio::test]
async fn a_file_without_times_or_that_is_not_there_is_no_pass() {
    let file = log("ERROR\nERROR\n");
    let seen = of_file(&file, Some("10m")).look(&world(), LONG).await;
    assert_eq!((seen.verdict, english(&seen.value).as_str()), (Verdict::Fail, "no line of its end has a time"));
    let empty = of_file(&log(""), Some("10m")).look(&world(), LONG).await;
    assert_eq!(empty.verdict, Verdict::Pass, "nothing was logged");
    let gone = check(json!({"file": "/nowhere/shop.log", "filter": "x", "limits": {"fail_above": 1}}));
    let seen = gone.look(&world(), LONG).await;
    assert_eq!((seen.verdict, english(&seen.value).as_str()), (Verdict::Fail, "the log cannot be read: not found"));
}

#[tokio::test]
async fn no_secret_is_in_the_line_that_is_shown() {
    let world = world_with(&["hunter2hunter2"]);
    let seen = printed("echo ERROR password hunter2hunter2 refused").look(&world, LONG).await;
    assert!(!english(&seen.value).contains("hunter2"), "{seen:?}");
}

#[test]
fn a_filter_that_is_none_and_a_window_for_a_program_are_refused() {
    let mut faults = Vec::new();
    let wrong = json!({"command": {"argv": ["true"]}, "within": "5m", "filter": "(", "limits": {"fail_above": 1}});
    check(wrong).validate("a", &mut faults);
    let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(told.contains("a.within") && told.contains("not a regular expression"), "{told}");
    check(json!({"filter": "x", "limits": {"fail_above": 1}})).validate("b", &mut faults);
    assert!(faults.last().unwrap().to_string().contains("exactly one of command, file"));
}

/// `/var/log/nginx/access.log` in a container: opening it would wait for a writer, in a thread that nobody ends.
#[tokio::test]
async fn a_pipe_is_no_log_and_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let log = check(json!({"file": path, "filter": "ERROR", "limits": {"fail_above": 2}}));
    for _ in 0..2 {
        let seen = log.look(&world(), LONG).await;
        assert_eq!(seen.verdict, Verdict::Fail);
        assert_eq!(english(&seen.value), "the log cannot be read: it is not a file");
    }
}
