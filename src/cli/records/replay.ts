/**
 * `records replay`: sends a recorded request again, and shows how the replies differ.
 *
 * Makes the connection of the replay, and closes the database before it waits for the network.
 */
import { CommandError } from "../errors.ts";
import { hasColour } from "../colour.ts";
import type { Environment } from "../../config/environment.ts";
import { parseOutgoingOf } from "../../config/settings.ts";
import { cleanText } from "../../core/clean_text.ts";
import type { UpstreamNames } from "../../control/upstream_names.ts";
import type { Inbound, Upstream } from "../../core/types.ts";
import type { StoredAttempt, StoredRecord } from "../../store/store.ts";
import { systemClock } from "../../server/clock.ts";
import { upstreamClient } from "../../server/upstream_client.ts";
import type { CommandContext, DatabaseFlags } from "../context.ts";
import { formatJson } from "../output.ts";
import { withRecords } from "./access.ts";
import { exchange, type ReplayedReply } from "../../control/replay_exchange.ts";
import { chooseUpstream, toInbound } from "../../control/replay_request.ts";
import { type DiffPart, diffReplies } from "../../control/reply_diff.ts";
import { findRecord, replyLines, viewInDetail } from "./show.ts";
import { harmlessLines } from "../../core/recorded_text.ts";
import { formatDuration } from "../../core/times.ts";
import { countText, statusText } from "./view.ts";

export interface ReplayFlags extends DatabaseFlags {
  readonly upstream?: string;
  readonly json?: boolean;
}

interface ReplayPlan {
  readonly record: StoredRecord;
  readonly attempts: readonly StoredAttempt[];
  readonly names: UpstreamNames;
  readonly inbound: Inbound;
  readonly upstream: Upstream;
}

/** @throws CommandError when the request cannot be sent again, or was not answered with a whole 2xx reply */
export async function replayRecord(
  context: CommandContext,
  { which, flags }: { readonly which: string; readonly flags: ReplayFlags },
): Promise<void> {
  const plan = await withRecords({ ...context, flags }, async ({ records, names }): Promise<ReplayPlan> => {
    const record = await findRecord(records, which);
    const inbound = toInbound(record, systemClock);
    const upstream = chooseUpstream(record, { which: flags.upstream, names, inbound });
    return { record, attempts: await records.attempts(record.id), names, inbound, upstream };
  });
  const { upstream } = plan;
  const replayed = await ask(plan, context.env);
  const isAnswered = replayed.status !== null;
  const diff = isAnswered ? diffReplies(plan.record, replayed) : null;
  if (flags.json) context.terminal.print(replayJson(plan, { replayed, diff }));
  else if (isAnswered) describeReplay(plan, { replayed, diff, context }).forEach(context.terminal.print);
  if (replayed.error !== null) {
    throw new CommandError(
      `the replay on upstream ${upstream.id} "${upstream.name}" failed: ${replayed.error}`,
    );
  }
}

async function ask({ inbound, upstream }: ReplayPlan, env: Environment): Promise<ReplayedReply> {
  const client = upstreamClient(parseOutgoingOf(env));
  try {
    return await exchange({ client, clock: systemClock }, { inbound, upstream });
  } finally {
    client.close();
  }
}

interface Outcome {
  readonly replayed: ReplayedReply;
  readonly diff: readonly DiffPart[] | null;
}

function replayJson({ record, names, attempts, upstream }: ReplayPlan, { replayed, diff }: Outcome): string {
  return formatJson({
    record: viewInDetail(record, { names, attempts }),
    replay: { upstreamId: upstream.id, upstream: upstream.name, ...replayed },
    diff,
  });
}

function describeReplay(
  { record, names, upstream }: ReplayPlan,
  { replayed, diff, context }: Outcome & { readonly context: CommandContext },
): string[] {
  const { terminal, env } = context;
  const isColoured = hasColour(env, { isTerminal: terminal.columns !== null });
  const recorded = headline("recorded", {
    ...record,
    status: statusText(record),
    upstream: names.nameOf(record.upstreamId) ?? "-",
  });
  const again = headline("replayed", {
    ...replayed,
    status: countText(replayed.status),
    upstream: upstream.name,
  });
  return [
    recorded,
    ...replyLines(record),
    "",
    again,
    ...replyLines(replayed),
    "",
    "── difference (- recorded, + replayed) ──",
    ...diffLinesOf(diff, isColoured),
  ];
}

interface Headline {
  readonly status: string;
  readonly upstream: string;
  readonly elapsedMs: number | null;
  readonly firstTokenMs: number | null;
  readonly usage: ReplayedReply["usage"];
  readonly finishReason: string | null;
}

function headline(what: string, reply: Headline): string {
  const { status, upstream, elapsedMs, firstTokenMs, usage, finishReason } = reply;
  const facts = [
    `${status} from ${upstream} in ${formatDuration(elapsedMs)}`,
    ...(firstTokenMs === null ? [] : [`first token after ${formatDuration(firstTokenMs)}`]),
    `tokens ${countText(usage?.inputTokens ?? null)} in, ${countText(usage?.outputTokens ?? null)} out`,
    ...(finishReason === null ? [] : [`finish ${finishReason}`]),
  ];
  return `── ${what}: ${cleanText(facts.join(", "))} ──`;
}

const MARKS = { same: "  ", removed: "- ", added: "+ " } as const;
const COLOURS = { same: null, removed: "\x1b[31m", added: "\x1b[32m" } as const;
const COLOUR_END = "\x1b[0m";

function diffLinesOf(diff: readonly DiffPart[] | null, isColoured: boolean): string[] {
  if (diff === null) return ["  (the replies are too different to compare)"];
  if (diff.every(({ type }) => type === "same")) return ["  (none)"];
  return diff.flatMap(({ type, text }) =>
    harmlessLines(text).map((line) => {
      const marked = `${MARKS[type]}${line}`;
      const colour = COLOURS[type];
      return isColoured && colour !== null ? `${colour}${marked}${COLOUR_END}` : marked;
    })
  );
}
