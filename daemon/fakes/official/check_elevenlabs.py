"""ElevenLabs' official Python client works against the stand-in for ElevenLabs' speech API.

Everything the plugin asks for, read by the client's own models, and the errors as the client tells them apart.
Usage: check_elevenlabs.py FOLDER, where FOLDER holds the built `fake-elevenlabs`.
"""

import subprocess
import sys

import httpx
from elevenlabs import VoiceSettings
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError

TEXT = "Hello there."
# 60 ms of mu-law for each letter.
BYTES = 480 * len(TEXT)
ONCE = {"max_retries": 0}


def stream(client, voice, **more):
    sound = client.text_to_speech.stream(
        voice, text=TEXT, model_id="eleven_flash_v2_5", output_format="ulaw_8000", request_options=ONCE, **more
    )
    return b"".join(sound)


def refused(do, status, *codes):
    try:
        do()
    except ApiError as error:
        assert error.status_code == status, error
        body = error.body
        detail = body["detail"] if isinstance(body, dict) else body
        if isinstance(detail, dict):
            assert (detail.get("code") or detail.get("status")) in codes, error
            assert detail["message"], error
        return error
    raise AssertionError(f"not refused with {status}")


def streams_sound(client, voice):
    assert len(stream(client, voice)) == BYTES


def same_text_makes_the_same_sound_and_another_text_another(client, voice):
    assert stream(client, voice) == stream(client, voice)
    whole = client.text_to_speech.convert(voice, text="Hello there!", output_format="ulaw_8000")
    assert b"".join(whole) != stream(client, voice)


def takes_every_setting(client, voice):
    settings = VoiceSettings(stability=0.5, similarity_boost=0.75, style=0.0, use_speaker_boost=True, speed=1.1)
    sound = stream(client, voice, voice_settings=settings, seed=7, language_code="en", apply_text_normalization="off")
    assert len(sound) == BYTES


def says_what_it_costs(client, voice):
    with client.text_to_speech.with_raw_response.stream(voice, text=TEXT, output_format="ulaw_8000") as answer:
        assert answer.headers["request-id"].startswith("req_")
        assert answer.headers["character-cost"] == str(len(TEXT))
        assert int(answer.headers["current-concurrent-requests"]) <= int(answer.headers["maximum-concurrent-requests"])
        assert len(b"".join(answer.data)) == BYTES


def pages_through_the_voices(client, voice):
    seen, token = [], None
    while True:
        page = client.voices.search(page_size=50, next_page_token=token)
        seen += [v.voice_id for v in page.voices]
        assert page.total_count == 123
        token = page.next_page_token
        if not page.has_more:
            break
    assert len(seen) == len(set(seen)) == 123 and token is None
    assert voice in seen


def finds_a_voice_by_name(client, voice):
    (found,) = client.voices.search(search="rachel").voices
    assert (found.voice_id, found.name, found.labels["language"]) == (voice, "Rachel", "en")


def lists_all_voices_at_once(client, voice):
    assert len(client.voices.get_all().voices) == 123


def lists_models(client, voice):
    flash = next(m for m in client.models.list() if m.model_id == "eleven_flash_v2_5")
    assert flash.can_do_text_to_speech and flash.maximum_text_length_per_request == 40000
    assert [language.language_id for language in flash.languages] == ["en", "es"]


def knows_the_plan(client, voice):
    plan = client.user.subscription.get()
    assert (plan.tier, plan.status, plan.character_limit) == ("creator", "active", 10000)


def refuses_a_wrong_key(client, voice):
    stranger = ElevenLabs(api_key="sk_wrong", base_url=client._client_wrapper.get_base_url())
    refused(lambda: stranger.models.list(), 401, "invalid_api_key")
    refused(lambda: stream(stranger, voice), 401, "invalid_api_key")


def tells_refusals_apart(client, voice):
    for fault, status, code in [
        ("quota", 401, "quota_exceeded"),
        ("quota-new", 401, "quota_exceeded"),
        ("invalid-key-old", 400, "invalid_api_key"),
        ("not-found", 404, "voice_not_found"),
        ("not-found-old", 400, "voice_not_found"),
        ("creator", 403, "only_for_creator+"),
        ("too-many", 429, "too_many_concurrent_requests"),
        ("concurrent", 429, "concurrent_limit_exceeded"),
        ("busy", 429, "system_busy"),
        ("server", 500, ""),
    ]:
        refused(lambda: stream(client, f"fault-{fault}"), status, code)
    refused(lambda: stream(client, "nobody"), 404, "voice_not_found")
    long = client.text_to_speech.stream(
        voice, text="x" * 101, model_id="eleven_short_of_breath", output_format="ulaw_8000"
    )
    refused(lambda: b"".join(long), 400, "max_character_limit_exceeded")


def names_what_is_unprocessable(client, voice):
    error = refused(lambda: stream(client, "fault-unprocessable"), 422)
    assert type(error).__name__ == "UnprocessableEntityError"
    (detail,) = error.body["detail"]
    assert (detail["loc"], detail["msg"]) == (["body", "text"], "Field required")


def breaks_off_on_demand(client, voice):
    try:
        stream(client, "fault-cut")
    except httpx.RemoteProtocolError:
        return
    raise AssertionError("a cut stream looked whole")


def odd_pieces_are_the_same_sound(client, voice):
    assert stream(client, "fault-odd") == stream(client, voice)
    assert stream(client, "fault-no-audio") == b""


CHECKS = [
    streams_sound,
    same_text_makes_the_same_sound_and_another_text_another,
    takes_every_setting,
    says_what_it_costs,
    pages_through_the_voices,
    finds_a_voice_by_name,
    lists_all_voices_at_once,
    lists_models,
    knows_the_plan,
    refuses_a_wrong_key,
    tells_refusals_apart,
    names_what_is_unprocessable,
    breaks_off_on_demand,
    odd_pieces_are_the_same_sound,
]


def main(folder):
    command = [f"{folder}/fake-elevenlabs", "--port", "0"]
    passed, failed = 0, 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as fake:
        base, key, voice = fake.stdout.readline().split()
        client = ElevenLabs(api_key=key, base_url=base)
        for check in CHECKS:
            try:
                check(client, voice)
                passed += 1
            except Exception as error:  # Whatever a check throws, the others are still worth knowing.
                failed += 1
                print(f"FAILED {check.__name__}: {type(error).__name__}: {error}")
        told, _ = fake.communicate()
        if fake.returncode != 0:
            failed += 1
            print(told, end="")
    print(f"elevenlabs: {passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main(sys.argv[1])
