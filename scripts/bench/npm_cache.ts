/**
 * npm packages that only the benchmark uses: each installed once, by exact version, outside the repository.
 */
import { BenchError } from "./processes.ts";

/** The folder of everything that is kept between runs. */
export function cacheFolder(): string {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/tmp"}/.cache`;
  return `${cache}/openai-api-route-bench`;
}

export interface Package {
  readonly name: string;
  readonly version: string;
  /** Pinned versions of its dependencies, where the newest does not work. */
  readonly overrides?: Readonly<Record<string, string>>;
}

/**
 * The folder of the installed package.
 * @throws {BenchError} when it cannot be installed
 */
export async function installedPackage(
  npm: string,
  { name, version, overrides = {} }: Package,
): Promise<string> {
  const folder = `${cacheFolder()}/${name.replaceAll(/[@/]+/g, "-").replace(/^-/, "")}-${version}`;
  const installed = `${folder}/node_modules/${name}`;
  if (await isFile(`${installed}/package.json`)) return installed;
  await Deno.mkdir(cacheFolder(), { recursive: true });
  const unfinished = await Deno.makeTempDir({ dir: cacheFolder(), prefix: "install-" });
  try {
    const manifest = { private: true, dependencies: { [name]: version }, overrides };
    await Deno.writeTextFile(`${unfinished}/package.json`, JSON.stringify(manifest));
    const { success, stderr } = await new Deno.Command(npm, {
      args: ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", unfinished],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) {
      throw new BenchError(`npm cannot install ${name}@${version}: ${new TextDecoder().decode(stderr)}`);
    }
    await Deno.remove(folder, { recursive: true }).catch(() => {});
    await Deno.rename(unfinished, folder);
    return installed;
  } finally {
    await Deno.remove(unfinished, { recursive: true }).catch(() => {});
  }
}

export async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}
