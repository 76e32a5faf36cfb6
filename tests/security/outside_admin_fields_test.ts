/**
 * Every input field of the admin page and every column that an operator edits, in every language, at 0, 1 and
 * 64 KiB, and with every control character. Prints a table: field, expected, statuses seen.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { adminTokenOf, Browser, callApi } from "../support/admin.ts";
import { FaultTable } from "../support/fault_table.ts";
import { type OutsideField, OutsideStage } from "../support/outside_stage.ts";
import { asJson, asPercent, OUTSIDE_VALUES } from "../support/outside_values.ts";
import { eventually, type Router, runProgram, TEST_TOKEN } from "../support/router.ts";

const CLOSE = "connection: close\r\n";

interface Visitor {
  /** Fields of a script with the admin token. */
  readonly script: string;
  /** Fields of a logged-in browser. */
  readonly browser: string;
  readonly csrfToken: string;
  readonly host: string;
}

async function visit(router: Router): Promise<Visitor> {
  const { cookie, csrfToken } = await Browser.login(router);
  const host = `host: 127.0.0.1:${router.port}\r\n`;
  return {
    host,
    csrfToken,
    script: `${host}authorization: Bearer ${adminTokenOf(router)}\r\n${CLOSE}`,
    browser: `${host}cookie: ${cookie}\r\nsec-fetch-site: same-origin\r\naccept: text/html\r\n${CLOSE}`,
  };
}

function get(target: string, fields: string): string {
  return `GET ${target} HTTP/1.1\r\n${fields}\r\n`;
}

function send(method: string, target: string, fields: string, body: string): string {
  return `${method} ${target} HTTP/1.1\r\n${fields}content-length: ${body.length}\r\n\r\n${body}`;
}

const JSON_TYPE = "content-type: application/json\r\n";
const FORM_TYPE = "content-type: application/x-www-form-urlencoded\r\n";

