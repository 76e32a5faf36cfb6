import assert from "node:assert/strict";
import { Roster } from "../../../src/core/roster.ts";

Deno.test("Roster shows who is present from the first to the last, whoever leaves", () => {
  const roster = new Roster<string>();
  const places = new Map(["a", "b", "c", "d"].map((member) => [member, roster.add(member)]));
  const leave = (member: string) => {
    const place = places.get(member);
    assert.ok(place);
    roster.leave(place);
  };
  const seen = () => {
    assert.equal(roster.size, roster.members().length);
    return roster.members().join("");
  };
  assert.equal(seen(), "abcd");
  leave("b");
  assert.equal(seen(), "acd");
  leave("a");
  assert.equal(roster.first?.member, "c");
  leave("d");
  assert.equal(seen(), "c");
  roster.add("e");
  assert.equal(seen(), "ce");
  leave("c");
  leave("c");
  leave("b");
  assert.equal(seen(), "e");
});

Deno.test("a place that was left leads to nobody", () => {
  const roster = new Roster<number>();
  const [first, second] = [roster.add(1), roster.add(2)];
  roster.add(3);
  roster.leave(second);
  assert.deepEqual([second.before, second.after], [null, null]);
  assert.equal(first.after?.member, 3);
});
