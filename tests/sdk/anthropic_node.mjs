// Anthropic's official Node SDK: see `checks.py`.

import assert from "node:assert/strict";
import Anthropic, {
  AuthenticationError, BadRequestError, NotFoundError, PermissionDeniedError, RateLimitError,
} from "@anthropic-ai/sdk";
import * as the from "./checks.mjs";

const { apiKey, model, isScripted } = the;
const baseURL = the.baseURL.replace(/\/v1$/, "");
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const user = (content) => [{ role: "user", content }];
const ping = user(the.PING);
const conversation = [
  { role: "user", content: "My cat is called Pixel." },
  { role: "assistant", content: [{ type: "text", text: "Noted." }] },
  { role: "user", content: [{ type: "text", text: "What is my cat called?" }] },
];
const tools = [{ name: "weather", description: "of a city", input_schema: the.CITY_SCHEMA }];
const tool_choice = { type: "any", disable_parallel_tool_use: true };
const calling = { model, max_tokens: 200, messages: user(the.ONE_CITY), tools, tool_choice };

const ask = (options = {}) => client.messages.create({ model, max_tokens: 24, messages: ping, ...options });
const textOf = (message) => message.content.map((block) => block.text ?? "").join("");
const callsIn = (message) => message.content.filter((block) => block.type === "tool_use");

const checks = {
  async "[chat] a whole answer"() {
    const answer = await ask();
    assert.deepEqual([answer.type, answer.role], ["message", "assistant"]);
    assert.ok(answer.id && answer.model && answer._request_id && textOf(answer));
    assert.ok(["end_turn", "max_tokens"].includes(answer.stop_reason));
  },
  async "[stream] raw events of a stream"() {
    const kinds = [];
    for await (const event of await ask({ stream: true })) kinds.push(event.type);
    assert.equal(kinds[0], "message_start");
    assert.deepEqual(kinds.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);
  },
  async "[stream] a stream by the helper"() {
    let said = "";
    const stream = client.messages.stream({ model, max_tokens: 24, messages: ping }).on("text", (text) => (said += text));
    const message = await stream.finalMessage();
    assert.ok(said && said === textOf(message));
  },
  async "[usage] whole and streamed answers are counted alike"() {
    const streamed = (await client.messages.stream({ model, max_tokens: 24, messages: ping }).finalMessage()).usage;
    const whole = (await ask()).usage;
    const read = (usage) => usage.input_tokens + usage.cache_read_input_tokens;
    assert.ok(read(whole) > 0 && whole.output_tokens > 0 && streamed.output_tokens > 0);
    assert.equal(read(whole), read(streamed));
    return `${whole.output_tokens} tokens`;
  },
  async "a stream left early"() {
    const stream = await ask({ stream: true });
    for await (const _ of stream) break;
    assert.ok(stream.controller.signal.aborted);
  },
  async "[chat] a conversation with a system prompt"() {
    assert.ok(textOf(await ask({ messages: conversation, system: "You are terse." })));
  },
  async "a limit on tokens"() {
    const answer = await ask({ messages: user(the.LONG), max_tokens: 4 });
    assert.ok(answer.usage.output_tokens <= 4);
    assert.equal(answer.stop_reason, "max_tokens");
  },
  async "counted tokens"() {
    const { input_tokens } = await client.messages.countTokens({ model, messages: ping });
    assert.ok(input_tokens > 3);
    return `${input_tokens} tokens`;
  },
  async "the list of models, and one of them"() {
    const models = [];
    for await (const entry of client.models.list()) models.push(entry.id);
    assert.ok(models.length > 0);
    const one = await client.models.retrieve(models.at(-1));
    assert.equal(one.id, models.at(-1));
    return models.slice(0, 4).join(", ");
  },
  async "[tools] a tool is called and told what it returned"() {
    const answer = await ask(calling);
    assert.equal(answer.stop_reason, "tool_use");
    assert.deepEqual(callsIn(answer)[0].input, { city: "Ulm" });
    const results = callsIn(answer).map((call) => ({ type: "tool_result", tool_use_id: call.id, content: "rain" }));
    const turn = { role: "assistant", content: answer.content };
    const messages = [...calling.messages, turn, ...user([...results, { type: "text", text: "and now?" }])];
    assert.ok(textOf(await ask({ messages, tools, tool_choice: { type: "none" } })));
  },
  async "[streamed tools] a tool is called in a stream"() {
    assert.deepEqual(callsIn(await client.messages.stream(calling).finalMessage())[0].input, { city: "Ulm" });
  },
  "[parallel tools] two tools are called at once, whole and streamed": isScripted && (async () => {
    const request = { model, max_tokens: 200, messages: user(the.TWO_CITIES), tools };
    for (const answer of [await ask(request), await client.messages.stream(request).finalMessage()]) {
      assert.deepEqual(callsIn(answer).map((call) => call.input), [{ city: "Ulm" }, { city: "Oslo" }]);
    }
  }),
  async "[structured output] an answer has a form"() {
    const output_config = { format: { type: "json_schema", schema: the.NAME_SCHEMA } };
    const answer = await ask({ messages: user(the.NAME_A_CITY), max_tokens: 50, output_config });
    assert.deepEqual(JSON.parse(textOf(answer)), { name: "Ulm" });
  },
  async "[vision] an image is looked at"() {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: the.PNG } };
    const messages = user([{ type: "text", text: the.LOOK }, image]);
    assert.ok(textOf(await the.unlessRefused(() => ask({ messages }))));
  },
  async "[reasoning] thoughts are asked for, shown, counted and sent back"() {
    const options = { thinking: { type: "enabled", budget_tokens: 1024 }, max_tokens: 4000 };
    const answer = await the.unlessRefused(() => ask({ messages: user(the.THINK), ...options }));
    assert.equal(answer.content[0].thinking, "hm, a river");
    assert.equal(answer.usage.output_tokens_details.thinking_tokens, 3);
    const turn = { role: "assistant", content: answer.content };
    assert.ok(textOf(await ask({ messages: [...user(the.THINK), turn, ...user("and now?")], ...options })));
  },
  async "[errors] errors are of the SDK's types"() {
    await the.fails(BadRequestError, 400, "invalid_value", () => ask({ temperature: 3 }));
    const wrong = new Anthropic({ baseURL, apiKey: "sk-wrong", maxRetries: 0 });
    const knock = () => wrong.messages.create({ model, max_tokens: 8, messages: ping });
    await the.fails(AuthenticationError, 401, "invalid_api_key", knock);
    await the.fails(PermissionDeniedError, 403, "policy_unsatisfiable", () => ask({ messages: user(the.CARD) }));
    await the.fails(NotFoundError, 404, "model_not_found", () => ask({ model: "no-such-model-anywhere" }));
    // What could take long must be streamed, says the SDK.
    const much = async () => { for await (const _ of await ask({ max_tokens: the.TOO_MUCH, stream: true })); };
    await the.fails(RateLimitError, 429, "budget_exhausted", much);
  },
};

await the.run(["@anthropic-ai/sdk"], checks);
