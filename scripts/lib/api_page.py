#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints a page with what it has of the API's document made anew.

  api_page.py PAGE DOCUMENT

Between <!-- parameters: ID --> and <!-- end --> stands what the operation takes,
between <!-- types --> and <!-- end --> the schemas of answers in TypeScript.
"""
import json
import re
import sys

BLOCK = re.compile(r"(<!-- (parameters: (\w+)|types) -->\n).*?(<!-- end -->)", re.S)


class Page:
    def __init__(self, document):
        self.document = document
        self.operations = {
            operation["operationId"]: operation
            for methods in document["paths"].values()
            for operation in methods.values()}

    def resolved(self, value):
        while "$ref" in value:
            names = value["$ref"].split("/")[1:]
            value = self.document
            for name in names:
                value = value[name]
        return value

    def renewed(self, text):
        return BLOCK.sub(
            lambda block: block[1] + (
                self.parameters(self.operations[block[3]]) if block[3]
                else self.types()) + block[4], text)

    def parameters(self, operation):
        rows = [(p["name"], p["in"], p.get("required"), p["schema"],
                 p["description"])
                for p in map(self.resolved, operation.get("parameters", []))]
        if "requestBody" in operation:
            body = self.resolved(
                operation["requestBody"]["content"]["application/json"]["schema"])
            for name, schema in body["properties"].items():
                rows.append((name, "body", name in body["required"], schema,
                             schema.get("description")
                             or self.resolved(schema).get("description", "")))
        if not rows:
            return "It takes no parameters.\n"
        table = "| parameter | in | takes | default | |\n|---|---|---|---|---|\n"
        for name, place, required, schema, description in rows:
            default = schema.get("default", self.resolved(schema).get("default"))
            default = ("required" if required else
                       "" if default is None else f"`{json.dumps(default)}`")
            table += (f"| `{name}` | {place} | {self.takes(schema)} | "
                      f"{default} | {description} |\n".replace("| |", "||"))
        return table.replace('`"', "`").replace('"`', "`")

    def takes(self, schema):
        schema = self.resolved(schema)
        if "enum" in schema:
            return ", ".join(f"`{value}`" for value in schema["enum"])
        kind = schema.get("format", schema["type"])
        if isinstance(kind, list):
            kind = " or ".join(kind)
        kind = {"uuid": "UUID", "date-time": "time",
                "base64url": "cursor"}.get(kind, kind)
        least, most = schema.get("minimum"), schema.get("maximum")
        return kind if most is None else f"{kind}, {least} to {most}"

    def types(self):
        text = "```ts\n"
        schemas = self.document["components"]["schemas"]
        for name, schema in schemas.items():
            if schema.get("type") != "object":
                text += self.comment(schema, "")
                text += f"export type {name} = {self.type(schema)};\n"
                continue
            text += "\n" + self.comment(schema, "") + f"export interface {name} {{\n"
            for member, inner in schema["properties"].items():
                text += self.comment(inner, "  ")
                mark = "" if member in schema["required"] else "?"
                key = member if member.isidentifier() else json.dumps(member)
                text += f"  {key}{mark}: {self.type(inner)};\n"
            text += "}\n"
        return text + "```\n"

    @staticmethod
    def comment(schema, indent):
        if "description" not in schema:
            return ""
        return f"{indent}/** {schema['description']} */\n"

    def type(self, schema):
        if "$ref" in schema:
            return schema["$ref"].split("/")[-1]
        for key in "const", "enum":
            if key in schema:
                values = schema[key] if key == "enum" else [schema[key]]
                return " | ".join(f"'{value}'" for value in values)
        if schema["type"] == "array":
            return self.type(schema["items"]) + "[]"
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return " | ".join(
            {"integer": "number"}.get(kind, kind) for kind in kinds)


def main(page, document):
    with open(document, encoding="utf-8") as file:
        maker = Page(json.load(file))
    with open(page, encoding="utf-8") as file:
        sys.stdout.write(maker.renewed(file.read()))


if __name__ == "__main__":
    main(*sys.argv[1:])
