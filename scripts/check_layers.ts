/**
 * Checks that imports of `src/` point down and form no cycle, that only the composition root makes what reaches outside,
 * and that no file or function of `src/` and `scripts/` is too long.
 *
 * Prints each violation as `file:line: message` and ends with 1, or prints the layers from the bottom up with what each
 * may import. The rules are in `layers/`.
 */
import { cycleViolations } from "./layers/cycles.ts";
import { type Layer, LAYERS, ORDER, usedBy } from "./layers/layers.ts";
import { limitViolations } from "./layers/limits.ts";
import { reservedWordsIn } from "./layers/reserved_words.ts";
import {
  type Import,
  importsOf,
  lineOf,
  parse,
  type ParsedFile,
  readTree,
  type SourceFile,
  targetOf,
  type Violation,
} from "./layers/source.ts";

/** It runs the command line, and does nothing else. */
const MAIN = "main.ts";

/** Everything that is wrong. Files outside `src/`, but for `main.ts`, are judged by their length only. */
export function checkLayers(files: Iterable<SourceFile>): Violation[] {
  const parsed = [...files].map(parse);
  const judged = parsed.filter(({ path }) => layerOf(path) !== null);
  return [
    ...parsed.flatMap((file) => [...layerViolations(file), ...limitViolations(file)]),
    ...cycleViolations(judged),
  ];
}

function layerViolations(file: ParsedFile): Violation[] {
  const { path } = file;
  const name = layerOf(path);
  if (name === null) return [];
  const layer = LAYERS.find((each) => each.name === name);
  if (layer === undefined && name !== MAIN) {
    return [{ path, line: 1, message: `src/${name} is no known layer; add it to scripts/layers/layers.ts` }];
  }
  const imports = importsOf(file).flatMap((each) => {
    const message = importProblem(path, layer, each);
    return message === null ? [] : [{ path, line: lineOf(file, each.at), message }];
  });
  return [...imports, ...reservedWordsIn(file, name)].toSorted((a, b) => a.line - b.line);
}

/** The folder below `src/`; {@link MAIN}; null for what is not judged. */
function layerOf(path: string): string | null {
  if (path === MAIN) return MAIN;
  const [top, folder, ...rest] = path.split("/");
  if (top !== "src" || folder === undefined) return null;
  return rest.length === 0 ? `(${folder})` : folder;
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
  if (top !== "src") {
    // The manifest is the only file outside that the program reads, for its name and version.
    const isManifest = layer.name === "config" && target === "deno.json";
    return isManifest ? null : `${target} is outside src; move it there`;
  }
  const inner = target.slice("src/".length);
  if (folder === layer.name || usedBy(layer).includes(folder)) return null;
  const { typesOf = [] } = layer;
  if (typesOf.includes(folder) || typesOf.includes(inner)) {
    return isTypeOnly ? null : `${layer.name} may use only the types of ${inner}; write import type`;
  }
  const found = typesOf.find((name) => name.startsWith(`${folder}/`));
  return found === undefined
    ? `${layer.name} must not import ${inner}; imports go ${ORDER}`
    : `${layer.name} must not import ${inner}; take it as an interface (import type from ${found})`;
}

/** The layers from the bottom up: how many files and lines, and what each may import. */
export function layerTable(files: readonly SourceFile[]): string[] {
  const width = Math.max(...LAYERS.map(({ name }) => name.length));
  return LAYERS.map((layer) => {
    const own = files.filter(({ path }) => layerOf(path) === layer.name);
    const lines = own.reduce((sum, { text }) => sum + text.split("\n").length - 1, 0);
    const { typesOf = [] } = layer;
    const uses = [
      ...usedBy(layer),
      ...(typesOf.length === 0 ? [] : [`types of ${typesOf.join(", ")}`]),
    ].join(", ");
    const counts = `${String(own.length).padStart(3)} files ${String(lines).padStart(5)} lines`;
    return `${layer.name.padEnd(width)} ${counts}${uses === "" ? "" : `  -> ${uses}`}`;
  });
}

if (import.meta.main) {
  const files = readTree(Deno.args[0] ?? ".");
  const violations = checkLayers(files);
  for (const { path, line, message } of violations) console.error(`${path}:${line}: ${message}`);
  if (violations.length > 0) Deno.exit(1);
  for (const line of layerTable(files)) console.log(line);
  const count = files.filter(({ path }) => layerOf(path) !== null).length;
  console.log(`layers: ${count} files, imports point down, 0 cycles`);
}
