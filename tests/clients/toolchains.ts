/**
 * Clients of other languages: installs or builds them from their registries, in a folder that the caller gives.
 *
 * Each function returns the command to run, or null when the language's tools are missing and `CI` is not `true`.
 */
const here = new URL(".", import.meta.url).pathname;

const PYTHON_PACKAGES = ["openai==3.3.1", "anthropic==2.14.0", "langchain-openai==1.7.4"];

const LITELLM_PACKAGE = "litellm==1.110.2";

export type Command = readonly [program: string, ...args: string[]];

/** Runs a client and parses the JSON object that it prints. */
export async function runs(
  [program, ...leading]: Command,
  args: readonly string[],
): Promise<Record<string, string>> {
  return JSON.parse(await output(program, [...leading, ...args]));
}

/** The Python clients: `stream.py` with the packages that it needs. */
export async function pythonClients(folder: string): Promise<Command | null> {
  return await ifPossible(async () => {
    const packages = `${folder}/python`;
    await output("python3", ["-m", "pip", "install", "--quiet", "--target", packages, ...PYTHON_PACKAGES]);
    return ["env", `PYTHONPATH=${packages}`, "python3", `${here}stream.py`];
  });
}

/** LiteLLM's SDK: `limits.py` with the packages that it needs. */
export async function liteLlmClient(folder: string): Promise<Command | null> {
  return await ifPossible(async () => {
    const packages = `${folder}/litellm`;
    await output("python3", ["-m", "pip", "install", "--quiet", "--target", packages, LITELLM_PACKAGE]);
    return ["env", `PYTHONPATH=${packages}`, "python3", `${here}limits.py`];
  });
}

/** openai-go in one version: `stream.go`, built. */
export async function goClient(folder: string, version: string): Promise<Command | null> {
  return await ifPossible(async () => {
    const module = `${folder}/go-${version}`;
    await Deno.mkdir(module);
    await Deno.copyFile(`${here}stream.go`, `${module}/main.go`);
    await Deno.writeTextFile(
      `${module}/go.mod`,
      `module stream\n\ngo 1.22\n\nrequire github.com/openai/openai-go/v3 v${version}\n`,
    );
    await output("go", ["mod", "tidy"], module);
    await output("go", ["build", "-o", "stream", "."], module);
    return [`${module}/stream`];
  });
}

async function ifPossible(make: () => Promise<Command>): Promise<Command | null> {
  try {
    return await make();
  } catch (error) {
    if (Deno.env.get("CI") === "true") throw error;
    return null;
  }
}

async function output(program: string, args: readonly string[], cwd?: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    ...(cwd === undefined ? {} : { cwd }),
  }).output();
  if (!success) {
    throw new Error(`${program} ${args.slice(0, 3).join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }
  return new TextDecoder().decode(stdout);
}
