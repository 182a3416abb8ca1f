#!/usr/bin/env python3
"""A Reelay agent in one file, with nothing but Python's standard library (3.9 or newer).

    python3 agent.py upload clip.mp4 --project demo --session s1 --scene intro --type video_chunk
    python3 agent.py wait b_6mhF1kUZ2c0Yk3xqS9aT
    python3 agent.py download a_0dQvWn7m2JtLbE5yR8pX clip.mp4

Variables: REELAY_API_URL, REELAY_KEY, PATIENCE_SECONDS.
Ends with 0 when it is done, 1 when Reelay refused it, 75 ("try again later") when the API stayed away.
"""

import argparse
import http.client
import json
import mimetypes
import os
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

API_URL = os.environ.get("REELAY_API_URL", "http://127.0.0.1:3000").rstrip("/")
KEY = os.environ.get("REELAY_KEY", "")
PATIENCE_SECONDS = float(os.environ.get("PATIENCE_SECONDS", "60"))
LONGEST_WAIT_SECONDS = 60
TRY_TIMEOUT_SECONDS = 300


class ReelayError(Exception):
    """What the API answers to a call it refuses; `code` is stable, `next_action` is for people."""

    def __init__(self, error, status=None, retry_after=0.0):
        super().__init__(f"{error['code']}: {error['message']} {error['nextAction']}")
        self.code = error["code"]
        self.retryable = error["retryable"]
        self.next_action = error["nextAction"]
        self.status = status
        self.retry_after = retry_after


def unreachable(reason):
    """There was no answer, or half of one."""
    message = f"{API_URL} cannot be reached ({reason})."
    action = "Check that the API runs there."
    return ReelayError({"code": "UNREACHABLE", "message": message, "retryable": True, "nextAction": action})


def retrying(attempt):
    """Runs `attempt` until it succeeds, is refused, or PATIENCE_SECONDS are over; no sooner than Retry-After asks."""
    failing_since = None
    tries = 0
    while True:
        try:
            return attempt()
        except ReelayError as error:
            if not error.retryable:
                raise
            now = time.monotonic()
            failing_since = failing_since or now
            wait = max(min(0.2 * 2**tries, 5), min(error.retry_after, LONGEST_WAIT_SECONDS))
            wait *= 1 + random.random() / 4  # callers that were told the same do not all come back at once
            if now + wait > failing_since + PATIENCE_SECONDS:
                raise
            say(f"{error.code}: trying again in {wait:.1f} s")
            time.sleep(wait)
            tries += 1


def call(method, path, body=None, headers=None):
    """Sends a request and gives the answer's JSON. `body` makes the bytes anew for each try."""

    def attempt():
        request = urllib.request.Request(
            API_URL + path, data=body() if body else None, method=method, headers=headers or {}
        )
        request.add_unredirected_header("Authorization", f"Bearer {KEY}")
        with opened(request) as answer:
            try:
                return json.load(answer)
            except (OSError, http.client.HTTPException, ValueError) as reason:  # cut off, or not JSON
                raise unreachable(reason) from reason

    return retrying(attempt)


