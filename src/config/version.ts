/**
 * What this program is: version, commit and runtime.
 */
import manifest from "../../deno.json" with { type: "json" };

export const NAME = "openai-api-route";
export const VERSION: string = manifest.version;

/** The line of `--version`. */
export function versionText(): string {
  return `${NAME} ${VERSION} (${commit()}, Deno ${Deno.version.deno})`;
}

/** The commit from which an executable was built; the build embeds it in a file. */
function commit(): string {
  if (!Deno.build.standalone) return "from source";
  try {
    return Deno.readTextFileSync(new URL("../../dist/commit.txt", import.meta.url)).trim();
  } catch {
    return "unknown commit";
  }
}
