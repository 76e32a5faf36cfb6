/**
 * Checks that imports point one way, and that only the composition root makes what reaches outside.
 *
 * Owns the rules between the folders of `src/`. Reads text, not types: it relies on the form that `deno fmt`
 * gives to imports.
 */
import { dirname, join, relative, resolve } from "node:path/posix";

/** One file, by its path from the root of the repository. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

export interface Violation {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  /** What is wrong and what to do. */
  readonly message: string;
}

/** What the files of one layer may import, besides their own layer. */
interface Layer {
  readonly name: string;
  /** Layers that may be used freely. */
  readonly uses: readonly string[];
  /** Layers, or single files of them, of which only the types may be used. */
  readonly usesTypesOf: readonly string[];
  /** Packages and built-in modules that may be imported; absent: any. */
  readonly packages?: readonly string[];
}

const INTERFACES = ["store/store.ts", "observe/observer.ts", "notify/notifier.ts"];

/** From the bottom up: a layer may only name layers above it in this list, so that there can be no cycle. */
export const LAYERS: readonly Layer[] = [
  { name: "core", uses: [], usesTypesOf: [], packages: ["node:buffer", "node:crypto", "node:net"] },
  { name: "config", uses: ["core"], usesTypesOf: [] },
  { name: "capture", uses: ["core"], usesTypesOf: [], packages: ["node:buffer", "node:zlib"] },
  { name: "observe", uses: ["core"], usesTypesOf: ["config"] },
  { name: "store", uses: ["core"], usesTypesOf: ["config", "observe/observer.ts"] },
  { name: "notify", uses: ["core"], usesTypesOf: ["config"] },
  { name: "wire", uses: ["core"], usesTypesOf: [], packages: ["node:buffer", "node:http"] },
  { name: "proxy", uses: ["capture", "wire", "core"], usesTypesOf: INTERFACES },
  {
    name: "control",
    uses: ["proxy", "wire", "capture", "store", "config", "core"],
    usesTypesOf: [],
  },
  {
    name: "http",
    uses: ["control", "proxy", "capture", "wire", "core"],
    usesTypesOf: INTERFACES,
  },
  {
    name: "dashboard",
    uses: ["http", "control", "proxy", "capture", "wire", "core"],
    usesTypesOf: INTERFACES,
  },
  {
    name: "server",
    uses: [
      "dashboard",
      "http",
      "control",
      "proxy",
      "wire",
      "capture",
      "store",
      "observe",
      "notify",
      "config",
      "core",
    ],
    usesTypesOf: [],
  },
  {
    name: "cli",
    uses: [
      "server",
      "dashboard",
      "http",
      "control",
      "proxy",
      "wire",
      "capture",
      "store",
      "observe",
      "notify",
      "config",
      "core",
    ],
    usesTypesOf: [],
  },
];

/** Words that only some layers may use. */
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

/** Everything that is wrong, in the order of the files. Only `main.ts` and files below `src/` are judged. */
export function checkLayers(files: Iterable<SourceFile>): Violation[] {
  return [...files].flatMap((file) => {
    const code = withoutComments(file.text);
    const layerName = layerOf(file.path);
    if (layerName === null) return [];
    const layer = LAYERS.find(({ name }) => name === layerName);
    if (layer === undefined && layerName !== MAIN) {
      return [{
        path: file.path,
        line: 1,
        message: `src/${layerName} is no known layer; add it to LAYERS in scripts/check_layers.ts`,
      }];
    }
    const problems = importsOf(code).flatMap((each) => {
      const message = importProblem(file.path, layer, each);
      return message === null ? [] : [{ at: each.at, message }];
    });
    return [...problems, ...reservedWordsIn(code, layerName)]
      .toSorted((a, b) => a.at - b.at)
      .map(({ at, message }) => ({ path: file.path, line: lineAt(code, at), message }));
  });
}

/** `main.ts` runs the command line; nothing else. */
const MAIN = "main.ts";

/** The folder below `src/`; {@link MAIN}; null for what is not judged. */
function layerOf(path: string): string | null {
  if (path === MAIN) return MAIN;
  const [top, folder, ...rest] = path.split("/");
  if (top !== "src" || folder === undefined) return null;
  return rest.length === 0 ? `(${folder})` : folder;
}

interface Import {
  /** Place in the text. */
  readonly at: number;
  /** null when it is computed. */
  readonly specifier: string | null;
  readonly isTypeOnly: boolean;
}

const CLAUSE = String
  .raw`(?<type>type\s+)?(?:(?<names>\{[^}]*\})|[\w$]+\s*,\s*\{[^}]*\}|\*(?:\s*as\s+[\w$]+)?|[\w$]+)`;
