/** Which variables are read, and which are told to be unknown. */
import assert from "node:assert/strict";
import { ENVIRONMENT_VARIABLES, readEnvironment, unknownVariables } from "../../../src/config/environment.ts";

Deno.test("of the environment, only what the program knows or what looks like its own is kept", () => {
  const env = readEnvironment({
    PATH: "/bin",
    OAR_ADDR: ":1",
    OAR_ADRR: ":2",
    oar_x: "3",
    NO_PROXY: "*",
    SECRET: "x",
  });
  const kept = Object.entries(env).filter(([, value]) => value !== undefined);
  assert.deepEqual(Object.fromEntries(kept), { OAR_ADDR: ":1", OAR_ADRR: ":2", oar_x: "3", NO_PROXY: "*" });
});

Deno.test("an unknown variable is told with the nearest name, if one is alike", () => {
  const table: readonly [name: string, nearest: string | null][] = [
    ["OAR_ADRR", "OAR_ADDR"],
    ["OAR_KEEPDAYS", "OAR_KEEP_DAYS"],
    ["OAR_KEEP_DAY", "OAR_KEEP_DAYS"],
    ["OAR_LOGFORMAT", "OAR_LOG_FORMAT"],
    ["OAR_NO_AUTH", "OAR_NOAUTH"],
    ["OAR_TRUSTED_PROXIES", "OAR_TRUSTED_PROXY"],
    ["OAR_DB", null],
    ["OAR_SOMETHING_ELSE", null],
    ["oar_addr", "OAR_ADDR"],
    [`OAR_${"X".repeat(10_000)}`, null],
  ];
  for (const [name, nearest] of table) {
    const [found, ...others] = unknownVariables({ [name]: "1", OAR_ADDR: "x", PATH: "x" });
    assert.deepEqual([found?.nearest, others], [nearest, []], name);
    assert.equal(found?.name, name.slice(0, 64));
  }
});

Deno.test("known, empty and foreign variables are not told, and of very many, ten are", () => {
  const known = Object.fromEntries(ENVIRONMENT_VARIABLES.map((name) => [name, "1"]));
  assert.deepEqual(unknownVariables({ ...known, OAR_UNUSED: "", HOME: "x", XOAR_A: "x" }), []);
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`OAR_Q${n}`, "1"]));
  assert.equal(unknownVariables(many).length, 10);
});
