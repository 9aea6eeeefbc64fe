"""Holds the configuration's JSON Schema (`vigie check --schema`) against the examples, with a validator that is not ours.

Editors read it as draft 7, so that is what it must be. A schema that let everything through would pass all examples,
so each of a few spoilt ones has to be refused, and at the very place.
"""

import copy
import json
import pathlib
import re
import subprocess
import sys

import jsonschema
import yaml

from tally import Tally

EXAMPLES = pathlib.Path("examples")
# What only the team knows, and `vigie init` leaves open.
LEFT_OPEN = re.compile(r"workspace/announce_in|contacts/\w+/slack")
# Lines that are switched off begin with # and no space.
SWITCHED_OFF = re.compile(r"^#(\S|  )", flags=re.MULTILINE)

# (where, what stands there instead, the place that must be named)
SPOILT = [
    (["workspace", "locale"], "de", "workspace/locale"),
    (["workspace", "snoze"], "10m", "workspace"),
    (["workspace", "snooze"], "soon", "workspace/snooze"),
    (["severities", 0, "respond_within"], ["15m"], "severities/0/respond_within"),
    (["severities", 0, "policy"], None, "severities/0/policy"),
    (["contacts", "oncall", "page_with"], ["slack", "pigeon"], "contacts/oncall/page_with/1"),
    (["contacts", "oncall", "slack"], "@oncall", "contacts/oncall/slack"),
    (["services", "shop", "checks", 0, "http", "method"], "FETCH", "services/shop/checks/0/http/method"),
    (["actions", "rollback-shop", "risk"], "some", "actions/rollback-shop/risk"),
    (["paging", "email", "port"], "many", "paging/email/port"),
    (["paging", "sms", "auth_token"], ["a", "b"], "paging/sms/auth_token"),
    (["audiences", "customers", "kind"], "everybody", "audiences/customers/kind"),
]


class Loader(yaml.SafeLoader):
    """Reads a date as the text that it is in YAML 1.2, which Vigie and editors read."""


Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


def places(validator, document):
    """Where the document is not as the schema says, down to the deepest place."""
    found = set()
    pending = list(validator.iter_errors(document))
    for error in pending:
        found.add("/".join(str(part) for part in error.absolute_path))
        pending.extend(error.context)
    return found


def spoilt(document, where, value):
    document = copy.deepcopy(document)
    inner = document
    for part in where[:-1]:
        inner = inner[part]
    inner[where[-1]] = value
    return document


def main(program):
    tally = Tally()
    schema = json.loads(subprocess.run([program, "check", "--schema"], check=True, capture_output=True).stdout)

    def sound():
        try:
            jsonschema.Draft7Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            yield str(error)
        if schema.get("$schema") != "http://json-schema.org/draft-07/schema#":
            yield f"$schema is {schema.get('$schema')}"

    tally.case("the schema is one of draft 7", sound())
    validator = jsonschema.Draft7Validator(schema)
    for path in sorted(EXAMPLES.rglob("*.yml")):
        text = path.read_text()
        variants = {str(path): text}
        if path.name.startswith("starter"):
            variants[f"{path}, switched on"] = SWITCHED_OFF.sub(r"\1", text)
        for name, variant in variants.items():
            wrong = places(validator, yaml.load(variant, Loader))
            if path.name.startswith("starter"):
                left_open = {place for place in wrong if LEFT_OPEN.fullmatch(place)}
                tally.case(f"{name}: three IDs are left open", [] if len(left_open) == 3 else [f"{sorted(left_open)}"])
                wrong -= left_open
            tally.case(name, sorted(wrong))

    practice = yaml.load((EXAMPLES / "practice.yml").read_text(), Loader)
    for where, value, place in SPOILT:
        wrong = places(validator, spoilt(practice, where, value))
        name = f"{'.'.join(map(str, where))}: {value!r} is refused"
        tally.case(name, [] if place in wrong else [f"not at {place}, but {sorted(wrong)}"])
    tally.close()


main(sys.argv[1])
