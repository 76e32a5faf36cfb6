/** What the doctor says about options that cannot work. */
import assert from "node:assert/strict";
import { optionFindings } from "../../../src/control/option_findings.ts";
import type { UpstreamShaping } from "../../../src/core/upstream_options.ts";
import { NO_SHAPING } from "../../../src/core/upstream_options.ts";
import { anUpstream } from "../../support/upstream_value.ts";

function messages(shaping: Partial<UpstreamShaping>, more: Parameters<typeof anUpstream>[1] = {}): string {
  const upstream = anUpstream(3, { ...more, shaping: { ...NO_SHAPING, ...shaping } });
  return optionFindings(upstream).map(({ level, message, advice }) => `${level} ${message}: ${advice}`).join(
    "\n",
  );
}

Deno.test("options that cannot work are warned of, with the command that corrects them", () => {
  assert.match(
    messages({ onlyPaths: ["/chat/*", "/v1/chat/*"] }),
    /^warn .*no known request has: \/chat\/\*: .*edit 3/,
  );
  assert.match(messages({ maxBodyBytes: 1 }), /^warn takes no body of more than 1 bytes/);
  assert.match(messages({ errorTexts: ["no credit", "*"] }), /^warn takes every reply for an error/);
  assert.match(messages({}, { keyPolicy: "fill" }), /^warn has one key/);
});

Deno.test("options that work are not, nor those of a disabled upstream", () => {
  const paths = ["/v1/chat/*", "/v1/embeddings", "*", "/v1/files*", "/v1/models/*", "/v1/responses/*/cancel"];
  assert.equal(
    messages({ onlyPaths: paths, maxBodyBytes: 1_000_000, errorTexts: ["*credit*"] }),
    "",
  );
  assert.equal(messages({}, { keyPolicy: "fill", keys: ["sk-a-0123456789", "sk-b-0123456789"] }), "");
  assert.equal(messages({ maxBodyBytes: 1 }, { isEnabled: false }), "");
});
