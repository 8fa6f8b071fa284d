"""Anthropic's official Python SDK against a running gateway: `anthropic_python.py BASE_URL API_KEY MODEL [scripted]`.

One line per check; exit status 1 if any failed. MODEL may be anything the gateway answers, also a small local model, so
the checks are about the protocol and not about what is said; `scripted` is for a model that calls tools where it is told to.
The gateway must reject unknown models (`unknown_model: reject`).
"""

import asyncio
import sys

from anthropic import (Anthropic, AsyncAnthropic, AuthenticationError, BadRequestError, NotFoundError)

from checks import check, run

BASE_URL, API_KEY, MODEL = sys.argv[1:4]
SCRIPTED = "scripted" in sys.argv[4:]
# What a small model answers at length, too, where it does not roll dice.
LONG = "Write a long story about a river and its valley."
PING = [{"role": "user", "content": "Say one word."}]
CONVERSATION = [
    {"role": "user", "content": "My cat is called Pixel."},
    {"role": "assistant", "content": [{"type": "text", "text": "Noted."}]},
    {"role": "user", "content": [{"type": "text", "text": "What is my cat called?"}]},
]
WEATHER = {"name": "weather", "description": "of a city",
           "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


def scripted(function):
    return check(function) if SCRIPTED else function


def client(**options):
    return Anthropic(**{"base_url": BASE_URL, "api_key": API_KEY, "max_retries": 0, "timeout": 60, **options})


def ask(messages=PING, **options):
    return client().messages.create(**{"model": MODEL, "max_tokens": 24, "messages": messages, **options})


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def expect(error, attempt):
    try:
        attempt()
    except error as caught:
        assert caught.message and caught.type and isinstance(caught.body, dict), caught
        return f"{caught.status_code} {caught.type} {caught.error_code}"
    raise AssertionError(f"no {error.__name__}")


@check
def a_whole_answer():
    answer = ask()
    assert (answer.type, answer.role) == ("message", "assistant") and answer.id and answer.model, answer
    assert text_of(answer) and answer.stop_reason in ("end_turn", "max_tokens"), answer
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0, answer.usage
    return f"{answer.usage.input_tokens} and {answer.usage.output_tokens} tokens"


@check
def the_answer_has_a_request_id():
    assert ask()._request_id


@check
def raw_events_of_a_stream():
    events = list(ask(stream=True))
    kinds = [event.type for event in events if event.type != "ping"]
    assert kinds[:2] == ["message_start", "content_block_start"], kinds
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds
    assert events[0].message.usage.input_tokens > 0


@check
def a_stream_by_the_helper():
    with client().messages.stream(model=MODEL, max_tokens=24, messages=PING) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text and text == text_of(message) and message.stop_reason in ("end_turn", "max_tokens"), message
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message.usage
    return f"{message.usage.output_tokens} tokens"


@check
def a_stream_left_early():
    stream = ask(stream=True)
    next(iter(stream))
    stream.close()


@check
def an_asynchronous_stream():
    async def run():
        async with AsyncAnthropic(base_url=BASE_URL, api_key=API_KEY, max_retries=0) as asynchronous:
            async with asynchronous.messages.stream(model=MODEL, max_tokens=8, messages=PING) as stream:
                return [text async for text in stream.text_stream]

    assert "".join(asyncio.run(run()))


@check
def a_conversation_with_a_system_prompt():
    assert text_of(ask(CONVERSATION, system="You are terse."))
    blocks = [{"type": "text", "text": "You are terse.", "cache_control": {"type": "ephemeral"}}]
    assert text_of(ask(CONVERSATION, system=blocks))


@check
def a_limit_on_tokens():
    answer = ask([{"role": "user", "content": LONG}], max_tokens=4)
    assert answer.usage.output_tokens <= 4 and answer.stop_reason == "max_tokens", answer


@check
def a_token_in_place_of_a_key():
    bearer = client(api_key=None, auth_token=API_KEY)
    assert text_of(bearer.messages.create(model=MODEL, max_tokens=8, messages=PING))


@check
def counted_tokens():
    counted = client().messages.count_tokens(model=MODEL, messages=PING, system="You are terse.")
    assert counted.input_tokens > 3, counted
    return f"{counted.input_tokens} tokens"


@check
def the_list_of_models():
    models = list(client().models.list())
    assert models and all(model.id and model.type == "model" and model.created_at for model in models), models
    return ", ".join(model.id for model in models[:4])


@scripted
def tools_are_called_and_told_what_they_returned():
    question = {"role": "user", "content": "weather in two cities?"}
    answer = ask([question], tools=[WEATHER], tool_choice={"type": "any"}, max_tokens=500)
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert answer.stop_reason == "tool_use" and len(calls) == 2, answer
    assert all(call.name == "weather" and call.input["city"] for call in calls), calls
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"} for call in calls]
    results.append({"type": "text", "text": "and now?"})
    turns = [question, {"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    assert text_of(ask(turns, tools=[WEATHER]))


@scripted
def tools_are_called_in_a_stream():
    question = {"role": "user", "content": "weather in two cities?"}
    with client().messages.stream(model=MODEL, max_tokens=500, messages=[question], tools=[WEATHER]) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        answer = stream.get_final_message()
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert pieces and [call.input for call in calls] == [{"city": "Ulm"}, {"city": "Oslo"}], answer


@scripted
def thoughts_come_with_their_signature_and_go_back():
    question = {"role": "user", "content": "think hard"}
    thinking = {"type": "enabled", "budget_tokens": 1024}
    answer = ask([question], thinking=thinking, max_tokens=2000)
    thoughts = [block for block in answer.content if block.type == "thinking"]
    assert text_of(answer) and all(block.thinking and block.signature for block in thoughts), answer
    turns = [question, {"role": "assistant", "content": answer.content}, {"role": "user", "content": "and now?"}]
    assert text_of(ask(turns, thinking=thinking, max_tokens=2000))
    return f"{len(thoughts)} thoughts"


@check
def a_wrong_key_is_an_authentication_error():
    ask = lambda: client(api_key="sk-wrong").messages.create(model=MODEL, max_tokens=8, messages=PING)
    return expect(AuthenticationError, ask)


@check
def an_unknown_model_is_not_found():
    return expect(NotFoundError, lambda: ask(model="no-such-model-anywhere"))


@check
def a_bad_parameter_is_a_bad_request():
    return expect(BadRequestError, lambda: ask(extra_body={"temperature": 3}))


@check
def no_messages_is_a_bad_request():
    return expect(BadRequestError, lambda: ask(messages=[]))


run("anthropic python")
