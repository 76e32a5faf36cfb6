/**
 * The data types that every layer shares. Plain data only: no behaviour, no I/O.
 *
 * Units are in the names (`Ms` milliseconds, `Bytes` octets). `null` means "not reported" or "does not
 * apply"; it is never zero in disguise.
 */
import type { HeaderView } from "./header_fields.ts";
import type { PathModel } from "./model_alias.ts";
import type { ReportedError } from "./reported_error.ts";
import type { ModelPlace } from "./request_fields.ts";
import type { KeyPolicy, UpstreamBilling, UpstreamLimits, UpstreamShaping } from "./upstream_options.ts";
import type { Usage } from "./usage.ts";
import type { Splice } from "./usage_option.ts";

export type { Usage } from "./usage.ts";

/** How the credential of an upstream is sent. */
export const AUTH_STYLES = ["bearer", "x-api-key", "api-key"] as const;
export type AuthStyle = typeof AUTH_STYLES[number];

/** The value of `sk` that forwards the client's own Authorization header. */
export const ASIS = "asis";

/** One configured upstream, validated. Immutable: a reload makes new objects. */
export interface Upstream {
  readonly id: number;
  /** Shown to people, used in metrics and `x-oar-upstream`; unique among the upstreams that are not deleted. */
  readonly name: string;
  /** Absolute http(s) URL without credentials, query merged into requests. */
  readonly endpoint: string;
  /** The secret that is sent, or {@link ASIS}: the first of {@link keys} unless {@link keyN} says another. Never logged. */
  readonly sk: string;
  /** All of its secrets, in their order, each once; one or more. */
  readonly keys: readonly string[];
  /** Which of several keys `sk` is, from 1; null: it has only one, or none was chosen yet. */
  readonly keyN: number | null;
  readonly keyPolicy: KeyPolicy;
  /** Order of trial, ascending; ties go by `id`. */
  readonly position: number;
  readonly isEnabled: boolean;
  /** Time allowed until response headers; null: the program's rules. */
  readonly timeoutMs: number | null;
  /** Globs on the model, or on paths for requests without a model. Empty `allow` allows all. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** Model aliases: requested name to the upstream's name. */
  readonly modelMap: Readonly<Record<string, string>>;
  /** null: guessed from the host. */
  readonly authStyle: AuthStyle | null;
  readonly weight: number;
  readonly limits: UpstreamLimits;
  readonly shaping: UpstreamShaping;
  readonly billing: UpstreamBilling;
}

/** One token that clients may send. */
export interface ClientToken {
  /** Shown in records and logs instead of the secret. */
  readonly name: string;
  readonly secret: string;
}

/** The order in which upstreams are tried. `main` of the Go program is read as `order`. */
export const ORDER_POLICIES = [
  "order",
  "random",
  "round_robin",
  "least_latency",
  "fastest",
  "cheapest",
] as const;
export type OrderPolicy = typeof ORDER_POLICIES[number];

/** The kind of API call; selects the capture, the gate and the metrics label. */
export type EndpointKind =
  | "chat"
  | "completions"
  | "responses"
  | "messages"
  | "embeddings"
  | "images"
  | "audio"
  | "moderations"
  | "models"
  | "files"
  | "other";

