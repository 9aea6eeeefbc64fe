"""Holds the app manifest against Slack's own JSON Schema, and against what the schema does not know.

Both variants are looked at: Socket Mode as the file stands, and HTTP as its comments tell (`# HTTP: …`).
The schema is manifest.schema.1.0.0.json of slackapi/manifest-schema; its licence lies beside it.
"""

import json
import pathlib
import re
import sys

import jsonschema
import yaml

from tally import Tally

SCHEMA = pathlib.Path(__file__).with_name("manifest.schema.1.0.0.json")

# Limits of docs.slack.dev/reference/app-manifest that the schema leaves open or that concern several fields together.
LENGTHS = {
    ("display_information", "name"): 35,
    ("display_information", "description"): 140,
    ("display_information", "long_description"): 4000,
    ("features", "bot_user", "display_name"): 80,
}


def http_variant(text):
    """The manifest after doing what its comments say for requests over HTTPS."""
    text = re.sub(r"^(\s*)# HTTP: ", r"\1", text, flags=re.MULTILINE)
    return re.sub(r"socket_mode_enabled: true", "socket_mode_enabled: false", text)


def schema_faults(manifest):
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    for error in sorted(validator.iter_errors(manifest), key=lambda error: list(error.absolute_path)):
        yield f"{'.'.join(str(part) for part in error.absolute_path) or 'top'}: {error.message}"


def at(manifest, *path):
    for part in path:
        manifest = (manifest or {}).get(part)
    return manifest


def length_faults(manifest):
    for path, longest in LENGTHS.items():
        value = at(manifest, *path) or ""
        if len(value) > longest:
            yield f"{'.'.join(path)}: {len(value)} characters, Slack takes {longest}"
    long = at(manifest, "display_information", "long_description")
    if long is not None and len(long) < 174:
        yield f"display_information.long_description: {len(long)} characters, Slack wants at least 174"


def repeated(manifest):
    """What is asked for twice is refused or silently merged, depending on the page."""
    lists = {
        "scopes": at(manifest, "oauth_config", "scopes", "bot") or [],
        "events": at(manifest, "settings", "event_subscriptions", "bot_events") or [],
        "commands": [command["command"] for command in at(manifest, "features", "slash_commands") or []],
        "shortcuts": [shortcut["callback_id"] for shortcut in at(manifest, "features", "shortcuts") or []],
    }
    for name, values in lists.items():
        for value in sorted({value for value in values if values.count(value) > 1}):
            yield f"{name}: {value} is named twice"


def delivery_faults(manifest, socket):
    """Over HTTP Slack needs addresses; over Socket Mode it ignores them."""
    settings = at(manifest, "settings") or {}
    if bool(settings.get("socket_mode_enabled")) != socket:
        yield f"socket_mode_enabled is {settings.get('socket_mode_enabled')}"
    addresses = {
        "interactivity.request_url": at(settings, "interactivity", "request_url"),
        "event_subscriptions.request_url": at(settings, "event_subscriptions", "request_url"),
    }
    for command in at(manifest, "features", "slash_commands") or []:
        addresses[f"{command['command']}: url"] = command.get("url")
    for name, address in addresses.items():
        if socket and address:
            yield f"{name} is set although Socket Mode needs no address"
        if not socket and not str(address or "").startswith("https://"):
            yield f"{name} is {address!r}, and Slack calls https addresses only"


def main(path):
    tally = Tally()
    text = pathlib.Path(path).read_text()
    for name, socket, variant in (("Socket Mode", True, text), ("HTTP", False, http_variant(text))):
        manifest = yaml.safe_load(variant)
        tally.case(f"{path} ({name}): schema", schema_faults(manifest))
        tally.case(f"{path} ({name}): lengths", length_faults(manifest))
        tally.case(f"{path} ({name}): nothing twice", repeated(manifest))
        tally.case(f"{path} ({name}): delivery", delivery_faults(manifest, socket))
    tally.close()


main(sys.argv[1])
