"""What slack_sdk's models let through and Slack refuses, and what a person would stumble over.

Sizes are those of docs.slack.dev, "Block Kit" (blocks, elements, composition objects). Written from those pages alone: it
shares no line with the program's own validator, so that both cannot be wrong in the same way.
"""

import re

# The longest `text` of a message. Only an edit refuses more ("msg_too_long"); a new message is cut off.
LONGEST = {"chat.update": 4000}
CUT_OFF = 40000

# Texts that are plain in Slack, by the kind of object that holds them: {field: longest}.
PLAIN = {
    "header": {"text": 150},
    "button": {"text": 75},
    "modal": {"title": 24, "submit": 24, "close": 24},
    "input": {"label": 2000, "hint": 2000},
    "image": {"title": 2000},
    "video": {"title": 200, "description": 200},
}
# Other texts of a kind: {field: longest}; a field may hold a string or a text object.
SIZES = {
    "section": {"text": 3000},
    "button": {"value": 2000, "url": 3000, "accessibility_label": 75},
    "image": {"image_url": 3000, "alt_text": 2000},
    "markdown": {"text": 12000},
    "modal": {"callback_id": 255, "external_id": 255, "private_metadata": 3000},
    "home": {"callback_id": 255, "external_id": 255, "private_metadata": 3000},
}
# How many a list may hold: {kind: {field: (fewest, most)}}.
COUNTS = {
    "actions": {"elements": (1, 25)},
    "context": {"elements": (1, 10)},
    "section": {"fields": (1, 10)},
    "overflow": {"options": (1, 5)},
    "checkboxes": {"options": (1, 10)},
    "radio_buttons": {"options": (1, 10)},
    "static_select": {"options": (1, 100), "option_groups": (1, 100)},
    "multi_static_select": {"options": (1, 100), "option_groups": (1, 100)},
    "modal": {"blocks": (1, 100)},
    "home": {"blocks": (1, 100)},
}
INPUT_ONLY = {"plain_text_input", "email_text_input", "number_input", "url_text_input", "file_input", "rich_text_input"}
# The composition objects carry no type of their own; they are known by the field they stand in.
CONFIRM = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
OPTION = {"text": 75, "value": 150, "description": 75}
# Undocumented; `msg_blocks_too_long` was seen at about this size (slackapi/bolt-js#2509).
MESSAGE_TEXT = 13_200
# Slack's own markup: a mention, a channel, a date or a link. Any other `<` has to be written `&lt;`.
MARKUP = re.compile(r"<(@[UW]|#[CG]|![a-z]|https?://|mailto:|tel:|slack:)[^<>]*>")
# The tests' hostile text ends in “& &lt;!everyone&gt;”, typed just so: it has to be shown just so, and may be cut.
TYPED = re.compile(r"(?<=&amp; )&amp;lt;!?\w*(&amp;gt;)?")
LEFTOVERS = re.compile(r"\{\{|\}\}|&amp;(amp|lt|gt);|\b(undefined|NaN|None|null)\b|\[object |\bSome\(")


def text_of(value):
    return value.get("text") if isinstance(value, dict) else value


