/**
 * Import cycles between files, of any length; imports of types count too.
 */
import { importsOf, lineOf, type ParsedFile, targetOf, type Violation } from "./source.ts";

/** One violation for each import that closes a cycle; without these imports there would be none. */
export function cycleViolations(files: readonly ParsedFile[]): Violation[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const violations: Violation[] = [];
  const done = new Set<string>();
  /** From the file where the search began to the one that it is at. */
  const trail: string[] = [];
  const visit = (file: ParsedFile): void => {
    trail.push(file.path);
    for (const { target, at } of targetsOf(file)) {
      const start = trail.indexOf(target);
      const next = byPath.get(target);
      if (start >= 0) {
        const cycle = [...trail.slice(start), target].join(" -> ");
        violations.push({ path: file.path, line: lineOf(file, at), message: `import cycle: ${cycle}` });
      } else if (next !== undefined && !done.has(target)) visit(next);
    }
    trail.pop();
    done.add(file.path);
  };
  for (const file of files) if (!done.has(file.path)) visit(file);
  return violations;
}

/** Each file that this one imports, once, with its first import. */
function targetsOf(file: ParsedFile): { target: string; at: number }[] {
  const targets = new Map<string, number>();
  for (const { specifier, at } of importsOf(file)) {
    if (!specifier?.startsWith(".")) continue;
    const target = targetOf(file.path, specifier);
    if (!targets.has(target)) targets.set(target, at);
  }
  return [...targets].map(([target, at]) => ({ target, at }));
}
