import assert from "node:assert/strict";
import { databaseFile } from "../../../../src/store/database/file.ts";
import { withDirectory } from "../support.ts";

Deno.test("databaseFile() is the name by which SQLite names what lies beside the database", async () => {
  await withDirectory((_, given) => {
    const directory = Deno.realPathSync(given);
    Deno.mkdirSync(`${directory}/real`);
    Deno.mkdirSync(`${directory}/links`);
    Deno.writeTextFileSync(`${directory}/real/db`, "");
    Deno.symlinkSync("../real/db", `${directory}/links/relative`);
    Deno.symlinkSync(`${directory}/links/relative`, `${directory}/links/twice`);
    Deno.symlinkSync(`${directory}/real`, `${directory}/folder`);
    Deno.symlinkSync("missing", `${directory}/real/dangling`);
    Deno.symlinkSync("loop", `${directory}/links/loop`);
    const table: readonly (readonly [path: string, expected: string])[] = [
      ["real/db", "real/db"],
      ["real/../real/./db", "real/db"],
      ["links/relative", "real/db"],
      ["links/twice", "real/db"],
      ["folder/db", "real/db"],
      ["folder/new", "real/new"],
      ["real/dangling", "real/missing"],
      ["folder/dangling", "real/missing"],
      ["absent/db", "absent/db"],
      ["links/loop", "links/loop"],
    ];
    for (const [path, expected] of table) {
      assert.equal(databaseFile(`${directory}/${path}`), `${directory}/${expected}`, path);
    }
  });
});
