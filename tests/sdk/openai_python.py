"""The official Python SDK against a running gateway: `openai_python.py BASE_URL API_KEY MODEL [scripted]`.

One line per check; exit status 1 if any failed. MODEL may be anything the gateway answers, also a small local model, so
the checks are about the protocol and not about what is said; `scripted` is where somebody serves embeddings and moderations. The gateway must reject unknown models (`unknown_model: reject`).
"""

import asyncio
import sys

from openai import (AsyncOpenAI, AuthenticationError, BadRequestError, LengthFinishReasonError, NotFoundError,
                    OpenAI, UnprocessableEntityError)

from checks import check, check_where, run

BASE_URL, API_KEY, MODEL = sys.argv[1:4]
# Whether somebody serves embeddings (`near`) and moderations.
SERVES = "scripted" in sys.argv[4:]
# What a small model answers at length, too, where it does not roll dice.
LONG = "Write a long story about a river and its valley."
PING = [{"role": "user", "content": "Say one word."}]
CONVERSATION = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "My cat is called Pixel."},
    {"role": "assistant", "content": "Noted."},
    {"role": "user", "content": [{"type": "text", "text": "What is my cat called?"}]},
]


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


def expect(error, attempt):
    try:
        attempt()
    except error as caught:
        assert caught.message and isinstance(caught.body, dict), caught
        return f"{caught.status_code} {caught.code}"
    raise AssertionError(f"no {error.__name__}")


@check
def a_whole_answer():
    answer = ask()
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and answer.id and answer.model and answer.created > 1_600_000_000
    assert choice.message.role == "assistant" and choice.message.content, choice
    assert choice.finish_reason in ("stop", "length"), choice
    usage = answer.usage
    assert usage.prompt_tokens > 0 and usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
    return f"{usage.total_tokens} tokens"


@check
def the_raw_answer_has_a_request_id():
    raw = client().chat.completions.with_raw_response.create(model=MODEL, messages=PING, max_completion_tokens=8, seed=7)
    assert raw.request_id, raw.headers
    assert raw.headers["content-type"].startswith("application/json"), raw.headers
    assert raw.parse().choices


@check
def a_stream():
    text, finish, usage = collect(ask(stream=True))
    assert text and finish in ("stop", "length"), (text, finish)
    assert usage is None, "usage was not asked for"


@check
def a_stream_with_usage():
    text, _, usage = collect(ask(stream=True, stream_options={"include_usage": True}))
    assert text and usage.prompt_tokens > 0 and usage.completion_tokens > 0, usage
    return f"{usage.total_tokens} tokens"


@check
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


@check
def an_asynchronous_stream():
    async def run():
        async with AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0) as asynchronous:
            stream = await asynchronous.chat.completions.create(
                model=MODEL, messages=PING, stream=True, max_completion_tokens=8, seed=7)
            return [chunk async for chunk in stream]

    assert collect(asyncio.run(run()))[0]


@check
def a_conversation_with_a_system_message():
    assert ask(CONVERSATION).choices[0].message.content


@check
def a_limit_on_tokens():
    answer = ask([{"role": "user", "content": LONG}], temperature=0, max_completion_tokens=4)
    assert answer.usage.completion_tokens <= 4 and answer.choices[0].finish_reason == "length", answer
    older = ask([{"role": "user", "content": LONG}], temperature=0,
                max_completion_tokens=None, max_tokens=4)
    assert older.usage.completion_tokens <= 4, older


@check
def a_stop_sequence():
    whole = ask(temperature=0).choices[0].message.content
    stop = whole[len(whole) // 2:][:3]
    answer = ask(temperature=0, stop=[stop]).choices[0]
    assert stop not in answer.message.content and len(answer.message.content) < len(whole), (stop, answer)
    assert answer.finish_reason == "stop", answer


@check
def the_list_of_models():
    models = list(client().models.list())
    assert models and all(model.id and model.object == "model" for model in models), models
    return ", ".join(model.id for model in models[:4])


@check
def a_wrong_key_is_an_authentication_error():
    return expect(AuthenticationError, lambda: client("sk-wrong").chat.completions.create(model=MODEL, messages=PING))


@check
def an_unknown_model_is_not_found():
    return expect(NotFoundError, lambda: ask(model="no-such-model-anywhere"))


@check
def a_bad_parameter_is_a_bad_request():
    return expect(BadRequestError, lambda: ask(temperature=3))


@check
def no_messages_is_a_bad_request():
    return expect(BadRequestError, lambda: ask(messages=None))


@check
def a_legacy_completion():
    answer = client().completions.create(model=MODEL, prompt="Once upon a time", max_tokens=8, seed=7)
    assert answer.object == "text_completion" and answer.id.startswith("cmpl-") and answer.choices[0].text, answer
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, answer
    echoed = client().completions.create(model=MODEL, prompt="Once upon", max_tokens=4, echo=True)
    assert echoed.choices[0].text.startswith("Once upon"), echoed


@check
def a_stream_of_a_legacy_completion():
    chunks = list(client().completions.create(model=MODEL, prompt="Once upon a time", max_tokens=8, stream=True,
                                              stream_options={"include_usage": True}))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices), chunks
    assert chunks[-1].usage.completion_tokens > 0 and not chunks[-1].choices, chunks[-1]


@check
def several_prompts_at_once_are_a_bad_request():
    return expect(BadRequestError, lambda: client().completions.create(model=MODEL, prompt=["a", "b"]))


def embed(**options):
    """Vectors where somebody serves them; the SDK asks for base64 unless told otherwise."""
    return client().embeddings.create(model="near", **options)


@check_where(SERVES)
def embeddings():
    answer = embed(input=["hello", "there"])
    assert [entry.index for entry in answer.data] == [0, 1] and answer.usage.prompt_tokens > 0, answer
    assert all(isinstance(number, float) for number in answer.data[0].embedding), answer.data[0]
    numbers = embed(input="hello", encoding_format="float").data[0].embedding
    pairs = zip(answer.data[0].embedding, numbers, strict=True)
    assert all(abs(one - other) < 1e-6 for one, other in pairs), (answer.data[0].embedding, numbers)
    assert len(embed(input="hello", dimensions=3).data[0].embedding) == 3


@check
def embeddings_of_tokens_are_a_bad_request():
    return expect(BadRequestError, lambda: embed(input=[1, 2, 3]))


@check
def embeddings_by_a_model_that_makes_none_are_unprocessable():
    return expect(UnprocessableEntityError, lambda: client().embeddings.create(model=MODEL, input="hello"))


@check_where(SERVES)
def moderations():
    answer = client().moderations.create(input=["nice", "I will hurt you"])
    assert [result.flagged for result in answer.results] == [False, True], answer
    assert answer.results[1].categories.violence and answer.id.startswith("modr-"), answer


@check
def what_is_not_served_is_not_found():
    return expect(NotFoundError, lambda: client().images.generate(model=MODEL, prompt="a river"))


run("python")
