"""Counts the cases of a checker, and closes as tests/run reads it. A fault is printed where it is found."""

import sys


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def case(self, name, faults):
        """One case; `faults` are sentences, and none of them means that it passed."""
        faults = list(faults)
        if faults:
            self.failed += 1
            for fault in faults:
                print(f"FAILED: {name}: {fault}")
        else:
            self.passed += 1

    def skip(self, name, reason):
        self.skipped += 1
        print(f"skipped: {name}: {reason}")

    def close(self):
        """Prints the closing line and leaves."""
        print(f"= {self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        sys.exit(1 if self.failed else 0)
