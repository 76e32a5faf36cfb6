/**
 * Tokens that are rows, whose secrets the program does not know before they come: where clients may misplace one, and what
 * upstreams may repeat of it. Prints a table: case, expected, seen.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { addRow } from "../support/client_token.ts";
import { FaultTable } from "../support/fault_table.ts";
import { Router } from "../support/router.ts";
import { FakeUpstream, type ReceivedRequest, reply, type Script } from "../support/upstream.ts";

const OWN = "rowCANARYOWN-0123456789-abcdefghijklmnop";
const OTHER = "rowCANARYOTHER-0123456789-abcdefghijklmn";
/** Too short to be searched for within other texts. */
const SHORT = "shCANARY12";
const CLIENT_KEY = "sk-clients-own-key-0123456789abcdef";

const PLACES: readonly [name: string, headers: (token: string) => Record<string, string>][] = [
  ["x-api-key", (token) => ({ "x-api-key": token })],
  ["api-key", (token) => ({ "api-key": token })],
  ["x-goog-api-key", (token) => ({ "x-goog-api-key": token })],
  ["another scheme", (token) => ({ "x-api-key": `Token ${token}` })],
  ["a header of its own", (token) => ({ "x-custom": token })],
  ["a quoted value", (token) => ({ "x-custom": `key="${token}"` })],
  ["Basic, as user", (token) => ({ "x-custom": `Basic ${btoa(`${token}:x`)}` })],
  ["Basic, as password", (token) => ({ "x-custom": `Basic ${btoa(`user:${token}`)}` })],
  ["base64", (token) => ({ "x-custom": btoa(token) })],
  ["base64url", (token) => ({ "x-custom": Buffer.from(token).toString("base64url") })],
  ["a referer", (token) => ({ referer: `https://app.example/?a=b&key=${token}&c=d` })],
  ["a referer, encoded", (token) => ({ referer: `https://app.example/?key=${percent(token)}` })],
  ["a user agent", (token) => ({ "user-agent": `app/${token}` })],
  ["a protocol", (token) => ({ "sec-websocket-protocol": `openai-insecure-api-key.${token}` })],
  ["JSON", (token) => ({ "x-custom": JSON.stringify({ key: token }) })],
];

const QUERIES: readonly [name: string, query: (token: string) => string][] = [
  ["a parameter", (token) => `key=${token}&limit=2`],
  ["a name", (token) => `${token}=1&limit=2`],
  ["percent-encoded", (token) => `key=${percent(token)}&limit=2`],
  ["encoded twice", (token) => `key=${encodeURIComponent(percent(token))}&limit=2`],
  ["base64", (token) => `key=${encodeURIComponent(btoa(token))}&limit=2`],
];

function percent(text: string): string {
  return [...text].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join("");
}

/** The canaries in a text, also encoded. */
function leaksIn(text: string): string {
  const decoded = text.replaceAll(
    /%([0-9a-f]{2})/gi,
    (_all, hex) => String.fromCharCode(Number.parseInt(hex, 16)),
  );
  const again = decoded.replaceAll(
    /%([0-9a-f]{2})/gi,
    (_all, hex) => String.fromCharCode(Number.parseInt(hex, 16)),
  );
  const words = again.split(/[^A-Za-z0-9+/_=-]+/).filter((word) => word.length > 9);
  const all = [text, decoded, again, ...words.map((word) => Buffer.from(word, "base64").toString("latin1"))];
  const found = ["CANARYOWN", "CANARYOTHER", SHORT].filter((canary) =>
    all.some((each) => each.toLowerCase().includes(canary.toLowerCase()))
  );
  return found.join(" ") || "nothing";
}

const seenBy = ({ target, headers }: ReceivedRequest) => JSON.stringify([target, [...headers]]);

