"""Where in a request a text can stand."""

import json

MODEL = "gpt"


def said(*messages, **fields):
    """A request of a user's question and these messages."""
    return {"model": MODEL, "messages": [{"role": "user", "content": "Please help me with this."}, *messages], **fields}


def _alone(content, **fields):
    return {"model": MODEL, "messages": [{"role": "user", "content": content}], **fields}


def _called(name, arguments):
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return said({"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "done"})


def _answered(text):
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    return said({"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": text})


def _tool(**function):
    return said(tools=[{"type": "function", "function": function}])


def _schema(**property_):
    return _tool(name="look_up", parameters={"type": "object", "properties": {"a": {"type": "string", **property_}}})


def _spelt(text):
    """A grammar of just this text."""
    return 'root ::= "' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def nested(text, depth):
    """The text in JSON, in a string of JSON, and so on."""
    for _ in range(depth):
        text = json.dumps({"body": [text]})
    return text


# Looked into by the detectors.
BODY = {
    "user": _alone,
    "user part": lambda t: _alone([{"type": "text", "text": "Here it is."}, {"type": "text", "text": t}]),
    "system": lambda t: said({"role": "system", "content": t}),
    "developer": lambda t: said({"role": "developer", "content": t}),
    "assistant": lambda t: said({"role": "assistant", "content": t}),
    "thought": lambda t: said({"role": "assistant", "content": "Hello.", "reasoning_content": t}),
    "refusal": lambda t: said({"role": "assistant", "content": None, "refusal": t}),
    "participant": lambda t: said({"role": "user", "name": t, "content": "Hello."}),
    "unknown field of a message": lambda t: said({"role": "user", "content": "Hello.", "mood": t}),
    "tool name": lambda t: _called(t, "{}"),
    "tool arguments": lambda t: _called("look_up", json.dumps({"query": t})),
    "tool arguments, characters kept": lambda t: _called("look_up", json.dumps({"query": t}, ensure_ascii=False)),
    "tool arguments, no JSON": lambda t: _called("look_up", t),
    "key in tool arguments": lambda t: _called("look_up", json.dumps({t: 1})),
    "JSON in JSON in tool arguments": lambda t: _called("look_up", nested(t, 2)),
    "JSON in JSON in JSON in tool arguments": lambda t: _called("look_up", nested(t, 3)),
    "five layers of JSON in tool arguments": lambda t: _called("look_up", nested(t, 5)),
    "tool result": _answered,
    "JSON in a tool result": lambda t: _answered(nested(t, 1)),
    "JSON in JSON in JSON in a tool result": lambda t: _answered(nested(t, 3)),
    "tool call id": lambda t: said({"role": "tool", "tool_call_id": t, "content": "done"}),
    "tool definition's name": lambda t: _tool(name=t),
    "tool description": lambda t: _tool(name="look_up", description=t),
    "schema key": lambda t: _tool(name="look_up", parameters={"type": "object", "properties": {t: {"type": "string"}}}),
    "schema enum": lambda t: _schema(enum=["x", t]),
    "schema default": lambda t: _schema(default=t),
    "schema example": lambda t: _schema(examples=[t]),
    "response schema": lambda t: said(response_format={
        "type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "description": t}}}),
    "grammar": lambda t: said(response_format={"type": "grammar", "grammar": _spelt(t)}),
    "choice": lambda t: said(structured_outputs={"choice": ["yes", t]}),
    "stop": lambda t: said(stop=["end", t]),
    "user id": lambda t: said(user=t),
    "safety identifier": lambda t: said(safety_identifier=t),
    "cache key": lambda t: said(prompt_cache_key=t),
    "metadata": lambda t: said(metadata={"ticket": t}),
    "metadata key": lambda t: said(metadata={t: "yes"}),
    "prediction": lambda t: said(prediction={"type": "content", "content": t}),
    "unknown field": lambda t: said(x_extra={"deep": [[t]]}),
    "unknown key": lambda t: said(**{t: True}),
    "JSON in an unknown field": lambda t: said(x_extra=nested(t, 1)),
    "JSON in JSON in JSON in user text": lambda t: _alone(nested(t, 3)),
}

def _message(*messages, **fields):
    """A request in Anthropic's words."""
    asked = {"role": "user", "content": "Please help me with this."}
    return {"model": MODEL, "max_tokens": 64, "messages": [asked, *messages], **fields}


def _used(**more):
    call = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}
    return _message({"role": "assistant", "content": [{**call, **more.get("call", {})}]},
                    {"role": "user", "content": [{**result, **more.get("result", {})}]})


def _defined(**tool):
    return _message(tools=[{"name": "look_up", "input_schema": {"type": "object"}, **tool}])


def _response(*items, **fields):
    """A request in the words of OpenAI's responses."""
    asked = {"role": "user", "content": "Please help me with this."}
    return {"model": MODEL, "input": [asked, *items], **fields}


def _responded(arguments="{}", output="done"):
    return _response({"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": arguments},
                     {"type": "function_call_output", "call_id": "call_1", "output": output})


def _completed(**fields):
    """A request in the words of OpenAI's legacy completions."""
    return {"model": MODEL, "prompt": "Once upon a time", **fields}


def _embedded(text="Hello.", **fields):
    """A request for vectors."""
    return {"model": MODEL, "input": ["Hello.", text], **fields}


def _judged(*parts, **fields):
    """A request for a moderation."""
    return {"model": MODEL, "input": [{"type": "text", "text": "Hello."}, *parts], **fields}


_MESSAGES, _RESPONSES = "/v1/messages", "/v1/responses"
_COMPLETIONS, _EMBEDDINGS, _MODERATIONS = "/v1/completions", "/v1/embeddings", "/v1/moderations"

# Looked into as well, on other paths: in other dialects than that of the providers, where what leaves is written anew, and
# for other tasks than chat.
TRANSLATED = {
    "messages: user": (_MESSAGES, lambda t: _message({"role": "user", "content": t})),
    "messages: block": (_MESSAGES, lambda t: _message({"role": "user", "content": [{"type": "text", "text": t}]})),
    "messages: system": (_MESSAGES, lambda t: _message(system=t)),
    "messages: system block": (_MESSAGES, lambda t: _message(system=[{"type": "text", "text": t}])),
    "messages: assistant": (_MESSAGES, lambda t: _message({"role": "assistant", "content": t}, {"role": "user", "content": "Go on."})),
    "messages: thought": (_MESSAGES, lambda t: _message(
        {"role": "assistant", "content": [{"type": "thinking", "thinking": t, "signature": "c2lnbmF0dXJl"}, {"type": "text", "text": "Yes."}]},
        {"role": "user", "content": "Go on."})),
    "messages: tool input": (_MESSAGES, lambda t: _used(call={"input": {"query": [t]}})),
    "messages: key in tool input": (_MESSAGES, lambda t: _used(call={"input": {t: 1}})),
    "messages: JSON in JSON in tool input": (_MESSAGES, lambda t: _used(call={"input": {"query": nested(t, 2)}})),
    "messages: tool result": (_MESSAGES, lambda t: _used(result={"content": t})),
    "messages: block of a tool result": (_MESSAGES, lambda t: _used(result={"content": [{"type": "text", "text": t}]})),
    "messages: tool description": (_MESSAGES, lambda t: _defined(description=t)),
    "messages: schema": (_MESSAGES, lambda t: _defined(input_schema={"type": "object", "properties": {"a": {"type": "string", "default": t}}})),
    "messages: user id": (_MESSAGES, lambda t: _message(metadata={"user_id": t})),
    "messages: stop sequence": (_MESSAGES, lambda t: _message(stop_sequences=[t])),
    "messages: unknown field": (_MESSAGES, lambda t: _message(x_extra={"deep": [[t]]})),
    "responses: input": (_RESPONSES, lambda t: {"model": MODEL, "input": t}),
    "responses: part": (_RESPONSES, lambda t: _response({"role": "user", "content": [{"type": "input_text", "text": t}]})),
    "responses: instructions": (_RESPONSES, lambda t: _response(instructions=t)),
    "responses: assistant": (_RESPONSES, lambda t: _response(
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": t}]}, {"role": "user", "content": "Go on."})),
    "responses: arguments": (_RESPONSES, lambda t: _responded(arguments=json.dumps({"query": t}))),
    "responses: JSON in JSON in arguments": (_RESPONSES, lambda t: _responded(arguments=json.dumps({"query": nested(t, 2)}))),
    "responses: output": (_RESPONSES, lambda t: _responded(output=t)),
    "responses: reasoning": (_RESPONSES, lambda t: _response(
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": t}]}, {"role": "user", "content": "Go on."})),
    "responses: tool description": (_RESPONSES, lambda t: _response(tools=[
        {"type": "function", "name": "look_up", "description": t, "parameters": {"type": "object"}}])),
    "responses: form": (_RESPONSES, lambda t: _response(text={"format": {
        "type": "json_schema", "name": "a", "schema": {"type": "object", "description": t}}})),
    "responses: metadata": (_RESPONSES, lambda t: _response(metadata={"ticket": t})),
    "responses: unknown field": (_RESPONSES, lambda t: _response(x_extra={"deep": [[t]]})),
    "completions: prompt": (_COMPLETIONS, lambda t: {"model": MODEL, "prompt": t}),
    "completions: suffix": (_COMPLETIONS, lambda t: _completed(suffix=t)),
    "completions: stop": (_COMPLETIONS, lambda t: _completed(stop=[t])),
    "completions: user": (_COMPLETIONS, lambda t: _completed(user=t)),
    "completions: unknown field": (_COMPLETIONS, lambda t: _completed(x_extra={"deep": [[t]]})),
    "embeddings: input": (_EMBEDDINGS, lambda t: {"model": MODEL, "input": t}),
    "embeddings: one of several": (_EMBEDDINGS, _embedded),
    "embeddings: JSON in JSON in a text": (_EMBEDDINGS, lambda t: _embedded(nested(t, 2))),
    "embeddings: user": (_EMBEDDINGS, lambda t: _embedded(user=t)),
    "embeddings: unknown field": (_EMBEDDINGS, lambda t: _embedded(x_extra={"deep": [[t]]})),
    "moderations: input": (_MODERATIONS, lambda t: {"model": MODEL, "input": t}),
    "moderations: part": (_MODERATIONS, lambda t: _judged({"type": "text", "text": t})),
    "moderations: unknown field of a part": (_MODERATIONS, lambda t: _judged({"type": "text", "text": "Hi.", "mood": t})),
    "moderations: unknown field": (_MODERATIONS, lambda t: _judged(x_extra={"deep": [[t]]})),
}

# Not looked into, and never sent on.
OFF_BODY = {
    "query string": lambda t: {"path": f"/v1/chat/completions?note={t}"},
    "cookie": lambda t: {"headers": {"cookie": f"note={t}"}},
    "user agent": lambda t: {"headers": {"user-agent": t}},
    "baggage": lambda t: {"headers": {"baggage": f"note={t}"}},
    "traceparent": lambda t: {"headers": {"traceparent": t}},
    "idempotency key": lambda t: {"headers": {"idempotency-key": t}},
    "custom header": lambda t: {"headers": {"x-note": t}},
    "organisation": lambda t: {"headers": {"openai-organization": t}},
    "session": lambda t: {"headers": {"x-ajar-session": t}},
    "model": lambda t: {"fields": {"model": t}},
}

CUT = ("over parts", "over messages", "over turns")


def cut(how, head, tail):
    """A request with a text cut in two."""
    if how == "over parts":
        return _alone([{"type": "text", "text": f"Here: {head}"}, {"type": "text", "text": f"{tail}\nand so on"}])
    if how == "over messages":
        return said({"role": "user", "content": f"Here: {head}"}, {"role": "user", "content": f"{tail}\nand so on"})
    return {"model": MODEL, "messages": [
        {"role": "user", "content": head}, {"role": "assistant", "content": "Go on."}, {"role": "user", "content": tail}]}


def media(kind, data):
    """A request with an image, a recording or a file."""
    part = {
        "image": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        "linked image": {"type": "image_url", "image_url": {"url": f"https://pictures.example/{data[:60]}.png"}},
        "audio": {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        "file": {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{data}"}},
    }[kind]
    return _alone([{"type": "text", "text": "What is in it?"}, part])
