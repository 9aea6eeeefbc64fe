"""Shows for each row of the field procedures (`procedures.txt`) which example shows it and which test tries it.

Three texts are joined. Examples name rows in comments (`# K8`), which belong to the action or check that they stand in.
Tests name rows at the beginning of their doc comments (`/// K8, P3 · …`). And every action of an example is run by name in
`tests/it/examples` (`runs("bascule")`).

A row of the groups in NEEDED must have both; other rows are listed as still open. A checker that finds nothing passes
everything, so spoilt texts come first: each must be found out.
"""

import pathlib
import re
import sys

from tally import Tally

NEEDED = {"K", "V", "N", "A", "C", "G", "X", "D", "P", "H"}
ROW = r"[A-Z]{1,2}\d+"
COMMENT = re.compile(r"(?:^|\s)#\s(.*)$")
TESTED = re.compile(rf"^\s*/// ({ROW}(?:, {ROW})*) ·")
RUN = re.compile(r'(?:runs|runs_to|lives_through)\(\s*"([\w-]+)"|planned\("run ([\w-]+)')


def rows_of(text):
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(tuple(part.strip() for part in line.split("|", 1)) for line in lines)


def examples_of(text):
    """Which rows each action and check of a configuration names, and all its actions."""
    section = entry = None
    named, actions, waiting = {}, [], []
    for line in text.splitlines():
        comment = COMMENT.search(line)
        found = re.findall(rf"\b{ROW}\b", comment.group(1)) if comment else []
        if line.lstrip().startswith("#"):
            waiting += found
            continue
        if not line.strip():
            continue
        if top := re.match(r"([\w-]+):", line):
            section = entry = top.group(1)
            waiting = []  # what the head of the file says is about no entry
        elif section == "actions" and (key := re.match(r"  ([\w-]+):", line)):
            entry = key.group(1)
            actions.append(entry)
        elif section == "services" and (key := re.match(r"      - key: ([\w-]+)", line)):
            entry = key.group(1)
        for row in found + waiting:
            named.setdefault(row, set()).add(entry)
        waiting = []
    return named, actions


def tests_of(path, text):
    """Which rows the tests of a file name."""
    parts = list(path.with_suffix("").parts)
    module = "::".join(part for part in parts[2 if parts[0] == "tests" else 1 :] if part != "mod")
    named, rows = {}, []
    for line in text.splitlines():
        if tested := TESTED.match(line):
            rows = tested.group(1).split(", ")
        elif function := re.match(r"\s*(?:async )?fn (\w+)\(", line):
            for row in rows:
                named.setdefault(row, []).append(f"{module}::{function.group(1)}")
            rows = []
        elif not line.strip().startswith(("///", "#[")):
            rows = []
    return named


class Coverage:
    """What is found in these texts: rows, examples by name, tests by path."""

    def __init__(self, rows, examples, tests):
        self.rows = rows_of(rows)
        self.examples = {name: examples_of(text) for name, text in examples.items()}
        self.shown, self.tried = {}, {}
        for name, (named, _) in self.examples.items():
            for row, entries in named.items():
                self.shown.setdefault(row, []).append(f"{name}: {', '.join(sorted(entries))}")
        for path, text in tests.items():
            for row, names in tests_of(pathlib.PurePosixPath(path), text).items():
                self.tried.setdefault(row, []).extend(names)
        self.runs = {}
        for path, text in tests.items():
            if path.startswith("tests/it/examples/") and (example := re.search(r'NAME: &str = "([\w-]+)"', text)):
                keys = {key for pair in RUN.findall(text) for key in pair if key}
                self.runs.setdefault(example.group(1), set()).update(keys)

    def of_row(self, row):
        """What a needed row lacks."""
        if re.match(r"[A-Z]+", row).group() in NEEDED:
            if row not in self.shown:
                yield f"no example shows it ({self.rows[row]})"
            if row not in self.tried:
                yield f"no test names it ({self.rows[row]})"

    def of_example(self, name):
        """Its actions that no test runs, and what tests run that it does not have."""
        _, actions = self.examples[name]
        runs = self.runs.get(name, set())
        yield from (f"no test runs the action {action}" for action in actions if action not in runs)
        yield from (f"a test runs the action {action}, which is not there" for action in sorted(runs - set(actions)))

    def unknown(self):
        """Rows that somebody names and that do not exist."""
        for row in sorted((set(self.shown) | set(self.tried)) - set(self.rows)):
            yield f"{row} is no row, but {', '.join(self.shown.get(row, []) + self.tried.get(row, []))} names it"

    def faults(self):
        by_row = [f"{row}: {fault}" for row in self.rows for fault in self.of_row(row)]
        by_example = [f"{name}: {fault}" for name in self.examples for fault in self.of_example(name)]
        return [*by_row, *by_example, *self.unknown()]


def texts():
    examples = {path.parent.name: path.read_text() for path in sorted(pathlib.Path("examples").glob("*/vigie.yml"))}
    sources = [path for folder in ("tests/it", "src") for path in sorted(pathlib.Path(folder).rglob("*.rs"))]
    return pathlib.Path(__file__).with_name("procedures.txt").read_text(), examples, {
        path.as_posix(): path.read_text() for path in sources
    }


def spoilt(rows, examples, tests):
    """Each spoilt set of texts, with the beginning of the fault that must be found."""
    everywhere = lambda all, pattern, to: {name: re.sub(pattern, to, text) for name, text in all.items()}
    yield "a made-up row", (f"{rows}K99 | nothing\n", examples, tests), "K99: no example"
    yield "a lost comment", (rows, everywhere(examples, r"\bK8\b", "…"), tests), "K8: no example"
    yield "a lost test", (rows, examples, everywhere(tests, r"\bK8\b", "…")), "K8: no test"
    yield "an unknown row", (rows, everywhere(examples, r"\bK8\b", "K88"), tests), "K88 is no row"
    lost = everywhere(tests, r'"services-live"|run services-live', '"services-back"')
    yield "an action that nobody runs", (rows, examples, lost), "go-live: no test runs the action services-live"


def outcomes(log):
    """Which tests failed in the newest run of the suite, where there was one."""
    if not log.is_file():
        return set()
    lines = re.findall(r"^\s*(?:FAIL|TIMEOUT|SIG\w+) \[.*?\] .*?\s(\S+)$", log.read_text(), flags=re.MULTILINE)
    return set(lines)


def main(log):
    tally = Tally()
    given = texts()
    for name, changed, wanted in spoilt(*given):
        found = Coverage(*changed).faults()
        tally.case(f"{name} is found", [] if any(fault.startswith(wanted) for fault in found) else [f"no “{wanted}”"])

    coverage, failed = Coverage(*given), outcomes(pathlib.Path(log))
    for row in coverage.rows:
        shown, tried = coverage.shown.get(row, []), coverage.tried.get(row, [])
        lines = max(len(shown), len(tried), 1)
        for n in range(lines):
            test = tried[n] if n < len(tried) else ""
            mark = " (failed)" if test in failed else ""
            print(f"{row if n == 0 else '':4} {shown[n] if n < len(shown) else '':70} {test}{mark}".rstrip())
        if re.match(r"[A-Z]+", row).group() in NEEDED:
            tally.case(row, coverage.of_row(row))
    still = [row for row in coverage.rows if row not in coverage.shown or row not in coverage.tried]
    print(f"still open: {', '.join(still) or 'nothing'}")
    for name in coverage.examples:
        tally.case(name, coverage.of_example(name))
    tally.case("every row that is named exists", coverage.unknown())
    tally.close()


main(sys.argv[1])
