import assert from "node:assert/strict";
import { bearerToken, clientCredentials } from "../../../src/core/credentials.ts";

Deno.test("bearerToken() takes the scheme in any case", () => {
  const table: [value: string, token: string | null][] = [
    ["Bearer a", "a"],
    ["bearer a", "a"],
    ["BEARER    a  ", "a"],
    ["Bearer a b", "a b"],
    ["Bearer", null],
    ["Bearer ", null],
    ["Bearera", null],
    ["Basic a", null],
    ["a", null],
    ["", null],
  ];
  for (const [value, token] of table) assert.equal(bearerToken(value), token, value);
});

Deno.test("clientCredentials() lists every credential, Authorization first", () => {
  const headers = new Headers({ "api-key": "3", "x-api-key": "2", "authorization": "Bearer 1" });
  assert.deepEqual(clientCredentials(headers), ["1", "2", "3"]);
  assert.deepEqual(clientCredentials(new Headers({ "x-api-key": "  " })), []);
  assert.deepEqual(clientCredentials(new Headers({ "authorization": "Basic x" })), []);
});
