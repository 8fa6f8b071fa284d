"""OpenAI's official Python SDK, chat completions: see `checks.py`."""

import asyncio
from typing import Literal

from openai import (AsyncOpenAI, AuthenticationError, BadRequestError, LengthFinishReasonError, NotFoundError, OpenAI,
                    PermissionDeniedError, RateLimitError, UnprocessableEntityError)
from pydantic import BaseModel

from checks import (API_KEY, BASE_URL, CARD, CITY_SCHEMA, LONG, LOOK, MODEL, NAME_A_CITY, ONE_CITY, PNG, SCRIPTED, THINK,
                    TOO_MUCH, TWO_CITIES, check, expect, run, scripted, unless_refused)
from checks import PING as WORDS

PING = [{"role": "user", "content": WORDS}]
CONVERSATION = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "My cat is called Pixel."},
    {"role": "assistant", "content": "Noted."},
    {"role": "user", "content": [{"type": "text", "text": "What is my cat called?"}]},
]
WEATHER = {"type": "function", "function": {"name": "weather", "description": "of a city", "parameters": CITY_SCHEMA}}


class City(BaseModel):
    name: Literal["Ulm"]


def user(text):
    return [{"role": "user", "content": text}]


def client(api_key=API_KEY):
    return OpenAI(base_url=BASE_URL, api_key=api_key, max_retries=0, timeout=60)


def ask(messages=PING, **options):
    options = {"model": MODEL, "max_completion_tokens": 24, "seed": 7, **options}
    return client().chat.completions.create(messages=messages, **options)


def collect(chunks):
    """A stream's text, finish reason and usage."""
    text, finish, usage = "", None, None
    for chunk in chunks:
        assert chunk.object == "chat.completion.chunk" and chunk.id, chunk
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return text, finish, usage


@check("chat")
def a_whole_answer():
    answer = ask()
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and answer.id and answer.model and answer.created > 1_600_000_000
    assert choice.message.role == "assistant" and choice.message.content, choice
    assert choice.finish_reason in ("stop", "length"), choice


@check
def the_raw_answer_has_a_request_id():
    raw = client().chat.completions.with_raw_response.create(model=MODEL, messages=PING, max_completion_tokens=8, seed=7)
    assert raw.request_id, raw.headers
    assert raw.headers["content-type"].startswith("application/json"), raw.headers
    assert raw.parse().choices


@check("stream")
def a_stream():
    text, finish, usage = collect(ask(stream=True))
    assert text and finish in ("stop", "length"), (text, finish)
    assert usage is None, "usage was not asked for"


@check("stream")
def a_stream_by_the_helper():
    with client().chat.completions.stream(model=MODEL, messages=PING, max_completion_tokens=24, seed=7) as stream:
        events = [event.type for event in stream]
        assert "content.done" in events, events
        try:
            assert stream.get_final_completion().choices[0].message.content
        except LengthFinishReasonError as cut:  # the helper's own view of an answer that met its limit
            assert cut.completion.choices[0].message.content
            return "cut by its limit"


@check
def a_stream_left_early():
    stream = ask(stream=True)
    next(iter(stream))
    stream.close()


@check("stream")
def an_asynchronous_stream():
    async def run():
        async with AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0) as asynchronous:
            stream = await asynchronous.chat.completions.create(
                model=MODEL, messages=PING, stream=True, max_completion_tokens=8, seed=7)
            return [chunk async for chunk in stream]

    assert collect(asyncio.run(run()))[0]


@check("usage")
def whole_and_streamed_answers_are_counted_alike():
    usage = ask(temperature=0).usage
    _, _, streamed = collect(ask(temperature=0, stream=True, stream_options={"include_usage": True}))
    for counts in (usage, streamed):
        assert counts.prompt_tokens > 0 and counts.completion_tokens > 0, counts
        assert counts.total_tokens == counts.prompt_tokens + counts.completion_tokens, counts
    assert (usage.prompt_tokens, usage.completion_tokens) == (streamed.prompt_tokens, streamed.completion_tokens)
    return f"{usage.total_tokens} tokens"


@check("chat")
def a_conversation_with_a_system_message():
    assert ask(CONVERSATION).choices[0].message.content


@check
def a_limit_on_tokens():
    answer = ask([{"role": "user", "content": LONG}], temperature=0, max_completion_tokens=4)
    assert answer.usage.completion_tokens <= 4 and answer.choices[0].finish_reason == "length", answer
    older = ask([{"role": "user", "content": LONG}], temperature=0,
                max_completion_tokens=None, max_tokens=4)
    assert older.usage.completion_tokens <= 4, older


@check("tools")
def a_tool_is_called_and_told_what_it_returned():
    answer = ask(user(ONE_CITY), tools=[WEATHER], tool_choice="required", max_completion_tokens=200, temperature=0,
                 parallel_tool_calls=False)
    choice = answer.choices[0]
    call = choice.message.tool_calls[0]
    assert choice.finish_reason == "tool_calls" and call.id and call.type == "function", choice
    assert call.function.name == "weather" and '"Ulm"' in call.function.arguments, call
    results = [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in choice.message.tool_calls]
    turns = [*user(ONE_CITY), choice.message, *results, *user("and now?")]
    assert ask(turns, tools=[WEATHER], tool_choice="none").choices[0].message.content


@check("streamed tools")
def a_tool_is_called_in_a_stream():
    options = {"messages": user(ONE_CITY), "tools": [WEATHER], "tool_choice": "required", "temperature": 0,
               "parallel_tool_calls": False}
    with client().chat.completions.stream(model=MODEL, max_completion_tokens=200, **options) as stream:
        pieces = [event.arguments_delta for event in stream if event.type == "tool_calls.function.arguments.delta"]
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert pieces and call.function.name == "weather" and '"Ulm"' in call.function.arguments, call