function adminFields({ script, browser, csrfToken, host }: Visitor): OutsideField[] {
  const api = (method: string, path: string, body: string) =>
    send(method, `/admin/api${path}`, script + JSON_TYPE, body);
  const form = (path: string, fields: string) =>
    send("POST", `/admin${path}`, browser + FORM_TYPE, `csrf=${asPercent(csrfToken)}&${fields}`);
  const header = (name: string): OutsideField => ({
    name: `${name}, of a browser`,
    request: (bytes) => get("/admin/records", `${browser}${name}: ${bytes}\r\n`),
  });
  const beforeLogin = (name: string): OutsideField => ({
    name: `${name}, before the login`,
    request: (bytes) => get("/admin/login", `${host}${CLOSE}${name}: ${bytes}\r\n`),
  });
  const ofRecords = (name: string): OutsideField => ({
    name: `${name} of the list of records`,
    request: (bytes) => get(`/admin/records?${name}=${asPercent(bytes)}`, browser),
  });
  const ofRecordsApi = (name: string): OutsideField => ({
    name: `${name} of the API's list`,
    request: (bytes) => get(`/admin/api/records?${name}=${asPercent(bytes)}`, script),
  });
  const upstream = (fields: string) =>
    api(
      "POST",
      "/upstreams",
      `{"endpoint":"http://127.0.0.1:9/v1","key":"sk-x-0123456789","isEnabled":false,${fields}}`,
    );
  const filters = ["q", "model", "upstream", "status", "outcome", "client", "since", "until", "before"];
  return [
    ...[
      "accept",
      "accept-language",
      "user-agent",
      "x-forwarded-for",
      "x-forwarded-proto",
      "hx-request",
      "referer",
    ].map(header),
    ...["accept-language", "cookie", "authorization", "accept", "origin"].map(beforeLogin),
    { name: "host", request: (bytes) => get("/admin", `host: ${bytes}\r\n${CLOSE}`) },
    {
      name: "origin and host of a form",
      request: (bytes) =>
        send(
          "POST",
          "/admin/login",
          `host: ${bytes}\r\norigin: http://${bytes}\r\n${CLOSE}${FORM_TYPE}`,
          "token=x",
        ),
    },
    {
      name: "sec-fetch-site",
      request: (bytes) =>
        send("POST", "/admin/logout", `${host}${CLOSE}sec-fetch-site: ${bytes}\r\n${FORM_TYPE}`, "csrf=x"),
    },
    {
      name: "csrf token",
      request: (bytes) =>
        send("POST", "/admin/tokens", browser + FORM_TYPE, `csrf=${asPercent(bytes)}&name=x`),
    },
    { name: "path", request: (bytes) => get(`/admin/${asPercent(bytes)}`, browser) },
    { name: "path of an asset", request: (bytes) => get(`/admin/assets/${asPercent(bytes)}`, browser) },
    { name: "number of a record", request: (bytes) => get(`/admin/records/${asPercent(bytes)}`, browser) },
    {
      name: "number of a record, API",
      request: (bytes) => get(`/admin/api/records/${asPercent(bytes)}`, script),
    },
    { name: "request to watch", request: (bytes) => get(`/admin/live?watch=${asPercent(bytes)}`, browser) },
    { name: "request to watch, API", request: (bytes) => get(`/admin/api/live/${asPercent(bytes)}`, script) },
    {
      name: "upstream's number",
      request: (bytes) => get(`/admin/upstreams/${asPercent(bytes)}/edit`, browser),
    },
    { name: "range", request: (bytes) => get(`/admin?range=${asPercent(bytes)}`, browser) },
    { name: "range, API", request: (bytes) => get(`/admin/api/stats?range=${asPercent(bytes)}`, script) },
    {
      name: "an unknown parameter",
      request: (bytes) => get(`/admin/api/records?${asPercent(bytes)}=1`, script),
    },
    ...filters.map(ofRecords),
    ...filters.map(ofRecordsApi),
    { name: "token's name, API", request: (bytes) => api("POST", "/tokens", `{"name":${asJson(bytes)}}`) },
    { name: "token to remove, API", request: (bytes) => api("DELETE", `/tokens/${asPercent(bytes)}`, "") },
    { name: "token's name", request: (bytes) => form("/tokens", `name=${asPercent(bytes)}`) },
    { name: "token to revoke", request: (bytes) => form("/tokens/revoke", `name=${asPercent(bytes)}`) },
    { name: "upstream's name, API", request: (bytes) => upstream(`"name":${asJson(bytes)}`) },
    {
      name: "upstream's key, API",
      request: (bytes) =>
        api(
          "POST",
          "/upstreams",
          `{"endpoint":"http://127.0.0.1:9/v1","isEnabled":false,"key":${asJson(bytes)}}`,
        ),
    },
    {
      name: "upstream's endpoint, API",
      request: (bytes) =>
        api("POST", "/upstreams", `{"key":"sk-x-0123456789","isEnabled":false,"endpoint":${asJson(bytes)}}`),
    },
    {
      name: "upstream's path, API",
      request: (bytes) =>
        api(
          "POST",
          "/upstreams",
          `{"key":"k-0123456789","isEnabled":false,"endpoint":${asJson(`http://127.0.0.1:9/${bytes}`)}}`,
        ),
    },
    {
      name: "upstream's globs, API",
      request: (bytes) => upstream(`"allow":[${asJson(bytes)}],"deny":[${asJson(bytes)}]`),
    },
    {
      name: "upstream's aliases, API",
      request: (bytes) => upstream(`"modelMap":{${asJson(bytes)}:${asJson(bytes)}}`),
    },
    { name: "upstream's auth style, API", request: (bytes) => upstream(`"authStyle":${asJson(bytes)}`) },
    { name: "an unknown member, API", request: (bytes) => upstream(`${asJson(bytes)}:1`) },
    {
      name: "upstream's form",
      request: (bytes) => {
        const text = asPercent(bytes);
        return form(
          "/upstreams",
          `endpoint=${text}&key=${text}&name=${text}&allow=${text}&modelMap=${text}&weight=${text}`,
        );
      },
    },
    { name: "a body that is not JSON", request: (bytes) => api("POST", "/tokens", bytes) },
    {
      name: "content-type, API",
      request: (bytes) =>
        send("POST", "/admin/api/tokens", `${script}content-type: ${bytes}\r\n`, '{"name":"x"}'),
    },
    {
      name: "content-type of a form",
      request: (bytes) => send("POST", "/admin/tokens", `${browser}content-type: ${bytes}\r\n`, "name=x"),
    },
    {
      name: "content-type of the login",
      request: (bytes) =>
        send(
          "POST",
          "/admin/login",
          `${host}${CLOSE}sec-fetch-site: same-origin\r\ncontent-type: ${bytes}\r\n`,
          "token=x",
        ),
    },
    {
      name: "an invalid form",
      request: (bytes) => send("POST", "/admin/tokens", browser + FORM_TYPE, bytes),
    },
    {
      name: "next of the login",
      request: (bytes) => get(`/admin/login?next=${asPercent(bytes)}`, `${host}${CLOSE}`),
    },
    {
      name: "token and next of the login",
      request: (bytes) => {
        const fields = `${host}${CLOSE}sec-fetch-site: same-origin\r\n${FORM_TYPE}`;
        return send("POST", "/admin/login", fields, `token=${asPercent(bytes)}&next=${asPercent(bytes)}`);
      },
    },
  ];
}

function isVisitorsFault(status: number): boolean {
  return (status >= 200 && status < 500) || status === 501 || status === 505;
}

Deno.test("no field of the admin page breaks, forges or leaks anything", async (t) => {
  const table = new FaultTable("fields of the admin page", t);
  await using stage = await OutsideStage.start("text");
  for (const field of adminFields(await visit(stage.router))) {
    await table.case(field.name, "held", async () => `held: ${await stage.check(field, isVisitorsFault)}`);
  }
  await table.case("the right admin token", "opens the page", async () => {
    const response = await callApi(stage.router, "/settings");
    await response.body?.cancel();
    return response.status === 200 ? "opens the page" : `HTTP ${response.status}`;
  });
  await table.case("the records", "readable", async () => `readable: ${await stage.checkRecords()}`);
  table.print();
});

