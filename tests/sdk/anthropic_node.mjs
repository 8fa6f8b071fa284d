// Anthropic's official Node SDK against a running gateway: `node anthropic_node.mjs BASE_URL API_KEY MODEL [scripted]`.
//
// One line per check; exit status 1 if any failed. MODEL may be anything the gateway answers, also a small local model,
// so the checks are about the protocol and not about what is said; `scripted` is for a model that calls tools where it is
// told to. The gateway must reject unknown models.

import assert from "node:assert/strict";
import Anthropic, { AuthenticationError, BadRequestError, NotFoundError } from "@anthropic-ai/sdk";

const [baseURL, apiKey, model, kind] = process.argv.slice(2);
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const ping = [{ role: "user", content: "Say one word." }];
const conversation = [
  { role: "user", content: "My cat is called Pixel." },
  { role: "assistant", content: [{ type: "text", text: "Noted." }] },
  { role: "user", content: [{ type: "text", text: "What is my cat called?" }] },
];
const tools = [{
  name: "weather",
  description: "of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
}];

const ask = (options = {}) => client.messages.create({ model, max_tokens: 24, messages: ping, ...options });
const textOf = (message) => message.content.map((block) => block.text ?? "").join("");

async function fails(kind, attempt) {
  try {
    await attempt();
  } catch (error) {
    assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
    assert.ok(error.message && error.error.error.type);
    return `${error.status} ${error.error.error.type}`;
  }
  assert.fail(`no ${kind.name}`);
}

const checks = {
  async "a whole answer"() {
    const answer = await ask();
    assert.deepEqual([answer.type, answer.role], ["message", "assistant"]);
    assert.ok(answer.id && answer.model && answer._request_id && textOf(answer));
    assert.ok(["end_turn", "max_tokens"].includes(answer.stop_reason));
    assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
    return `${answer.usage.output_tokens} tokens`;
  },
  async "raw events of a stream"() {
    const kinds = [];
    for await (const event of await ask({ stream: true })) kinds.push(event.type);
    assert.equal(kinds[0], "message_start");
    assert.deepEqual(kinds.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);
  },
  async "a stream by the helper"() {
    let said = "";
    const stream = client.messages.stream({ model, max_tokens: 24, messages: ping }).on("text", (text) => (said += text));
    const message = await stream.finalMessage();
    assert.ok(said && said === textOf(message));
    assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
  },
  async "a stream left early"() {
    const stream = await ask({ stream: true });
    for await (const _ of stream) break;
    assert.ok(stream.controller.signal.aborted);
  },
  async "a conversation with a system prompt"() {
    assert.ok(textOf(await ask({ messages: conversation, system: "You are terse." })));
  },
  async "a limit on tokens"() {
    const messages = [{ role: "user", content: "Write a long story about a river and its valley." }];
    const answer = await ask({ messages, max_tokens: 4 });
    assert.ok(answer.usage.output_tokens <= 4);
    assert.equal(answer.stop_reason, "max_tokens");
  },
  async "counted tokens"() {
    const { input_tokens } = await client.messages.countTokens({ model, messages: ping });
    assert.ok(input_tokens > 3);
    return `${input_tokens} tokens`;
  },
  async "the list of models"() {
    const models = [];
    for await (const entry of client.models.list()) models.push(entry.id);
    assert.ok(models.length > 0);
    return models.slice(0, 4).join(", ");
  },
  async "a wrong key is an authentication error"() {
    const wrong = new Anthropic({ baseURL, apiKey: "sk-wrong", maxRetries: 0 });
    return fails(AuthenticationError, () => wrong.messages.create({ model, max_tokens: 8, messages: ping }));
  },
  async "an unknown model is not found"() {
    return fails(NotFoundError, () => ask({ model: "no-such-model-anywhere" }));
  },
  async "a bad parameter is a bad request"() {
    return fails(BadRequestError, () => ask({ temperature: 3 }));
  },
};

const scripted = {
  async "tools are called whole and in a stream"() {
    const messages = [{ role: "user", content: "weather in two cities?" }];
    const request = { model, max_tokens: 500, messages, tools };
    for (const answer of [await ask(request), await client.messages.stream(request).finalMessage()]) {
      const calls = answer.content.filter((block) => block.type === "tool_use");
      assert.equal(answer.stop_reason, "tool_use");
      assert.deepEqual(calls.map((call) => call.input), [{ city: "Ulm" }, { city: "Oslo" }]);
      const results = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: "rain" }));
      const content = [...results, { type: "text", text: "and now?" }];
      const turns = [...messages, { role: "assistant", content: answer.content }, { role: "user", content }];
      assert.ok(textOf(await ask({ messages: turns, tools })));
    }
  },
};

let failed = 0;
const all = Object.entries(kind === "scripted" ? { ...checks, ...scripted } : checks);
for (const [name, run] of all) {
  try {
    const detail = await run();
    console.log(`ok      anthropic node: ${name}${detail ? ` (${detail})` : ""}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  anthropic node: ${name}: ${error.constructor.name}: ${error.message}`);
  }
}
console.log(`${all.length - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
