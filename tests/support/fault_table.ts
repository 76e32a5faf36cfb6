/**
 * A table of faults: each case is a test step, and its row shows the expected and the actual result.
 */
import assert from "node:assert/strict";

interface Row {
  readonly name: string;
  readonly expected: string;
  readonly seen: string;
}

export class FaultTable {
  readonly #title: string;
  readonly #t: Deno.TestContext;
  readonly #rows: Row[] = [];

  constructor(title: string, t: Deno.TestContext) {
    this.#title = title;
    this.#t = t;
  }

  /**
   * Runs one case. The result must equal the expected one; details may follow after a colon. Later cases run
   * even if this one fails.
   */
  async case(name: string, expected: string, look: () => Promise<string>): Promise<void> {
    await this.#t.step(name, async () => {
      let seen: string;
      try {
        seen = await look();
      } catch (error) {
        this.#rows.push({
          name,
          expected,
          seen: `FAILED: ${error instanceof Error ? error.message : error}`,
        });
        throw error;
      }
      this.#rows.push({ name, expected, seen });
      if (!seen.startsWith(`${expected}: `)) assert.equal(seen, expected);
    });
  }

  /**
   * A row for a case that cannot run on this machine. With `CI=true` such a case fails if it must run there.
   */
  async skip(
    { name, expected, isNeededInCi }: { name: string; expected: string; isNeededInCi: boolean },
    reason: string,
  ): Promise<void> {
    if (isNeededInCi && Deno.env.get("CI") === "true") {
      return await this.case(name, expected, () => Promise.reject(new Error(reason)));
    }
    this.#rows.push({ name, expected, seen: `SKIPPED: ${reason}` });
  }

  print(): void {
    const rows = [{ name: "case", expected: "expected", seen: "seen" }, ...this.#rows]
      .map((row) => ({ ...row, seen: row.seen.split("\n", 1)[0] ?? "" }));
    const width = (of: (row: Row) => string) => Math.max(...rows.map((row) => of(row).length));
    const nameWidth = width((row) => row.name);
    const expectedWidth = width((row) => row.expected);
    const lines = rows.map(({ name, expected, seen }) =>
      `  ${name.padEnd(nameWidth)} | ${expected.padEnd(expectedWidth)} | ${seen}`
    );
    console.log([`${this.#title}: ${this.#rows.length} cases`, ...lines].join("\n"));
  }
}
