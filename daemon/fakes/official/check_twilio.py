"""Twilio's official Python client works against the stand-in for Twilio's REST API.

Everything the tunnel and the calls API do over REST, and the errors they must understand, as the client sees them.
Usage: check_twilio.py FOLDER, where FOLDER holds the built `fake-twilio`.
"""

import subprocess
import sys

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client


class Loopback(TwilioHttpClient):
    """The client's own HTTP, led to another address."""

    def __init__(self, base):
        super().__init__()
        self.base = base

    def request(self, method, url, *arguments, **named):
        assert url.startswith("https://api.twilio.com/"), url
        url = url.replace("https://api.twilio.com", self.base, 1)
        return super().request(method, url, *arguments, **named)


def refused(do, status, code):
    try:
        do()
    except TwilioRestException as error:
        assert (error.status, error.code) == (status, code), error
        return
    raise AssertionError(f"not refused with {status}, {code}")


def check(base, account, token):
    client = Client(account, token, http_client=Loopback(base))

    numbers = client.incoming_phone_numbers.list()
    assert [n.phone_number for n in numbers] == [f"+15550{n}" for n in range(100, 105)], numbers
    # Five rows, two to a page: the client follows next_page_uri.
    assert len(list(client.incoming_phone_numbers.stream(page_size=2))) == 5
    page = client.incoming_phone_numbers.page(page_size=2)
    assert page.next_page_url and len(list(page)) == 2
    (one,) = client.incoming_phone_numbers.list(phone_number="+15550103")
    assert one.phone_number == "+15550103"

    # Borrowed and put back, with what was not set before.
    assert not one.voice_url and not one.trunk_sid
    url = "https://voice.example.com/twilio/stream/"
    set_ = one.update(voice_url=url, voice_method="POST", status_callback=url, status_callback_method="GET")
    assert (set_.voice_url, set_.status_callback, set_.status_callback_method) == (url, url, "GET")
    assert client.incoming_phone_numbers(one.sid).fetch().voice_url == url
    back = one.update(voice_url="", status_callback="", status_callback_method="POST")
    assert not back.voice_url and not back.status_callback

    # A trunk and an application exclude each other; an empty value clears.
    trunk, application = "TK" + "0" * 32, "AP" + "0" * 32
    assert one.update(voice_application_sid=application).voice_application_sid == application
    trunked = one.update(trunk_sid=trunk)
    assert trunked.trunk_sid == trunk and not trunked.voice_application_sid
    assert not one.update(trunk_sid="").trunk_sid
    refused(lambda: one.update(voice_fallback_url=url), 400, 21405)

    ringing, talking, over = client.calls.list()
    assert [c.status for c in (ringing, talking, over)] == ["ringing", "in-progress", "completed"]
    assert [c.sid for c in client.calls.list(status="in-progress")] == [talking.sid]
    assert client.calls(talking.sid).fetch().status == "in-progress"
    assert client.calls(talking.sid).update(status="completed").status == "completed"
    assert client.calls(ringing.sid).update(status="canceled").status == "canceled"
    refused(lambda: client.calls(over.sid).update(status="completed"), 400, 21220)

    refused(lambda: client.incoming_phone_numbers("PN" + "f" * 32).fetch(), 404, 20404)
    refused(lambda: client.calls("CA" + "f" * 32).fetch(), 404, 20404)
    stranger = Client(account, "wrong", http_client=Loopback(base))
    refused(lambda: stranger.incoming_phone_numbers(one.sid).fetch(), 401, 20003)


def main(folder):
    command = [f"{folder}/fake-twilio", "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as fake:
        check(*fake.stdout.readline().split())
        told, _ = fake.communicate()
        assert fake.returncode == 0, told
    print("twilio: the official client and the stand-in agree")


main(sys.argv[1])
