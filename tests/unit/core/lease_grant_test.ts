import assert from "node:assert/strict";
import { grantedNano, type LeaseAccount } from "../../../src/core/lease_grant.ts";

const ACCOUNT: LeaseAccount = { spentNano: 0, grownNano: 0, heldNano: 0, othersLeaseNano: 0 };
const granted = (asked: readonly [budget: number | null, needed: number, wanted: number], account = {}) =>
  grantedNano({ budgetNano: asked[0], neededNano: asked[1], wantedNano: asked[2] }, {
    ...ACCOUNT,
    ...account,
  });

Deno.test("grantedNano() gives what is wanted as far as it fits", () => {
  assert.equal(granted([100, 10, 30]), 30);
  assert.equal(granted([100, 10, 30], { spentNano: 50, othersLeaseNano: 45 }), 5);
  assert.equal(granted([100, 10, 30], { spentNano: 50, othersLeaseNano: 60 }), 0);
  assert.equal(granted([100, 40, 30]), 40);
  assert.equal(granted([0, 10, 30]), 0);
  assert.equal(granted([null, 10, 30]), 0);
});

Deno.test("grantedNano() leaves covered what is needed and was held, and no more", () => {
  const over = { spentNano: 200, heldNano: 50 };
  assert.equal(granted([100, 10, 90], over), 10);
  assert.equal(granted([100, 80, 90], over), 50);
  assert.equal(granted([100, 80, 90], { ...over, grownNano: 30 }), 20);
  assert.equal(granted([100, 80, 90], { ...over, grownNano: 70 }), 0);
  // What was charged too much has come back.
  assert.equal(granted([100, 80, 90], { ...over, grownNano: -20 }), 70);
});

Deno.test("grantedNano() never makes the sum of rows and leases larger than the budget and what it was", () => {
  const sizes = [0, 1, 7, 40, 99, 100, 250];
  let count = 0;
  for (const budget of sizes) {
    for (const others of sizes) {
      for (const spentBefore of sizes) {
        for (const held of sizes) {
          for (const grown of sizes) {
            for (const needed of sizes) {
              const account = {
                spentNano: spentBefore + grown,
                grownNano: grown,
                heldNano: held,
                othersLeaseNano: others,
              };
              const lease = granted([budget, needed, needed + 5], account);
              const before = spentBefore + held + others;
              // A charge beyond the lease is the charger's doing.
              const allowed = Math.max(budget, before, account.spentNano + others);
              assert.ok(
                account.spentNano + lease + others <= allowed,
                JSON.stringify({ budget, needed, account }),
              );
              count++;
            }
          }
        }
      }
    }
  }
  assert.equal(count, sizes.length ** 6);
});
