/**
 * What the doctor says about options of an upstream that cannot do what they are for. Pure.
 */
import { isKnownPathGlob } from "../core/api_path.ts";
import type { Upstream } from "../core/types.ts";
import type { Finding } from "./finding.ts";

/** Hardly any request is smaller. */
const SMALL_BODY_BYTES = 100;

export function optionFindings(upstream: Upstream): Finding[] {
  if (!upstream.isEnabled) return [];
  return problems(upstream).map(({ message, advice }) => ({
    check: "upstream",
    subject: upstream.name,
    level: "warn",
    message,
    advice: advice.replace("ID", String(upstream.id)),
  }));
}

function problems(
  { keys, keyPolicy, shaping }: Upstream,
): { readonly message: string; readonly advice: string }[] {
  const { onlyPaths, maxBodyBytes, errorTexts } = shaping;
  const found: { readonly message: string; readonly advice: string }[] = [];
  if (keyPolicy === "fill" && keys.length === 1) {
    found.push({
      message: "has one key, so that its key policy does nothing",
      advice: "give it more keys, or: edit ID --key-policy none",
    });
  }
  const lost = onlyPaths.filter((glob) => !isKnownPathGlob(glob));
  if (lost.length > 0) {
    found.push({
      message: `is for paths that no known request has: ${lost.join(", ")}`,
      advice: "paths begin with /v1, such as /v1/chat/*: edit ID --only-paths PATHS",
    });
  }
  if (maxBodyBytes !== null && maxBodyBytes < SMALL_BODY_BYTES) {
    found.push({
      message: `takes no body of more than ${maxBodyBytes} bytes, so hardly any request`,
      advice: "edit ID --max-body SIZE",
    });
  }
  if (errorTexts.some((pattern) => /^[*?]+$/.test(pattern))) {
    found.push({
      message: "takes every reply for an error, by its error texts",
      advice: "edit ID --error-text TEXT",
    });
  }
  return found;
}
