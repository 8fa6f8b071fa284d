"""LangChain: see `checks.py`. The word `responses` is for OpenAI's responses, `anthropic` for Anthropic's messages; without
either it speaks chat completions."""

from typing import Literal

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, ConfigDict

from checks import (API_KEY, BASE_URL, CARD, LOOK, MODEL, NAME_A_CITY, ONE_CITY, PING, PNG, SCRIPTED, THINK, TOO_MUCH,
                    TWO_CITIES, WORDS, check, expect, run, scripted, unless_refused)

ANTHROPIC, RESPONSES = "anthropic" in WORDS, "responses" in WORDS
ERRORS = anthropic if ANTHROPIC else openai
TOO_WARM = {"top_p": 3} if ANTHROPIC else {"temperature": 3}


class City(BaseModel):
    """A city."""

    model_config = ConfigDict(extra="forbid")
    name: Literal["Ulm"]


class Ulm(BaseModel):
    """The weather of a city."""

    model_config = ConfigDict(extra="forbid", title="weather")
    city: Literal["Ulm"]


class Cities(BaseModel):
    """The weather of a city."""

    model_config = ConfigDict(extra="forbid", title="weather")
    city: Literal["Ulm", "Oslo"]


def model(**options):
    options = {"model": MODEL, "api_key": API_KEY, "max_tokens": 24, "max_retries": 0, "timeout": 60, **options}
    if SCRIPTED and ANTHROPIC:
        # Anthropic's current API takes none.
        options.pop("temperature", None)
    if ANTHROPIC:
        return ChatAnthropic(base_url=BASE_URL.removesuffix("/v1"), **options)
    return ChatOpenAI(base_url=BASE_URL, use_responses_api=RESPONSES, stream_usage=True, **options)


def thoughtful():
    if ANTHROPIC:
        return model(max_tokens=4000, thinking={"type": "enabled", "budget_tokens": 1024})
    if RESPONSES:
        return model(max_tokens=4000, reasoning={"effort": "low", "summary": "auto"})
    return model(max_tokens=4000, reasoning_effort="low")


def asking_for_ulm():
    return model(max_tokens=200, temperature=0).bind_tools([Ulm], tool_choice="any", parallel_tool_calls=False)


def added_up(chunks):
    first, *rest = chunks
    for chunk in rest:
        first += chunk
    return first


@check("chat")
def a_conversation():
    turns = [SystemMessage("You are terse."), HumanMessage("My cat is called Pixel."), AIMessage("Noted."), HumanMessage(PING)]
    answer = model().invoke(turns)
    assert answer.text and answer.id, answer


@check("stream")
def a_stream():
    chunks = list(model().stream(PING))
    assert "".join(chunk.text for chunk in chunks), chunks


@check("usage")
def whole_and_streamed_answers_are_counted_alike():
    whole, streamed = model(temperature=0).invoke(PING), added_up(model(temperature=0).stream(PING))
    for usage in (whole.usage_metadata, streamed.usage_metadata):
        assert usage["input_tokens"] > 0 and usage["output_tokens"] > 0, usage
        assert usage["total_tokens"] == whole.usage_metadata["total_tokens"], (usage, whole.usage_metadata)
    return f"{usage['total_tokens']} tokens"


@check("tools")
def a_tool_is_called_and_told_what_it_returned():
    answer = asking_for_ulm().invoke(ONE_CITY)
    assert answer.tool_calls[0]["name"] == "weather" and answer.tool_calls[0]["args"] == {"city": "Ulm"}, answer
    results = [ToolMessage("rain", tool_call_id=call["id"]) for call in answer.tool_calls]
    told = model().bind_tools([Ulm], tool_choice={"type": "none"} if ANTHROPIC else "none")
    assert told.invoke([HumanMessage(ONE_CITY), answer, *results, HumanMessage("and now?")]).text


@check("streamed tools")
def a_tool_is_called_in_a_stream():
    chunks = list(asking_for_ulm().stream(ONE_CITY))
    pieces = [piece for chunk in chunks for piece in chunk.tool_call_chunks]
    answer = added_up(chunks)
    assert len(pieces) > 1 and answer.tool_calls[0]["args"] == {"city": "Ulm"}, answer


@scripted("parallel tools")
def two_tools_are_called_at_once_whole_and_streamed():
    asking = model(max_tokens=200).bind_tools([Cities])
    for answer in (asking.invoke(TWO_CITIES), added_up(asking.stream(TWO_CITIES))):
        assert [call["args"] for call in answer.tool_calls] == [{"city": "Ulm"}, {"city": "Oslo"}], answer
        assert answer.tool_calls[0]["id"] != answer.tool_calls[1]["id"], answer


@check("structured output")
def an_answer_has_a_form():
    answer = model(max_tokens=50, temperature=0).with_structured_output(City, method="json_schema").invoke(NAME_A_CITY)
    assert answer == City(name="Ulm"), answer


@check("vision")
def an_image_is_looked_at():
    image = {"type": "image", "base64": PNG, "mime_type": "image/png"}
    question = HumanMessage(content_blocks=[{"type": "text", "text": LOOK}, image])
    assert unless_refused(ERRORS.UnprocessableEntityError, lambda: model().invoke([question])).text


@check("reasoning")
def thoughts_are_asked_for_and_counted_and_shown_where_langchain_does():
    answer = unless_refused(ERRORS.UnprocessableEntityError, lambda: thoughtful().invoke(THINK))
    assert answer.text, answer
    thoughts = [block for block in answer.content_blocks if block["type"] == "reasoning"]
    if ANTHROPIC or RESPONSES:
        assert thoughts[0]["reasoning"] == "hm, a river", thoughts
        assert thoughtful().invoke([HumanMessage(THINK), answer, HumanMessage("and now?")]).text
    if not ANTHROPIC:
        # LangChain reads no thoughts in chat completions, nor their number in messages.
        assert answer.usage_metadata["output_token_details"]["reasoning"] == 3, answer.usage_metadata


@check("errors")
def errors_are_of_the_sdks_types():
    expect(ERRORS.BadRequestError, "invalid_value", lambda: model(**TOO_WARM).invoke(PING))
    expect(ERRORS.AuthenticationError, "invalid_api_key", lambda: model(api_key="sk-wrong").invoke(PING))
    expect(ERRORS.PermissionDeniedError, "policy_unsatisfiable", lambda: model().invoke(CARD))
    expect(ERRORS.NotFoundError, "model_not_found", lambda: model(model="no-such-model-anywhere").invoke(PING))
    expect(ERRORS.RateLimitError, "budget_exhausted", lambda: model(max_tokens=TOO_MUCH).invoke(PING))


run("langchain-anthropic" if ANTHROPIC else "langchain-openai")
