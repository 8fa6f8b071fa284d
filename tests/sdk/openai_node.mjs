// OpenAI's official Node SDK, chat completions: see `checks.py`.

import assert from "node:assert/strict";
import OpenAI, {
  AuthenticationError, BadRequestError, NotFoundError, PermissionDeniedError, RateLimitError,
  UnprocessableEntityError,
} from "openai";
import * as the from "./checks.mjs";

const { baseURL, apiKey, model, isScripted } = the;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const user = (content) => [{ role: "user", content }];
const ping = user(the.PING);
const conversation = [
  { role: "system", content: "You are terse." },
  { role: "user", content: "My cat is called Pixel." },
  { role: "assistant", content: "Noted." },
  { role: "user", content: [{ type: "text", text: "What is my cat called?" }] },
];
const weather = {
  type: "function",
  function: { name: "weather", description: "of a city", parameters: the.CITY_SCHEMA },
};
const calling = {
  tools: [weather], tool_choice: "required", parallel_tool_calls: false, max_completion_tokens: 200, temperature: 0,
};

const ask = (options = {}) =>
  client.chat.completions.create({ model, messages: ping, max_completion_tokens: 24, seed: 7, ...options });

/** A stream's text, finish reason and usage. */
async function collect(stream) {
  let text = "", finish = null, usage = null;
  for await (const chunk of stream) {
    assert.equal(chunk.object, "chat.completion.chunk");
    usage = chunk.usage ?? usage;
    for (const choice of chunk.choices) {
      text += choice.delta.content ?? "";
      finish = choice.finish_reason ?? finish;
    }
  }
  return { text, finish, usage };
}