def opened(request):
    """The answer to a request, its status checked. Raises ReelayError."""
    try:
        return urllib.request.urlopen(request, timeout=TRY_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as answer:
        raise error_of(answer) from None
    except (OSError, http.client.HTTPException) as reason:  # refused, reset, too late
        raise unreachable(reason) from reason


def error_of(answer):
    seconds = answer.headers.get("Retry-After", "")
    retry_after = float(seconds) if seconds.isdigit() else 0.0
    try:
        return ReelayError(json.load(answer)["error"], answer.code, retry_after)
    except (ValueError, KeyError, TypeError, OSError):  # a proxy in front of the API, for example
        error = {"code": "UNEXPECTED_ANSWER", "message": f"{API_URL} answered {answer.code}.", "nextAction": ""}
        return ReelayError({**error, "retryable": answer.code >= 500}, answer.code, retry_after)


class Form:
    """A multipart/form-data body: fields first, one file last, read as it is sent. Memory stays flat."""

    def __init__(self, fields, path):
        self.boundary = uuid.uuid4().hex
        name = os.path.basename(path).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        content_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
        parts = [
            f'--{self.boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in fields.items()
        ]
        parts.append(
            f'--{self.boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            f"Content-Type: {content_type}\r\n\r\n"
        )
        self.path = path
        self.head = "".join(parts).encode()
        self.tail = f"\r\n--{self.boundary}--\r\n".encode()
        self.length = len(self.head) + os.path.getsize(path) + len(self.tail)

    def chunks(self):
        yield self.head
        with open(self.path, "rb") as file:
            while chunk := file.read(256 * 1024):
                yield chunk
        yield self.tail


def upload(path, fields, idempotency_key):
    """Uploads a file and gives the API's answer, `{batchId, outcome, jobs}`. Under one key it is one upload, however
    often it is sent; give the same key again when a process died before its answer."""
    form = Form(fields, path)
    headers = {
        "Content-Type": f"multipart/form-data; boundary={form.boundary}",
        "Content-Length": str(form.length),
        "Idempotency-Key": idempotency_key,
    }
    return call("POST", "/v1/uploads/files", form.chunks, headers)


def wait(batch_id):
    """Waits until each file of the batch is ready or failed; raises the error of the first that failed."""
    pause = 0.1
    while True:
        batch = call("GET", f"/v1/batches/{urllib.parse.quote(batch_id, safe='')}")
        if batch["state"] == "done":
            break
        time.sleep(pause)
        pause = min(pause * 2, 2)
    for failed in batch["failed"]:
        raise ReelayError(failed["error"])
    return batch["successful"]


def download(asset_id, path):
    """Saves an asset's bytes. The URL may lead to a store that knows nothing of our key, so it is not sent there."""

    def attempt():
        found = call("GET", f"/v1/assets/{urllib.parse.quote(asset_id, safe='')}/url")
        request = urllib.request.Request(found["url"])
        if found["servedFrom"] == "content":
            request.add_unredirected_header("Authorization", f"Bearer {KEY}")
        with opened(request) as answer, open(f"{path}.part", "wb") as file:
            try:
                while chunk := answer.read(256 * 1024):
                    file.write(chunk)
            except http.client.HTTPException as reason:  # cut off
                raise unreachable(reason) from reason

    retrying(attempt)
    os.replace(f"{path}.part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    uploading = commands.add_parser("upload", help="upload a file and wait until it is ready")
    uploading.add_argument("path")
    for name in ("project", "session"):
        uploading.add_argument(f"--{name}", required=True)
    uploading.add_argument("--scene")
    uploading.add_argument("--type", required=True, help="video_chunk, source_code, thumbnail, subtitle, …")
    uploading.add_argument("--metadata", type=json.loads, default={}, help="JSON kept with the asset")
    uploading.add_argument("--key", default=None, help="idempotency key; random unless given")
    waiting = commands.add_parser("wait", help="wait for a batch")
    waiting.add_argument("batch")
    downloading = commands.add_parser("download", help="save an asset's bytes")
    downloading.add_argument("asset")
    downloading.add_argument("path")
    options = parser.parse_args()

    if options.command == "upload":
        fields = {"project": options.project, "session": options.session, "assetType": options.type}
        if options.scene:
            fields["scene"] = options.scene
        if options.metadata:
            fields["metadata"] = json.dumps(options.metadata)
        accepted = upload(options.path, fields, options.key or uuid.uuid4().hex)
        say(f"accepted as {accepted['batchId']} ({accepted['outcome']})")
        print(*wait(accepted["batchId"]), sep="\n")
    elif options.command == "wait":
        print(*wait(options.batch), sep="\n")
    else:
        download(options.asset, options.path)


def say(line):
    print(line, file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except ReelayError as error:
        say(str(error))
        sys.exit(75 if error.retryable else 1)