@scripted("parallel tools")
def two_tools_are_called_at_once_whole_and_streamed():
    options = {"messages": user(TWO_CITIES), "tools": [WEATHER], "max_completion_tokens": 200}
    with client().chat.completions.stream(model=MODEL, **options) as stream:
        streamed = stream.get_final_completion()
    for answer in (ask(**options), streamed):
        calls = answer.choices[0].message.tool_calls
        assert [call.function.arguments for call in calls] == ['{"city":"Ulm"}', '{"city":"Oslo"}'], calls
        assert calls[0].id != calls[1].id, calls


@check("structured output")
def an_answer_has_a_form():
    answer = client().chat.completions.parse(
        model=MODEL, messages=user(NAME_A_CITY), response_format=City, max_completion_tokens=50, temperature=0)
    assert answer.choices[0].message.parsed == City(name="Ulm"), answer


@check("vision")
def an_image_is_looked_at():
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    content = [{"type": "text", "text": LOOK}, image]
    answer = unless_refused(UnprocessableEntityError, lambda: ask(user(content)))
    assert answer.choices[0].message.content


@check("reasoning")
def thoughts_are_asked_for_shown_and_counted():
    options = {"messages": user(THINK), "reasoning_effort": "low", "max_completion_tokens": 4000}
    answer = unless_refused(UnprocessableEntityError, lambda: ask(**options))
    message, usage = answer.choices[0].message, answer.usage
    assert message.content and message.reasoning_content == "hm, a river", message
    assert usage.completion_tokens_details.reasoning_tokens == 3, usage
    deltas = [chunk.choices[0].delta for chunk in ask(**options, stream=True) if chunk.choices]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "hm, a river", deltas


def a_stop_sequence():
    whole = ask(temperature=0).choices[0].message.content
    stop = whole[len(whole) // 2:][:3]
    answer = ask(temperature=0, stop=[stop]).choices[0]
    assert stop not in answer.message.content and len(answer.message.content) < len(whole), (stop, answer)
    assert answer.finish_reason == "stop", answer


if not SCRIPTED:  # OpenAI's responses have none, and whoever speaks them refuses.
    check(a_stop_sequence)


@check
def the_list_of_models_and_one_of_them():
    models = list(client().models.list())
    assert models and all(model.id and model.object == "model" for model in models), models
    one = client().models.retrieve(models[-1].id)
    assert (one.id, one.object, one.created) == (models[-1].id, "model", models[-1].created), one
    return ", ".join(model.id for model in models[:4])


@check
def a_legacy_completion_whole_and_streamed():
    ask_on = client().completions.create
    answer = ask_on(model=MODEL, prompt="Once upon a time", max_tokens=8)
    assert answer.object == "text_completion" and answer.id.startswith("cmpl-") and answer.choices[0].text, answer
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, answer
    assert ask_on(model=MODEL, prompt="Once upon", max_tokens=4, echo=True).choices[0].text.startswith("Once upon")
    chunks = list(ask_on(model=MODEL, prompt="Once upon a time", max_tokens=8, stream=True,
                         stream_options={"include_usage": True}))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices), chunks
    assert chunks[-1].usage.completion_tokens > 0 and not chunks[-1].choices, chunks[-1]


def embed(**options):
    """Vectors where somebody serves them; the SDK asks for base64 unless told otherwise."""
    return client().embeddings.create(model="near", **options)


@scripted
def embeddings():
    answer = embed(input=["hello", "there"])
    assert [entry.index for entry in answer.data] == [0, 1] and answer.usage.prompt_tokens > 0, answer
    assert all(isinstance(number, float) for number in answer.data[0].embedding), answer.data[0]
    numbers = embed(input="hello", encoding_format="float").data[0].embedding
    pairs = zip(answer.data[0].embedding, numbers, strict=True)
    assert all(abs(one - other) < 1e-6 for one, other in pairs), (answer.data[0].embedding, numbers)
    assert len(embed(input="hello", dimensions=3).data[0].embedding) == 3


@scripted
def moderations():
    answer = client().moderations.create(input=["nice", "I will hurt you"])
    assert [result.flagged for result in answer.results] == [False, True], answer
    assert answer.results[1].categories.violence and answer.id.startswith("modr-"), answer


@check
def what_nobody_here_can_look_at_or_serve_is_refused():
    expect(BadRequestError, "several_prompts", lambda: client().completions.create(model=MODEL, prompt=["a", "b"]))
    expect(BadRequestError, "tokens_not_taken", lambda: embed(input=[1, 2, 3]))
    expect(UnprocessableEntityError, "capability_missing",
           lambda: client().embeddings.create(model=MODEL, input="hello"))
    expect(NotFoundError, "not_served", lambda: client().images.generate(model=MODEL, prompt="a river"))


@check("errors")
def errors_are_of_the_sdks_types():
    expect(BadRequestError, "invalid_value", lambda: ask(temperature=3))
    expect(BadRequestError, "messages", lambda: ask(messages=None))
    expect(AuthenticationError, "invalid_api_key",
           lambda: client("sk-wrong").chat.completions.create(model=MODEL, messages=PING))
    expect(PermissionDeniedError, "policy_unsatisfiable", lambda: ask(user(CARD)))
    expect(NotFoundError, "model_not_found", lambda: ask(model="no-such-model-anywhere"))
    expect(RateLimitError, "budget_exhausted", lambda: ask(max_completion_tokens=TOO_MUCH))


run("openai")
