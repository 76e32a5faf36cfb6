/**
 * The flags of `add` and `edit` for the options of an upstream: limits, and how its requests are changed, chosen and sent.
 *
 * Owns their names and help, and reading a patch from a file. What values may be is in control/upstream_options.ts.
 */
import type { Command } from "commander";
import { MAX_PATCH_LENGTH } from "../core/body_patch.ts";
import { messageOf } from "../core/errors.ts";
import { KEY_POLICIES, USAGE_CHOICES } from "../core/upstream_options.ts";
import type { OptionTexts } from "../control/upstream_options.ts";
import { choiceOption } from "./context.ts";
import { UsageError } from "./errors.ts";

export type OptionFlags = OptionTexts;

const FLAG_NAMES = [
  ...["keyPolicy", "maxParallel", "rpm", "tpm", "setHeader", "unsetHeader", "bodyPatch", "onlyPaths"],
  ...["maxBody", "streamTimeout", "priceFactor", "errorText", "proxy", "usage"],
] as readonly (keyof OptionTexts)[];

/** For the sentence that says which flags there are. */
export const OPTION_FLAG_LIST = FLAG_NAMES.map((name) =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
).join(", ");

/** Adds the flags to a command. */
export function withOptionFlags(command: Command): Command {
  return command
    .optionsGroup("Limits, changes to requests, proxy:")
    .option(
      "--max-parallel <number>",
      "requests at once for each of its keys; auto: as many as it takes; none: any number",
    )
    .option("--rpm <number>", "requests in a minute for each of its keys; none: any number")
    .option("--tpm <number>", "tokens in a minute for each of its keys; none: any number")
    .addOption(choiceOption("--key-policy <policy>", {
      description: "which of several keys is used: round_robin (in turn), or fill (the first that has room)",
      choices: KEY_POLICIES,
    }))
    .option(
      "--set-header <header>",
      'a header of each request to it, such as "X-Title: team"; may be repeated; "" for none',
      repeated,
    )
    .option("--unset-header <name>", "leave this header of the client out; may be repeated", repeated)
    .option(
      "--body-patch <json>",
      'change JSON bodies (RFC 7396), such as {"store":false,"seed":null}, or @FILE; none: no change',
    )
    .option(
      "--only-paths <paths>",
      "use it for these paths only, such as '/v1/chat/*,/v1/models'; none: every path",
    )
    .option("--max-body <size>", "not for larger requests, such as 10MB; none: any size")
    .option(
      "--stream-timeout <seconds>",
      "time limit for the first content of its streams; none: depends on the request",
    )
    .option(
      "--price-factor <number>",
      "its prices are the list prices times this, such as 0.3 for a reseller, or 0; none: the list prices",
    )
    .option(
      "--error-text <text>",
      'a reply that begins with this text is an error, such as "quota exceeded"; may be repeated; "" for none',
      repeated,
    )
    .option(
      "--proxy <url>",
      "reach it by way of this proxy, such as socks5://127.0.0.1:1080; none: no proxy of its own",
    )
    .addOption(choiceOption("--usage <when>", {
      description:
        "ask it for the usage of streams whose client has not: auto, or never; none: as serve --usage says",
      choices: [...USAGE_CHOICES, "none"],
    }));
}

function repeated(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/**
 * The options among the flags, with the contents of files.
 *
 * @throws UsageError
 */
export function optionTexts(flags: OptionFlags): OptionTexts {
  const given = FLAG_NAMES.flatMap((name) => flags[name] === undefined ? [] : [[name, flags[name]] as const]);
  const texts: OptionTexts = Object.fromEntries(given);
  const { bodyPatch } = texts;
  return bodyPatch?.startsWith("@") ? { ...texts, bodyPatch: fileText(bodyPatch.slice(1)) } : texts;
}

function fileText(path: string): string {
  try {
    const { size } = Deno.statSync(path);
    if (size <= MAX_PATCH_LENGTH) return Deno.readTextFileSync(path);
  } catch (error) {
    throw new UsageError(`--body-patch @${path} cannot be read: ${messageOf(error)}`);
  }
  throw new UsageError(`--body-patch @${path} is larger than ${MAX_PATCH_LENGTH} bytes`);
}
