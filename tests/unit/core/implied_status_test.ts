import assert from "node:assert/strict";
import { impliedStatus } from "../../../src/core/implied_status.ts";

Deno.test("impliedStatus() reads the code first, then the type", () => {
  const table: [code: string | null, type: string | null, status: number][] = [
    ["401", null, 401],
    ["599", "invalid_request_error", 599],
    ["200", null, 500],
    ["600", "not_found_error", 404],
    ["model_not_found", "invalid_request_error", 404],
    [null, "INVALID_ARGUMENT", 400],
    ["insufficient_quota", "insufficient_quota", 429],
    [null, "overloaded_error", 500],
    ["toString", "constructor", 500],
    [null, null, 500],
  ];
  for (const [code, type, status] of table) {
    assert.equal(impliedStatus({ message: "", code, type }), status, `${code} ${type}`);
  }
});
