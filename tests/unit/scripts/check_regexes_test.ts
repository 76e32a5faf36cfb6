import assert from "node:assert/strict";
import { patternsOf, problemOf, problemsOf } from "../../../scripts/check_regexes.ts";

/** Former patterns of this project, which took seconds on 60 KB. */
const QUADRATIC: readonly RegExp[] = [
  /\s*;\s*/,
  /^content-type:\s*(.*?)\s*$/im,
  /eyJ[a-zA-Z0-9_-]*\.[a-zA-Z0-9_-]*\.[a-zA-Z0-9_-]*/g,
  /[a-z0-9_.-]*\d[a-z0-9_.-]*/g,
  /\/+$/,
  /^bearer +(.+)$/i,
  /^(a+)+$/,
];

const LINEAR: readonly RegExp[] = [
  /eyJ[\w-]{6,}(?:\.[\w-]*){0,2}/g,
  /^content-type:(.*)$/im,
  /^bearer +([^ ].*)$/i,
  /^[a-z0-9_]{1,40}$/,
  /[\s\p{Cc}]+/gu,
];

for (const pattern of QUADRATIC) {
  Deno.test(`the check of patterns finds fault with ${pattern}`, () => {
    assert.match(problemOf(pattern) ?? "", /takes (?:2nd degree polynomial|exponential) time/);
  });
}

for (const pattern of LINEAR) {
  Deno.test(`the check of patterns proves ${pattern}`, () => assert.equal(problemOf(pattern), null));
}

Deno.test("the check of patterns does not accept fuzzing as a proof", () => {
  // What fuzzing finds in its time depends on the machine.
  assert.match(problemOf(/(?<!a)a+$/) ?? "", /not proved linear|takes .* time/);
});

Deno.test("the check of patterns finds literals in every kind of file, and patterns built at run time", () => {
  const text = (pattern: string) =>
    `const a = 4 / 2 / 1;\nconst b = c.replace(${pattern}, "/x/"); // no /pattern/\n`;
  for (const path of ["src/a.ts", "src/a.tsx", "src/a.js"]) {
    assert.deepEqual(patternsOf(path, text("/[/]+\\/$/giu")), [
      { path, line: 2, text: "/[/]+\\/$/giu", pattern: { source: "[/]+\\/$", flags: "giu" } },
    ]);
    assert.deepEqual(patternsOf(path, text("new RegExp(d)")).map((found) => found.pattern), [null]);
    assert.deepEqual(patternsOf(path, text("RegExp(d)")).map((found) => found.pattern), [null]);
  }
});

Deno.test("the check of patterns requires a reason for each unproved pattern, and no unused reason", () => {
  const check = () => "is bad";
  const patterns = patternsOf("src/a.ts", "const a = [/x/, new RegExp(y)];");
  assert.deepEqual(problemsOf(patterns, { exceptions: {}, check }), [
    "src/a.ts:1: /x/ is bad",
    "src/a.ts:1: new RegExp(y) is made while running: nothing can be proved of it",
  ]);
  assert.deepEqual(
    problemsOf(patterns, { exceptions: { "/x/": "", "new RegExp(y)": "", "/z/": "" }, check }),
    [
      "scripts/check_regexes.ts: the exception /z/ is not needed any more",
    ],
  );
});
