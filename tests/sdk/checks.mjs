// Runs a client's checks against a running gateway and tells of each in a line: as `checks.py`, for programs in Node.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export const [baseURL, apiKey, model, ...words] = process.argv.slice(2);
export const isScripted = words.includes("scripted");

export const PING = "Say one word.";
export const LONG = "Write a long story about a river and its valley.";
export const ONE_CITY = "How is the weather in Ulm?";
export const TWO_CITIES = "How is the weather in two cities?";
export const NAME_A_CITY = "Name a city.";
export const THINK = "think hard";
export const LOOK = "What is in the picture?";
export const CARD = "Is 4111 1111 1111 1111 valid?";
export const TOO_MUCH = 1_000_000;
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const closed = (name, values) => ({
  type: "object",
  properties: { [name]: { type: "string", enum: values } },
  required: [name],
  additionalProperties: false,
});
export const CITY_SCHEMA = closed("city", ["Ulm"]);
export const NAME_SCHEMA = closed("name", ["Ulm"]);

/** The gateway refused, in type, what the model cannot do. */
class Refused extends Error {}

/** What a scripted model answers; any other must refuse with a status 422. */
export async function unlessRefused(attempt) {
  if (isScripted) return attempt();
  const error = await failure(attempt);
  assert.equal(error.status ?? error.statusCode, 422, error.message);
  throw new Refused("422");
}

/** How `attempt` fails. */
async function failure(attempt) {
  try {
    await attempt();
  } catch (error) {
    return error;
  }
  assert.fail("it did not fail");
}

/** `attempt` must fail by an error of `kind`, with `status` and with ajar's `code` in it. */
export async function fails(kind, status, code, attempt) {
  const error = await failure(attempt);
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  assert.equal(error.status ?? error.statusCode, status, error.message);
  const said = JSON.stringify(error.error ?? error.responseBody ?? "");
  assert.ok(error.message && said.includes(code), `no ${code}: ${said}`);
}

const versionOf = (name) => {
  const file = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return `${name} ${JSON.parse(readFileSync(file, "utf8")).version}`;
};

/** Runs all `checks` of the client that `packages` make; exit status 1 if any failed. A name may begin with `[feature]`. */
export async function run(packages, checks) {
  console.log(`client  ${packages.map(versionOf).join(", ")}`);
  const all = Object.entries(checks).filter(([, check]) => check);
  let failed = 0;
  for (const [name, check] of all) {
    try {
      const detail = await check();
      console.log(`ok      ${name}${detail ? ` (${detail})` : ""}`);
    } catch (error) {
      if (error instanceof Refused) {
        console.log(`refused ${name} (${error.message})`);
        continue;
      }
      failed += 1;
      console.log(`FAILED  ${name}: ${error.constructor.name}: ${error.message.replaceAll("\n", " ")}`);
    }
  }
  console.log(`${all.length - failed} passed, ${failed} failed`);
  process.exit(failed > 0 ? 1 : 0);
}
