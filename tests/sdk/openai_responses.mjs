// OpenAI's official Node SDK, responses: see `checks.py`.

import assert from "node:assert/strict";
import OpenAI, {
  AuthenticationError, BadRequestError, NotFoundError, PermissionDeniedError, RateLimitError,
} from "openai";
import * as the from "./checks.mjs";

const { baseURL, apiKey, model, isScripted } = the;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const weather = { type: "function", name: "weather", strict: true, parameters: the.CITY_SCHEMA };
const calling = { tools: [weather], tool_choice: "required", max_output_tokens: 200, temperature: 0 };
const ask = (input = the.PING, options = {}) =>
  client.responses.create({ model, input, max_output_tokens: 24, ...options });

const callsIn = (answer) => answer.output.filter((item) => item.type === "function_call");
const argumentsIn = (answer) => callsIn(answer).map((call) => JSON.parse(call.arguments));

/** The whole response that the last event of a stream holds, and the text of the events of `kind` before it. */
async function streamed(stream, kind) {
  let pieces = "", last;
  for await (const event of stream) {
    if (event.type === kind) pieces += event.delta;
    last = event;
  }
  assert.ok(["response.completed", "response.incomplete"].includes(last.type), last.type);
  return { pieces, answer: last.response };
}

const checks = {
  async "[chat] a whole answer"() {
    const answer = await ask(undefined, { instructions: "Be brief." });
    assert.ok(["completed", "incomplete"].includes(answer.status));
    assert.ok(answer.output_text);
  },
  async "[stream] a stream"() {
    const { pieces } = await streamed(await ask(undefined, { stream: true }), "response.output_text.delta");
    assert.ok(pieces);
  },
  async "[usage] whole and streamed answers are counted alike"() {
    const { usage } = await ask(undefined, { temperature: 0 });
    const { answer } = await streamed(await ask(undefined, { temperature: 0, stream: true }));
    assert.ok(usage.input_tokens > 0 && usage.output_tokens > 0);
    assert.equal(answer.usage.total_tokens, usage.total_tokens);
  },
  async "[tools] a tool is called and told what it returned"() {
    const answer = await ask(the.ONE_CITY, calling);
    assert.deepEqual(argumentsIn(answer)[0], { city: "Ulm" });
    const results = callsIn(answer).map(({ call_id }) => ({ type: "function_call_output", call_id, output: "sunny" }));
    const input = [{ role: "user", content: the.ONE_CITY }, ...answer.output, ...results, { role: "user", content: "and now?" }];
    assert.ok((await ask(input, { tools: [weather], tool_choice: "none" })).output_text);
  },
  async "[streamed tools] a tool is called in a stream"() {
    const stream = client.responses.stream({ model, input: the.ONE_CITY, ...calling });
    const { pieces, answer } = await streamed(stream, "response.function_call_arguments.delta");
    assert.equal(pieces, callsIn(answer).map((call) => call.arguments).join(""));
    assert.deepEqual(argumentsIn(answer)[0], { city: "Ulm" });
  },
  "[parallel tools] two tools are called at once, whole and streamed": isScripted && (async () => {
    const { answer } = await streamed(await ask(the.TWO_CITIES, { ...calling, stream: true }));
    for (const each of [await ask(the.TWO_CITIES, calling), answer]) {
      assert.deepEqual(argumentsIn(each), [{ city: "Ulm" }, { city: "Oslo" }]);
    }
  }),
  async "[structured output] an answer has a form"() {
    const format = { type: "json_schema", name: "city", strict: true, schema: the.NAME_SCHEMA };
    const options = { text: { format }, max_output_tokens: 50, temperature: 0 };
    const answer = await client.responses.parse({ model, input: the.NAME_A_CITY, ...options });
    assert.deepEqual(JSON.parse(answer.output_text), { name: "Ulm" });
  },
  async "[vision] an image is looked at"() {
    const image = { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${the.PNG}` };
    const content = [{ type: "input_text", text: the.LOOK }, image];
    assert.ok((await the.unlessRefused(() => ask([{ role: "user", content }]))).output_text);
  },
  async "[reasoning] thoughts are asked for, shown, counted and sent back"() {
    const options = {
      reasoning: { effort: "low", summary: "auto" }, include: ["reasoning.encrypted_content"], max_output_tokens: 4000,
    };
    const answer = await the.unlessRefused(() => ask(the.THINK, options));
    assert.equal(answer.output.find((item) => item.type === "reasoning").summary[0].text, "hm, a river");
    assert.equal(answer.usage.output_tokens_details.reasoning_tokens, 3);
    const input = [{ role: "user", content: the.THINK }, ...answer.output, { role: "user", content: "and now?" }];
    assert.ok((await ask(input, options)).output_text);
  },
  async "a conversation is continued by an answer's id"() {
    const first = await ask(the.ONE_CITY, calling);
    const results = callsIn(first).map(({ call_id }) => ({ type: "function_call_output", call_id, output: "sunny" }));
    const input = [...results, { role: "user", content: "Say it." }];
    const second = await ask(input, { previous_response_id: first.id, tools: [weather], tool_choice: "none" });
    assert.ok(second.output_text);
    await assert.rejects(ask("x", { previous_response_id: "resp_unheard_of" }), BadRequestError);
  },
  async "[errors] errors are of the SDK's types"() {
    await the.fails(BadRequestError, 400, "invalid_value", () => ask(undefined, { temperature: 3 }));
    const wrong = new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 });
    const knock = () => wrong.responses.create({ model, input: the.PING });
    await the.fails(AuthenticationError, 401, "invalid_api_key", knock);
    await the.fails(PermissionDeniedError, 403, "policy_unsatisfiable", () => ask(the.CARD));
    await the.fails(NotFoundError, 404, "model_not_found", () => ask(undefined, { model: "no-such-model-anywhere" }));
    await the.fails(RateLimitError, 429, "budget_exhausted", () => ask(undefined, { max_output_tokens: the.TOO_MUCH }));
  },
};

await the.run(["openai"], checks);
