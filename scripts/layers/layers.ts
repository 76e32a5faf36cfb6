/**
 * The layers of `src/`, from the bottom up, and what each may import: the one place where this is written down.
 */

export interface Layer {
  /** A folder below `src/`. */
  readonly name: string;
  /** Layers below that it may use; absent: all, but for `except`. */
  readonly only?: readonly string[];
  /** Layers below that it must not use. */
  readonly except?: readonly string[];
  /** Layers, or single files of them, of which it may use the types only. */
  readonly typesOf?: readonly string[];
  /** Packages and built-in modules that it may import; absent: any. */
  readonly packages?: readonly string[];
}

const INTERFACES = ["store/store.ts", "observe/observer.ts", "notify/notifier.ts"];
const BEHIND_INTERFACES = {
  except: ["config", "pricing", "store", "observe", "notify"],
  typesOf: INTERFACES,
};

/** A layer may use every layer before it in this list, unless it says less. */
export const LAYERS: readonly Layer[] = [
  { name: "core", packages: ["node:buffer", "node:crypto", "node:net"] },
  { name: "config" },
  { name: "capture", only: ["core"], packages: ["node:buffer", "node:zlib"] },
  { name: "pricing", only: ["core"] },
  { name: "observe", only: ["core"], typesOf: ["config"] },
  { name: "store", only: ["core"], typesOf: ["config", "observe/observer.ts"] },
  { name: "notify", only: ["core"], typesOf: ["config"] },
  { name: "wire", only: ["core"], packages: ["node:buffer", "node:http"] },
  { name: "proxy", ...BEHIND_INTERFACES },
  { name: "control", except: ["pricing", "observe", "notify"] },
  { name: "http", ...BEHIND_INTERFACES },
  { name: "dashboard", ...BEHIND_INTERFACES },
  { name: "server" },
  { name: "cli" },
];

/** From the top down: `cli > server > ...`. */
export const ORDER = LAYERS.map(({ name }) => name).toReversed().join(" > ");

/** The layers that this one may use, from the bottom up; its own is not among them. */
export function usedBy({ name, only, except = [] }: Layer): string[] {
  const below = LAYERS.slice(0, LAYERS.findIndex((layer) => layer.name === name)).map((layer) => layer.name);
  return below.filter((each) => only?.includes(each) ?? !except.includes(each));
}
