/**
 * What only some layers may use: everything that reaches outside is made in `src/server` and passed in.
 */
import { lineOf, type ParsedFile, type Violation } from "./source.ts";

interface ReservedWord {
  readonly pattern: RegExp;
  readonly name: string;
  readonly isAllowedIn: (layer: string) => boolean;
  readonly advice: string;
}

const isOuter = (layer: string) => layer === "cli" || layer === "server";
const isImpure = (layer: string) => layer !== "core" && layer !== "capture";
const MAKE_OUTSIDE = "make it in src/server and pass it in";
const PASS_IN = "this layer is pure; take it as an argument";

const RESERVED: readonly ReservedWord[] = [
  {
    pattern: /\bDeno\.(listen|connect|connectTls)\(/g,
    name: "Deno.listen() or Deno.connect()",
    isAllowedIn: isOuter,
    advice: MAKE_OUTSIDE,
  },
  {
    pattern: /\bDeno\.createHttpClient\(/g,
    name: "Deno.createHttpClient()",
    isAllowedIn: isOuter,
    advice: MAKE_OUTSIDE,
  },
  { pattern: /\bnew Worker\(/g, name: "new Worker()", isAllowedIn: isOuter, advice: MAKE_OUTSIDE },
  {
    pattern: /(?<!\bfunction )\bopenDatabase\(/g,
    name: "openDatabase()",
    isAllowedIn: isOuter,
    advice: MAKE_OUTSIDE,
  },
  {
    pattern: /\bnew DatabaseSync\(/g,
    name: "new DatabaseSync()",
    isAllowedIn: (layer) => layer === "store",
    advice: "only src/store knows SQLite; use its interfaces",
  },
  { pattern: /\bDeno\./g, name: "Deno", isAllowedIn: isImpure, advice: PASS_IN },
  { pattern: /(?<![.\w])fetch\(/g, name: "fetch()", isAllowedIn: isImpure, advice: PASS_IN },
  {
    pattern: /(?<![.\w])set(?:Timeout|Interval)\(/g,
    name: "a timer",
    isAllowedIn: isImpure,
    advice: PASS_IN,
  },
  {
    pattern: /\b(?:Date|performance)\.now\(|\bnew Date\(\)/g,
    name: "the clock",
    isAllowedIn: isImpure,
    advice: PASS_IN,
  },
];

/** Each use of a reserved word in a file of this layer. */
export function reservedWordsIn(file: ParsedFile, layer: string): Violation[] {
  const code = withoutComments(file.text);
  return RESERVED.filter(({ isAllowedIn }) => !isAllowedIn(layer)).flatMap(({ pattern, name, advice }) =>
    [...code.matchAll(pattern)].map(({ index }) => ({
      path: file.path,
      line: lineOf(file, index),
      message: `${layer} must not use ${name}; ${advice}`,
    }))
  );
}

/** Comments become blanks, so that offsets stay. A `//` after anything but a blank is part of a text. */
function withoutComments(text: string): string {
  const blank = (match: string) => match.replace(/[^\n]/g, " ");
  return text.replace(/(?<![^\s])\/\*[\s\S]*?\*\//g, blank).replace(/(?<![^\s])\/\/.*/g, blank);
}
