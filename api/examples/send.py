#!/usr/bin/env python3
"""Sends scan events to carrier, and registers Tokens. Python 3.9 or newer, standard library only.

  send.py send URL FILE                                    events, one JSON object a line
  send.py token ADMIN_URL DELIVERY_ID WAYBILL_ID TOKEN     a waybill's Token

Credentials come from the environment: CARRIER_SIGNING_SECRET (whsec_...), or CARRIER_API_KEY; for token
CARRIER_ADMIN_TOKEN. For each event a line is printed, its id and its verdict. The exit status is 1 if any was refused.
"""
import base64
import hashlib
import hmac
import http.client
import json
import os
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

BATCH = 100  # Events a request; 1,000 and 1 MiB are the most.
PATIENCE = 10  # Attempts. A real sender keeps its events, and goes on for as long as it takes.
SAFE = {"accepted", "held", "ignored", "duplicate"}


def credentials(message_id: str, body: bytes) -> dict:
    """The headers that say who sends: a signature (https://www.standardwebhooks.com), or the key."""
    secret = os.environ.get("CARRIER_SIGNING_SECRET")
    if not secret:
        return {"Authorization": "Bearer " + os.environ["CARRIER_API_KEY"]}
    key = base64.b64decode(secret.removeprefix("whsec_"))
    now = str(int(time.time()))
    digest = hmac.new(key, f"{message_id}.{now}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": now,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def post(url: str, body: bytes, media_type: str) -> dict:
    """Sends until there is an answer. Each attempt has the same bytes, so that what was taken already is a duplicate."""
    message_id = str(uuid.uuid4())
    for attempt in range(PATIENCE):
        pause = random.uniform(0, min(30, 0.2 * 2**attempt))
        headers = {"Content-Type": media_type, **credentials(message_id, body)}
        request = urllib.request.Request(url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            text = e.read()
            if e.code not in (408, 429) and e.code < 500:
                problem = as_problem(text)
                if "verdict" in problem:
                    return problem  # rejected, invalid or conflict: it stays so, however often it is sent.
                raise SystemExit(f"{url}: {e.code} {problem.get('title', '')}: {problem.get('detail', '')}")
            trouble = f"{e.code}"
            if (e.headers.get("Retry-After") or "").isdigit():
                pause = int(e.headers["Retry-After"])
        except (OSError, http.client.HTTPException, ValueError) as e:  # No answer, or half of one.
            trouble = str(e)
        print(f"not taken yet ({trouble}); again in {pause:.1f} s", file=sys.stderr)
        time.sleep(pause)
    raise SystemExit(f"{url}: not taken after {PATIENCE} attempts; keep the events and send them again")


def as_problem(text: bytes) -> dict:
    try:
        problem = json.loads(text)
        return problem if isinstance(problem, dict) else {}
    except ValueError:
        return {}


def send(url: str, file: str) -> int:
    """Sends a file's events in its order: those of one waybill must not overtake each other."""
    with open(file, "rb") as f:
        lines = [line for line in f.read().splitlines() if line.strip()]
    refused = 0
    for i in range(0, len(lines), BATCH):
        part = lines[i : i + BATCH]
        if len(part) == 1:
            results = [post(url + "/v1/events", part[0], "application/json")]
        else:
            results = post(url + "/v1/events/batch", b"\n".join(part) + b"\n", "application/x-ndjson")["results"]
        for result in results:
            print(result.get("id") or "-", result["verdict"])
            # A duplicate repeats what was answered first, which may have been a rejection.
            if result["verdict"] not in SAFE or result.get("original") == "rejected":
                refused += 1
                print(" ", result.get("detail", ""), file=sys.stderr)
    return 1 if refused else 0


def token(admin_url: str, delivery_id: str, waybill_id: str, value: str) -> int:
    """Registers a waybill's Token; what waited for it is pushed then."""
    path = "/admin/v1/waybills/{}/{}/token".format(*(urllib.parse.quote(part, safe="") for part in (delivery_id, waybill_id)))
    request = urllib.request.Request(admin_url + path, json.dumps({"token": value}).encode(), method="PUT")
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", "Bearer " + os.environ["CARRIER_ADMIN_TOKEN"])
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            waybill = json.load(answer)
    except urllib.error.HTTPError as e:
        raise SystemExit(f"{e.code}: {as_problem(e.read()).get('detail', '')}")
    print(waybill_id, "token_set" if waybill["token_set"] else "no token")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"] and len(sys.argv) == 4:
        sys.exit(send(sys.argv[2].rstrip("/"), sys.argv[3]))
    if sys.argv[1:2] == ["token"] and len(sys.argv) == 6:
        sys.exit(token(sys.argv[2].rstrip("/"), *sys.argv[3:]))
    sys.exit(__doc__)
