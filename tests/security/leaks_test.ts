/**
 * Canary secrets, searched for in everything that leaves the process after traffic that tries to leak them.
 * Prints a table: case, expected, seen.
 *
 * Out of scope, on purpose: encoded forms of a key (base64, URL-encoded, JSON escapes, compressed), and a key in
 * the content of a successful answer, which reaches the client unaltered and is masked in what is stored.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { adminTokenOf } from "../support/admin.ts";
import { FaultTable } from "../support/fault_table.ts";
import { eventually, Router, runProgram } from "../support/router.ts";
import {
  chatEvents,
  chatReply,
  chunk,
  FakeUpstream,
  head,
  LAST_CHUNK,
  pieces,
  raw,
  refusingEndpoint,
  reply,
  type Script,
  STREAM_HEAD,
} from "../support/upstream.ts";

const KEY = "sk-CANARYKEY-0123456789abcdefghijklmnopqrstuvwxyz";
const TOKEN = "tokCANARYTOKEN-0123456789-abcdefghijklmnop";
const ADMIN = "admCANARYADMIN-0123456789-abcdefghijklmnop";
const OWN = "own-CANARYOWN-0123456789-abcdefghijklmnop";
/** In an endpoint's query, and as it is written there. */
const QUERY_KEY = "CANARYQUERY/0123456789";
const QUERY_KEY_WRITTEN = encodeURIComponent(QUERY_KEY);
/** Prefixes: a mask shows three characters, a truncated key more. */
const CANARIES = ["CANARYKEY", "CANARYTOKEN", "CANARYOWN", "CANARYHOOK", "CANARYQUERY", "CANARYADMIN"];

/** Places where a client may misplace a token. */
const FIELDS: readonly ((token: string) => Record<string, string>)[] = [
  (token) => ({ "x-custom": token }),
  (token) => ({ "x-custom": `Basic ${btoa(`user:${token}`)}` }),
  (token) => ({ "x-goog-api-key": token }),
  (token) => ({ "api-key": `Token ${token}` }),
  (token) => ({ "referer": `https://app.example/?key=${token}` }),
  (token) => ({ "user-agent": `app/${token}` }),
  (token) => ({ "x-request-id": token }),
  (token) => ({ "openai-organization": token }),
  (token) => ({ "sec-websocket-protocol": `openai-insecure-api-key.${token}` }),
];

function leaksIn(text: string): string {
  return CANARIES.filter((canary) => text.includes(canary)).join(" ") || "nothing";
}

const echo = (text: string) => JSON.stringify({ error: { message: text, type: "invalid_request_error" } });
const errorEvent = `data: ${echo(`bad key ${KEY} here`)}\n\n`;
const content = chatEvents(["hello"]).slice(0, 2);

function splitInTwo(text: string, at: number): string[] {
  return [text.slice(0, at), text.slice(at)];
}

const middle = errorEvent.indexOf(KEY) + 9;
const after = errorEvent.indexOf(KEY) + KEY.length + 2;