class Looker:
    """Walks a payload and collects what is wrong, each with the place."""

    def __init__(self, longest):
        self.longest = longest
        self.faults = []

    def fault(self, where, what):
        self.faults.append(f"{where or '/'}: {what}")

    def length(self, where, value, longest):
        text = text_of(value)
        if text is None:
            return
        if not isinstance(text, str):
            self.fault(where, f"is {type(text).__name__}, not text")
        elif not text.strip():
            self.fault(where, "is empty")
        elif len(text) > longest:
            self.fault(where, f"has {len(text)} characters, Slack takes {longest}")

    def sizes(self, where, value, kind):
        for field, longest in {**SIZES.get(kind, {}), **PLAIN.get(kind, {})}.items():
            if field in value:
                self.length(f"{where}/{field}", value[field], longest)
        for field in PLAIN.get(kind, {}):
            if isinstance(value.get(field), dict) and value[field].get("type") != "plain_text":
                self.fault(f"{where}/{field}", "has to be plain_text")
        for field, (fewest, most) in COUNTS.get(kind, {}).items():
            if field in value and not fewest <= len(value[field]) <= most:
                self.fault(f"{where}/{field}", f"has {len(value[field])} entries, Slack takes {fewest} to {most}")

    def composition(self, where, value):
        confirm = value.get("confirm")
        if isinstance(confirm, dict) and "title" in confirm:
            for field, longest in CONFIRM.items():
                self.length(f"{where}/confirm/{field}", confirm.get(field, ""), longest)
        for at, field in enumerate(value.get("fields") or []):
            self.length(f"{where}/fields/{at}", field, 2000)
        if "placeholder" in value:
            self.length(f"{where}/placeholder", value["placeholder"], 150)
        for at, option in enumerate(value.get("options") or []):
            for field, longest in OPTION.items():
                if field in option:
                    self.length(f"{where}/options/{at}/{field}", option[field], longest)
            if "value" not in option:
                self.fault(f"{where}/options/{at}", "has no value")

    def words(self, where, text, is_markup):
        found = LEFTOVERS.search(TYPED.sub("", text))
        if found:
            self.fault(where, f"shows “{found.group(0)}” to a person: {text[:80]!r}")
        if is_markup and "<" in MARKUP.sub("", text):
            self.fault(where, f"has a bare “<”: {text[:80]!r}")
        if is_markup and re.search(r"&(?!amp;|lt;|gt;)", text):
            self.fault(where, f"has a bare “&”: {text[:80]!r}")

    def walk(self, where, value):
        if isinstance(value, list):
            for at, item in enumerate(value):
                self.walk(f"{where}/{at}", item)
        if not isinstance(value, dict):
            return
        kind = value.get("type", "")
        self.sizes(where, value, kind)
        self.composition(where, value)
        if kind in ("mrkdwn", "plain_text", "text") and isinstance(value.get("text"), str):
            self.words(f"{where}/text", value["text"], kind == "mrkdwn")
            if not value["text"]:
                self.fault(f"{where}/text", "is empty")
        if kind == "image" and not value.get("alt_text"):
            self.fault(where, "is an image that a screen reader cannot tell")
        for key in ("block_id", "action_id"):
            if key in value and not 1 <= len(value[key]) <= 255:
                self.fault(f"{where}/{key}", f"has {len(value[key])} characters, Slack takes 1 to 255")
        for key, inner in value.items():
            self.walk(f"{where}/{key}", inner)

    def blocks(self, where, blocks, most, is_message):
        if not isinstance(blocks, list):
            self.fault(where, "is no list")
            return
        if len(blocks) > most:
            self.fault(where, f"has {len(blocks)} blocks, Slack takes {most}")
        self.unique(where, [block.get("block_id") for block in blocks], "block_id")
        for at, block in enumerate(blocks):
            place = f"{where}/{at}"
            elements = block.get("elements") or []
            inside = [block.get("accessory"), block.get("element"), *(elements if isinstance(elements, list) else [])]
            inside = [element for element in inside if isinstance(element, dict)]
            self.unique(place, [element.get("action_id") for element in inside], "action_id")
            for element in inside:
                if block["type"] != "input" and element.get("type") in INPUT_ONLY:
                    self.fault(place, f"holds a {element['type']}, which stands in an input block only")
            if block["type"] == "actions":
                self.hands(place, elements)
        self.walk(where, blocks)
        if is_message and sum(self.lengths(blocks)) > MESSAGE_TEXT:
            self.fault(where, f"has {sum(self.lengths(blocks))} characters of text together; Slack stops at {MESSAGE_TEXT}")

    def hands(self, where, elements):
        """What a thumb can use: five buttons in a row, one that stands out, labels that are not cut."""
        buttons = [element for element in elements if element.get("type") == "button"]
        if len(buttons) > 5:
            self.fault(where, f"has {len(buttons)} buttons in a row, five can be told apart")
        if sum(button.get("style") == "primary" for button in buttons) > 1:
            self.fault(where, "has more than one primary button")
        for button in buttons:
            if len(text_of(button["text"])) > 30:
                self.fault(where, f"the button “{text_of(button['text'])}” is cut at about 30 characters")

    def lengths(self, value):
        if isinstance(value, list):
            for item in value:
                yield from self.lengths(item)
        elif isinstance(value, dict):
            for key, inner in value.items():
                if key == "text" and isinstance(inner, str):
                    yield len(inner)
                else:
                    yield from self.lengths(inner)

    def unique(self, where, ids, name):
        ids = [one for one in ids if one]
        for one in sorted({one for one in ids if ids.count(one) > 1}):
            self.fault(where, f"{name} “{one}” stands twice")

    def view(self, where, view):
        kind = view.get("type")
        if kind not in ("modal", "home"):
            self.fault(where, f"is a view of type {kind!r}")
            return
        self.sizes(where, view, kind)
        blocks = view.get("blocks") or []
        self.blocks(f"{where}/blocks", blocks, 100, is_message=False)
        if kind == "modal":
            if "title" not in view:
                self.fault(where, "is a modal without a title")
            if any(block.get("type") == "input" for block in blocks) and "submit" not in view:
                self.fault(where, "has an input and no submit")
        for name in ("title", "submit", "close"):
            self.walk(f"{where}/{name}", view.get(name))

    def message(self, where, message):
        """`text` is what a notification and a screen reader say, so it is there beside blocks too."""
        text = message.get("text")
        if message.get("blocks"):
            self.blocks(f"{where}/blocks", message["blocks"], 50, is_message=True)
            if not isinstance(text, str) or not text.strip():
                self.fault(f"{where}/text", "is missing: the notification would say that the content cannot be shown")
        if isinstance(text, str):
            self.words(f"{where}/text", text, is_markup=True)
            if len(text) > self.longest:
                self.fault(f"{where}/text", f"has {len(text)} characters, Slack takes {self.longest} here")
        for at, attachment in enumerate(message.get("attachments") or []):
            if attachment.get("blocks"):
                self.blocks(f"{where}/attachments/{at}/blocks", attachment["blocks"], 50, is_message=True)


def faults(payload, method="chat.postMessage"):
    """Sentences about everything that is wrong with what a method is called with."""
    looker = Looker(LONGEST.get(method, CUT_OFF))
    if "view" in payload:
        looker.view("/view", payload["view"])
    else:
        looker.message("", payload)
    return looker.faults