const checks = {
  async "[chat] a whole answer"() {
    const answer = await ask();
    assert.equal(answer.object, "chat.completion");
    assert.ok(answer.id && answer.model && answer._request_id);
    assert.ok(answer.choices[0].message.content);
    assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
  },
  async "[stream] a stream"() {
    const { text, finish, usage } = await collect(await ask({ stream: true }));
    assert.ok(text && ["stop", "length"].includes(finish));
    assert.equal(usage, null, "usage was not asked for");
  },
  async "[usage] whole and streamed answers are counted alike"() {
    const { usage } = await ask({ temperature: 0 });
    const streamed = await ask({ temperature: 0, stream: true, stream_options: { include_usage: true } });
    const counts = (await collect(streamed)).usage;
    assert.ok(usage.prompt_tokens > 0 && usage.completion_tokens > 0);
    assert.equal(usage.prompt_tokens + usage.completion_tokens, usage.total_tokens);
    assert.equal(counts.total_tokens, usage.total_tokens);
    return `${usage.total_tokens} tokens`;
  },
  async "[stream] a stream by the helper"() {
    const stream = client.chat.completions.stream({ model, messages: ping, max_completion_tokens: 24, seed: 7 });
    assert.ok(await stream.finalContent());
  },
  async "a stream left early"() {
    const stream = await ask({ stream: true });
    for await (const _ of stream) break;
    assert.ok(stream.controller.signal.aborted);
  },
  async "[chat] a conversation with a system message"() {
    assert.ok((await ask({ messages: conversation })).choices[0].message.content);
  },
  async "a limit on tokens"() {
    const answer = await ask({ messages: user(the.LONG), temperature: 0, max_completion_tokens: 4 });
    assert.ok(answer.usage.completion_tokens <= 4);
    assert.equal(answer.choices[0].finish_reason, "length");
  },
  async "[tools] a tool is called and told what it returned"() {
    const answer = await ask({ messages: user(the.ONE_CITY), ...calling });
    const { message, finish_reason } = answer.choices[0];
    const calls = message.tool_calls;
    assert.deepEqual([finish_reason, calls[0].function.name], ["tool_calls", "weather"]);
    assert.deepEqual(JSON.parse(calls[0].function.arguments), { city: "Ulm" });
    const results = calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: "rain" }));
    const messages = [...user(the.ONE_CITY), message, ...results, ...user("and now?")];
    assert.ok((await ask({ messages, tools: [weather], tool_choice: "none" })).choices[0].message.content);
  },
  async "[streamed tools] a tool is called in a stream"() {
    const stream = client.chat.completions.stream({ model, messages: user(the.ONE_CITY), ...calling });
    const call = (await stream.finalChatCompletion()).choices[0].message.tool_calls[0];
    assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ["weather", { city: "Ulm" }]);
  },
  "[parallel tools] two tools are called at once, whole and streamed": isScripted && (async () => {
    const request = { model, messages: user(the.TWO_CITIES), tools: [weather], max_completion_tokens: 200 };
    const streamed = client.chat.completions.stream(request).finalChatCompletion();
    for (const answer of [await ask(request), await streamed]) {
      const calls = answer.choices[0].message.tool_calls.map((call) => JSON.parse(call.function.arguments));
      assert.deepEqual(calls, [{ city: "Ulm" }, { city: "Oslo" }]);
    }
  }),
  async "[structured output] an answer has a form"() {
    const json_schema = { name: "city", strict: true, schema: the.NAME_SCHEMA };
    const answer = await client.chat.completions.parse({
      model, messages: user(the.NAME_A_CITY), response_format: { type: "json_schema", json_schema },
      max_completion_tokens: 50, temperature: 0,
    });
    assert.deepEqual(JSON.parse(answer.choices[0].message.content), { name: "Ulm" });
  },
  async "[vision] an image is looked at"() {
    const image = { type: "image_url", image_url: { url: `data:image/png;base64,${the.PNG}` } };
    const answer = await the.unlessRefused(() => ask({ messages: user([{ type: "text", text: the.LOOK }, image]) }));
    assert.ok(answer.choices[0].message.content);
  },
  async "[reasoning] thoughts are asked for, shown and counted"() {
    const request = { messages: user(the.THINK), reasoning_effort: "low", max_completion_tokens: 4000 };
    const { choices, usage } = await the.unlessRefused(() => ask(request));
    assert.equal(choices[0].message.reasoning_content, "hm, a river");
    assert.equal(usage.completion_tokens_details.reasoning_tokens, 3);
  },
  async "the list of models, and one of them"() {
    const models = [];
    for await (const one of client.models.list()) models.push(one.id);
    assert.ok(models.length > 0);
    const one = await client.models.retrieve(models.at(-1));
    assert.equal(one.id, models.at(-1));
    return models.slice(0, 4).join(", ");
  },
  async "a legacy completion, whole and streamed"() {
    const request = { model, prompt: "Once upon a time", max_tokens: 8 };
    const answer = await client.completions.create(request);
    assert.equal(answer.object, "text_completion");
    assert.ok(answer.choices[0].text && answer.usage.completion_tokens > 0);
    let text = "";
    for await (const chunk of await client.completions.create({ ...request, stream: true })) {
      text += chunk.choices.map((choice) => choice.text).join("");
    }
    assert.ok(text);
  },
  "embeddings": isScripted && (async () => {
    const { data, usage } = await client.embeddings.create({ model: "near", input: ["hello", "there"] });
    const numbers = await client.embeddings.create({ model: "near", input: "hello", encoding_format: "float" });
    assert.deepEqual(data.map((entry) => entry.index), [0, 1]);
    assert.equal(data[0].embedding.length, numbers.data[0].embedding.length);
    data[0].embedding.forEach((number, at) => assert.ok(Math.abs(number - numbers.data[0].embedding[at]) < 1e-6));
    assert.ok(usage.prompt_tokens > 0);
  }),
  "moderations": isScripted && (async () => {
    const answer = await client.moderations.create({ input: ["nice", "I will hurt you"] });
    assert.deepEqual(answer.results.map((result) => result.flagged), [false, true]);
  }),
  async "what nobody here can look at or serve is refused"() {
    const several = () => client.completions.create({ model, prompt: ["a", "b"] });
    await the.fails(BadRequestError, 400, "several_prompts", several);
    const tokens = () => client.embeddings.create({ model: "near", input: [1, 2, 3] });
    await the.fails(BadRequestError, 400, "tokens_not_taken", tokens);
    const vectors = () => client.embeddings.create({ model, input: "hello" });
    await the.fails(UnprocessableEntityError, 422, "capability_missing", vectors);
    await the.fails(NotFoundError, 404, "not_served", () => client.images.generate({ model, prompt: "a river" }));
  },
  async "[errors] errors are of the SDK's types"() {
    await the.fails(BadRequestError, 400, "invalid_value", () => ask({ temperature: 3 }));
    await the.fails(BadRequestError, 400, "messages", () => ask({ messages: undefined }));
    const wrong = new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 });
    const knock = () => wrong.chat.completions.create({ model, messages: ping });
    await the.fails(AuthenticationError, 401, "invalid_api_key", knock);
    await the.fails(PermissionDeniedError, 403, "policy_unsatisfiable", () => ask({ messages: user(the.CARD) }));
    await the.fails(NotFoundError, 404, "model_not_found", () => ask({ model: "no-such-model-anywhere" }));
    await the.fails(RateLimitError, 429, "budget_exhausted", () => ask({ max_completion_tokens: the.TOO_MUCH }));
  },
};

await the.run(["openai"], checks);
