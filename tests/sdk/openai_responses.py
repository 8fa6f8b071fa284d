"""OpenAI's official Python SDK, responses: see `checks.py`."""

from typing import Literal

from openai import (AuthenticationError, BadRequestError, NotFoundError, OpenAI, PermissionDeniedError, RateLimitError,
                    UnprocessableEntityError)
from pydantic import BaseModel

from checks import (API_KEY, BASE_URL, CARD, CITY_SCHEMA, LOOK, MODEL, NAME_A_CITY, ONE_CITY, PING, PNG, THINK, TOO_MUCH,
                    TWO_CITIES, check, expect, run, scripted, unless_refused)

WEATHER = {"type": "function", "name": "weather", "strict": True, "parameters": CITY_SCHEMA}


class City(BaseModel):
    name: Literal["Ulm"]


def client(api_key=API_KEY):
    return OpenAI(base_url=BASE_URL, api_key=api_key, max_retries=0, timeout=60)


def ask(text=PING, **options):
    return client().responses.create(**{"model": MODEL, "input": text, "max_output_tokens": 24, **options})


def call_a_tool(text, **options):
    options = {"tools": [WEATHER], "tool_choice": "required", "max_output_tokens": 200, "temperature": 0, **options}
    return ask(text, **options)


@check("chat")
def a_whole_answer():
    answer = ask(instructions="Be brief.")
    assert answer.object == "response" and answer.status in ("completed", "incomplete"), answer
    assert answer.id.startswith("resp_") and answer.output_text and answer.created_at > 1_600_000_000, answer


@check("stream")
def a_stream():
    text, kinds, last = "", [], None
    for number, event in enumerate(ask(stream=True)):
        assert event.sequence_number == number, event
        kinds.append(event.type)
        text += event.delta if event.type == "response.output_text.delta" else ""
        last = event
    assert kinds[:2] == ["response.created", "response.in_progress"], kinds
    assert kinds[-1] in ("response.completed", "response.incomplete"), kinds
    assert text and last.response.output_text == text, last


@check("stream")
def a_stream_by_the_helper():
    with client().responses.stream(model=MODEL, input=PING, max_output_tokens=100) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response() if "response.completed" in kinds else None
    assert "response.output_text.done" in kinds and (final is None or final.output_text), kinds


@check("usage")
def whole_and_streamed_answers_are_counted_alike():
    *_, last = ask(stream=True, temperature=0)
    for usage in (ask(temperature=0).usage, last.response.usage):
        assert usage.input_tokens > 0 and usage.output_tokens > 0, usage
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens, usage
        assert usage.total_tokens == last.response.usage.total_tokens, usage
    return f"{usage.total_tokens} tokens"


def calls_in(answer):
    calls = [item for item in answer.output if item.type == "function_call"]
    assert calls and all(call.name == "weather" and call.call_id for call in calls), answer
    return calls


@check("tools")
def a_tool_is_called_and_told_what_it_returned():
    answer = call_a_tool(ONE_CITY)
    calls = calls_in(answer)
    assert '"Ulm"' in calls[0].arguments, calls
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]
    said = ask([{"role": "user", "content": ONE_CITY}, *answer.output, *results, {"role": "user", "content": "and now?"}],
               tools=[WEATHER], tool_choice="none")
    assert said.output_text, said


@check("streamed tools")
def a_tool_is_called_in_a_stream():
    pieces, last = "", None
    for event in call_a_tool(ONE_CITY, stream=True):
        pieces += event.delta if event.type == "response.function_call_arguments.delta" else ""
        last = event
    assert pieces == "".join(call.arguments for call in calls_in(last.response)) and '"Ulm"' in pieces, pieces


@scripted("parallel tools")
def two_tools_are_called_at_once_whole_and_streamed():
    *_, last = call_a_tool(TWO_CITIES, stream=True)
    for answer in (call_a_tool(TWO_CITIES), last.response):
        calls = calls_in(answer)
        assert [call.arguments for call in calls] == ['{"city":"Ulm"}', '{"city":"Oslo"}'], calls
        assert calls[0].call_id != calls[1].call_id, calls


@check("structured output")
def an_answer_has_a_form():
    answer = client().responses.parse(model=MODEL, input=NAME_A_CITY, text_format=City, max_output_tokens=50, temperature=0)
    assert answer.output_parsed == City(name="Ulm"), answer


@check("vision")
def an_image_is_looked_at():
    image = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG}"}
    content = [{"type": "input_text", "text": LOOK}, image]
    assert unless_refused(UnprocessableEntityError, lambda: ask([{"role": "user", "content": content}])).output_text


@check("reasoning")
def thoughts_are_asked_for_shown_counted_and_sent_back():
    options = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
               "max_output_tokens": 4000}
    answer = unless_refused(UnprocessableEntityError, lambda: ask(THINK, **options))
    thoughts = [item for item in answer.output if item.type == "reasoning"]
    assert answer.output_text and thoughts[0].summary[0].text == "hm, a river", answer
    assert answer.usage.output_tokens_details.reasoning_tokens == 3, answer.usage
    turns = [{"role": "user", "content": THINK}, *answer.output, {"role": "user", "content": "and now?"}]
    assert ask(turns, **options).output_text
    kinds = [event.type for event in ask(THINK, stream=True, **options)]
    assert "response.reasoning_summary_text.delta" in kinds, kinds


@check
def a_conversation_is_continued_by_an_answers_id():
    first = ask("My cat is called Pixel.")
    second = ask("And now?", previous_response_id=first.id)
    assert second.output_text and second.id != first.id, second
    tool = call_a_tool(ONE_CITY, previous_response_id=second.id)
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls_in(tool)]
    said = ask([*results, {"role": "user", "content": "Say it."}], previous_response_id=tool.id, tools=[WEATHER],
               tool_choice="none")
    assert said.output_text, said


@check
def an_answer_is_kept_and_forgotten():
    answer = ask()
    assert client().responses.retrieve(answer.id).output_text == answer.output_text
    client().responses.delete(answer.id)
    expect(NotFoundError, "not_found", lambda: client().responses.retrieve(answer.id))


@check
def what_is_not_kept_cannot_be_continued():
    for options in [{"previous_response_id": "resp_unheard_of"}, {"previous_response_id": ask(store=False).id}]:
        expect(BadRequestError, "previous_response_not_found", lambda: ask(**options))


@check("errors")
def errors_are_of_the_sdks_types():
    expect(BadRequestError, "invalid_value", lambda: ask(temperature=3))
    expect(AuthenticationError, "invalid_api_key", lambda: client("sk-wrong").responses.create(model=MODEL, input=PING))
    expect(PermissionDeniedError, "policy_unsatisfiable", lambda: ask(CARD))
    expect(NotFoundError, "model_not_found", lambda: ask(model="no-such-model-anywhere"))
    expect(RateLimitError, "budget_exhausted", lambda: ask(max_output_tokens=TOO_MUCH))


run("openai")
