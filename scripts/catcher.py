#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Catches notifications on their way to Slack and to mailboxes.

Stands in for both in the demo and in the tests: one HTTP port that answers as
Slack's incoming webhooks do (POST /slack; GET /healthz for the launcher), one
SMTP port that takes any mail. Each notification becomes one line of JSON in
the output file:
  {"at": RFC 3339, "channel": "slack"|"mail", "subject": ..., "text": ...}
Slack's attachments and blocks are flattened into the text, which carries the
raw `payload` beside it. A mail's text is its decoded plain part, or its HTML
part without the tags; `from`, `to` and the decoded `html` stand beside it.
"""

import argparse
import datetime
import email
import email.policy
import html.parser
import http.server
import json
import signal
import sys
import threading
import urllib.parse

from aiosmtpd.controller import Controller

BODY_LIMIT = 4 * 1024 * 1024


class Journal:
    """The output file. Lines of threads that write at once stay whole."""

    def __init__(self, path):
        self._file = open(path, "a", encoding="utf-8")
        self._lock = threading.Lock()

    def write(self, channel, subject, text, **more):
        at = datetime.datetime.now(datetime.timezone.utc)
        record = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "channel": channel,
            "subject": subject,
            "text": text,
            **more,
        }
        with self._lock:
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
            self._file.flush()
        print(f"{record['at']} {channel}: {subject}", flush=True)


def block_texts(block):
    """The texts inside a Block Kit element, in their order."""
    if isinstance(block, list):
        return [text for item in block for text in block_texts(item)]
    if not isinstance(block, dict):
        return []
    texts = [block["text"]] if isinstance(block.get("text"), str) else []
    return texts + [
        text
        for value in block.values()
        if isinstance(value, (dict, list))
        for text in block_texts(value)
    ]


def attachment_texts(attachment):
    """What Slack shows of an attachment; its fallback if there is nothing."""
    lines = [attachment.get(key) for key in ("pretext", "title", "title_link")]
    lines.append(attachment.get("text"))
    for field in attachment.get("fields") or []:
        lines.append(f"{field.get('title', '')}: {field.get('value', '')}")
    for action in attachment.get("actions") or []:
        lines.append(f"{action.get('text', '')}: {action.get('url', '')}")
    lines += block_texts(attachment.get("blocks"))
    lines.append(attachment.get("footer"))
    shown = [line for line in lines if line]
    return shown or [attachment.get("fallback") or ""]


def flatten_slack(payload):
    """A Slack message as (subject, text)."""
    attachments = payload.get("attachments") or []
    lines = [payload.get("text") or ""]
    lines += block_texts(payload.get("blocks"))
    for attachment in attachments:
        lines += attachment_texts(attachment)
    lines = [line for line in lines if line]
    title = next((a["title"] for a in attachments if a.get("title")), "")
    return title or (lines[0].splitlines()[0] if lines else ""), "\n".join(lines)


class Untag(html.parser.HTMLParser):
    """Turns HTML into the text a reader sees, and keeps links' addresses."""

    HIDDEN = ("style", "script", "head", "title")
    BREAKS = ("br", "p", "div", "tr", "table", "li", "h1", "h2", "h3")

    def __init__(self):
        super().__init__()
        self.parts = []
        self._hidden = 0

    def handle_starttag(self, tag, attrs):
        if tag in self.HIDDEN:
            self._hidden += 1
        elif tag in self.BREAKS:
            self.parts.append("\n")
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.parts.append(f"<{href}> ")

    def handle_endtag(self, tag):
        if tag in self.HIDDEN and self._hidden:
            self._hidden -= 1
        elif tag in self.BREAKS:
            self.parts.append("\n")

    def handle_data(self, data):
        if not self._hidden:
            self.parts.append(data)

    def text(self):
        lines = (" ".join(line.split()) for line in "".join(self.parts).split("\n"))
        return "\n".join(line for line in lines if line)


def strip_tags(markup):
    parser = Untag()
    parser.feed(markup)
    parser.close()
    return parser.text()


def flatten_mail(content):
    """A mail's bytes as (subject, text, html); html is "" if there is none."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    plain, markup = [], []
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            plain.append(part.get_content())
        elif part.get_content_type() == "text/html":
            markup.append(part.get_content())
    text = "\n".join(plain) or strip_tags("\n".join(markup))
    return str(message["subject"] or ""), text.strip(), "\n".join(markup)


class MailHandler:
    """Called by aiosmtpd, from its own thread."""

    def __init__(self, journal):
        self._journal = journal

    async def handle_DATA(self, _server, _session, envelope):
        subject, text, markup = flatten_mail(envelope.content)
        self._journal.write(
            "mail", subject, text,
            **{"from": envelope.mail_from, "to": envelope.rcpt_tos,
               "html": markup},
        )
        return "250 OK"


class SlackHandler(http.server.BaseHTTPRequestHandler):
    """Answers as Slack does: a bare "ok", or a word that names the mistake."""

    journal = None  # set by main

    def do_GET(self):
        if self.path == "/healthz":
            self.answer(200, "ok")
        else:
            self.answer(404, "not_found")

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_LIMIT:
            self.close_connection = True
            return self.answer(413, "too_large")
        body = self.rfile.read(length)
        if self.path != "/slack":
            return self.answer(404, "no_team")
        try:
            if body.startswith(b"payload="):
                body = urllib.parse.parse_qs(body.decode())["payload"][0]
            payload = json.loads(body)
            subject, text = flatten_slack(payload)
        except (ValueError, AttributeError, TypeError):
            return self.answer(400, "invalid_payload")
        if not text:
            return self.answer(400, "no_text")
        self.journal.write("slack", subject, text, payload=payload)
        return self.answer(200, "ok")

    def answer(self, status, word):
        body = word.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *arguments):
        if not self.path.startswith("/healthz"):
            print(self.address_string(), format % arguments, flush=True)


def address(text):
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT")
    return host, int(port)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--http", type=address, required=True, metavar="HOST:PORT")
    parser.add_argument("--smtp", type=address, required=True, metavar="HOST:PORT")
    parser.add_argument("--output", required=True, metavar="FILE")
    arguments = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    journal = Journal(arguments.output)
    SlackHandler.journal = journal
    smtp_host, smtp_port = arguments.smtp
    mail = Controller(MailHandler(journal), hostname=smtp_host, port=smtp_port,
                      data_size_limit=BODY_LIMIT)
    mail.start()
    try:
        with http.server.ThreadingHTTPServer(arguments.http, SlackHandler) as web:
            web.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        mail.stop()


if __name__ == "__main__":
    main()
