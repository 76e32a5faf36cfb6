/** Requests without a token: they get the appropriate answer, and write no error into the log. */
import assert from "node:assert/strict";
import { FaultTable } from "../support/fault_table.ts";
import { RawClient } from "../support/raw_client.ts";
import { eventually, Router } from "../support/router.ts";

const HOSTS = [
  "[",
  "]",
  "a:b:c",
  "a:99999",
  "%",
  "a:",
  "",
  "[::1]",
  "[::1",
  "x".repeat(300),
  "a b",
  "\u00e9",
];
const METHODS = ["TRACE", "CONNECT", "TRACK", "trace", "PRI", "FOO", "get", "OPTIONS", "HEAD", "POST"];
const PATHS = ["/v1/models", "/", "/healthz", "/admin", "/admin/login", "/admin/api/records", "/nothing"];

const FORM =
  "host: localhost:PORT\r\nsec-fetch-site: same-origin\r\ncontent-type: application/x-www-form-urlencoded\r\n";
const LOGIN = `POST /admin/login HTTP/1.1\r\n${FORM}`;

/** Requests, and whether the client ends its sending direction after them. */
const BODIES: [name: string, request: string, isEnded: boolean][] = [
  ["a body that breaks off", `${LOGIN}content-length: 10\r\n\r\ntok`, true],
  ["a chunk that breaks off", `${LOGIN}transfer-encoding: chunked\r\n\r\n5\r\ntok`, true],
  [
    "a chunk's size that is none",
    `${LOGIN}transfer-encoding: chunked\r\n\r\nzz\r\ntoken\r\n0\r\n\r\n`,
    false,
  ],
  [
    "a control character in an extension",
    `${LOGIN}transfer-encoding: chunked\r\n\r\n1;\0\r\nt\r\n0\r\n\r\n`,
    false,
  ],
  ["a trailer that is none", `${LOGIN}transfer-encoding: chunked\r\n\r\n1\r\nt\r\n0\r\nx\r\n\r\n`, false],
  ["HTTP/1.0 without a host", "GET /admin HTTP/1.0\r\n\r\n", false],
  ["HTTP/1.0 without a host, to the login", "GET /admin/login HTTP/1.0\r\n\r\n", false],
];

Deno.test("a client without a token causes neither a 500 nor an ERROR line", async (t) => {
  const table = new FaultTable("strangers", t);
  await using router = await Router.start({ upstreams: [] });
  const ask = async (bytes: string, isEnded = false): Promise<string> => {
    const logged = router.text.length;
    using client = await RawClient.connect(router.port);
    await client.send(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
    if (isEnded) await client.end();
    const status = /^HTTP\/1\.1 (\d{3})/.exec(await client.readToEnd())?.[1] ?? "closed";
    const errors = /.*ERROR.*/.exec(router.text.slice(logged))?.[0];
    return status.startsWith("5") || errors !== undefined
      ? `${status}, ${errors}`
      : `no server error: ${status}`;
  };
  for (const host of HOSTS) {
    for (const path of PATHS) {
      const name = `GET ${path} with Host: ${JSON.stringify(host.slice(0, 20))}`;
      await table.case(
        name,
        "no server error",
        () => ask(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`),
      );
    }
  }
  for (const method of METHODS) {
    for (const path of PATHS) {
      await table.case(
        `${method} ${path}`,
        "no server error",
        () =>
          ask(`${method} ${path} HTTP/1.1\r\nhost: localhost:${router.port}\r\nconnection: close\r\n\r\n`),
      );
    }
  }
  for (const [name, request, isEnded] of BODIES) {
    await table.case(
      name,
      "no server error",
      () => ask(request.replace("PORT", String(router.port)), isEnded),
    );
  }
  assert.doesNotMatch(router.text, /ERROR/);
});

Deno.test("malformed hosts are a 400, and TRACE, TRACK and CONNECT a 405, everywhere", async () => {
  await using router = await Router.start({ upstreams: [] });
  const statusOf = async (request: string): Promise<string | undefined> => {
    using client = await RawClient.connect(router.port);
    await client.send(`${request}\r\nconnection: close\r\n\r\n`);
    return /^HTTP\/1\.1 (\d{3})/.exec(await client.readToEnd())?.[1];
  };
  for (const path of PATHS) {
    for (const host of ["[", "a:b:c", "a:99999", "%"]) {
      assert.equal(await statusOf(`GET ${path} HTTP/1.1\r\nhost: ${host}`), "400", `${host} ${path}`);
    }
    for (const method of ["TRACE", "Trace", "TRACK", "CONNECT"]) {
      assert.equal(await statusOf(`${method} ${path} HTTP/1.1\r\nhost: x`), "405", `${method} ${path}`);
    }
  }
});

Deno.test("connections beyond --max-connections are closed, and the log says so once", async () => {
  await using router = await Router.start({ upstreams: [], args: ["--max-connections", "4"] });
  const request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
  const held = await Promise.all(Array.from({ length: 4 }, async () => {
    const client = await RawClient.connect(router.port);
    await client.send(request);
    await client.readUntil("\r\n\r\n");
    return client;
  }));
  for (let at = 0; at < 10; at++) {
    using client = await RawClient.connect(router.port);
    assert.match(await client.readToEnd(), /^(HTTP\/1\.1 503 |$)/);
  }
  for (const client of held) client.close();
  await eventually(async () => {
    const response = await fetch(`http://127.0.0.1:${router.port}/healthz`).catch(() => null);
    await response?.body?.cancel();
    return response?.status === 200 ? true : null;
  }, "a place");
  const lines = await eventually(
    () => router.text.match(/.*connections were closed.*/g),
    "a line in the log",
  );
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /--max-connections/);
});
