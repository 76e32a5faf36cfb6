import assert from "node:assert/strict";
import { LinkedList } from "../../../src/core/linked_list.ts";

Deno.test("LinkedList iterates oldest first, whichever node is removed", () => {
  const list = new LinkedList<string>();
  const places = new Map(["a", "b", "c", "d"].map((value) => [value, list.add(value)]));
  const leave = (value: string) => {
    const place = places.get(value);
    assert.ok(place);
    list.remove(place);
  };
  const seen = () => {
    assert.equal(list.size, list.toArray().length);
    return list.toArray().join("");
  };
  assert.equal(seen(), "abcd");
  leave("b");
  assert.equal(seen(), "acd");
  leave("a");
  assert.equal(list.first?.value, "c");
  leave("d");
  assert.equal(seen(), "c");
  list.add("e");
  assert.equal(seen(), "ce");
  leave("c");
  leave("c");
  leave("b");
  assert.equal(seen(), "e");
});

Deno.test("a removed node references no other node", () => {
  const list = new LinkedList<number>();
  const [first, second] = [list.add(1), list.add(2)];
  list.add(3);
  list.remove(second);
  assert.deepEqual([second.before, second.after], [null, null]);
  assert.equal(first.after?.value, 3);
});
