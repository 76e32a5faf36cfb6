/**
 * A process that indexes a database until it is killed; it says `indexing` after its third step.
 */
import { makeSession } from "../support.ts";

const session = makeSession(Deno.args[0] ?? "");
for (let step = 1; session.index(); step++) {
  if (step === 3) console.log("indexing");
}
console.log("done");