/** One client request, completely read. */
export interface Inbound {
  /** ULID; the record's `request_id`. */
  readonly id: string;
  readonly method: string;
  /** Raw path, starting with one `/v1`; no query. */
  readonly path: string;
  /** Raw query without `?`; empty when none. */
  readonly query: string;
  readonly kind: EndpointKind;
  /** As requested; null when the request names none, or one that is too long for a model. */
  readonly model: string | null;
  /** For records and people: the same, or the beginning of one that is too long. */
  readonly shownModel: string | null;
  /** Where the body, without its content codings, names the model; null when it names none. */
  readonly modelPlace: ModelPlace | null;
  /** Where the path names the model; null or absent when it does not. */
  readonly modelInPath?: PathModel | null;
  readonly isStream: boolean;
  /** How its stream is asked for its usage; null or absent: the client has asked, or there is nothing to ask for. */
  readonly usageSplice?: Splice | null;
  readonly headers: HeaderView;
  /** As it came; null when the request has no body. */
  readonly body: Uint8Array<ArrayBuffer> | null;
  /** Without its content codings; null or absent when it has none, or no upstream needs it. */
  readonly decodedBody?: Uint8Array<ArrayBuffer> | null;
  readonly clientIp: string;
  /** Name of the client's token; null with `--noauth`. */
  readonly clientName: string | null;
  /** The credential that authenticated the client, if any; never forwarded. */
  readonly clientToken: string | null;
  /** Wall clock, for the record. */
  readonly startedAtMs: number;
  /** Monotonic clock, for durations. */
  readonly startedMonoMs: number;
}

/** Why an attempt failed; stored in `attempts.error_class`, used as metric label. */
export const ERROR_CLASSES = [
  "connect_error",
  "timeout",
  "http_status",
  "redirect",
  "bad_status",
  "bad_stream",
  "bad_reply",
  "no_credential",
  "client_gone",
  "hedge_lost",
  "usage_refused",
  "upstream_cut",
  "idle_timeout",
  "error_event",
  "deadline_exceeded",
  "stopped",
] as const;
export type ErrorClass = typeof ERROR_CLASSES[number];

/** Those that are no failure of the upstream: nobody waited for its answer any more, or only the router was refused. */
export const UNBLAMED_CLASSES: ReadonlySet<string> = new Set<ErrorClass>([
  "client_gone",
  "hedge_lost",
  "usage_refused",
  "stopped",
]);

/**
 * How a try ended, for the choice of upstream. `isCut`: the reply broke off before its head was relayed, so
 * nothing of it can be relayed.
 */
export type AttemptOutcome =
  | { readonly type: "response"; readonly status: number }
  | {
    readonly type: "connect_error";
    readonly message: string;
    /** The connection stood, and ended before a head came. */
    readonly isReset: boolean;
  }
  | { readonly type: "timeout"; readonly phase: "headers" | "first_token" | "body"; readonly limitMs: number }
  | { readonly type: "no_credential" }
  | {
    readonly type: "bad_reply";
    readonly message: string;
    readonly isCut: boolean;
    /** It is whole and has its finish reason, but says nothing: kept, and given unless another upstream does better. */
    readonly isFinished: boolean;
    /** Its head cannot be read: whatever answered does not speak HTTP, or not well. */
    readonly isUnreadable?: boolean;
    readonly error: ReportedError | null;
  }
  | {
    readonly type: "bad_stream";
    readonly message: string;
    readonly isCut: boolean;
    /** The same for a stream: no failure of the upstream. */
    readonly isFinished: boolean;
    readonly error: ReportedError | null;
  }
  | { readonly type: "client_gone" };

/** One try of one upstream. */
export interface Attempt {
  /** 1-based, in order. */
  readonly index: number;
  readonly upstreamId: number;
  readonly upstreamName: string;
  readonly startedAtMs: number;
  readonly durationMs: number;
  /** HTTP status; null when there were no headers. */
  readonly status: number | null;
  /** null: this attempt answered the client well. */
  readonly errorClass: ErrorClass | null;
  /** For people; no secret, at most 500 characters. null when all went well. */
  readonly message: string | null;
  /** What it had said when it failed, if none of that was relayed; at most 64 KiB. null: nothing. */
  readonly partial: string | null;
  /** Which of the upstream's keys was used, from 1; null: it has only one. */
  readonly keyN: number | null;
  /** The request was sent with other headers or another body than the client's, as the upstream's row says. */
  readonly isChanged: boolean;
  /** What it used, if its reply is not the client's: that is in the record. Absent or null: nothing was reported. */
  readonly usage?: Usage | null;
  /** In 1e-9 US dollars; absent or null: unknown. */
  readonly costNano?: number | null;
}