/** How an upstream could echo the key that it received. */
const ECHOES: readonly [name: string, script: Script, isStream?: boolean][] = [
  ["a 401 that quotes the key", reply(401, echo(`Incorrect API key provided: ${KEY}`))],
  ["a 400 with the key split across chunks", pieces(splitInTwo(echo(KEY), 30), 400)],
  ["a 500 in plain text", reply(500, `key=${KEY}`, { "content-type": "text/plain" })],
  ["a 400 with the key at the cut of the log", reply(400, echo("x".repeat(285) + KEY))],
  ["a 400 with the key at a later cut", reply(400, echo("x".repeat(470) + KEY))],
  ["a 200 that is an error with the key at a cut", reply(200, echo("x".repeat(455) + KEY))],
  ["a 401 with the key in a header", reply(401, "{}", { "www-authenticate": `Bearer ${KEY}`, "x-key": KEY })],
  [
    "a 200 with the key in a header",
    reply(200, '{"choices":[]}', { "x-echo-authorization": `Bearer ${KEY}` }),
  ],
  ["a 200 that is an error", reply(200, echo(KEY))],
  [
    "a 302 with the key in Location and body",
    raw(`${head(302, { location: `https://evil.example/?key=${KEY}`, "content-length": "60" })}${KEY}`),
  ],
  ["an error event before content", pieces([errorEvent]), true],
  ["an error event before content, key split", pieces(splitInTwo(errorEvent, middle)), true],
  ["an error event after content", pieces([...content, errorEvent]), true],
  ["the same in one chunk with content", pieces([content.join("") + errorEvent]), true],
  // Once the choice is final, no byte is held back, so a key in several pieces is not detected.
  ["an error event with a long message", pieces([`data: ${echo("x".repeat(460) + KEY)}\n\n`]), true],
  ["an event: error", pieces([...content, `event: error\ndata: {"message":"${KEY}"}\n\n`]), true],
  [
    "a stream cut inside the error event",
    async (_request, wire) => {
      await wire.write(STREAM_HEAD);
      for (const part of [...content, errorEvent.slice(0, after)]) await wire.write(chunk(part));
      wire.close();
    },
    true,
  ],
  [
    "an error that reflects the request's headers",
    async (request, wire) => {
      await reply(500, JSON.stringify({ error: "no", headers: [...request.headers] }))(request, wire);
    },
  ],
  ["junk instead of HTTP", raw(`${KEY}\r\n\r\n`)],
  ["a status line with the key", raw(`HTTP/1.1 999 ${KEY}\r\ncontent-length: 0\r\n\r\n`)],
];

/** An error whose text is already JSON-escaped. */
const quote = (text: string) => `{"error":{"message":"bad key ${text}","type":"invalid_request_error"}}`;
/** How an upstream could echo the key in its endpoint's query, which it sees in every request. */
const QUERY_ECHOES: readonly [name: string, script: (key: string) => Script, isStream?: boolean][] = [
  ["a 401", (key) => reply(401, quote(key))],
  ["a 404 that quotes the target", () => (request, wire) => reply(404, echo(request.target))(request, wire)],
  ["a 400, split", (key) => pieces(splitInTwo(quote(key), 35), 400)],
  ["a 200 that is an error", (key) => reply(200, quote(key))],
  ["headers", (key) => reply(201, "{}", { "location": `https://a.example/?key=${key}`, "x-echo": key })],
  ["an error event before content", (key) => pieces([`data: ${quote(key)}\n\n`]), true],
  ["an error event after content", (key) => pieces([...content, `data: ${quote(key)}\n\n`]), true],
  ["junk instead of HTTP", (key) => raw(`${key}\r\n\r\n`)],
];
/** Spellings of it. */
const QUERY_FORMS: Readonly<Record<string, string>> = {
  "decoded": QUERY_KEY,
  "as in the URL": QUERY_KEY_WRITTEN,
  "as in the URL, in lower case": QUERY_KEY_WRITTEN.replace("%2F", "%2f"),
  "with an escaped slash": QUERY_KEY.replace("/", "\\/"),
};

for (const format of ["text", "json"] as const) {
  Deno.test(`no canary leaves the router, with --log-format ${format} at every level`, async (t) => {
    const table = new FaultTable(`leaks, ${format} log`, t);
    await using upstream = new FakeUpstream(chatReply("ok"));
    await using second = new FakeUpstream(reply(500, echo(`second: ${KEY}`)));
    await using alerts = new FakeUpstream(reply(200, '{"code":0}'));
    await using failing = new FakeUpstream(reply(500, `no CANARYHOOK here`));
    const origin = `http://127.0.0.1:${alerts.port}`;
    await using router = await Router.start({
      token: TOKEN,
      upstreams: [
        { endpoint: upstream.endpoint, sk: KEY, name: "first", allow: "test-model,tok*" },
        { endpoint: second.endpoint, sk: KEY, name: "second", allow: "twice" },
        { endpoint: `http://127.0.0.1:${upstream.port}/two/v1`, sk: KEY, name: "third", allow: "twice" },
        { endpoint: upstream.endpoint, sk: "asis", name: "asis", allow: "own" },
        {
          endpoint: `${upstream.endpoint}?key=${QUERY_KEY_WRITTEN}`,
          sk: KEY,
          name: "query",
          allow: "query",
        },
        {
          endpoint: `${upstream.endpoint}?key=${QUERY_KEY_WRITTEN}`,
          sk: "asis",
          name: "own-query",
          allow: "own-query",
        },
        { endpoint: `${refusingEndpoint()}?key=${QUERY_KEY_WRITTEN}`, sk: KEY, name: "gone", allow: "gone" },
      ],
      args: ["--log-format", format, "--log-level", "debug", "--gate-ms", "60"],
      env: {
        FEISHU_WEBHOOK: `${origin}/hook/CANARYHOOK-feishu-0123456789`,
        FEISHU_SECRET: "CANARYHOOK-signature-0123456789",
        MATRIX_API: `http://127.0.0.1:${failing.port}/send?access_token=CANARYHOOK0123456789`,
        MATRIX_HOMESERVER: `http://127.0.0.1:${failing.port}`,
        MATRIX_ROOM: "!room:host",
        MATRIX_TOKEN: "syt_CANARYHOOK_0123456789",
        ALERT_WEBHOOK: `${refusingEndpoint()}/CANARYHOOK/0123456789`,
      },
    });
    let answered = 0;
    /** Sends a request and checks everything that the client gets. */
    const ask = async (script: Script, body: Record<string, unknown>, init: RequestInit = {}) => {
      upstream.script = script;
      const response = await router.chat(body, init);
      answered++;
      const text = await response.text().catch(() => "");
      return `${JSON.stringify([...response.headers])} ${text}`;
    };

    for (const [name, script, isStream = false] of ECHOES) {
      await table.case(`${name}: client`, "nothing", async () => {
        const seen = leaksIn(await ask(script, { stream: isStream }));
        // Again as an attempt that is followed by another one.
        return leaksIn(`${seen}${await ask(script, { stream: isStream, model: "twice" })}`);
      });
    }
    await table.case("an error event after an early head: client", "nothing", async () => {
      const headOut = Promise.withResolvers<void>();
      upstream.script = async (_request, wire) => {
        await wire.write(STREAM_HEAD + chunk(": waiting\n\n"));
        await headOut.promise;
        await wire.write(chunk(errorEvent) + LAST_CHUNK);
      };
      const response = await router.chat({ stream: true });
      answered++;
      headOut.resolve();
      return leaksIn(await response.text());
    });
    await table.case("a reply that is no stream after an early head: client", "nothing", async () => {
      const headOut = Promise.withResolvers<void>();
      second.script = async (_request, wire) => {
        await wire.write(STREAM_HEAD + chunk(": waiting\n\n"));
        await headOut.promise;
        await wire.write(chunk(errorEvent) + LAST_CHUNK);
      };
      upstream.script = reply(200, echo(KEY));
      const response = await router.chat({ stream: true, model: "twice" });
      answered++;
      headOut.resolve();
      return leaksIn(await response.text().catch(() => ""));
    });
    await table.case("an endpoint with a key that cannot be reached: client", "nothing", async () => {
      return leaksIn(await ask(chatReply("unused"), { model: "gone" }));
    });
    await table.case("the key in an answer's content: client", "as the upstream said it", async () => {
      const text = await ask(chatReply(`here: ${KEY}`), {});
      assert.ok(text.includes(KEY));
      await ask(pieces([...content, `data: {"choices":[{"delta":{"content":"${KEY}"}}]}\n\n`]), {
        stream: true,
      });
      return "as the upstream said it";
    });
    await table.case(
      "the token in body and model",
      "sent on, for the client's own risk",
      async () => {
        const ok = chatReply("ok");
        const headers = { "user-agent": `app/${TOKEN}`, "x-request-id": TOKEN };
        await ask(ok, { metadata: { token: TOKEN }, messages: [{ role: "user", content: TOKEN }] }, {
          headers,
        });
        await ask(ok, { model: TOKEN });
        const response = await router.fetch(`/chat/completions?api_key=${TOKEN}`);
        answered++;
        await response.body?.cancel();
        const form = new FormData();
        form.set("model", "test-model");
        form.set("prompt", TOKEN);
        form.set("file", new Blob(["x"]), `${TOKEN}.txt`);
        const transcribed = await router.fetch("/audio/transcriptions", { method: "POST", body: form });
        answered++;
        await transcribed.body?.cancel();
        return "sent on, for the client's own risk";
      },
    );
    await table.case("the token in the path: client", "400, nothing", async () => {
      const seen: string[] = [];
      for (const path of [`/models/${TOKEN}`, `/${TOKEN}`]) {
        const response = await router.fetch(path);
        seen.push(`${response.status}, ${leaksIn(await response.text())}`);
      }
      return [...new Set(seen)].join("; ");
    });
    const former = adminTokenOf(router);
    router.execute(`UPDATE config_kvs SET value = '${ADMIN}' WHERE key = 'admin'`);
    await eventually(async () => {
      const response = await router.fetch(`/models/${former}`);
      await response.body?.cancel();
      if (response.status === 400) return null;
      answered++;
      return true;
    }, "the new admin token");
    for (const [name, token] of Object.entries({ client: TOKEN, admin: ADMIN })) {
      await table.case(`the ${name}'s token in every field, sent back: client`, "nothing", async () => {
        const reflect: Script = (request, wire) =>
          reply(500, JSON.stringify({ error: request.target, headers: [...request.headers] }))(request, wire);
        let seen = "";
        for (const field of FIELDS) seen += await ask(reflect, {}, { headers: field(token) });
        upstream.script = reflect;
        const response = await router.fetch(`/models?a=1&key=${token}&b=2`);
        answered++;
        return leaksIn(seen + await response.text());
      });
    }
    await table.case("a client's own key, quoted by an asis upstream: stored", "nothing", async () => {
      const headers = { "authorization": `Bearer ${OWN}`, "x-api-key": TOKEN };
      await ask(reply(401, echo(`Incorrect API key provided: ${OWN}`)), { model: "own" }, { headers });
      return "nothing";
    });
    for (const [name, script, isStream = false] of QUERY_ECHOES) {
      await table.case(`an endpoint's key in ${name}: client`, "nothing", async () => {
        const headers = { "authorization": `Bearer ${OWN}`, "x-api-key": TOKEN };
        let seen = "";
        for (const form of Object.values(QUERY_FORMS)) {
          for (const model of ["query", "own-query"]) {
            seen += await ask(script(form), { model, stream: isStream }, { headers });
          }
        }
        return leaksIn(seen);
      });
    }
    await table.case("an endpoint's key, quoted with the request's target: stored", "nothing", async () => {
      const quote: Script = (request, wire) => reply(404, echo(`no ${request.target}`))(request, wire);
      await ask(quote, { model: "query" });
      return "nothing";
    });
    await router.recorded(answered);

    await table.case("every column of every table but the configuration", "nothing", () => {
      const db = new DatabaseSync(`${router.directory}/db.sqlite`, { readOnly: true });
      try {
        const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
          .map(({ name }) => String(name))
          .filter((name) => !["openai_upstreams", "config_kvs"].includes(name));
        assert.ok(tables.includes("records") && tables.includes("attempts"));
        const found = tables.flatMap((name) =>
          db.prepare(`SELECT * FROM "${name}"`).all().flatMap((row) =>
            Object.entries(row).flatMap(([column, value]) => {
              const text = value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value);
              const leaks = leaksIn(text);
              return leaks === "nothing" ? [] : [`${name}.${column} ${leaks}`];
            })
          )
        );
        return Promise.resolve([...new Set(found)].join(", ") || "nothing");
      } finally {
        db.close();
      }
    });
    await table.case("the metrics", "nothing", async () => leaksIn(await router.metrics()));
    await table.case("alerts", "nothing", async () => {
      await eventually(
        () => alerts.requests.length > 0 && failing.requests.length > 0 ? true : null,
        "alerts",
      );
      const bodies = [...alerts.requests, ...failing.requests].map((request) => request.text);
      assert.match(bodies.join(), /IP: 127\.0\.0\.1 request test-model error/);
      return leaksIn(bodies.join());
    });
    const cli = (...args: string[]) => runProgram(args, { cwd: router.directory });
    const commands: string[][] = [
      ["list"],
      ["list", "--json"],
      ["token", "show", "--masked", "--json"],
      ["records", "list", "--limit", "1000"],
      ["records", "list", "--json", "--limit", "1000"],
      ["records", "show", "1"],
      ["records", "show", "1", "--json"],
      ["records", "show", "1", "--raw"],
      ["records", "export", "--format", "jsonl"],
      ["records", "export", "--format", "csv"],
      ["edit", "first", "--timeout", "30"],
      ["add", KEY],
      [KEY],
      ["list", KEY],
      ["remove", KEY],
      ["token", "remove", `${TOKEN}x`],
      ["token", "add", TOKEN],
      ["add", "--sk", KEY, "--endpoint", KEY],
      ["add", "--sk", KEY, "--endpoint", `https://u:${KEY}@host/v1`],
      ["add", "--sk", `${KEY} blank`, "--endpoint", "https://host/v1"],
      ["-add", "-sk", KEY, "-endpoint", "ftp://host"],
      ["records", "show", KEY],
      ["records", "list", "--upstream", KEY],
      ["records", "list", "--text", "CANARYKEY"],
    ];
    if (format === "text") {
      for (const args of commands) {
        const name = args.join(" ").replaceAll(KEY, "KEY").replaceAll(TOKEN, "TOKEN");
        await table.case(`command: ${name}`, "nothing", async () => {
          const { stdout, stderr } = await cli(...args);
          return leaksIn(stdout + stderr);
        });
      }
      await table.case("a setting of alerts that is wrong", "nothing", async () => {
        const env = { ALERT_WEBHOOK: "hooks.example/CANARYHOOK", OAR_DEBUG: "1" };
        const { code, stdout, stderr } = await runProgram([], { cwd: router.directory, env });
        assert.equal(code, 2);
        return leaksIn(stdout + stderr);
      });
    }
    await table.case("the output until and after SIGABRT", "nothing", async () => {
      await eventually(
        () => /Cannot send alert to matrix/.test(router.text) ? true : null,
        "the failed alert",
      );
      router.signal("SIGABRT");
      await router.exited();
      return leaksIn(router.text);
    });
    table.print();
  });
}
