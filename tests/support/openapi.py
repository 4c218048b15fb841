#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Judges an OpenAPI 3.1 document, and answers by what it says.

  openapi.py DOCUMENT [ANSWERS]

ANSWERS has a JSON object a line: {"method", "path" (the template), "status",
"headers" (names in lower case), "body"}, or {"schema" (a $ref), "body"}. What
is wrong is printed, a line each; exit status 1 if anything is. It shares no
code with the server: the schemas are jsonschema's to read.
"""
import datetime
import json
import re
import sys
import uuid

import jsonschema

PROBLEM = "application/problem+json"
# What may come of any request, and what the document's `default` stands for.
OF_ANY_REQUEST = {"408", "411", "413", "414", "431", "500"}
TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
formats = jsonschema.FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def is_time(value):
    if not isinstance(value, str):
        return True
    moment = re.sub(r"\.\d+|Z$", "", value)
    return (bool(TIME.fullmatch(value))
            and datetime.datetime.fromisoformat(moment) is not None)


@formats.checks("uuid", raises=ValueError)
def is_uuid(value):
    return not isinstance(value, str) or str(uuid.UUID(value)) == value.lower()


@formats.checks("base64url")
def is_base64url(value):
    return (not isinstance(value, str)
            or re.fullmatch("[A-Za-z0-9_-]*", value) is not None)


def once(pairs):
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is there twice")
    return members


class Document:
    def __init__(self, document):
        self.document = document
        self.used = set()

    # What `$ref` refers to. KeyError: nothing.
    def resolved(self, value):
        while "$ref" in value:
            self.used.add(value["$ref"])
            names = value["$ref"].removeprefix("#/").split("/")
            value = self.document
            for name in names:
                value = value[name]
        return value

    # The schema with what it refers to in place of each `$ref`.
    def expanded(self, schema):
        if isinstance(schema, list):
            return [self.expanded(inner) for inner in schema]
        if not isinstance(schema, dict):
            return schema
        own = {name: self.expanded(inner) for name, inner in schema.items()
               if name != "$ref"}
        if "$ref" in schema:
            own["allOf"] = [self.expanded(self.resolved(schema))]
        return own

    def errors(self, value, schema):
        return jsonschema.Draft202012Validator(
            self.expanded(schema), format_checker=formats).iter_errors(value)

    def operations(self):
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                yield path, method.upper(), operation

    def faults(self):
        document = self.document
        if not re.fullmatch(r"3\.1\.\d+", document["openapi"]):
            yield "it is not OpenAPI 3.1"
        for name in "title", "version":
            if not isinstance(document["info"].get(name), str):
                yield f"info has no {name}"
        yield from self.reference_faults(document, "#")
        for name, schema in document["components"]["schemas"].items():
            yield from self.schema_faults(name, schema)
        ids = set()
        for path, method, operation in self.operations():
            where = f"{method} {path}"
            if operation["operationId"] in ids:
                yield f"{where}: its operationId is another's too"
            ids.add(operation["operationId"])
            for fault in self.operation_faults(path, operation):
                yield f"{where}: {fault}"
        text = json.dumps(document)
        for kind, parts in document["components"].items():
            for name in parts:
                told = kind == "schemas" and f"schema {name})" in text
                secure = kind == "securitySchemes"
                if f"#/components/{kind}/{name}" not in self.used and not (
                        told or secure):
                    yield f"nothing refers to {kind}/{name}"

    def reference_faults(self, value, where):
        if isinstance(value, list):
            value = dict(enumerate(value))
        if not isinstance(value, dict):
            return
        if isinstance(value.get("$ref"), str):
            try:
                self.resolved(value)
            except KeyError:
                yield f"{where}: nothing is at {value['$ref']}"
        for name, inner in value.items():
            yield from self.reference_faults(inner, f"{where}/{name}")

    def schema_faults(self, where, schema):
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            yield f"{where}: {error.message}"
            return
        properties = schema.get("properties", {})
        for name in set(schema.get("required", [])) - set(properties):
            yield f"{where}: {name} is required and not described"
        if properties and schema.get("additionalProperties") is not False:
            yield f"{where}: it may have members that nobody knows"
        if "default" in schema:
            for error in self.errors(schema["default"], schema):
                yield f"{where}: its default: {error.message}"
        for name, inner in properties.items():
            yield from self.schema_faults(f"{where}.{name}", inner)
        if "items" in schema:
            yield from self.schema_faults(f"{where}[]", schema["items"])

    def operation_faults(self, path, operation):
        for name in "summary", "responses":
            if not operation.get(name):
                yield f"it has no {name}"
        declared = [tag["name"] for tag in self.document["tags"]]
        for tag in set(operation.get("tags", [])) - set(declared):
            yield f"nothing is said of the tag {tag}"
        parameters = [self.resolved(p) for p in operation.get("parameters", [])]
        names = [(p["name"], p["in"]) for p in parameters]
        if len(names) > len(set(names)):
            yield "a parameter is there twice"
        in_path = {name for name, place in names if place == "path"}
        if in_path != set(re.findall(r"{(\w+)}", path)):
            yield "the parameters of its path are others"
        for parameter in parameters:
            name = parameter["name"]
            if parameter["in"] == "path" and parameter.get("required") is not True:
                yield f"{name} is in the path and not required"
            if not parameter.get("description"):
                yield f"nothing is said of {name}"
            yield from self.schema_faults(name, parameter["schema"])
        security = operation.get("security", self.document["security"])
        schemes = self.document["components"]["securitySchemes"]
        for scheme in {s for choice in security for s in choice}:
            if scheme not in schemes:
                yield f"there is no security scheme {scheme}"
        wanted = {"400", "default"} | (
            {"401", "429", "503"} if security else set())
        for status in sorted(wanted - set(operation["responses"])):
            yield f"it never answers {status}"
        for status, response in operation["responses"].items():
            yield from self.response_faults(status, self.resolved(response))

    def response_faults(self, status, response):
        if not response.get("description"):
            yield f"nothing is said of {status}"
        content = response.get("content", {})
        if status != "204" and len(content) != 1:
            yield f"{status} has no one content"
        for kind, media in content.items():
            if (kind == PROBLEM) != (status[0] in "45d"):
                yield f"{status} is {kind}"
            yield from self.schema_faults(status, media["schema"])

    def answer_faults(self, answer):
        if "schema" in answer:
            yield from self.body_faults(answer, answer["body"])
            return
        method = answer["method"].lower()
        operation = self.document["paths"][answer["path"]][method]
        status = str(answer["status"])
        responses = operation["responses"]
        if status not in responses and status not in OF_ANY_REQUEST:
            yield f"{status} is not declared"
            return
        response = self.resolved(responses.get(status, responses.get("default")))
        headers = answer["headers"]
        for name, header in response.get("headers", {}).items():
            value = headers.get(name.lower())
            if header["schema"]["type"] == "integer":
                value = int(value or "", 10)
            for error in self.errors(value, header["schema"]):
                yield f"{name}: {error.message}"
        content = response.get("content")
        if not content:
            if answer["body"] or "content-type" in headers:
                yield f"{status} has a body"
            return
        kind = headers.get("content-type")
        if kind not in content:
            yield f"{status} is {kind}"
            return
        body = answer["body"]
        if kind != "text/event-stream":
            body = json.loads(body, object_pairs_hook=once)
        yield from self.body_faults(content[kind], body)
        if kind == PROBLEM and body["status"] != answer["status"]:
            yield f"the body says {body['status']}"

    def body_faults(self, media, body):
        schema = media["schema"]
        if isinstance(schema, str):
            schema = {"$ref": schema}
        for error in self.errors(body, schema):
            yield f"{error.json_path}: {error.message}"


def main(document_path, answers_path=None):
    with open(document_path, encoding="utf-8") as file:
        document = Document(json.load(file, object_pairs_hook=once))
    faults = list(document.faults())
    if answers_path:
        with open(answers_path, encoding="utf-8") as file:
            for line in file:
                answer = json.loads(line)
                try:
                    found = list(document.answer_faults(answer))
                except (KeyError, ValueError) as error:
                    found = [repr(error)]
                faults += [f"{fault}, in {line.strip()[:600]}" for fault in found]
    if faults:
        print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
