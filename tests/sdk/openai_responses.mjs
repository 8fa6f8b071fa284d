// The official Node SDK's `responses` against a running gateway: `node openai_responses.mjs BASE_URL API_KEY MODEL`.
//
// One line per check; exit status 1 if any failed. What MODEL says is scripted, as for `openai_responses.py`.

import assert from "node:assert/strict";
import OpenAI, { BadRequestError } from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const weather = { type: "function", name: "weather", strict: false, parameters: { type: "object", properties: {} } };
const ask = (input = "Say something.", options = {}) => client.responses.create({ model, input, ...options });

function called(answer) {
  const call = answer.output.find((item) => item.type === "function_call");
  assert.deepEqual([call.name, call.arguments], ["weather", '{"city":"Ulm"}']);
  return call;
}

const checks = {
  async "a whole answer"() {
    const answer = await ask();
    assert.equal(answer.status, "completed");
    assert.ok(answer.output_text && answer.usage.total_tokens > 0);
  },
  async "a stream"() {
    let text = "", last;
    for await (const event of await ask(undefined, { stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event;
    }
    assert.equal(last.type, "response.completed");
    assert.ok(text);
  },
  async "a tool is called in a stream"() {
    const stream = client.responses.stream({ model, input: "How is the weather?", tools: [weather] });
    let pieces = "";
    for await (const event of stream) {
      if (event.type === "response.function_call_arguments.delta") pieces += event.delta;
    }
    assert.equal(pieces, called(await stream.finalResponse()).arguments);
  },
  async "a conversation is continued by an answer's id"() {
    const first = await ask("How is the weather?", { tools: [weather] });
    const result = { type: "function_call_output", call_id: called(first).call_id, output: "sunny" };
    const input = [result, { role: "user", content: "Say it." }];
    const second = await ask(input, { previous_response_id: first.id, tools: [weather] });
    assert.ok(second.output_text);
    await assert.rejects(ask("x", { previous_response_id: "resp_unheard_of" }), BadRequestError);
  },
};

let failed = 0;
for (const [name, run] of Object.entries(checks)) {
  try {
    await run();
    console.log(`ok      node: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  node: ${name}: ${error.name}: ${error.message}`);
  }
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
