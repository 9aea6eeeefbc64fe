"""Holds what the Rust tests said to the simulators of vendors, and what these answered, against the vendors' own descriptions.

The exchanges lie as JSON files in the folder that is the argument. Each vendor, method and path of the description is one
case. So a simulator cannot share a misunderstanding with the provider that is tried on it. Before that the eyes themselves
are tested: exchanges that the description forbids have to be found wrong.
"""

import collections
import copy
import json
import pathlib
import re
import sys

import jsonschema

from tally import Tally

SPECS = pathlib.Path(__file__).parent / "specs"

DEPLOYMENT = {
    "uid": "dpl_1",
    "name": "shop",
    "projectId": "prj_1",
    "url": "dpl-1.vercel.app",
    "created": 1,
    "type": "LAMBDAS",
    "creator": {"uid": "user_1"},
    "inspectorUrl": None,
    "readyState": "READY",
}
LISTED = {"deployments": [DEPLOYMENT], "pagination": {"count": 1, "next": None, "prev": None}}


def exchange(vendor, method, path, status=200, query=None, body=None, answer=None):
    return {
        "vendor": vendor,
        "method": method,
        "path": path,
        "query": query or {},
        "body": body,
        "status": status,
        "answer": answer,
    }


VARIABLE = {"key": "A", "value": "b", "type": "encrypted", "target": ["production"]}
MADE = {"created": VARIABLE, "failed": []}
LIST = ("vercel", "GET", "/v6/deployments")
ENV = ("vercel", "POST", "/v10/projects/prj_1/env")
RESTORE = "/sites/shop/deploys/1/restore"

SOUND = [
    exchange(*LIST, query={"limit": "20", "rollbackCandidate": "true"}, answer=LISTED),
    exchange(*ENV, status=201, query={"upsert": "true"}, body=VARIABLE, answer=MADE),
    exchange("vercel", "POST", "/v1/projects/prj_1/rollback/dpl_1", status=201),
    exchange("netlify", "POST", RESTORE, status=201, answer={"id": "1", "state": "ready"}),
    exchange("netlify", "POST", RESTORE, status=422, answer={"code": 422, "message": "no"}),
]

# (an exchange, what must be found)
SPOILT = [
    (exchange("vercel", "GET", "/v7/deployments", answer=LISTED), "no such path"),
    (exchange("vercel", "PUT", "/v6/deployments", answer=LISTED), "no such method"),
    (exchange(*LIST, query={"team": "t"}, answer=LISTED), "query team"),
    (exchange(*LIST, query={"limit": "many"}, answer=LISTED), "query limit"),
    (exchange(*LIST, answer={**LISTED, "deployments": [{**DEPLOYMENT, "readyState": "READI"}]}), "answer"),
    (exchange(*LIST, answer={"deployments": []}), "answer"),
    (exchange(*LIST, status=201, answer=LISTED), "status 201"),
    (exchange(*ENV, status=201, body={"key": "A", "value": "b", "type": "secretive"}, answer=MADE), "body"),
    (exchange("vercel", "POST", "/v1/projects/prj_1/rollback/dpl_1", status=201, body={"to": "x"}), "body"),
    (exchange("netlify", "POST", RESTORE, status=201, answer={"id": 1}), "answer"),
    (exchange("netlify", "POST", RESTORE, status=422, answer={"code": 422}), "answer"),
    (exchange("nobody", "GET", "/"), "no description"),
]


class Description:
    """An OpenAPI 3.0 or Swagger 2 document, with its references in place and its schemas as JSON Schema of draft 4."""

    def __init__(self, document):
        self.document = document
        self.paths = []
        for template, operations in document["paths"].items():
            parts = re.split(r"\{[^}]+\}", template)
            pattern = re.compile("[^/]+".join(re.escape(part) for part in parts))
            self.paths.append((template, pattern, operations))
        # Literal parts win over open ones.
        self.paths.sort(key=lambda path: path[0].count("{"))

    def find(self, path):
        return next(((template, found) for template, pattern, found in self.paths if pattern.fullmatch(path)), None)

    def resolved(self, value, seen=()):
        if isinstance(value, list):
            return [self.resolved(one, seen) for one in value]
        if not isinstance(value, dict):
            return value
        where = value.get("$ref")
        if isinstance(where, str):
            if where in seen:
                return {}
            target = self.document
            for part in where.removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            return self.resolved(target, (*seen, where))
        return {key: self.resolved(one, seen) for key, one in value.items()}

    def schema(self, value):
        return draft4(self.resolved(value))


def draft4(value):
    """`nullable` becomes a type. Alternatives may overlap: vendors write `oneOf` where more than one can fit."""
    if isinstance(value, list):
        return [draft4(one) for one in value]
    if not isinstance(value, dict):
        return value
    schema = {key: draft4(one) for key, one in value.items()}
    if isinstance(schema.get("oneOf"), list):
        schema["anyOf"] = schema.pop("oneOf")
    may_be_null = schema.pop("nullable", None) is True or schema.pop("x-nullable", None) is True
    return {"anyOf": [{"type": "null"}, schema]} if may_be_null else schema


