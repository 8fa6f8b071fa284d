"""Anthropic's official Python SDK: see `checks.py`."""

import asyncio
from typing import Literal

from anthropic import (Anthropic, AsyncAnthropic, AuthenticationError, BadRequestError, NotFoundError,
                       PermissionDeniedError, RateLimitError, UnprocessableEntityError)
from pydantic import BaseModel

from checks import (API_KEY, BASE_URL, CARD, CITY_SCHEMA, LONG, LOOK, MODEL, NAME_A_CITY, ONE_CITY, PNG, THINK, TOO_MUCH,
                    TWO_CITIES, check, expect, run, scripted, unless_refused)
from checks import PING as WORDS

PING = [{"role": "user", "content": WORDS}]
CONVERSATION = [
    {"role": "user", "content": "My cat is called Pixel."},
    {"role": "assistant", "content": [{"type": "text", "text": "Noted."}]},
    {"role": "user", "content": [{"type": "text", "text": "What is my cat called?"}]},
]
ONE_TOOL = {"type": "any", "disable_parallel_tool_use": True}
WEATHER = {"name": "weather", "description": "of a city", "input_schema": CITY_SCHEMA}


class City(BaseModel):
    name: Literal["Ulm"]


def user(content):
    return [{"role": "user", "content": content}]


def client(**options):
    base = BASE_URL.removesuffix("/v1")
    return Anthropic(**{"base_url": base, "api_key": API_KEY, "max_retries": 0, "timeout": 60, **options})


def ask(messages=PING, **options):
    return client().messages.create(**{"model": MODEL, "max_tokens": 24, "messages": messages, **options})


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def calls_in(message):
    return [block for block in message.content if block.type == "tool_use"]


@check("chat")
def a_whole_answer():
    answer = ask()
    assert (answer.type, answer.role) == ("message", "assistant") and answer.id and answer.model, answer
    assert text_of(answer) and answer.stop_reason in ("end_turn", "max_tokens"), answer


@check
def the_answer_has_a_request_id():
    assert ask()._request_id


@check("stream")
def raw_events_of_a_stream():
    events = list(ask(stream=True))
    kinds = [event.type for event in events if event.type != "ping"]
    assert kinds[:2] == ["message_start", "content_block_start"], kinds
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds
    assert events[0].message.usage.input_tokens > 0


@check("stream")
def a_stream_by_the_helper():
    with client().messages.stream(model=MODEL, max_tokens=24, messages=PING) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text and text == text_of(message) and message.stop_reason in ("end_turn", "max_tokens"), message


@check("usage")
def whole_and_streamed_answers_are_counted_alike():
    with client().messages.stream(model=MODEL, max_tokens=24, messages=PING) as stream:
        streamed = stream.get_final_message().usage
    assert streamed.input_tokens > 0 and streamed.output_tokens > 0, streamed
    whole = ask(max_tokens=24).usage
    read = [usage.input_tokens + usage.cache_read_input_tokens for usage in (whole, streamed)]
    assert read[0] == read[1] and whole.output_tokens > 0, (whole, streamed)
    return f"{whole.input_tokens} and {whole.output_tokens} tokens"


@check
def a_stream_left_early():
    stream = ask(stream=True)
    next(iter(stream))
    stream.close()


@check("stream")
def an_asynchronous_stream():
    async def run():
        base = BASE_URL.removesuffix("/v1")
        async with AsyncAnthropic(base_url=base, api_key=API_KEY, max_retries=0) as asynchronous:
            async with asynchronous.messages.stream(model=MODEL, max_tokens=8, messages=PING) as stream:
                return [text async for text in stream.text_stream]

    assert "".join(asyncio.run(run()))


@check("chat")
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
def the_list_of_models_and_one_of_them():
    models = list(client().models.list())
    assert models and all(model.id and model.type == "model" and model.created_at for model in models), models
    one = client().models.retrieve(models[-1].id)
    assert (one.id, one.type, one.created_at) == (models[-1].id, "model", models[-1].created_at), one
    return ", ".join(model.id for model in models[:4])


@check("tools")
def a_tool_is_called_and_told_what_it_returned():
    answer = ask(user(ONE_CITY), tools=[WEATHER], tool_choice=ONE_TOOL, max_tokens=200)
    calls = calls_in(answer)
    assert answer.stop_reason == "tool_use" and calls[0].input == {"city": "Ulm"}, answer
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"} for call in calls]
    results.append({"type": "text", "text": "and now?"})
    turns = [*user(ONE_CITY), {"role": "assistant", "content": answer.content}, *user(results)]
    assert text_of(ask(turns, tools=[WEATHER], tool_choice={"type": "none"}))


@check("streamed tools")
def a_tool_is_called_in_a_stream():
    options = {"messages": user(ONE_CITY), "tools": [WEATHER], "tool_choice": ONE_TOOL}
    with client().messages.stream(model=MODEL, max_tokens=200, **options) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        answer = stream.get_final_message()
    assert pieces and calls_in(answer)[0].input == {"city": "Ulm"}, answer


@scripted("parallel tools")
def two_tools_are_called_at_once_whole_and_streamed():
    options = {"messages": user(TWO_CITIES), "tools": [WEATHER], "max_tokens": 200}
    with client().messages.stream(model=MODEL, **options) as stream:
        streamed = stream.get_final_message()
    for answer in (ask(**options), streamed):
        assert [call.input for call in calls_in(answer)] == [{"city": "Ulm"}, {"city": "Oslo"}], answer


@check("structured output")
def an_answer_has_a_form():
    answer = client().messages.parse(model=MODEL, max_tokens=50, messages=user(NAME_A_CITY), output_format=City)
    assert answer.parsed_output == City(name="Ulm"), answer


@check("vision")
def an_image_is_looked_at():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    content = [{"type": "text", "text": LOOK}, image]
    assert text_of(unless_refused(UnprocessableEntityError, lambda: ask(user(content))))


@check("reasoning")
def thoughts_are_asked_for_shown_counted_and_sent_back():
    options = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}
    answer = unless_refused(UnprocessableEntityError, lambda: ask(user(THINK), **options))
    thoughts = [block for block in answer.content if block.type == "thinking"]
    assert text_of(answer) and [block.thinking for block in thoughts] == ["hm, a river"], answer
    assert answer.usage.output_tokens_details.thinking_tokens == 3, answer.usage
    turns = [*user(THINK), {"role": "assistant", "content": answer.content}, *user("and now?")]
    assert text_of(ask(turns, **options))
    with client().messages.stream(model=MODEL, messages=user(THINK), **options) as stream:
        assert "".join(event.thinking for event in stream if event.type == "thinking") == "hm, a river"


@check("errors")
def errors_are_of_the_sdks_types():
    expect(BadRequestError, "invalid_value", lambda: ask(extra_body={"temperature": 3}))
    expect(BadRequestError, "messages", lambda: ask(messages=[]))
    expect(AuthenticationError, "invalid_api_key",
           lambda: client(api_key="sk-wrong").messages.create(model=MODEL, max_tokens=8, messages=PING))
    expect(PermissionDeniedError, "policy_unsatisfiable", lambda: ask(user(CARD)))
    expect(NotFoundError, "model_not_found", lambda: ask(model="no-such-model-anywhere"))
    expect(RateLimitError, "budget_exhausted", lambda: ask(max_tokens=TOO_MUCH))


run("anthropic")