type Row = Readonly<
  Record<"name" | "endpoint" | "sk" | "allow" | "model_map" | "auth_style" | "timeout", string | null>
>;

/** A mistyped column, and a model that selects the row if it is used. */
function rowsOf(endpoint: string): [column: string, row: (bytes: string, model: string) => Row][] {
  const row = (changes: Partial<Row>, model: string): Row => ({
    name: "by hand",
    endpoint,
    sk: "sk-by-hand-0123456789",
    allow: model,
    model_map: null,
    auth_style: null,
    timeout: null,
    ...changes,
  });
  return [
    ["name", (bytes, model) => row({ name: bytes }, model)],
    ["endpoint", (bytes, model) => row({ endpoint: bytes }, model)],
    ["endpoint's path", (bytes, model) => row({ endpoint: `${endpoint}/${bytes}` }, model)],
    ["endpoint's query", (bytes, model) => row({ endpoint: `${endpoint}?q=${bytes}` }, model)],
    ["sk", (bytes, model) => row({ sk: bytes }, model)],
    ["allow", (bytes, model) => row({ allow: `${model},${bytes}` }, model)],
    ["model_map", (bytes, model) => row({ model_map: `{${asJson(model)}:${asJson(bytes)}}` }, model)],
    ["model_map that is no JSON", (bytes, model) => row({ model_map: bytes }, model)],
    ["auth_style", (bytes, model) => row({ auth_style: bytes }, model)],
    ["timeout", (bytes, model) => row({ timeout: bytes }, model)],
  ];
}

function insert(router: Router, rows: readonly Row[]): void {
  const db = new DatabaseSync(`${router.directory}/db.sqlite`);
  try {
    db.exec("PRAGMA busy_timeout = 5000; BEGIN");
    // The raw bytes, UTF-8 or not, as another program could write them.
    const statement = db.prepare(
      "INSERT INTO openai_upstreams(name, endpoint, sk, allow, model_map, auth_style, timeout) VALUES(" +
        Array.from({ length: 7 }, () => "CAST(? AS TEXT)").join(", ") + ")",
    );
    for (const { name, endpoint, sk, allow, model_map, auth_style, timeout } of rows) {
      const values = [name, endpoint, sk, allow, model_map, auth_style, timeout];
      statement.run(...values.map((value) => value === null ? null : Buffer.from(value, "latin1")));
    }
    db.exec("COMMIT");
  } finally {
    db.close();
  }
}

Deno.test("no value of an operator's row breaks, forges or leaks anything", async (t) => {
  const table = new FaultTable("rows written by hand", t);
  await using stage = await OutsideStage.start("text");
  const { router, upstream } = stage;
  const columns = rowsOf(upstream.endpoint);
  // The pairs of endpoint and key must differ.
  const modelOf = (column: number, place: number) => `m-${column}-${place}-m`;
  const rows = columns.flatMap(([name, row], column) =>
    OUTSIDE_VALUES.map(({ bytes }, place) => {
      const made = row(bytes, modelOf(column, place));
      return name === "sk" ? made : { ...made, sk: `${made.sk}-${column}-${place}` };
    })
  );
  // The first row must not answer for a row with an unusable endpoint.
  router.execute("UPDATE openai_upstreams SET allow = 'test-model'");
  insert(router, rows);
  const last = modelOf(0, 0);
  await eventually(async () => {
    const response = await router.chat({ model: last });
    await response.body?.cancel();
    return response.status === 200 ? true : null;
  }, "the rows");
  for (const [column, [name]] of columns.entries()) {
    const field: OutsideField = {
      name,
      request: (_bytes, place) => {
        const body = `{"model":"${modelOf(column, place)}","messages":[{"role":"user","content":"hi"}]}`;
        return send(
          "POST",
          "/v1/chat/completions",
          `host: router.example\r\nauthorization: Bearer ${TEST_TOKEN}\r\n${CLOSE}${JSON_TYPE}`,
          body,
        );
      },
    };
    const isOperatorsFault = (status: number) => status < 500 || status === 502 || status === 503;
    await table.case(name, "held", async () => `held: ${await stage.check(field, isOperatorsFault)}`);
  }
  await table.case("list and the page of upstreams", "readable", async () => {
    for (const args of [["list"], ["list", "--json"]]) {
      const { stdout, stderr } = await runProgram(args, { cwd: router.directory });
      assert.doesNotMatch(
        stdout + stderr,
        /(?!\n)[\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff]/u,
        args.join(" "),
      );
      assert.doesNotMatch(stderr, /\n\s+at /, args.join(" "));
    }
    const headers = { authorization: `Bearer ${adminTokenOf(router)}`, accept: "text/html" };
    for (const path of ["/admin", "/admin/upstreams", "/admin/api/upstreams"]) {
      const page = await fetch(`http://127.0.0.1:${router.port}${path}`, { headers });
      await page.body?.cancel();
      assert.equal(page.status, 200, path);
    }
    return "readable";
  });
  await table.case("the records", "readable", async () => `readable: ${await stage.checkRecords()}`);
  table.print();
});