Deno.test("no row's token reaches an upstream, wherever a client puts it", async (t) => {
  const table = new FaultTable("tokens of rows, outgoing", t);
  await using upstream = new FakeUpstream(reply(200, '{"data":[]}'));
  await using router = await Router.start({
    upstreams: [
      { endpoint: upstream.endpoint, sk: "asis", name: "asis" },
      { endpoint: upstream.endpoint, sk: "sk-upstream-key-0123456789", name: "keyed" },
    ],
    args: ["--retry-on", "any"],
  });
  await addRow(router, { name: "own", secret: OWN });
  await addRow(router, { name: "other", secret: OTHER, enabled: 0 });
  await addRow(router, { name: "short", secret: SHORT });
  const send = async (path: string, headers: Record<string, string>) => {
    const before = upstream.requests.length;
    const response = await fetch(`${router.url}${path}`, { headers });
    await response.body?.cancel();
    const sent = upstream.requests.slice(before);
    return `${response.status === 403 ? "403 " : ""}${sent.length > 0 ? "sent" : "not sent"}: ${
      leaksIn(sent.map(seenBy).join("\n"))
    }`;
  };
  const authorization = `Bearer ${OWN}`;
  const path = "/things/1";
  for (const [kind, token] of [["own", OWN], ["another's", OTHER], ["a short one", SHORT]] as const) {
    for (const [place, headers] of PLACES) {
      await table.case(
        `${kind} in ${place}`,
        "sent: nothing",
        () => send(path, { authorization, ...headers(token) }),
      );
    }
    for (const [place, query] of QUERIES) {
      await table.case(
        `${kind} in the query, ${place}`,
        "sent: nothing",
        () => send(`${path}?${query(token)}`, { authorization }),
      );
    }
  }
  for (const [kind, token] of [["own", OWN], ["another's", OTHER]] as const) {
    for (const spelled of [token, percent(token)]) {
      await table.case(
        `${kind} in the path`,
        "not sent: nothing",
        () => send(`/things/${spelled}`, { authorization }),
      );
    }
  }
  await table.case("the client's own key still goes to an asis upstream", "yes", async () => {
    await send(path, { authorization, "x-api-key": CLIENT_KEY });
    return upstream.requests.at(-1)?.headers.get("x-api-key") === CLIENT_KEY ? "yes" : "no";
  });
  await table.case(
    "another's is first, and is refused for itself",
    "403 not sent: nothing",
    () => send(path, { authorization: `Bearer ${OTHER}` }),
  );
  table.print();
});

Deno.test("a row's token that was presented is masked in records, logs, metrics and pages", async (t) => {
  const table = new FaultTable("tokens of rows, kept", t);
  const quote = (text: string) => JSON.stringify({ error: { message: text, type: "invalid_request_error" } });
  const echoes: readonly [string, Script][] = [
    ["an error", reply(401, quote(`bad key ${OWN}`))],
    ["an error at the cut of the log", reply(400, quote("x".repeat(285) + OWN))],
    ["an error at a later cut", reply(400, quote("x".repeat(470) + OWN))],
    ["plain text", reply(500, `key=${OWN}`, { "content-type": "text/plain" })],
    ["an answer", reply(200, JSON.stringify({ choices: [{ message: { content: `you sent ${OWN}` } }] }))],
    ["a header", reply(500, "{}", { "www-authenticate": `Bearer ${OWN}`, "x-key": OWN })],
  ];
  await using upstream = new FakeUpstream(reply(200, "{}"));
  await using router = await Router.start({
    // A thousand keys make one set, to which the token is added.
    upstreams: [{
      endpoint: upstream.endpoint,
      sk: Array.from({ length: 50 }, (_, n) => `sk-key-${n}-0123456789abcdef`).join("\n"),
    }],
    args: ["--log-level", "debug"],
  });
  await addRow(router, { name: "own", secret: OWN });
  let count = 0;
  const chat = async (body: Record<string, unknown>, headers: Record<string, string> = {}) => {
    count++;
    const response = await router.chat(body, { headers: { authorization: `Bearer ${OWN}`, ...headers } });
    await response.text().catch(() => "");
  };
  for (const [name, script] of echoes) {
    upstream.script = script;
    await chat({});
    await table.case(
      `${name}: sent`,
      "yes",
      () => Promise.resolve(upstream.requests.length > 0 ? "yes" : "no"),
    );
  }
  upstream.script = reply(200, '{"choices":[]}');
  await chat({ messages: [{ role: "user", content: `my token is ${OWN}, keep it` }] });
  await chat({ model: OWN });
  await chat({ model: `${OWN}${"x".repeat(300)}` });
  await chat({}, { "user-agent": `app/${OWN}` });
  await chat({ metadata: { key: OWN } }, { "x-oar-gate": OWN });
  const records = await router.recorded(count);
  await table.case("records", "nothing", () => {
    const attempts = router.query("SELECT * FROM attempts");
    return Promise.resolve(leaksIn(JSON.stringify([records, attempts])));
  });
  await table.case("all of the database", "nothing", () => {
    const db = new DatabaseSync(`${router.directory}/db.sqlite`, { readOnly: true });
    try {
      const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
      const rows = tables.flatMap(({ name }) => db.prepare(`SELECT * FROM "${name}"`).all());
      return Promise.resolve(
        leaksIn(JSON.stringify(rows, (_key, value) => typeof value === "bigint" ? 0 : value)),
      );
    } finally {
      db.close();
    }
  });
  await table.case("logs", "nothing", () => Promise.resolve(leaksIn(router.text)));
  await table.case("metrics", "nothing", async () => leaksIn(await router.metrics()));
  assert.match(await router.metrics(), /client="own"/);
  table.print();
});
