/**
 * One question to an upstream that was just added: does it answer, with this key, at this place?
 *
 * Says what the doctor would say about it. Its answer never keeps an upstream from being added.
 */
import { parseOutgoingOf, SettingsError } from "../config/settings.ts";
import { probeUpstream } from "../control/upstream_probe.ts";
import type { Upstream } from "../core/types.ts";
import { systemClock } from "../server/clock.ts";
import { StartError } from "../server/start_error.ts";
import { type OutgoingClient, upstreamClient } from "../server/upstream_client.ts";
import type { CommandContext } from "./context.ts";
import { hasColour } from "./colour.ts";
import { findingLines, withoutSecrets } from "./doctor/lines.ts";

/** Somebody waits at the keyboard. */
const LIMIT_MS = 2_000;

/**
 * Asks for the models, and prints what came of it.
 * @returns whether it answered as it should
 */
export async function tryUpstream({ terminal, env }: CommandContext, upstream: Upstream): Promise<boolean> {
  let client: OutgoingClient;
  try {
    client = upstreamClient(parseOutgoingOf(env));
  } catch (error) {
    if (!(error instanceof StartError || error instanceof SettingsError)) throw error;
    terminal.note(`it was not tested: ${error.message}`);
    return false;
  }
  try {
    const { finding, isAnswering } = await probeUpstream({ client, clock: systemClock }, {
      upstream,
      limitMs: LIMIT_MS,
    });
    const isColoured = hasColour(env, { isTerminal: terminal.noteScreen !== undefined });
    const shown = withoutSecrets(finding, { upstreams: [upstream], tokens: [] });
    findingLines([shown], { isColoured }).forEach(terminal.note);
    return finding.level === "ok" || isAnswering;
  } finally {
    client.close();
  }
}
