// Vercel's AI SDK: see `checks.py`. The word `responses` is for OpenAI's responses, `anthropic` for Anthropic's messages; without
// either it speaks chat completions, by the provider that is meant for whoever is compatible.

import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, generateText, jsonSchema, streamText, tool } from "ai";
import * as the from "./checks.mjs";

const { baseURL, isScripted, words } = the;
const dialect = words.find((word) => ["responses", "anthropic"].includes(word)) ?? "chat";
const { name, create, providerOptions } = {
  responses: {
    name: "@ai-sdk/openai",
    create: (apiKey) => createOpenAI({ baseURL, apiKey }),
    providerOptions: { openai: { forceReasoning: true, reasoningEffort: "low", reasoningSummary: "auto" } },
  },
  anthropic: {
    name: "@ai-sdk/anthropic",
    create: (apiKey) => createAnthropic({ baseURL, apiKey }),
    providerOptions: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } },
  },
  chat: {
    name: "@ai-sdk/openai-compatible",
    create: (apiKey) => createOpenAICompatible({
      name: "ajar", baseURL, apiKey, includeUsage: true, supportsStructuredOutputs: true,
    }),
    providerOptions: { ajar: { reasoningEffort: "low" } },
  },
}[dialect];

const request = (options) => ({
  model: create(the.apiKey)(the.model), prompt: the.PING, maxOutputTokens: 24, maxRetries: 0, ...options,
});
const ask = (options = {}) => generateText(request(options));
/** A streamed answer, read to its end. */
async function stream(options = {}) {
  let failure;
  const result = streamText(request({ ...options, onError: ({ error }) => (failure = error) }));
  let text = "";
  for await (const piece of result.textStream) text += piece;
  if (failure) throw failure;
  return { text, toolCalls: await result.toolCalls, usage: await result.usage };
}

const weather = (cities) => ({
  weather: tool({
    description: "The weather of a city.",
    inputSchema: jsonSchema({ ...the.CITY_SCHEMA, properties: { city: { type: "string", enum: cities } } }),
  }),
});
const calling = {
  prompt: the.ONE_CITY, tools: weather(["Ulm"]), toolChoice: "required", maxOutputTokens: 200, temperature: 0,
};
const inputsOf = (answer) => answer.toolCalls.map((call) => call.input);

const checks = {
  async "[chat] a conversation"() {
    const messages = [{ role: "user", content: "My cat is called Pixel." }, { role: "assistant", content: "Noted." },
      { role: "user", content: the.PING }];
    assert.ok((await ask({ prompt: undefined, system: "You are terse.", messages })).text);
  },
  async "[stream] a stream"() {
    assert.ok((await stream()).text);
  },
  async "[usage] whole and streamed answers are counted alike"() {
    const [whole, streamed] = [await ask({ temperature: 0 }), await stream({ temperature: 0 })];
    assert.ok(whole.usage.inputTokens > 0 && whole.usage.outputTokens > 0);
    assert.equal(streamed.usage.outputTokens, whole.usage.outputTokens);
    assert.equal(streamed.usage.inputTokens, whole.usage.inputTokens);
    return `${whole.usage.totalTokens} tokens`;
  },
  async "[tools] a tool is called and told what it returned"() {
    const answer = await ask(calling);
    assert.deepEqual(inputsOf(answer)[0], { city: "Ulm" });
    const content = answer.toolCalls.map(({ toolCallId, toolName }) => ({
      type: "tool-result", toolCallId, toolName, output: { type: "text", value: "rain" },
    }));
    const messages = [{ role: "user", content: the.ONE_CITY }, ...answer.response.messages, { role: "tool", content },
      { role: "user", content: "and now?" }];
    assert.ok((await ask({ prompt: undefined, messages, tools: calling.tools, toolChoice: "none" })).text);
  },
  async "[streamed tools] a tool is called in a stream"() {
    assert.deepEqual(inputsOf(await stream(calling))[0], { city: "Ulm" });
  },
  "[parallel tools] two tools are called at once, whole and streamed": isScripted && (async () => {
    const both = { prompt: the.TWO_CITIES, tools: weather(["Ulm", "Oslo"]), maxOutputTokens: 200 };
    for (const answer of [await ask(both), await stream(both)]) {
      assert.deepEqual(inputsOf(answer), [{ city: "Ulm" }, { city: "Oslo" }]);
    }
  }),
  async "[structured output] an answer has a form"() {
    const output = Output.object({ schema: jsonSchema(the.NAME_SCHEMA) });
    const answer = await ask({ prompt: the.NAME_A_CITY, output, maxOutputTokens: 100, temperature: 0 });
    assert.deepEqual(answer.output, { name: "Ulm" });
  },
  async "[vision] an image is looked at"() {
    const image = { type: "image", image: `data:image/png;base64,${the.PNG}`, mediaType: "image/png" };
    const messages = [{ role: "user", content: [{ type: "text", text: the.LOOK }, image] }];
    assert.ok((await the.unlessRefused(() => ask({ prompt: undefined, messages }))).text);
  },
  async "[reasoning] thoughts are asked for, shown and sent back"() {
    const thinking = { providerOptions, maxOutputTokens: 4000 };
    const answer = await the.unlessRefused(() => ask({ prompt: the.THINK, ...thinking }));
    assert.ok(answer.text);
    assert.equal(answer.reasoningText, "hm, a river");
    const messages = [{ role: "user", content: the.THINK }, ...answer.response.messages, { role: "user", content: "and now?" }];
    assert.ok((await ask({ prompt: undefined, messages, ...thinking })).text);
  },
  async "[errors] errors are of the SDK's types"() {
    await the.fails(APICallError, 400, "invalid_value", () => ask({ topP: 3 }));
    const wrong = create("sk-wrong")(the.model);
    await the.fails(APICallError, 401, "invalid_api_key", () => ask({ model: wrong }));
    await the.fails(APICallError, 403, "policy_unsatisfiable", () => ask({ prompt: the.CARD }));
    const unknown = create(the.apiKey)("no-such-model-anywhere");
    await the.fails(APICallError, 404, "model_not_found", () => ask({ model: unknown }));
    await the.fails(APICallError, 429, "budget_exhausted", () => ask({ maxOutputTokens: the.TOO_MUCH }));
  },
};

await the.run(["ai", name], checks);
