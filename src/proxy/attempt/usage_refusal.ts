/**
 * Finds out whether an error reply refuses to be asked for usage, which the client did not ask for.
 */
import { readableText } from "../../capture/content_coding.ts";
import type { Clock } from "../../core/clock.ts";
import { mayMeanUsageOption } from "../../core/usage_option.ts";
import { collect } from "../../wire/collect.ts";
import { Prepended } from "../../wire/prepended.ts";
import { TimedReader } from "../../wire/timed_reader.ts";
import { statedError } from "./failed_answer.ts";
import type { AttemptReply } from "./transport.ts";

/** An error that names a field is short, and comes at once; one that quotes the request may be longer. */
const READ_LIMITS = { limitMs: 2_000, limitBytes: 256 * 1024 }; // docs/tuning.md#relay-and-settlement

const MAX_QUOTED_LENGTH = 200;

export interface UsageAnswer {
  /** How the attempt ended; null: the error is about something else. */
  readonly refusal: { readonly errorClass: "usage_refused"; readonly message: string } | null;
  /** As if nothing of it had been read. */
  readonly reply: AttemptReply;
}

/** Whether a reply with this status may say that a field of the request is not known. */
export function mayRefuseUsage(status: number): boolean {
  return status === 400 || status === 422;
}

/** Reads an error reply. Never rejects. */
export async function readUsageRefusal(reply: AttemptReply, clock: Clock): Promise<UsageAnswer> {
  const reader = new TimedReader(reply.body, clock);
  const { bytes } = await collect(reader, READ_LIMITS);
  const text = readableText(bytes, reply.headers.get("content-encoding"));
  const unread = { ...reply, body: new Prepended(bytes, reader.rest()) };
  if (!mayMeanUsageOption(text)) return { refusal: null, reply: unread };
  const stated = statedError(text)?.message.slice(0, MAX_QUOTED_LENGTH) ?? "";
  const message = `HTTP ${reply.status}: ${stated}; asked again without stream_options`;
  return { refusal: { errorClass: "usage_refused", message }, reply: unread };
}
