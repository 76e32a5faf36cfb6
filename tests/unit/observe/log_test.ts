import assert from "node:assert/strict";
import { resetSync } from "@logtape/logtape";
import { configureLogging, getLog, type LoggingOptions, logRequest } from "../../../src/observe/log.ts";
import { record } from "./fixtures.ts";

const SECRET = 'hunter2"secret\\value';

/** The lines that `act` logs. Logging is global, so it is set up and reset around each call. */
function logged(options: Partial<LoggingOptions>, act: () => void): string[] {
  const lines: string[] = [];
  configureLogging({
    format: "text",
    level: "info",
    secrets: () => [SECRET],
    write: (line) => lines.push(line),
    ...options,
  });
  try {
    act();
  } finally {
    resetSync();
  }
  return lines;
}

function parsed(line: string | undefined): Record<string, unknown> {
  const value: unknown = JSON.parse(line ?? "");
  assert.ok(typeof value === "object" && value !== null);
  return { ...value };
}

const SETTLED = record({
  attempts: [1, 2].map((index) => ({
    index,
    upstreamId: index,
    upstreamName: "x",
    startedAtMs: 0,
    durationMs: 1,
    status: 200,
    errorClass: null,
    message: null,
    partial: null,
    keyN: null,
    isChanged: false,
  })),
});

Deno.test("logRequest() writes one line for people, without body or credential", () => {
  const [line, ...more] = logged({}, () => logRequest(SETTLED, "api.openai.com"));
  assert.deepEqual(more, []);
  assert.match(line ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO {4}request: /);
  assert.ok(
    line?.endsWith(
      "POST /v1/chat/completions gpt-4o 200 api.openai.com attempts=2 1234ms complete 01JGXYZ\n",
    ),
    line,
  );
});

Deno.test("logRequest() writes one JSON object with a field for each fact", () => {
  const lines = logged({ format: "json" }, () => logRequest(SETTLED, null));
  assert.equal(lines.length, 1);
  const { time, message, ...rest } = parsed(lines[0]);
  assert.ok(!Number.isNaN(Date.parse(String(time))));
  assert.match(String(message), /^POST \/v1\/chat\/completions gpt-4o 200 - attempts=2/);
  assert.deepEqual(rest, {
    level: "info",
    logger: "request",
    method: "POST",
    path: "/v1/chat/completions",
    model: "gpt-4o",
    status: 200,
    upstream: null,
    attempts: 2,
    ms: 1234,
    outcome: "complete",
    request_id: "01JGXYZ",
  });
});

for (const format of ["text", "json"] as const) {
  Deno.test(`a ${format} line stays one line and controls no terminal, whatever a client sends`, () => {
    const hostile = "a\r\nINFO request: forged\u001b[2J\u009b31m\u007f\u2028\u202eb\u0000\t";
    const lines = logged({ format }, () => {
      logRequest(record({ model: hostile, path: `/v1/${hostile}` }), hostile);
      getLog("test").warn(`${hostile} {value} {nested}`, { value: hostile, nested: { [hostile]: hostile } });
      getLog("test").error("failed: {error}", { error: new Error(hostile, { cause: new Error(hostile) }) });
    });
    assert.equal(lines.length, 3);
    for (const line of lines) {
      assert.match(line, /^[^\n]*\n$/);
      assert.doesNotMatch(line.slice(0, -1), /[\p{Cc}\p{Bidi_Control}\u2028]/u);
      if (format === "json") parsed(line);
    }
  });

  Deno.test(`a ${format} line shows no known secret in a message, a value, a key, an error or where it was cut`, () => {
    const lines = logged({ format }, () => {
      const log = getLog("test");
      log.warn("value {value}", { value: `x ${SECRET} y` });
      log.warn(`in the text ${SECRET}`);
      log.warn("nested {value}", { value: { deep: [`x ${SECRET}`, new Error(SECRET)] } });
      log.error("failed: {error}", { error: new Error(SECRET, { cause: new Error(SECRET) }) });
      for (let length = 480; length < 500; length++) {
        log.warn("cut {value}", { value: `${"x".repeat(length)}${SECRET}` });
      }
      logRequest(record({ path: `/v1/${SECRET}`, model: SECRET }), SECRET);
    });
    assert.equal(lines.length, 25);
    for (const line of lines) assert.doesNotMatch(line, /hunter2.{0,2}secret|hunter2"|hunter2\\/);
  });

  Deno.test(`a ${format} line shows no unknown credential: Bearer, sk-, JWT, URL, named field`, () => {
    const lines = logged({ format }, () => {
      const log = getLog("test");
      log.warn("Incorrect API key provided: sk-proj-unknownclientkey99");
      log.warn("header {value}", { value: "Authorization: Bearer unknownclientkey99" });
      log.warn("posting to {url}", {
        url: "https://u:unknownclientkey99@host/x?access_token=unknownclientkey99",
      });
      log.warn("token {value}", { value: "eyJhbGciOi.unknownclientkey99.c2ln" });
      log.warn("headers", { authorization: "unknownclientkey99", headers: { cookie: "unknownclientkey99" } });
    });
    assert.equal(lines.length, 5);
    for (const line of lines) assert.doesNotMatch(line, /unknownclientkey99/);
  });
}

Deno.test("secrets are read for each line, so a key added at run time is masked", () => {
  const secrets: string[] = [];
  const lines = logged({ secrets: () => secrets }, () => {
    getLog("test").info("one {value}", { value: "added-later-key" });
    secrets.push("added-later-key");
    getLog("test").info("two {value}", { value: "added-later-key" });
  });
  assert.ok(lines[0]?.includes("added-later-key"));
  assert.ok(lines[1]?.endsWith("two add…-key\n"), lines[1]);
});

Deno.test("a line that cannot be redacted is not written, and logging does not throw", () => {
  const lines = logged({
    secrets: () => {
      throw new Error("registry is gone");
    },
  }, () => getLog("test").info("x"));
  assert.deepEqual(lines, []);
});

Deno.test("a writer that fails does not fail its caller", () => {
  logged({
    write: () => {
      throw new Error("EPIPE");
    },
  }, () => getLog("test").info("x"));
});

Deno.test("a line with properties that JSON cannot hold is not lost", () => {
  const circular: Record<string, unknown> = { name: "loop" };
  circular["self"] = circular;
  const lines = logged({ format: "json" }, () => getLog("test").info("kept", { circular, big: 10n }));
  assert.equal(parsed(lines[0])["message"], "kept");
});

Deno.test("properties cannot replace time, level, logger or message", () => {
  const lines = logged(
    { format: "json" },
    () => getLog("test").info("real", { message: "x", level: "x", logger: "x" }),
  );
  const { level, logger, message } = parsed(lines[0]);
  assert.deepEqual([level, logger, message], ["info", "test", "real"]);
});

Deno.test("lines below the level are not written", () => {
  const lines = logged({ level: "warning" }, () => {
    logRequest(SETTLED, null);
    getLog("test").warn("shown");
  });
  assert.equal(lines.length, 1);
});

Deno.test("a line is bounded, however long its message", () => {
  const [line] = logged({}, () => getLog("test").info(`x${"y".repeat(1e6)}`));
  assert.ok((line?.length ?? Infinity) < 10_000);
});
