"""Holds every Slack payload that the Rust tests produced against Slack's own Python models and against blockkit.py.

The payloads lie as JSON files in the folder that is the argument: `{"from": "chat.postMessage", "payload": {…}}`, where
`from` is the Web API method or the kind of answer, and `payload` its arguments with their JSON decoded. One case each.
Before that the eyes themselves are tested: payloads that Slack refuses have to be found wrong.
"""

import collections
import json
import logging
import pathlib
import sys

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

import blockkit
from tally import Tally


class Warnings(logging.Handler):
    """slack_sdk says by a warning, not by an error, that it skipped what it does not know."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def dropped(given, kept, where=""):
    """What slack_sdk does not know of what was given."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key not in kept and value not in (None, [], {}):
                yield f"{where}/{key}: slack_sdk does not know it"
            elif key in kept:
                yield from dropped(value, kept[key], f"{where}/{key}")
    elif isinstance(given, list) and isinstance(kept, list):
        if len(given) != len(kept):
            yield f"{where}: slack_sdk keeps {len(kept)} of {len(given)}"
        for at, (one, other) in enumerate(zip(given, kept)):
            yield from dropped(one, other, f"{where}/{at}")


def model_faults(where, build, given, warnings):
    """`build` makes slack_sdk's model; its to_dict() validates."""
    warnings.messages.clear()
    try:
        kept = build()
    except (SlackObjectFormationError, TypeError, KeyError, ValueError, AttributeError) as error:
        yield f"{where}: slack_sdk refuses it: {error}"
        return
    yield from (f"{where}: slack_sdk says: {message}" for message in warnings.messages)
    yield from dropped(given, kept, where)


def faults(payload, warnings, method="chat.postMessage"):
    if "view" in payload:
        view = payload["view"]
        yield from model_faults("/view", lambda: View(**view).to_dict(), view, warnings)
    lists = {"/blocks": payload.get("blocks") or []}
    for at, attachment in enumerate(payload.get("attachments") or []):
        lists[f"/attachments/{at}/blocks"] = attachment.get("blocks") or []
    for where, blocks in lists.items():
        for at, block in enumerate(blocks):

            def build(block=block):
                model = Block.parse(block)
                return {} if model is None else model.to_dict()

            yield from model_faults(f"{where}/{at}", build, block, warnings)
    yield from blockkit.faults(payload, method)


def plain(text):
    return {"type": "plain_text", "text": text}


def section(text, **more):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def button(label, **more):
    return {"type": "button", "action_id": label, "text": plain(label), **more}


def row(*elements):
    return {"type": "actions", "elements": list(elements)}


def message(*blocks, text="SEV2 · checkout returns 500"):
    return {"text": text, "blocks": list(blocks)}


def modal(*blocks, **more):
    return {"view": {"type": "modal", "title": plain("Update"), "blocks": list(blocks), **more}}


ENTRY = {"type": "input", "block_id": "i", "label": plain("Text"), "element": {"type": "plain_text_input", "action_id": "a"}}
SELECT = {"type": "static_select", "action_id": "s", "options": [{"text": plain("x" * 76), "value": "x"}]}

# What Slack refuses, or a person cannot use. An eye that takes one of them is blind.
BAD = {
    "an empty text": message(section("")),
    "a text of 3001 characters": message(section("x" * 3001)),
    "a field of 2001 characters": message({"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}),
    "eleven fields": message({"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}),
    "mrkdwn in a header": message({"type": "header", "text": {"type": "mrkdwn", "text": "*x*"}}),
    "an unknown block": message({"type": "hologram"}),
    "an unknown field": message(section("x", colour="red")),
    "51 blocks": message(*[section("x")] * 51),
    "a block_id twice": message(section("x", block_id="a"), section("y", block_id="a")),
    "an action_id twice": message(row(button("Go"), button("Go"))),
    "an unknown button style": message(row(button("Go", style="warning"))),
    "a button value of 2001 characters": message(row(button("Go", value="x" * 2001))),
    "an option of 76 characters": message(section("x", accessory=SELECT)),
    "an overflow of six": message(
        section("x", accessory={"type": "overflow", "action_id": "o", "options": [{"text": plain("a"), "value": "a"}] * 6})
    ),
    "a confirm text of 301 characters": message(
        row(button("Go", confirm={"title": plain("T"), "text": plain("x" * 301), "confirm": plain("Y"), "deny": plain("N")}))
    ),
    "an input outside an input block": message(row({"type": "plain_text_input", "action_id": "a"})),
    "an image without words": message({"type": "image", "image_url": "https://example.com/a.png", "alt_text": ""}),
    "blocks without a notification text": message(section("x"), text=""),
    "a text of 13 201 characters together": message(*[section("x" * 2641)] * 5),
    "six buttons in a row": message(row(*[button(f"Go {n}") for n in range(6)])),
    "two primary buttons": message(row(button("A", style="primary"), button("B", style="primary"))),
    "a template's leftover": message(section("for {{name}}")),
    "a text escaped twice": message(section("a &amp;lt; b")),
    "a bare <": message(section("error rate < 5 %")),
    "a bare &": message(section("web & worker")),
    "a title of 25 characters": modal(section("x"), title=plain("x" * 25)),
    "an input without submit": modal(ENTRY),
    "101 blocks in a view": modal(*[section("x")] * 101),
    "no blocks in a view": modal(),
    "a home with submit": {"view": {"type": "home", "blocks": [section("x")], "submit": plain("Go")}},
    "private metadata of 3001 characters": modal(section("x"), private_metadata="x" * 3001),
}
GOOD = {
    "a card": message(
        {"type": "header", "text": plain("SEV2")},
        section("*checkout* &lt;500&gt; since <!date^1700000000^{time}|14:00> <@U1> <https://example.com|page>"),
        row(button("Acknowledge", style="primary", value="ack"), button("Diagnose")),
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "level 1 of 3"}]},
    ),
    "a modal": modal(ENTRY, submit=plain("Send")),
}


def main(folder):
    warnings = Warnings()
    logging.getLogger("slack_sdk").addHandler(warnings)
    logging.getLogger("slack_sdk").propagate = False
    tally = Tally()
    for name, payload in BAD.items():
        found = list(faults(payload, warnings))
        tally.case(f"the eye sees {name}", [] if found else ["it was taken for good"])
    for name, payload in GOOD.items():
        tally.case(f"the eye takes {name}", faults(payload, warnings))

    long = message(section("x"), text="x" * 4001)
    tally.case("the eye takes 4001 characters in a new message", faults(long, warnings))
    found = list(faults(long, warnings, "chat.update"))
    tally.case("the eye sees 4001 characters in an edit", [] if found else ["it was taken for good"])

    kinds = collections.Counter()
    for file in sorted(pathlib.Path(folder).glob("*.json")):
        call = json.loads(file.read_text())
        kinds[call["from"]] += 1
        found = list(faults(call["payload"], warnings, call["from"]))
        if found:
            print(json.dumps(call, ensure_ascii=False)[:2000])
        tally.case(f"{call['from']} ({file.name})", found)
    print("payloads: " + (", ".join(f"{count} × {name}" for name, count in sorted(kinds.items())) or "none"))
    tally.case("the Rust tests produced payloads", [] if kinds else [f"there is none in {folder}"])
    tally.close()


main(sys.argv[1])
