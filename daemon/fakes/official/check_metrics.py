"""Prometheus' official Python parsers read `/metrics` in both formats, each under the content type that names it.

Usage: check_metrics.py FOLDER, where FOLDER holds the built `voice-streamer` and its plugins.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from prometheus_client import parser
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

CONFIG = """
[http]
listen = "127.0.0.1:0"
[log]
format = "json"
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
"""

# What Prometheus 3 sends.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def scrape(address, accept):
    request = urllib.request.Request(f"http://{address}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def values(families):
    return {(sample.name, *sorted(sample.labels.items())) for family in families for sample in family.samples}


def check(address):
    scrape(address, "*/*")  # the first one is itself a series of the next
    kind, text = scrape(address, PROMETHEUS)
    assert kind.startswith("application/openmetrics-text"), kind
    modern = values(read_openmetrics(text))
    kind, text = scrape(address, "text/plain")
    assert kind.startswith("text/plain; version=0.0.4"), kind
    families = list(parser.text_string_to_metric_families(text))
    assert not [family.name for family in families if family.type == "unknown"], "no line is without a type"
    classic = values(families)
    assert len(modern) > 100 and modern == classic, modern ^ classic
    return len(modern)


def main(folder):
    with tempfile.TemporaryDirectory() as state:
        config = Path(state) / "config.toml"
        config.write_text(CONFIG)
        with subprocess.Popen([f"{folder}/voice-streamer", "--config", config], stderr=subprocess.PIPE, text=True) as daemon:
            try:
                for line in daemon.stderr:
                    webhook = json.loads(line).get("fields", {}).get("webhook")
                    if webhook:
                        break
                count = check(webhook.split("/")[2])
            finally:
                daemon.kill()
    print(f"metrics: the official parsers read the same {count} series in both formats")


main(sys.argv[1])
