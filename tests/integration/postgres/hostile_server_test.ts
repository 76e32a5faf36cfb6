/**
 * What listens on the port of a PostgreSQL server, and is none, or one that is out of order: the statement fails within its
 * time, nothing else does, and nothing is thrown where nobody catches it.
 */
import assert from "node:assert/strict";
import { PgError } from "../../../src/store/postgres/errors.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { openPg } from "../../support/postgres.ts";
import { Blackhole } from "../../support/raw_upstream.ts";
import { eventually } from "../../support/router.ts";

const bytes = (...parts: (string | number[])[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(
    parts.flatMap((part) => typeof part === "string" ? [...new TextEncoder().encode(part)] : part),
  );

const AUTHENTICATED = [0x52, 0, 0, 0, 8, 0, 0, 0, 0];
const READY = [0x5a, 0, 0, 0, 5, 0x49];

/** After the first bytes of the client; then it reads on and says nothing. */
const ANSWERS: Record<string, Uint8Array<ArrayBuffer>> = {
  "an HTTP server": bytes("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n"),
  "an SSH server": bytes("SSH-2.0-OpenSSH_9.2\r\n"),
  "noise": bytes([0, 255, 128, 1, 2, 3, 0, 0, 0, 0, 0]),
  "nothing but zeros": bytes(Array(64).fill(0)),
  "yes to TLS, then no TLS": bytes("S", "hello"),
  "no to TLS, then noise": bytes("N", [1, 2, 3]),
  "a message of 2 GB": bytes([0x52, 0x7f, 255, 255, 255, 0, 0, 0, 0]),
  "a message of negative length": bytes([0x52, 255, 255, 255, 255, 0, 0, 0, 0]),
  "a message of length 0": bytes([0x52, 0, 0, 0, 0, 0, 0, 0, 0]),
  "an unknown kind of authentication": bytes([0x52, 0, 0, 0, 8, 0, 0, 0, 99]),
  "SASL without a mechanism": bytes([0x52, 0, 0, 0, 9, 0, 0, 0, 10, 0]),
  "SASL that goes on before it began": bytes([0x52, 0, 0, 0, 9, 0, 0, 0, 11, 0]),
  "an error without fields": bytes([0x45, 0, 0, 0, 5, 0]),
  "rows before a question": bytes(AUTHENTICATED, READY, [0x44, 0, 0, 0, 6, 0, 0]),
  "rows of more columns than said": bytes(AUTHENTICATED, READY, [0x44, 0, 0, 0, 6, 255, 255]),
  "an end of a statement before one": bytes(AUTHENTICATED, READY, [0x43, 0, 0, 0, 5, 0]),
  "ready before it lets in": bytes(READY, READY, READY),
};

Deno.test("PostgreSQL: a server that is none costs one statement", async (t) => {
  for (const [name, answer] of Object.entries(ANSWERS)) {
    for (const mode of ["disable", "prefer", "require"]) {
      await t.step(`${name}, sslmode=${mode}`, async () => {
        const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
        const serving = serve(listener, answer);
        const clock = new FakeClock();
        const db = openPg(`postgres://u:hunter2@127.0.0.1:${listener.addr.port}/d?sslmode=${mode}`, {
          clock,
        });
        try {
          let isDone = false;
          const work = db.read("SELECT 1").finally(() => isDone = true);
          const failed = assert.rejects(work, (error) => {
            assert.ok(error instanceof PgError, String(error));
            assert.ok(error.isConnectionLost, error.message);
            assert.match(error.message, /^PostgreSQL at 127\.0\.0\.1:\d+: [^\n]{1,300}$/);
            assert.ok(!error.message.includes("hunter2"));
            return true;
          });
          await eventually(() => {
            clock.advance(1_000);
            return isDone || null;
          }, name);
          await failed;
        } finally {
          await db.close();
          listener.close();
          await serving;
        }
      });
    }
  }
});

async function serve(listener: Deno.Listener, answer: Uint8Array): Promise<void> {
  const open: Promise<void>[] = [];
  for await (const connection of listener) open.push(answerOne(connection, answer));
  await Promise.all(open);
}

async function answerOne(connection: Deno.Conn, answer: Uint8Array): Promise<void> {
  using _connection = connection;
  const buffer = new Uint8Array(4096);
  try {
    if (await connection.read(buffer) === null) return;
    await connection.write(answer);
    while (await connection.read(buffer) !== null);
  } catch {
    // The client has left.
  }
}

Deno.test("PostgreSQL: a host that swallows everything costs its timeout, and the next one is tried", async () => {
  using hole = await Blackhole.open();
  const clock = new FakeClock();
  const db = openPg(`postgres://u@127.0.0.1:${new URL(hole.endpoint).port},127.0.0.1:1/d`, { clock });
  try {
    const connecting = clock.timerSet(3_000);
    const failed = assert.rejects(db.read("SELECT 1"), /no answer within 3000 ms; .*ECONNREFUSED/);
    await connecting;
    clock.advance(3_000);
    await failed;
  } finally {
    await db.close();
  }
});

Deno.test("PostgreSQL: close() while it connects", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = serve(listener, new Uint8Array());
  const clock = new FakeClock();
  const db = openPg(`postgres://u@127.0.0.1:${listener.addr.port}/d`, { clock });
  const failed = assert.rejects(db.read("SELECT 1"), /the database was closed/);
  await eventually(() => clock.pendingTimers > 0 ? true : null, "the connection");
  const closing = db.close();
  await failed;
  await closing;
  assert.equal(clock.pendingTimers, 0);
  listener.close();
  await serving;
});
