// The official Node SDK against a running gateway: `node openai_node.mjs BASE_URL API_KEY MODEL`.
//
// One line per check; exit status 1 if any failed. MODEL may be anything the gateway answers, also a small local model,
// so the checks are about the protocol and not about what is said. The gateway must reject unknown models.

import assert from "node:assert/strict";
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError } from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const ping = [{ role: "user", content: "Say one word." }];
const conversation = [
  { role: "system", content: "You are terse." },
  { role: "user", content: "My cat is called Pixel." },
  { role: "assistant", content: "Noted." },
  { role: "user", content: [{ type: "text", text: "What is my cat called?" }] },
];

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

async function fails(kind, attempt) {
  try {
    await attempt();
  } catch (error) {
    assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
    assert.ok(error.message && error.type);
    return `${error.status} ${error.code}`;
  }
  assert.fail(`no ${kind.name}`);
}

const checks = {
  async "a whole answer"() {
    const answer = await ask();
    assert.equal(answer.object, "chat.completion");
    assert.ok(answer.id && answer.model && answer._request_id);
    assert.ok(answer.choices[0].message.content);
    assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
    const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
    assert.equal(prompt_tokens + completion_tokens, total_tokens);
    return `${total_tokens} tokens`;
  },
  async "a stream"() {
    const { text, finish, usage } = await collect(await ask({ stream: true }));
    assert.ok(text && ["stop", "length"].includes(finish));
    assert.equal(usage, null, "usage was not asked for");
  },
  async "a stream with usage"() {
    const { text, usage } = await collect(await ask({ stream: true, stream_options: { include_usage: true } }));
    assert.ok(text && usage.prompt_tokens > 0 && usage.completion_tokens > 0);
    return `${usage.total_tokens} tokens`;
  },
  async "a stream by the helper"() {
    const stream = client.chat.completions.stream({ model, messages: ping, max_completion_tokens: 24, seed: 7 });
    assert.ok(await stream.finalContent());
  },
  async "a stream left early"() {
    const stream = await ask({ stream: true });
    for await (const _ of stream) break;
    assert.ok(stream.controller.signal.aborted);
  },
  async "a conversation with a system message"() {
    assert.ok((await ask({ messages: conversation })).choices[0].message.content);
  },
  async "a limit on tokens"() {
    const messages = [{ role: "user", content: "Write a long story about a river and its valley." }];
    const answer = await ask({ messages, temperature: 0, max_completion_tokens: 4 });
    assert.ok(answer.usage.completion_tokens <= 4);
    assert.equal(answer.choices[0].finish_reason, "length");
  },
  async "a stop sequence"() {
    const whole = (await ask({ temperature: 0 })).choices[0].message.content;
    const middle = Math.floor(whole.length / 2);
    const stop = whole.slice(middle, middle + 3);
    const answer = (await ask({ temperature: 0, stop: [stop] })).choices[0];
    assert.ok(!answer.message.content.includes(stop) && answer.message.content.length < whole.length);
    assert.equal(answer.finish_reason, "stop");
  },
  async "the list of models"() {
    const models = [];
    for await (const one of client.models.list()) models.push(one.id);
    assert.ok(models.length > 0);
    return models.slice(0, 4).join(", ");
  },
  "a wrong key is an authentication error": () =>
    fails(AuthenticationError, () =>
      new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 }).chat.completions.create({ model, messages: ping })),
  "an unknown model is not found": () => fails(NotFoundError, () => ask({ model: "no-such-model-anywhere" })),
  "a bad parameter is a bad request": () => fails(BadRequestError, () => ask({ temperature: 3 })),
  "no messages is a bad request": () => fails(BadRequestError, () => ask({ messages: undefined })),
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    const detail = await check();
    console.log(`ok      node: ${name}${detail ? ` (${detail})` : ""}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  node: ${name}: ${error.name}: ${error.message}`);
  }
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
