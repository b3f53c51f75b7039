"""The daemon takes what Twilio's official RequestValidator signs, and nothing else.

Random requests with odd letters, empty values, repeats, queries; each also with one thing changed after signing. The
daemon has a token and no public address, so it checks against its own. Usage: check_signature.py FOLDER, where FOLDER
holds the built `voice-streamer` and its plugins.
"""

import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote, urlencode

from twilio.request_validator import RequestValidator

REQUESTS = 300
TOKEN = "0123456789abcdef0123456789abcdef"
CONFIG = """
[http]
listen = "127.0.0.1:0"
[log]
format = "json"
[twilio]
auth_token = "%s"
[plugins.echo]
library = "responder_echo"
[plugins.pico]
library = "tts_pico"
[voices.english]
plugin = "pico"
voice = "en-US"
[agents.default]
responder = "echo"
voice = "english"
""" % TOKEN
LETTERS = "aZ09 +&=%?#/\\\"'<>~*-._éñ東😀\t"


class Form(dict):
    """A form with repeats, in the shape the validator knows from web frameworks."""

    def getlist(self, name):
        return self[name]

    def pairs(self):
        return [(name, value) for name, values in self.items() for value in values]


def text(dice, most):
    return "".join(dice.choice(LETTERS) for _ in range(dice.randint(0, most)))


def form(dice):
    names = {"N" + text(dice, 8) for _ in range(dice.randint(0, 12))}
    return Form({name: [text(dice, 20) for _ in range(dice.choice([1, 1, 1, 2, 3]))] for name in names})


def ask(address, method, path, body, signature):
    connection = http.client.HTTPConnection(address, timeout=10)
    headers = {"X-Twilio-Signature": signature}
    if method == "POST":
        headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
    connection.request(method, path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def check(address, seed):
    dice = random.Random(seed)
    validator = RequestValidator(TOKEN)
    for number in range(REQUESTS):
        where = f"seed {seed}, request {number}"
        query = urlencode([("q" + str(n), text(dice, 10)) for n in range(dice.randint(0, 3))])
        path = "/twilio/status/" + ("?" + query if query else "")
        method = dice.choice(["POST", "POST", "GET"])
        sent = form(dice) if method == "POST" else Form()
        body = urlencode(sent.pairs(), quote_via=dice.choice([quote, lambda s, *_: quote(s, "").replace("%20", "+")]))
        body = body if method == "POST" else None
        signature = validator.compute_signature(f"http://{address}{path}", sent)
        # Signed, but about no call: the daemon finds it in order (not 403) and makes nothing of it.
        assert ask(address, method, path, body, signature) == 400, where
        more = path + ("&" if query else "?") + "x=1"
        assert ask(address, method, more, body, signature) == 403, f"{where}: another address"
        if body is not None:
            added = body + ("&" if body else "") + "Added=1"
            assert ask(address, method, path, added, signature) == 403, f"{where}: another field"
        wrong = RequestValidator(TOKEN[::-1]).compute_signature(f"http://{address}{path}", sent)
        assert ask(address, method, path, body, wrong) == 403, f"{where}: another token"


def main(folder):
    seed = int(os.environ.get("VS_SEED", random.randrange(2**32)))
    with tempfile.TemporaryDirectory() as state:
        config = Path(state) / "config.toml"
        config.write_text(CONFIG)
        command = [f"{folder}/voice-streamer", "--config", config]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
            try:
                for line in daemon.stderr:
                    webhook = json.loads(line).get("fields", {}).get("webhook")
                    if webhook:
                        break
                address = webhook.split("/")[2]
                # Its log is long and nobody's business, but a full pipe would stop it.
                drain = subprocess.Popen(["cat"], stdin=daemon.stderr, stdout=subprocess.DEVNULL)
                check(address, seed)
            finally:
                daemon.kill()
        drain.wait()
    print(f"signatures: the official validator and the daemon agree on {REQUESTS} requests (seed {seed})")


main(sys.argv[1])