/** Whom an id belongs to. */
export interface IdOwner {
  readonly upstreamId: number;
  /** Of its key, when it had several; null: whichever it has. */
  readonly keyHash: number | null;
}

/** A row of `owned_ids`. */
export interface OwnedId extends IdOwner {
  /** See core/owned_ids.ts. */
  readonly hash: string;
  /** The kind of API call that named it, for people. */
  readonly kind: string;
  readonly seenMs: number;
}

/** How a request ended. `complete` requires the protocol's own end. */
export const OUTCOMES = [
  "complete",
  "upstream_error",
  "no_upstream",
  "upstream_cut",
  "idle_timeout",
  "error_event",
  "empty",
  "client_gone",
  "crashed",
  "in_flight",
] as const;
export type Outcome = typeof OUTCOMES[number];

/**
 * What tied a request to an upstream: an id that only its owner knows, a session's key, or the beginning of the prompt;
 * `broken`: another upstream answered than the one it was tied to.
 */
export const AFFINITIES = ["owner", "session", "prefix", "broken"] as const;
export type Affinity = typeof AFFINITIES[number];

export interface ToolCall {
  readonly id: string | null;
  readonly name: string;
  /** The arguments as the provider wrote them, usually JSON text. */
  readonly arguments: string;
}

/** What a reply said, extracted from its bytes. */
export interface CapturedReply {
  /** All choices: the first one plain, further ones separated and labelled. */
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly model: string | null;
  readonly finishReason: string | null;
  readonly usage: Usage | null;
  /** Bytes seen, whether kept or not. */
  readonly bytes: number;
  /** The protocol's own end was seen. */
  readonly isComplete: boolean;
  /** A bound was reached and something was not kept. */
  readonly isTruncated: boolean;
  /** Events or documents that could not be parsed. */
  readonly parseErrors: number;
}

/** One row of `records`, plus its attempts. Field names mirror the columns (docs/architecture.md, "Tables"). */
export interface RequestRecord {
  readonly requestId: string;
  readonly createdAtMs: number;
  readonly ip: string;
  readonly method: string;
  readonly path: string;
  /** The request's text, or its description when it is too large or not text. */
  readonly body: string;
  readonly model: string | null;
  readonly isStream: boolean;
  readonly response: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly responseModel: string | null;
  readonly finishReason: string | null;
  readonly usage: Usage | null;
  readonly elapsedMs: number;
  /** Until the first byte of the final answer, from the start of the request. */
  readonly firstByteMs: number | null;
  /** Until the first content of a stream, from the start of the request. */
  readonly firstTokenMs: number | null;
  /** What the client received; 499 when it had left. */
  readonly status: number;
  readonly outcome: Outcome;
  /** The upstream whose answer was relayed; null when none was. */
  readonly upstreamId: number | null;
  readonly attempts: readonly Attempt[];
  /** Masked form of the client's credential; null when it sent none. */
  readonly authorization: string | null;
  readonly client: string | null;
  readonly userAgent: string | null;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** For people; null when all went well. */
  readonly error: string | null;
  readonly isTruncated: boolean;
  /** Why the upstream was asked first; null: nothing tied the request to one. */
  readonly affinity: Affinity | null;
  /** How long it waited for an upstream that had room; null: it did not. */
  readonly queuedMs: number | null;
  /** The counts of {@link usage} are our own estimate, because the provider gave none. */
  readonly areTokensEstimated: boolean;
  /** Of all its attempts, in 1e-9 US dollars; null: unknown, which is not 0. */
  readonly costNano: number | null;
  /**
   * Only of a request under way: `response` and `reasoning` are the part of this number (from 1) that follows what was
   * written before, and the body is left out, and tool calls where they are as they were. Absent: everything is here.
   */
  readonly part?: number;
  /** Ids that its replies named, and that only their upstreams know. Absent: none that has to be written. */
  readonly ownedIds?: readonly OwnedId[];
}
