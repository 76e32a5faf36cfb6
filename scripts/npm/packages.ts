/**
 * The npm packages: one with a launcher, which people install, and one per platform with the executable.
 *
 * Owns their names, manifests and files. npm installs only the platform package whose `os`, `cpu` and `libc` fit.
 */
const NAME = "openai-api-route";
const DESCRIPTION =
  "A gateway in front of OpenAI-compatible APIs: fails over between them, records every reply";
const LAUNCHER = "scripts/npm/launcher.cjs";

interface NpmPlatform {
  /** As `process.platform` and `process.arch` of Node. */
  readonly os: "linux" | "darwin" | "win32";
  readonly cpu: "x64" | "arm64";
}

/** What npm calls the targets of `deno compile`. */
export const NPM_PLATFORMS: Readonly<Record<string, NpmPlatform>> = {
  "x86_64-unknown-linux-gnu": { os: "linux", cpu: "x64" },
  "aarch64-unknown-linux-gnu": { os: "linux", cpu: "arm64" },
  "x86_64-apple-darwin": { os: "darwin", cpu: "x64" },
  "aarch64-apple-darwin": { os: "darwin", cpu: "arm64" },
  "x86_64-pc-windows-msvc": { os: "win32", cpu: "x64" },
};

/** An executable that was built. */
export interface Executable {
  /** Of `deno compile`. */
  readonly target: string;
  readonly path: string;
}

export interface Packages {
  readonly version: string;
  /** Where the source is, as https URL; null when unknown. npm's provenance compares it with who publishes. */
  readonly repository: string | null;
}

/**
 * Writes the main package and one for each executable below `folder`, which is emptied first.
 * @returns the folders of the packages, in the order in which they must be published: the main one last
 */
export async function writePackages(
  folder: string,
  executables: readonly Executable[],
  packages: Packages,
): Promise<string[]> {
  await Deno.remove(folder, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  const written: string[] = [];
  for (const { target, path } of executables) {
    const platform = platformOf(target);
    const root = `${folder}/${NAME}-${keyOf(platform)}`;
    await writePackage(root, platformManifest(platform, packages), platformReadme(platform));
    await place(path, `${root}/bin/${NAME}${platform.os === "win32" ? ".exe" : ""}`);
    written.push(root);
  }
  const main = `${folder}/${NAME}`;
  await writePackage(main, mainManifest(packages), await Deno.readTextFile("README.md"));
  await place(LAUNCHER, `${main}/bin/${NAME}.cjs`);
  return [...written, main];
}

/**
 * Where the source is: the repository of a GitHub workflow, or else the remote "origin".
 * @param origin as git prints it; null without one
 */
export function repositoryOf(
  env: Readonly<Record<string, string | undefined>>,
  origin: string | null,
): string | null {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = env;
  if (server && name) return `${server}/${name}`;
  const [, host, path] = /^(?:https:\/\/(?:[^/@]*@)?|ssh:\/\/git@|git@)([\w.-]+)[:/](.+?)(?:\.git)?\/?$/
    .exec(origin ?? "") ?? [];
  return host === undefined ? null : `https://${host}/${path}`;
}

function platformOf(target: string): NpmPlatform {
  const platform = NPM_PLATFORMS[target];
  if (platform === undefined) throw new Error(`npm has no name for ${target}`);
  return platform;
}

const keyOf = ({ os, cpu }: NpmPlatform): string => `${os}-${cpu}`;
const packageOf = (platform: NpmPlatform): string => `@${NAME}/${keyOf(platform)}`;

function commonManifest({ version, repository }: Packages): Record<string, unknown> {
  return {
    version,
    license: "MIT",
    ...(repository === null ? {} : {
      homepage: `${repository}#readme`,
      repository: { type: "git", url: `git+${repository}.git` },
      bugs: { url: `${repository}/issues` },
    }),
    publishConfig: { access: "public" },
  };
}

function mainManifest(packages: Packages): Record<string, unknown> {
  const platforms = Object.values(NPM_PLATFORMS);
  return {
    name: NAME,
    description: DESCRIPTION,
    keywords: ["openai", "anthropic", "llm", "gateway", "proxy", "router", "failover"],
    ...commonManifest(packages),
    bin: { [NAME]: `bin/${NAME}.cjs` },
    files: ["bin"],
    engines: { node: ">=18" },
    // Of exactly this version: launcher and executable are one release.
    optionalDependencies: Object.fromEntries(
      platforms.map((platform) => [packageOf(platform), packages.version]),
    ),
  };
}

function platformManifest(platform: NpmPlatform, packages: Packages): Record<string, unknown> {
  return {
    name: packageOf(platform),
    description: `The executable of ${NAME} for ${keyOf(platform)}`,
    ...commonManifest(packages),
    files: ["bin"],
    os: [platform.os],
    cpu: [platform.cpu],
    ...(platform.os === "linux" ? { libc: ["glibc"] } : {}),
    // Yarn keeps packages zipped, and an executable cannot be started there.
    preferUnplugged: true,
  };
}

function platformReadme(platform: NpmPlatform): string {
  return `# ${packageOf(platform)}

The executable of \`${NAME}\` for ${
    keyOf(platform)
  }. Install the package \`${NAME}\` instead: it brings the executable of your
platform.
`;
}

async function writePackage(root: string, manifest: Record<string, unknown>, readme: string): Promise<void> {
  await Deno.mkdir(`${root}/bin`, { recursive: true });
  await Deno.writeTextFile(`${root}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);
  await Deno.writeTextFile(`${root}/README.md`, readme);
  await Deno.copyFile("LICENSE", `${root}/LICENSE`);
}

async function place(source: string, target: string): Promise<void> {
  await Deno.copyFile(source, target);
  await Deno.chmod(target, 0o755);
}
