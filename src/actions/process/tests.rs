//! Programs are run for real: they hang, flood, leave children behind and carry secrets.

use super::*;
use crate::actions::stopwatch::pause;
use secrecy::{ExposeSecret as _, SecretString};

const LONG: Duration = Duration::from_secs(30);

async fn run_within(script: &str, within: Duration, grace: Duration, redactor: &Redactor) -> Finished {
    let argv = ["sh", "-c", script].map(str::to_owned);
    let environment = environment(&crate::actions::toy::environment(), &["REGION".into()], [("OWN", "yes")]);
    let program = Program { argv: &argv, cwd: None, environment, deadline: Deadline { within, grace } };
    run(&program, redactor, &|_| {}).await.unwrap()
}

async fn run_script(script: &str) -> Finished {
    run_within(script, LONG, LONG, &Redactor::default()).await
}

async fn cut_off(script: &str, grace: Duration) -> Finished {
    run_within(script, Duration::from_secs(2), grace, &Redactor::default()).await
}

/// Running and not only waiting to be reaped by whoever is the first process here.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

async fn dies(pid: &str) -> bool {
    assert!(pid.parse::<u32>().is_ok(), "{pid:?} is no process id");
    for _ in 0..200 {
        if !is_alive(pid) {
            return true;
        }
        pause(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn the_exit_code_and_both_streams_come_back() {
    let finished = run_script("echo out; echo err >&2; exit 3").await;
    assert_eq!(finished.ended, Ended::Exit(3));
    assert_eq!((finished.stdout.text.as_str(), finished.stderr.text.as_str()), ("out\n", "err\n"));
    assert_eq!(finished.last_line(), Some("err"));
    assert_eq!(finished.output(1_000).unwrap(), "out\n--- standard error ---\nerr");
}

#[tokio::test]
async fn a_program_killed_from_outside_is_not_taken_for_one_that_ended() {
    assert_eq!(run_script("kill -9 $$").await.ended, Ended::Signal(9));
}

#[tokio::test]
async fn a_program_may_tidy_up_when_its_deadline_has_passed() {
    let finished = cut_off("trap 'echo tidied; exit 0' TERM; echo up; while :; do sleep 0.02; done", LONG).await;
    assert_eq!((finished.ended, finished.stdout.text.as_str()), (Ended::Deadline, "up\ntidied\n"));
}

#[tokio::test]
async fn a_program_that_ignores_the_request_to_end_is_killed() {
    let finished = cut_off("trap '' TERM; echo $$; while :; do sleep 0.02; done", Duration::from_millis(200)).await;
    assert_eq!(finished.ended, Ended::Deadline);
    assert!(finished.took < Millis::seconds(10), "{:?}", finished.took);
    assert!(dies(finished.stdout.text.trim()).await);
}

#[tokio::test]
async fn grandchildren_die_with_the_program_at_its_deadline() {
    let finished = cut_off("sleep 300 & echo $!; wait", Duration::from_millis(200)).await;
    assert_eq!(finished.ended, Ended::Deadline);
    assert!(dies(finished.stdout.text.trim()).await);
}

#[tokio::test]
async fn a_child_left_behind_neither_delays_the_result_nor_lives_on() {
    let finished = run_script("sleep 300 & echo $!").await;
    assert_eq!(finished.ended, Ended::Exit(0));
    assert!(finished.took < Millis::seconds(10), "{:?}", finished.took);
    assert!(dies(finished.stdout.text.trim()).await);
}

#[tokio::test]
async fn an_escaped_child_that_holds_the_output_open_does_not_hold_up_the_result() {
    let finished = run_script("setsid sleep 30 & echo done").await;
    assert_eq!((finished.ended, finished.stdout.text.as_str()), (Ended::Exit(0), "done\n"));
    assert!(finished.took < Millis::seconds(20), "{:?}", finished.took);
}

#[tokio::test]
async fn nobody_outlives_an_owner_that_stops_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("sleep 300 & echo $! > {}.tmp; mv {0}.tmp {0}; wait", file.display());
    let argv = ["sh".to_owned(), "-c".to_owned(), script];
    let environment = environment(&crate::actions::toy::environment(), &[], []);
    let program = Program { argv: &argv, cwd: None, environment, deadline: Deadline::of(LONG) };
    let redactor = Redactor::default();
    let pid = tokio::select! {
        finished = run(&program, &redactor, &|_| {}) => panic!("it must not end by itself: {finished:?}"),
        pid = async {
            loop {
                if let Ok(pid) = std::fs::read_to_string(&file) {
                    break pid;
                }
                pause(Duration::from_millis(5)).await;
            }
        } => pid,
    };
    assert!(dies(pid.trim()).await);
}

#[tokio::test]
async fn a_flood_on_both_streams_is_drained_to_its_end_but_kept_only_in_part() {
    let script = "yes 0123456789 | head -c 100000000; yes err | head -c 3000000 >&2; echo; echo last";
    let finished = run_script(script).await;
    assert_eq!(finished.ended, Ended::Exit(0));
    assert!(finished.stdout.text.len() <= 2 * KEPT_BYTES, "{}", finished.stdout.text.len());
    assert_eq!(finished.stdout.left_out + finished.stdout.text.len() as u64, 100_000_006);
    assert!(finished.stdout.text.starts_with("0123456789\n") && finished.stdout.text.ends_with("last\n"));
    assert_eq!(finished.stderr.left_out + finished.stderr.text.len() as u64, 3_000_000);
    let output = finished.output(500).unwrap();
    assert!(output.len() < 700 && output.starts_with('[') && output.ends_with("err"), "{output}");
}

#[tokio::test]
async fn a_line_without_end_is_left_out_whole() {
    let finished = run_script("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo last").await;
    assert_eq!(finished.stdout, Tail { text: "last\n".into(), left_out: 1_000_001 });
}

#[tokio::test]
async fn secrets_do_not_come_back_not_even_a_key_whose_beginning_was_left_out() {
    let redactor = Redactor::new(&[SecretString::from("pa55w0rd-of-the-shop")]);
    let script = "echo using pa55w0rd-of-the-shop; echo '-----BEGIN PRIVATE KEY-----'; yes SECRETKEYLINE | head -20000";
    let finished = run_within(script, LONG, LONG, &redactor).await;
    assert_eq!(finished.stdout.text, "[redacted]\n");
    let finished = run_within("echo using pa55w0rd-of-the-shop", LONG, LONG, &redactor).await;
    assert_eq!(finished.stdout.text, "using [redacted]\n");
}

#[tokio::test]
async fn a_parser_gets_what_was_printed_whole_or_not_at_all_and_nobody_else_does() {
    let redactor = Redactor::new(&[SecretString::from("pa55w0rd-of-the-shop")]);
    let parsed = async |script: &str| {
        let argv = ["sh", "-c", script].map(str::to_owned);
        let environment = environment(&crate::actions::toy::environment(), &[], []);
        let program = Program { argv: &argv, cwd: None, environment, deadline: Deadline::of_looking(LONG) };
        run_for_parser(&program, &redactor).await.unwrap()
    };
    let (finished, printed) = parsed("echo a: pa55w0rd-of-the-shop").await;
    assert_eq!(printed.unwrap().expose_secret(), "a: pa55w0rd-of-the-shop\n");
    assert_eq!(finished.stdout.text, "a: [redacted]\n");
    let (finished, printed) = parsed("yes pa55w0rd-of-the-shop | head -20000").await;
    assert!(printed.is_none() && finished.stdout.left_out > 0);
    assert!(!finished.stdout.text.contains("pa55w0rd"));
}

#[tokio::test]
async fn a_program_gets_only_the_variables_it_is_allowed() {
    let finished = run_script("env; pwd").await;
    assert!(finished.stdout.text.contains("REGION=eu\n") && finished.stdout.text.contains("OWN=yes\n"));
    assert!(!finished.stdout.text.contains("SLACK_TOKEN"), "{}", finished.stdout.text);
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_named_with_the_reason() {
    let argv = ["no-such-program-here".to_owned()];
    let program = Program {
        argv: &argv,
        cwd: Some(Path::new("/tmp")),
        environment: BTreeMap::new(),
        deadline: Deadline::of(LONG),
    };
    let fault = run(&program, &Redactor::default(), &|_| {}).await.unwrap_err();
    assert!(fault.to_string().starts_with("“no-such-program-here” could not be started in /tmp: No such file"));
}

#[tokio::test]
async fn progress_is_the_newest_line_without_secrets() {
    let redactor = Redactor::new(&[SecretString::from("pa55w0rd-of-the-shop")]);
    let lines = std::sync::Mutex::new(Vec::new());
    let argv = ["sh", "-c", "echo begun; echo pa55w0rd-of-the-shop is set; sleep 1.2"].map(str::to_owned);
    let environment = environment(&crate::actions::toy::environment(), &[], []);
    let program = Program { argv: &argv, cwd: None, environment, deadline: Deadline::of(LONG) };
    run(&program, &redactor, &|line| lines.lock().unwrap().push(line.to_owned())).await.unwrap();
    // It is told though the program then says nothing more.
    assert_eq!(lines.into_inner().unwrap().pop().unwrap(), "[redacted] is set");
}
