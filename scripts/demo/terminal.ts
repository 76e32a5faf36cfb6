/**
 * What the demo prints: headings, lines, and rows of the database.
 */
export type Row = Readonly<Record<string, unknown>>;

const isTerminal = Deno.stdout.isTerminal() && !Deno.noColor;

export function heading(text: string): void {
  print(isTerminal ? `\n\x1b[1m${text}\x1b[0m` : `\n== ${text}`);
}

export function print(line: string): void {
  write(`${line}\n`);
}

export function write(text: string): void {
  for (let rest = new TextEncoder().encode(text); rest.length > 0;) {
    rest = rest.subarray(Deno.stdout.writeSync(rest));
  }
}

/** One field per line; empty ones are left out. */
export function printFields(row: Row): void {
  const fields = Object.entries(row).filter(([, value]) => value !== null && value !== "");
  const width = Math.max(...fields.map(([name]) => name.length));
  for (const [name, value] of fields) print(`${name.padEnd(width)}  ${value}`);
}

export function printTable(rows: readonly Row[]): void {
  const names = Object.keys(rows[0] ?? {});
  const lines = [names, ...rows.map((row) => names.map((name) => String(row[name] ?? "-")))];
  const widths = names.map((_, at) => Math.max(...lines.map((cells) => cells[at]?.length ?? 0)));
  for (const cells of lines) {
    print(cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ").trimEnd());
  }
}
