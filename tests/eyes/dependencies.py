"""What comes into the program from outside: licences, bans and sources (deny.toml), yanked versions, known advisories.

The first three are read by cargo-deny from Cargo.lock. Whether a locked version was yanked is asked of the registry,
by way of `cargo package`, which packs the sources in a second and warns. The advisory database lies on GitHub; where
that cannot be reached the case is skipped and says so.
"""

import os
import re
import subprocess

from tally import Tally

# How cargo-deny says that the database could not be had; anything else is a finding.
UNREACHABLE = re.compile(r"failed to (fetch|clone) advisory database")


def run(*command, seconds=120, **env):
    """The exit code and everything that was printed; None as the code when it took too long."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            env={**os.environ, **env},
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {seconds} s"
    return done.returncode, done.stdout


def findings(text):
    """The lines that name a fault, or everything when none does."""
    return [line for line in text.splitlines() if re.match(r"(error|warning)(\[|:)", line)] or [text.strip()]


def main():
    tally = Tally()
    for check in ("licenses", "bans", "sources"):
        code, text = run("cargo-deny", "--offline", "--log-level", "error", "check", check)
        if code != 0:
            print(text)
        tally.case(check, [] if code == 0 else findings(text))

    code, text = run("cargo", "package", "--no-verify", "--allow-dirty", "--locked")
    yanked = [line for line in text.splitlines() if "is yanked" in line]
    tally.case("yanked versions", yanked if code == 0 else findings(text))

    git = {"GIT_TERMINAL_PROMPT": "0", "GIT_HTTP_LOW_SPEED_LIMIT": "1000", "GIT_HTTP_LOW_SPEED_TIME": "20"}
    code, text = run("cargo-deny", "--log-level", "error", "check", "advisories", **git)
    unreachable = UNREACHABLE.search(text)
    if code is None or (code != 0 and unreachable):
        why = re.search(r"fatal: (.*)", text)
        tally.skip("advisories", f"the RustSec database could not be had: {why.group(1) if why else text.strip()}")
    else:
        if code != 0:
            print(text)
        tally.case("advisories", [] if code == 0 else findings(text))
    tally.close()


main()