def wrong(schema, value):
    """The deepest thing that is wrong, in a few words."""
    errors = list(jsonschema.Draft4Validator(schema).iter_errors(value))
    if not errors:
        return None
    error = jsonschema.exceptions.best_match(errors)
    place = "/".join(str(part) for part in error.absolute_path)
    return f"/{place}: {error.message[:160]}"


def typed(schema, text):
    """A text of the query as what it is read as."""
    kinds = {inner.get("type") for inner in (schema, *schema.get("anyOf", []))}
    if kinds & {"number", "integer"} and re.fullmatch(r"-?\d+", text):
        return int(text)
    if "boolean" in kinds and text in ("true", "false"):
        return text == "true"
    return text


def query_faults(description, parameters, query):
    known = {one["name"]: one for one in parameters if one["in"] == "query"}
    for name, text in query.items():
        if name not in known:
            yield f"query {name}: not known there"
            continue
        schema = description.schema(known[name].get("schema", known[name]))
        schema = {key: value for key, value in schema.items() if key not in ("name", "in", "required")}
        fault = wrong(schema, typed(schema, text))
        if fault:
            yield f"query {name}: {fault}"
    for name, one in known.items():
        if one.get("required") and name not in query:
            yield f"query {name}: missing"


def content(answer):
    """The schema of a body or an answer, in either version; nothing where it has none."""
    if "schema" in answer:
        return answer["schema"]
    kinds = answer.get("content") or {}
    # Of a stream each value is an exchange of its own.
    return next((kinds[kind].get("schema") for kind in ("application/json", "application/stream+json") if kind in kinds), None)


def body_faults(description, operation, parameters, body):
    wanted = operation.get("requestBody") or next((one for one in parameters if one["in"] == "body"), None)
    if wanted is None:
        if body is not None:
            yield "body: none is taken there"
        return
    wanted = description.resolved(wanted)
    if body is None:
        if wanted.get("required"):
            yield "body: missing"
        return
    fault = wrong(description.schema(content(wanted) or {}), body)
    if fault:
        yield f"body: {fault}"


def answer_faults(description, operation, status, answer):
    answers = operation["responses"]
    is_yes = 200 <= status < 300
    found = answers.get(str(status), None if is_yes else answers.get("default"))
    if found is None:
        # Few descriptions list every refusal.
        if is_yes:
            yield f"status {status}: never answered there"
        return
    schema = content(description.resolved(found))
    if schema is None:
        return
    fault = wrong(description.schema(schema), answer)
    if fault:
        yield f"answer: {fault}"


def faults(descriptions, seen):
    description = descriptions.get(seen["vendor"])
    if description is None:
        yield "no description of this vendor"
        return
    found = description.find(seen["path"])
    if found is None:
        yield f"no such path: {seen['path']}"
        return
    operations = found[1]
    operation = operations.get(seen["method"].lower())
    if operation is None:
        yield f"no such method: {seen['method']} {found[0]}"
        return
    parameters = [*operations.get("parameters", []), *operation.get("parameters", [])]
    parameters = [description.resolved(one) for one in parameters]
    yield from query_faults(description, parameters, seen["query"])
    yield from body_faults(description, operation, parameters, seen["body"])
    yield from answer_faults(description, operation, seen["status"], seen["answer"])


def name_of(descriptions, seen):
    description = descriptions.get(seen["vendor"])
    found = description and description.find(seen["path"])
    return f"{seen['vendor']}: {seen['method']} {found[0] if found else seen['path']}"


def main(folder):
    tally = Tally()
    texts = {path.stem: json.loads(path.read_text()) for path in sorted(SPECS.glob("*.json"))}
    descriptions = {vendor: Description(document) for vendor, document in texts.items()}

    for sound in SOUND:
        tally.case(f"sound: {name_of(descriptions, sound)}", faults(descriptions, copy.deepcopy(sound)))
    for spoilt, wanted in SPOILT:
        found = list(faults(descriptions, spoilt))
        missing = [] if any(wanted in fault for fault in found) else [f"“{wanted}” is not among {found}"]
        tally.case(f"spoilt: {name_of(descriptions, spoilt)}", missing)

    cases = collections.defaultdict(dict)
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        seen = json.loads(path.read_text())
        for fault in faults(descriptions, seen):
            cases[name_of(descriptions, seen)].setdefault(fault, path.name)
        cases[name_of(descriptions, seen)]  # even without a fault it was there
    for vendor in descriptions:
        if not any(name.startswith(f"{vendor}: ") for name in cases):
            tally.skip(vendor, f"no exchange with it lies in {folder}: run the step rust")
    for name, found in sorted(cases.items()):
        tally.case(name, (f"{fault} ({file})" for fault, file in found.items()))
    tally.close()


if __name__ == "__main__":
    main(sys.argv[1])
