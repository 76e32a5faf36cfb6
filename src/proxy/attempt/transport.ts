/**
 * One attempt on the wire: sends the request, times out when no headers arrive, and returns a body that can be read
 * chunk by chunk and cancelled at any time.
 *
 * Must not judge what the reply says.
 */
import type { Cancellation } from "../../core/cancellation.ts";
import { keysOf, redactSecrets } from "../../core/secrets.ts";
import type { Clock } from "../../core/clock.ts";
import type { AttemptOutcome, Inbound, Upstream } from "../../core/types.ts";
import { messageOf } from "../../core/errors.ts";
import { applySetHeaders } from "../../core/set_headers.ts";
import type { TokenGuard } from "../../core/token_guard.ts";
import { NO_SHAPING } from "../../core/upstream_options.ts";
import { isConnectionEnd } from "../../wire/connection_end.ts";
import type { UpstreamClient, UpstreamReply } from "../../wire/upstream_client.ts";
import { ReplyError } from "../../wire/framing.ts";
import {
  describeChangedBody,
  queryWithoutTokens,
  upstreamContent,
  upstreamHeaders,
  upstreamUrl,
} from "./upstream_request.ts";

/** The headers have arrived; the body is not read yet. */
export interface AttemptReply extends UpstreamReply {
  readonly type: "reply";
}

export interface TransportDeps {
  readonly client: UpstreamClient;
  readonly clock: Clock;
}

export interface SendOptions {
  readonly headersTimeoutMs: number;
  /** The attempt's own; ends the exchange at any time. Cancelled here when no headers arrive in time. */
  readonly cancellation: Cancellation;
  /** Keeps the router's own tokens out of the request. */
  readonly guard: TokenGuard;
  /** Told when headers or body differ from the client's because the upstream's row says so. */
  readonly note?: { isChanged: boolean };
  /** Asks for the usage of the stream. Default: false. */
  readonly asksUsage?: boolean;
}

export type SendResult =
  | AttemptReply
  | Extract<
    AttemptOutcome,
    { type: "connect_error" | "bad_reply" | "timeout" | "no_credential" | "client_gone" }
  >;

/** Sends the request to one upstream. Never throws. */
export async function send(
  deps: TransportDeps,
  target: { readonly inbound: Inbound; readonly upstream: Upstream },
  options: SendOptions,
): Promise<SendResult> {
  const { inbound, upstream } = target;
  const headers = upstreamHeaders(inbound, upstream, options.guard);
  if (headers === null) return { type: "no_credential" };
  if (options.cancellation.isCancelled) return { type: "client_gone" };
  const { shaping } = upstream;
  let isTimedOut = false;
  const timer = deps.clock.setTimer(() => {
    isTimedOut = true;
    options.cancellation.cancel();
  }, options.headersTimeoutMs);

  try {
    const { path, body, isPatched = false } = upstreamContent(inbound, upstream, options);
    if (body !== inbound.body) describeChangedBody(headers);
    if (shaping !== NO_SHAPING) {
      const isHeaderChanged = applySetHeaders(headers, shaping.setHeaders);
      if (options.note !== undefined) options.note.isChanged = isPatched || isHeaderChanged;
    }
    const reply = await deps.client.send({
      url: upstreamUrl(
        upstream.endpoint,
        path,
        queryWithoutTokens(inbound.query, options.guard),
      ),
      method: inbound.method,
      headers,
      body,
      cancellation: options.cancellation,
      proxy: shaping.proxy,
    });
    return { type: "reply", ...reply };
  } catch (error) {
    if (isTimedOut) return { type: "timeout", phase: "headers", limitMs: options.headersTimeoutMs };
    if (options.cancellation.isCancelled) return { type: "client_gone" };
    if (error instanceof ReplyError) {
      return {
        type: "bad_reply",
        message: `the reply is refused: ${error.message}`,
        isCut: true,
        isFinished: false,
        isUnreadable: !error.isCut,
        error: null,
      };
    }
    return {
      type: "connect_error",
      message: connectMessage(error, upstream),
      isReset: isConnectionEnd(error),
    };
  } finally {
    deps.clock.clearTimer(timer);
  }
}

/** A failed connection for people: the causes, without the URL, whose query may hold a key. */
function connectMessage(error: unknown, upstream: Upstream): string {
  const texts: string[] = [];
  for (let at: unknown = error; at !== undefined && at !== null && texts.length < 4;) {
    const text = messageOf(at);
    if (text !== "fetch failed") texts.push(text);
    at = at instanceof Error ? at.cause : undefined;
  }
  const text = withoutRequestNotice(texts.join(": ").replace(/\(?https?:\/\/\S+/g, "the endpoint"));
  return redactSecrets(text || "connection failed", keysOf(upstream)).slice(0, 500);
}

/** Without what Deno says of every failed request: `error sending request from 127.0.0.1:5 for url the endpoint `. */
function withoutRequestNotice(text: string): string {
  const [before = "", ...parts] = text.split("error sending request ");
  const kept = parts.map((part) => {
    const end = part.indexOf(NOTICE_END);
    const isNotice = end === 0 ||
      (end > 0 && part.startsWith("from ") && part.slice(5, end - 1).indexOf(" ") < 0);
    if (!isNotice) return `error sending request ${part}`;
    const rest = part.slice(end + NOTICE_END.length);
    return rest.startsWith(" ") ? rest.slice(1) : rest;
  });
  return before + kept.join("");
}

const NOTICE_END = "for url the endpoint";
