import assert from "node:assert/strict";

interface ModuleGraph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly code?: { readonly specifier?: string };
      readonly isDynamic?: boolean;
    }[];
  }[];
}

const SERVER = new URL("../../../src/server/server.ts", import.meta.url).href;

/** The modules that are loaded with `root`; with those that are loaded later, if `isLater`. */
function loadedWith({ modules }: ModuleGraph, root: string, isLater: boolean): ReadonlySet<string> {
  const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
  const loaded = new Set<string>();
  const waiting = [root];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (loaded.has(at)) continue;
    loaded.add(at);
    for (const { code, isDynamic = false } of bySpecifier.get(at)?.dependencies ?? []) {
      if (code?.specifier !== undefined && (isLater || !isDynamic)) waiting.push(code.specifier);
    }
  }
  return loaded;
}

Deno.test("a server starts without the code of its admin page, and can load it later", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json", SERVER] }).output();
  const graph: ModuleGraph = JSON.parse(new TextDecoder().decode(stdout));
  const isPage = (specifier: string) => /\/src\/(dashboard|control)\//.test(specifier);
  assert.deepEqual([...loadedWith(graph, SERVER, false)].filter(isPage), []);
  assert.ok([...loadedWith(graph, SERVER, true)].some(isPage));
});
