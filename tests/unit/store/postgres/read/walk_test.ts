/** Walking through records in parts. With a real PostgreSQL: tests/integration/postgres/read_test.ts. */
import assert from "node:assert/strict";
import { PgError } from "../../../../../src/store/postgres/errors.ts";
import type { PgStore } from "../../../../../src/store/postgres/query.ts";
import { type Place, spanOf } from "../../../../../src/store/postgres/read/span.ts";
import { inParts } from "../../../../../src/store/postgres/read/walk.ts";

const LONG_MS = 3_600_000;

/** As many records as given, with the numbers from there down to 1. */
function counted(count: number): Pick<PgStore, "read"> {
  return {
    read: <Row>(text: string, values: readonly unknown[] = []) => {
      const rows = Number(/OFFSET (\d+)/.exec(text)?.[1]) + 1;
      const startId = values.find((value) => typeof value === "number");
      const id = (typeof startId === "number" ? startId : count + 1) - rows;
      return Promise.resolve((id < 1 ? [] : [{ at: "", id }]) as Row[]);
    },
  };
}

function timeUp(): PgError {
  return new PgError("too slow", { kind: "retry", code: "57014", isConnectionLost: false });
}

/** The parts that are visited, and how it ends. */
async function walked(
  partRows: readonly number[],
  { count = 100, limitMs = LONG_MS, visit = () => false }: {
    count?: number;
    limitMs?: number;
    visit?: (part: string) => boolean;
  },
): Promise<{ parts: string[]; isWhole: boolean; nextId: number | null }> {
  const parts: string[] = [];
  const name = (place: Place | null) => place?.id ?? "";
  const span = spanOf({}, "DESC");
  const { isWhole, next } = await inParts(counted(count), { span, limitMs, partRows }, (part) => {
    parts.push(`${name(part.start)}-${name(part.end)}`);
    return Promise.resolve(visit(parts.at(-1) ?? ""));
  });
  return { parts, isWhole, nextId: next?.id ?? null };
}

Deno.test("inParts() visits all parts, and repeats the last size", async () => {
  assert.deepEqual(await walked([10, 40], {}), {
    parts: ["-91", "91-51", "51-11", "11-"],
    isWhole: true,
    nextId: null,
  });
  assert.deepEqual(await walked([10, Infinity], {}), { parts: ["-91", "91-"], isWhole: true, nextId: null });
  assert.deepEqual(await walked([10], { count: 0 }), { parts: ["-"], isWhole: true, nextId: null });
});

Deno.test("inParts() ends when it is enough, and says where", async () => {
  assert.deepEqual(await walked([10, 40], { visit: (part) => part === "91-51" }), {
    parts: ["-91", "91-51"],
    isWhole: false,
    nextId: 51,
  });
});

Deno.test("inParts() goes on in parts when all that is left was too much for a part of the time", async () => {
  const visit = (part: string): boolean => {
    if (part === "91-") throw timeUp();
    return false;
  };
  assert.deepEqual(await walked([10, Infinity, 50], { visit }), {
    parts: ["-91", "91-", "91-41", "41-"],
    isWhole: true,
    nextId: null,
  });
});

Deno.test("inParts() keeps to what was finished when time is up", async () => {
  const visit = (part: string): boolean => {
    if (part === "91-51") throw timeUp();
    return false;
  };
  assert.deepEqual(await walked([10, 40], { visit }), {
    parts: ["-91", "91-51"],
    isWhole: false,
    nextId: 91,
  });
  assert.deepEqual(await walked([10], { limitMs: 0 }), { parts: ["-91"], isWhole: false, nextId: 91 });
});

Deno.test("inParts() fails where nothing may be left out, and with what is no matter of time", async () => {
  const visit = (): boolean => {
    throw timeUp();
  };
  await assert.rejects(walked([10], { limitMs: Infinity, visit }), { code: "57014" });
  const other = (): boolean => {
    throw new PgError("gone", { kind: "retry", code: "08006", isConnectionLost: true });
  };
  await assert.rejects(walked([10, Infinity, 5], { visit: other }), { code: "08006" });
});

Deno.test("inParts() takes a server that does not answer for one that is busy, but for the first part", async () => {
  const silent = (at: string) => (part: string): boolean => {
    if (part !== at) return false;
    throw new PgError("no answer", { kind: "retry", code: "TIMEOUT", isConnectionLost: true });
  };
  assert.deepEqual(await walked([10, 40], { visit: silent("91-51") }), {
    parts: ["-91", "91-51"],
    isWhole: false,
    nextId: 91,
  });
  await assert.rejects(walked([10, 40], { visit: silent("-91") }), { code: "TIMEOUT" });
});
