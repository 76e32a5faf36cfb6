/**
 * Proves that every regular expression of `src/` takes linear time on every text.
 *
 * Owns what counts as proved: `recheck` (https://makenowjust-labs.github.io/recheck/) builds the automaton of a pattern
 * and looks for texts on which a backtracking engine takes superlinear time, a search that begins anew at each character
 * included. It says "safe" by its automaton, or the pattern is an exception with a reason. Verdicts are remembered from
 * run to run.
 */
import { join, relative } from "node:path/posix";
import { checkSync } from "recheck";
import ts from "typescript";

/** A pattern in a file, by its path from the root of the repository. */
export interface FoundPattern {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  /** The source text: `/a+/g`, or `new RegExp(source)`. */
  readonly text: string;
  /** null: built at run time. */
  readonly pattern: { readonly source: string; readonly flags: string } | null;
}

/** Patterns without a proof, each with the reason why it is linear nevertheless. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  "/(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_=-]{200,}/g":
    "no match begins within a run, because of the lookbehind, which the automaton does not know",
  "new RegExp(source)":
    "patterns of the list of prices, each of which a test proves linear (pricing/built_in_test.ts)",
  'new RegExp(sources.join("|"), "giu")':
    "made of at most 32 words and bounded gaps; words begin where no letter stands before (worst_case_test.ts)",
};

const TIMEOUT_MS = 120_000;
const FILE_NAMES = /\.(?:ts|tsx|js)$/;

/** Every pattern of a file, in order. */
export function patternsOf(path: string, text: string): FoundPattern[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, false);
  const found: FoundPattern[] = [];
  const add = (node: ts.Node, pattern: FoundPattern["pattern"]): void => {
    const start = node.getStart(source);
    const line = source.getLineAndCharacterOfPosition(start).line + 1;
    found.push({ path, line, text: text.slice(start, node.end), pattern });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isRegularExpressionLiteral(node)) {
      const end = node.text.lastIndexOf("/");
      add(node, { source: node.text.slice(1, end), flags: node.text.slice(end + 1) });
    } else if ((ts.isNewExpression(node) || ts.isCallExpression(node)) && isRegExp(node.expression, source)) {
      add(node, null);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isRegExp(node: ts.Node, source: ts.SourceFile): boolean {
  return /^(?:globalThis\.)?RegExp$/.test(node.getText(source));
}

/** Why a pattern is not proved linear, or null. */
export function problemOf(
  { source, flags }: { readonly source: string; readonly flags: string },
): string | null {
  let problem = "";
  // In "auto" mode it considers patterns with counts too large and falls back to fuzzing, which proves
  // nothing.
  for (const checker of ["auto", "automaton"] as const) {
    const verdict = checkSync(source, flags, { checker, timeout: TIMEOUT_MS });
    if (verdict.status === "safe" && verdict.checker === "automaton") return null;
    if (verdict.status === "vulnerable") {
      problem = `takes ${verdict.complexity.summary} time on ${verdict.attack.pattern.slice(0, 200)}`;
      if (verdict.checker === "automaton") return problem;
    }
  }
  return problem || "is not proved linear; write it more simply, or as a loop";
}

/** Problems of all patterns without an exception, and exceptions that are no longer used. */
export function problemsOf(
  patterns: readonly FoundPattern[],
  options: {
    readonly exceptions?: Readonly<Record<string, string>>;
    readonly check?: typeof problemOf;
  } = {},
): string[] {
  const { exceptions = EXCEPTIONS, check = problemOf } = options;
  const problems: string[] = [];
  const used = new Set<string>();
  for (const { path, line, text, pattern } of patterns) {
    if (exceptions[text] !== undefined) used.add(text);
    else {
      const problem = pattern === null
        ? "is made while running: nothing can be proved of it"
        : check(pattern);
      if (problem !== null) problems.push(`${path}:${line}: ${text} ${problem}`);
    }
  }
  for (const text of Object.keys(exceptions)) {
    if (!used.has(text)) {
      problems.push(`scripts/check_regexes.ts: the exception ${text} is not needed any more`);
    }
  }
  return problems;
}

/** Like `problemOf`, with the verdicts of earlier runs cached. */
function rememberingCheck(): typeof problemOf {
  return (pattern) => {
    const key = `recheck 4.5.0 /${pattern.source}/${pattern.flags}`;
    if (localStorage.getItem(key) === "linear") return null;
    const problem = problemOf(pattern);
    if (problem === null) localStorage.setItem(key, "linear");
    return problem;
  };
}

async function* filesBelow(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* filesBelow(path);
    else if (FILE_NAMES.test(entry.name)) yield path;
  }
}

if (import.meta.main) {
  const root = new URL("..", import.meta.url).pathname;
  const patterns: FoundPattern[] = [];
  for await (const path of filesBelow(join(root, "src"))) {
    patterns.push(...patternsOf(relative(root, path), await Deno.readTextFile(path)));
  }
  const problems = problemsOf(patterns, { check: rememberingCheck() });
  for (const problem of problems) console.error(problem);
  console.log(`${patterns.length} patterns, ${problems.length} that are not proved linear`);
  Deno.exit(problems.length === 0 ? 0 : 1);
}
