"""The official Python SDK's `responses` against a running gateway: `openai_responses.py BASE_URL API_KEY MODEL`.

One line per check; exit status 1 if any failed. What MODEL says is scripted: a call of `weather` where a prompt speaks of
the weather, JSON where it asks for a city, and words otherwise.
"""

import sys

from openai import BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel

from checks import check, run

BASE_URL, API_KEY, MODEL = sys.argv[1:4]
CLIENT = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=60)
WEATHER = {"type": "function", "name": "weather", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}


class City(BaseModel):
    name: str
    people: int


def ask(text="Say something.", **options):
    return CLIENT.responses.create(**{"model": MODEL, "input": text, "max_output_tokens": 64, **options})


@check
def a_whole_answer():
    answer = ask(instructions="Be brief.")
    assert answer.object == "response" and answer.status == "completed" and answer.id.startswith("resp_"), answer
    assert answer.output_text and answer.created_at > 1_600_000_000, answer
    usage = answer.usage
    assert usage.input_tokens > 0 and usage.total_tokens == usage.input_tokens + usage.output_tokens, usage
    return f"{usage.total_tokens} tokens"


@check
def a_stream():
    text, kinds, last = "", [], None
    for number, event in enumerate(ask(stream=True)):
        assert event.sequence_number == number, event
        kinds.append(event.type)
        text += event.delta if event.type == "response.output_text.delta" else ""
        last = event
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed", kinds
    assert text and last.response.output_text == text, last


@check
def a_stream_by_the_helper():
    with CLIENT.responses.stream(model=MODEL, input="Say something.") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert "response.output_text.done" in kinds and final.output_text, kinds


def called(answer):
    call = next(item for item in answer.output if item.type == "function_call")
    assert call.name == "weather" and call.arguments == '{"city":"Ulm"}' and call.call_id, call
    return call


@check
def a_tool_is_called_and_its_result_sent_back():
    answer = ask("How is the weather?", tools=[WEATHER], tool_choice="required")
    call = called(answer)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    said = ask([{"role": "user", "content": "Say it."}, *answer.output, result], tools=[WEATHER])
    assert said.output_text, said


@check
def a_tool_is_called_in_a_stream():
    with CLIENT.responses.stream(model=MODEL, input="How is the weather?", tools=[WEATHER]) as stream:
        pieces = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        called(stream.get_final_response())
    assert "".join(pieces) == '{"city":"Ulm"}', pieces


@check
def an_answer_has_a_form():
    answer = CLIENT.responses.parse(model=MODEL, input="Name a city.", text_format=City)
    assert answer.output_parsed == City(name="Ulm", people=128_000), answer


@check
def a_conversation_is_continued_by_an_answers_id():
    first = ask("My cat is called Pixel.")
    second = ask("And now?", previous_response_id=first.id)
    assert second.output_text and second.id != first.id, second
    tool = ask("How is the weather?", previous_response_id=second.id, tools=[WEATHER])
    result = {"type": "function_call_output", "call_id": called(tool).call_id, "output": "sunny"}
    said = ask([result, {"role": "user", "content": "Say it."}], previous_response_id=tool.id, tools=[WEATHER])
    assert said.output_text, said


@check
def an_answer_is_kept_and_forgotten():
    answer = ask()
    assert CLIENT.responses.retrieve(answer.id).output_text == answer.output_text
    CLIENT.responses.delete(answer.id)
    try:
        CLIENT.responses.retrieve(answer.id)
    except NotFoundError as error:
        return error.code
    raise AssertionError("it is still there")


@check
def what_is_not_kept_cannot_be_continued():
    for options in [{"previous_response_id": "resp_unheard_of"}, {"previous_response_id": ask(store=False).id}]:
        try:
            ask(**options)
        except BadRequestError as error:
            assert (error.code, error.param) == ("previous_response_not_found", "previous_response_id"), error
        else:
            raise AssertionError("it was continued")


run("python")
