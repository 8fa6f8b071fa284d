"""LlamaIndex: see `checks.py`. The word `anthropic` is for Anthropic's messages; without it it speaks chat completions.

`OpenAILike` is LlamaIndex's own client for models that are not OpenAI's; its client of Anthropic takes Claude's names only,
which the gateway's configuration maps to MODEL."""

from typing import Literal

import anthropic
import openai
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, ConfigDict

from checks import (API_KEY, BASE_URL, CARD, LOOK, MODEL, NAME_A_CITY, ONE_CITY, PING, PNG, SCRIPTED, THINK, TOO_MUCH,
                    TWO_CITIES, WORDS, check, expect, run, scripted, unless_refused)

ANTHROPIC = "anthropic" in WORDS
ERRORS = anthropic if ANTHROPIC else openai
# Over messages the small model is told of tools in a way that it does not follow.
forced = scripted if ANTHROPIC else check
CLAUDE, ANOTHER = "claude-sonnet-4-0", "claude-opus-4-0"


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class City(Closed):
    """A city."""

    name: Literal["Ulm"]


class OfUlm(Closed):
    city: Literal["Ulm"]


class OfCities(Closed):
    city: Literal["Ulm", "Oslo"]


def weather(schema):
    def rains(city):
        return "rain"

    return FunctionTool.from_defaults(fn=rains, name="weather", description="The weather of a city.", fn_schema=schema)


def model(name=None, **options):
    options = {"api_key": API_KEY, "max_tokens": 24, "max_retries": 0, "timeout": 60, "temperature": 0, **options}
    if ANTHROPIC:
        return Anthropic(model=name or CLAUDE, base_url=BASE_URL.removesuffix("/v1"), **options)
    return OpenAILike(model=name or MODEL, api_base=BASE_URL, is_chat_model=True, is_function_calling_model=True,
                      context_window=8192, **options)


def user(text):
    return [ChatMessage(role=MessageRole.USER, content=text)]


def usage_of(answer):
    raw = answer.raw if isinstance(answer.raw, dict) else answer.raw.model_dump()
    usage = raw["usage"]
    return usage if isinstance(usage, dict) else usage.model_dump()


@check("chat")
def a_conversation():
    system = ChatMessage(role=MessageRole.SYSTEM, content="You are terse.")
    assert model().chat([system, *user(PING)]).message.content


@check("stream")
def a_stream():
    *_, last = model().stream_chat(user(PING))
    assert last.message.content


@check("usage")
def a_whole_answer_is_counted():
    usage = usage_of(model().chat(user(PING)))
    read, said = ("input_tokens", "output_tokens") if ANTHROPIC else ("prompt_tokens", "completion_tokens")
    assert usage[read] > 0 and usage[said] > 0, usage
    return f"{usage[read]} and {usage[said]} tokens"


def calls_in(llm, answer):
    return [call.tool_kwargs for call in llm.get_tool_calls_from_response(answer)]


@forced("tools")
def a_tool_is_called_and_told_what_it_returned():
    llm = model(max_tokens=200)
    answer = llm.chat_with_tools([weather(OfUlm)], user_msg=ONE_CITY, tool_required=True)
    calls = llm.get_tool_calls_from_response(answer)
    assert calls[0].tool_name == "weather" and calls[0].tool_kwargs == {"city": "Ulm"}, answer
    key = "tool_call_id"
    results = [ChatMessage(role=MessageRole.TOOL, content="rain", additional_kwargs={key: call.tool_id}) for call in calls]
    turns = [*user(ONE_CITY), answer.message, *results]
    told = llm.chat_with_tools([weather(OfUlm)], user_msg="and now?", chat_history=turns)
    assert told.message.blocks or told.message.content, told


@forced("streamed tools")
def a_tool_is_called_in_a_stream():
    llm = model(max_tokens=200)
    *_, last = llm.stream_chat_with_tools([weather(OfUlm)], user_msg=ONE_CITY, tool_required=True)
    assert calls_in(llm, last)[0] == {"city": "Ulm"}, last


@scripted("parallel tools")
def two_tools_are_called_at_once_whole_and_streamed():
    llm = model(max_tokens=200)
    options = {"user_msg": TWO_CITIES, "allow_parallel_tool_calls": True}
    *_, streamed = llm.stream_chat_with_tools([weather(OfCities)], **options)
    for answer in (llm.chat_with_tools([weather(OfCities)], **options), streamed):
        assert calls_in(llm, answer) == [{"city": "Ulm"}, {"city": "Oslo"}], answer


@forced("structured output")
def an_answer_has_a_form():
    # LlamaIndex asks for a form by a tool of its name.
    question = "Call City for a city." if SCRIPTED else NAME_A_CITY
    answer = model(max_tokens=200).structured_predict(City, PromptTemplate(question))
    assert answer == City(name="Ulm"), answer


@check("vision")
def an_image_is_looked_at():
    image = ImageBlock(image=PNG.encode(), image_mimetype="image/png")
    question = [ChatMessage(role=MessageRole.USER, blocks=[TextBlock(text=LOOK), image])]
    assert unless_refused(ERRORS.UnprocessableEntityError, lambda: model().chat(question)).message.content


@check("reasoning")
def thoughts_are_asked_for_and_shown_where_llamaindex_does():
    options = ({"thinking_dict": {"type": "enabled", "budget_tokens": 1024}, "temperature": 1.0} if ANTHROPIC
               else {"additional_kwargs": {"reasoning_effort": "low"}})
    answer = unless_refused(ERRORS.UnprocessableEntityError, lambda: model(max_tokens=4000, **options).chat(user(THINK)))
    assert answer.message.content, answer
    thoughts = [block.content for block in answer.message.blocks if block.block_type == "thinking"]
    if ANTHROPIC:
        assert thoughts == ["hm, a river"], answer
    else:
        assert usage_of(answer)["completion_tokens_details"]["reasoning_tokens"] == 3, answer.raw


@check("errors")
def errors_are_of_the_sdks_types():
    expect(ERRORS.BadRequestError, "invalid_value", lambda: model().chat(user(PING), top_p=3))
    expect(ERRORS.AuthenticationError, "invalid_api_key", lambda: model(api_key="sk-wrong").chat(user(PING)))
    expect(ERRORS.PermissionDeniedError, "policy_unsatisfiable", lambda: model().chat(user(CARD)))
    expect(ERRORS.NotFoundError, "model_not_found", lambda: model(ANOTHER if ANTHROPIC else "unknown").chat(user(PING)))
    expect(ERRORS.RateLimitError, "budget_exhausted", lambda: model(max_tokens=TOO_MUCH).chat(user(PING)))


run("llama-index-llms-anthropic" if ANTHROPIC else "llama-index-llms-openai-like")
