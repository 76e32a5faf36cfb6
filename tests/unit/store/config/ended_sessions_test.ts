/** Sessions that somebody ended. */
import assert from "node:assert/strict";
import { addEndedSession, endedSessions } from "../../../../src/store/config/ended_sessions.ts";

const KEY = "admin_ended_sessions";

function makeConfig(value: string | null = null) {
  const values = new Map<string, string>(value === null ? [] : [[KEY, value]]);
  return {
    getConfig: (key: string) => values.get(key) ?? null,
    setConfig: (key: string, text: string) => void values.set(key, text),
  };
}

Deno.test("ended sessions are kept until they would have ended, and at most 1024 of them", () => {
  const config = makeConfig();
  addEndedSession(config, { id: "first", endsSeconds: 100 }, 50);
  addEndedSession(config, { id: "second", endsSeconds: 200 }, 60);
  assert.deepEqual([...endedSessions(config).keys()].sort(), ["first", "second"]);
  addEndedSession(config, { id: "third", endsSeconds: 300 }, 100);
  assert.deepEqual([...endedSessions(config).keys()].sort(), ["second", "third"]);
  for (let n = 0; n < 1_100; n++) addEndedSession(config, { id: `n${n}`, endsSeconds: 1_000 + n }, 100);
  const ended = endedSessions(config);
  assert.deepEqual([ended.size, ended.has("n1099"), ended.has("n0")], [1024, true, false]);
});

Deno.test("a value that is none of ours counts as no ended sessions, and is replaced", () => {
  for (const value of ["", "[", "null", "7", '"text"', '{"id":"x"}', "[[]]"]) {
    const config = makeConfig(value);
    assert.equal(endedSessions(config).size, 0, value);
    addEndedSession(config, { id: "one", endsSeconds: 100 }, 50);
    assert.deepEqual([...endedSessions(config)], [["one", 100]], value);
  }
});
