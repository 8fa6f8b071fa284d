// The official Node SDK against a running gateway: `node openai_node.mjs BASE_URL API_KEY MODEL [scripted]`.
//
// One line per check; exit status 1 if any failed. MODEL may be anything the gateway answers, also a small local model,
// so the checks are about the protocol and not about what is said; `scripted` is where somebody serves embeddings (`near`)
// and moderations. The gateway must reject unknown models.

import assert from "node:assert/strict";
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError, UnprocessableEntityError } from "openai";

const [baseURL, apiKey, model, kind] = process.argv.slice(2);
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
  async "a legacy completion"() {
    const answer = await client.completions.create({ model, prompt: "Once upon a time", max_tokens: 8, seed: 7 });
    assert.equal(answer.object, "text_completion");
    assert.ok(answer.choices[0].text && answer.usage.completion_tokens > 0);
  },
  async "a stream of a legacy completion"() {
    let text = "";
    const stream = await client.completions.create({ model, prompt: "Once upon a time", max_tokens: 8, stream: true });
    for await (const chunk of stream) text += chunk.choices.map((choice) => choice.text).join("");
    assert.ok(text);
  },
  "several prompts at once are a bad request": () =>
    fails(BadRequestError, () => client.completions.create({ model, prompt: ["a", "b"] })),
  "embeddings of tokens are a bad request": () =>
    fails(BadRequestError, () => client.embeddings.create({ model: "near", input: [1, 2, 3] })),
  "embeddings by a model that makes none are unprocessable": () =>
    fails(UnprocessableEntityError, () => client.embeddings.create({ model, input: "hello" })),
  "what is not served is not found": () =>
    fails(NotFoundError, () => client.images.generate({ model, prompt: "a river" })),
};

/** Where somebody serves them. */
const served = {
  async "embeddings"() {
    const answer = await client.embeddings.create({ model: "near", input: ["hello", "there"] });
    const numbers = await client.embeddings.create({ model: "near", input: "hello", encoding_format: "float" });
    assert.deepEqual(answer.data.map((entry) => entry.index), [0, 1]);
    assert.equal(answer.data[0].embedding.length, numbers.data[0].embedding.length);
    answer.data[0].embedding.forEach((number, at) => assert.ok(Math.abs(number - numbers.data[0].embedding[at]) < 1e-6));
    assert.ok(answer.usage.prompt_tokens > 0);
  },
  async "moderations"() {
    const answer = await client.moderations.create({ input: ["nice", "I will hurt you"] });
    assert.deepEqual(answer.results.map((result) => result.flagged), [false, true]);
  },
};

const all = Object.entries(kind === "scripted" ? { ...checks, ...served } : checks);

let failed = 0;
for (const [name, check] of all) {
  try {
    const detail = await check();
    console.log(`ok      node: ${name}${detail ? ` (${detail})` : ""}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  node: ${name}: ${error.name}: ${error.message}`);
  }
}
console.log(`${all.length - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