const STATEMENT = new RegExp(
  String.raw`^(?:import|export)\s+${CLAUSE}\s*from\s*["'](?<specifier>[^"']+)["']`,
  "gm",
);
const SIDE_EFFECT = /^import\s*["'](?<specifier>[^"']+)["']/gm;
const DYNAMIC = /\bimport\(\s*(?:["'](?<specifier>[^"']+)["'])?/g;

function importsOf(code: string): Import[] {
  const statements = [...code.matchAll(STATEMENT)].map((match) => ({
    at: match.index,
    specifier: match.groups?.["specifier"] ?? null,
    isTypeOnly: match.groups?.["type"] !== undefined || hasOnlyTypes(match.groups?.["names"]),
  }));
  const others = [...code.matchAll(SIDE_EFFECT), ...code.matchAll(DYNAMIC)].map((match) => ({
    at: match.index,
    specifier: match.groups?.["specifier"] ?? null,
    isTypeOnly: false,
  }));
  return [...statements, ...others];
}

/** `{ type A, type B }` */
function hasOnlyTypes(names: string | undefined): boolean {
  const parts = (names ?? "").replace(/[{}]/g, "").split(",").map((part) => part.trim()).filter(Boolean);
  return parts.length > 0 && parts.every((part) => part.startsWith("type "));
}

/** null when the import is in order. */
function importProblem(path: string, layer: Layer | undefined, each: Import): string | null {
  const { specifier, isTypeOnly } = each;
  if (specifier === null) return "a computed import hides what is imported; name the module";
  if (!specifier.startsWith(".")) {
    if (layer?.packages === undefined || layer.packages.includes(specifier)) return null;
    return `${layer.name} must not import ${specifier}; allowed: ${layer.packages.join(", ")}`;
  }
  const target = targetOf(path, specifier);
  const [top, folder = ""] = target.split("/");
  if (layer === undefined) {
    return top === "src" && folder === "cli" ? null : `${MAIN} must import only src/cli, not ${target}`;
  }
  if (top !== "src") return leavesSource(path, specifier);
  const inner = target.slice("src/".length);
  if (folder === layer.name || layer.uses.includes(folder)) return null;
  const hasTypes = layer.usesTypesOf.some((name) => name === folder || name === inner);
  if (hasTypes && isTypeOnly) return null;
  if (hasTypes) return `${layer.name} may use only the types of ${inner}; write import type`;
  const interfaces = layer.usesTypesOf.filter((name) => name.startsWith(`${folder}/`));
  if (interfaces.length > 0) {
    return `${layer.name} must not import ${inner}; take it as an interface (import type from ${
      interfaces[0]
    })`;
  }
  return `${layer.name} must not import ${inner}; imports go cli > server > dashboard > http > control > proxy > wire, capture > core`;
}

/** The manifest is the only file outside `src/` that the program reads, for its name and version. */
function leavesSource(path: string, specifier: string): string | null {
  const target = targetOf(path, specifier);
  if (target.startsWith("src/")) return null;
  return layerOf(path) === "config" && target === "deno.json"
    ? null
    : `${target} is outside src; move it there`;
}

function targetOf(path: string, specifier: string): string {
  return relative("/", resolve("/", dirname(path), specifier));
}

function reservedWordsIn(code: string, layer: string): { at: number; message: string }[] {
  return RESERVED.filter(({ isAllowedIn }) => !isAllowedIn(layer)).flatMap(({ pattern, name, advice }) =>
    [...code.matchAll(pattern)].map((match) => ({
      at: match.index,
      message: `${layer} must not use ${name}; ${advice}`,
    }))
  );
}

/** Comments become blanks, so that places stay. A `//` after anything but a blank is part of a text. */
function withoutComments(text: string): string {
  const blank = (match: string) => match.replace(/[^\n]/g, " ");
  return text.replace(/(?<![^\s])\/\*[\s\S]*?\*\//g, blank).replace(/(?<![^\s])\/\/.*/g, blank);
}

function lineAt(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}

/** `main.ts` and every TypeScript file below `src/`, sorted by path. */
export function readTree(root: string): SourceFile[] {
  const paths = [MAIN, ...filesBelow(root, "src")].toSorted();
  return paths.map((path) => ({ path, text: Deno.readTextFileSync(join(root, path)) }));
}

function filesBelow(root: string, folder: string): string[] {
  return [...Deno.readDirSync(join(root, folder))].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return filesBelow(root, path);
    return /\.tsx?$/.test(name) ? [path] : [];
  });
}

if (import.meta.main) {
  const root = Deno.args[0] ?? ".";
  const files = readTree(root);
  const violations = checkLayers(files);
  for (const { path, line, message } of violations) console.error(`${path}:${line}: ${message}`);
  if (violations.length > 0) Deno.exit(1);
  console.log(`layers: ${files.length} files, imports point one way`);
}
