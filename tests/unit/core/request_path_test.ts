import assert from "node:assert/strict";
import { MAX_PATH_LENGTH, pathProblem } from "../../../src/core/request_path.ts";

/** Percent-encodes all bytes of a text, or all escapes in it, repeatedly. */
function encoded(text: string, times: number): string {
  let result = text;
  for (let time = 0; time < times; time++) {
    result = time === 0
      ? [...new TextEncoder().encode(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")
      : result.replaceAll("%", "%25");
  }
  return result;
}

Deno.test("pathProblem() refuses what URL parsers would change", () => {
  const refused = [
    "/v1//a",
    "//a",
    "/v1\\a",
    "/v1/a b",
    "/v1/a\tb",
    "/v1/a\u007fb",
    "/v1/a#b",
    "/v1/a%00b",
    "/v1/a%2500b",
    "/v1/caf\xe9",
    "/v1/\uff0e\uff0e/a",
    "/v1/a%",
    "/v1/a%2",
    "/v1/a%zz",
    "/v1/a%2/..",
    "/v1/%u002e%u002e/a",
    "/v1/%2525252541",
    `/v1/${"a".repeat(MAX_PATH_LENGTH)}`,
  ];
  for (const path of refused) assert.notEqual(pathProblem(path), null, path);
});

Deno.test("pathProblem() refuses dot segments, however they are encoded, and whatever stands beside them", () => {
  const dots = [".", ".."];
  const endings = ["", "/", "/admin", "\\admin", ";", ";x=1", ";/admin", "?x", "#x"];
  const blanks = ["", " ", "\t", "\r", "\n", "\x01", "\x7f", "\u00a0", "\u200b", "\u3000", "\ufeff", " \t "];
  for (const dot of dots) {
    for (const ending of endings) {
      for (const blank of blanks) {
        for (const before of ["/v1/", "/v1/files/a/", "/v1/files/a%2f", "/v1/files/a%5c"]) {
          for (let times = 1; times <= 4; times++) {
            const path = before + encoded(dot + blank + ending, times);
            assert.notEqual(pathProblem(path), null, path);
          }
          const path = `${before}${dot}${encoded(blank + ending, 1)}`;
          assert.notEqual(pathProblem(path), null, path);
        }
      }
    }
  }
  const others = [
    "/v1/../admin",
    "/v1/..",
    "/v1/.",
    "/v1/./a",
    "/v1/..;/admin",
    "/v1/..;x=1/admin",
    "/v1/%2E%2e/a",
    "/v1/.%2e/a",
    "/v1/..%2f..%2fadmin",
    "/v1/..%5Cadmin",
    "/v1/x%2F..%252Fadmin",
    "/v1/%25252e%25252e/a",
    "/v1/.%0a./a",
    "/v1/%2525u002e%2525u002e/a",
    "/v1/%25u002e%25u002e%25u2215a",
  ];
  for (const path of others) assert.notEqual(pathProblem(path), null, path);
});

Deno.test("pathProblem() refuses what lax servers read as dots and slashes", () => {
  const refused = [
    // Overlong UTF-8 of `.` and `/`.
    "/v1/%c0%ae%c0%ae/a",
    "/v1/%e0%80%ae%e0%80%ae/a",
    "/v1/%f0%80%80%ae/a",
    "/v1/%f8%80%80%80%ae/a",
    "/v1/%fc%80%80%80%80%ae/a",
    "/v1/a%c0%afb",
    "/v1/a%c1%9cb",
    "/v1/%25c0%25ae/a",
    // Full width, small forms, leaders, and slashes of other blocks.
    "/v1/%ef%bc%8e%ef%bc%8e/a",
    "/v1/%ef%b9%92%ef%b9%92/a",
    "/v1/%e2%80%a4%e2%80%a4/a",
    "/v1/%e2%80%a5/a",
    "/v1/%e3%80%82%e3%80%82/a",
    "/v1/x%ef%bc%8f..%ef%bc%8fa",
    "/v1/x%e2%88%95..%e2%81%84a",
    "/v1/x%ef%bc%bc..%ef%bc%bca",
    "/v1/..%ef%bc%9bx/a",
  ];
  for (const path of refused) assert.notEqual(pathProblem(path), null, path);
});

Deno.test("pathProblem() accepts names, also with encoded slashes and dots", () => {
  const accepted = [
    "/v1/chat/completions",
    "/v1/models/org/name:free",
    "/v1/models/org%2Fname",
    "/v1/models/org%252Fname",
    "/v1/models/org%2Fname-4.1%2Fx",
    "/v1/models/a%2F%2Fb",
    "/v1/models/..name",
    "/v1/models/name..",
    "/v1/models/a..b",
    "/v1/models/...",
    "/v1/models/.hidden",
    "/v1/models/gpt-4.1;v=..",
    "/v1/files/a%20b",
    "/v1/files/a%5Cb",
    "/v1/files/100%25",
    "/v1/files/100%2525",
    "/v1/files/what%3F",
    "/v1/files/caf%C3%A9.txt",
    "/v1/files/caf%E9.txt",
    "/v1/files/%E6%97%A5%E6%9C%AC.%E8%AA%9E",
    "/v1/files/%F0%9F%98%80.png",
    "/v1/files/%E0%A4%95.png",
    "/v1/x;y=1/@z",
    "/v1/",
    `/v1/${"a".repeat(MAX_PATH_LENGTH - 4)}`,
  ];
  for (const path of accepted) assert.equal(pathProblem(path), null, path);
});
