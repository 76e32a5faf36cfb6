/**
 * What the admin API and the page may ask and do: interfaces and shapes only, shared by both.
 *
 * Everything here is safe to show: keys and tokens are masked before they get here. Times are milliseconds since the
 * Unix epoch, durations milliseconds.
 */
import type { BreakerState } from "../core/breaker.ts";
import type { Attempt, AuthStyle, EndpointKind, ToolCall, Usage } from "../core/types.ts";
import type { RecordFilter, StoredRecord } from "../store/store.ts";

/** One upstream as it is shown. */
export interface UpstreamView {
  readonly id: number;
  /** 1-based place in the order of trial. */
  readonly place: number;
  readonly name: string;
  readonly endpoint: string;
  /** Masked; `asis` as it is. */
  readonly key: string;
  readonly isEnabled: boolean;
  readonly timeoutSeconds: number | null;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly modelMap: Readonly<Record<string, string>>;
  readonly authStyle: AuthStyle | null;
  readonly weight: number;
  readonly state: BreakerState["type"];
  /** When an open one may be tried again. */
  readonly openUntilMs: number | null;
  /** Why it is not well, such as `HTTP 503`; null when it is. */
  readonly reason: string | null;
  /** Its last failed attempt on record; null when there is none. */
  readonly lastError: { readonly atMs: number; readonly errorClass: string; readonly message: string } | null;
  /** Why its row is not used, as a person must mend it; null when it is fine. */
  readonly problem: string | null;
}

/** What a test of an upstream (`GET` of its models with its key) said. */
export interface UpstreamTest {
  readonly isOk: boolean;
  readonly status: number | null;
  readonly durationMs: number;
  /** For people. */
  readonly message: string;
  /** Names of models, as far as it lists them; at most 200. */
  readonly models: readonly string[];
}

export interface TokenView {
  readonly name: string;
  /** Masked. */
  readonly token: string;
}

/** A record as a list shows it: no bodies. */
export interface RecordSummary {
  readonly id: number;
  readonly requestId: string | null;
  readonly createdAtMs: number | null;
  readonly model: string | null;
  readonly status: number | null;
  readonly outcome: string | null;
  readonly upstreamId: number | null;
  readonly upstreamName: string | null;
  readonly attemptCount: number | null;
  readonly isStream: boolean | null;
  readonly elapsedMs: number | null;
  readonly firstTokenMs: number | null;
  readonly usage: Usage;
  readonly client: string | null;
  /** The beginning of the reply, one line, at most 200 characters. */
  readonly reply: string;
  /** With a search: the passage around the first hit, as pieces; empty without one. */
  readonly hit: readonly { readonly text: string; readonly isHit: boolean }[];
}

export interface RecordPage {
  /** May be fewer than asked for, or none, and older ones match all the same: one page takes so much time only. */
  readonly records: readonly RecordSummary[];
  /** Pass as `beforeId` for the next (older) page; null on the last. */
  readonly nextBeforeId: number | null;
}

export interface RecordDetail {
  readonly record: StoredRecord;
  readonly attempts: readonly (Attempt & { readonly upstreamName: string })[];
  readonly upstreamName: string | null;
}

export type StatsRange = "15m" | "24h" | "30d";

/** One step of a time series; null where nothing was measured. */
export interface StatsPoint {
  readonly atMs: number;
  readonly requests: number;
  /** Requests that did not end well, client's own mistakes and departures left out. */
  readonly errors: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly firstTokenP50Ms: number | null;
  readonly firstTokenP95Ms: number | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export interface Stats {
  readonly range: StatsRange;
  readonly fromMs: number;
  readonly toMs: number;
  /** Length of one step. */
  readonly stepMs: number;
  /** Every step of the range, oldest first, empty ones included. */
  readonly points: readonly StatsPoint[];
  /** The whole range at once. */
  readonly total: Omit<StatsPoint, "atMs">;
  /** Answered requests by upstream over the range, most first. */
  readonly upstreams: readonly {
    readonly id: number;
    readonly name: string;
    readonly requests: number;
    /** Attempts that failed there. */
    readonly failures: number;
  }[];
}

/** A request that is under way. */
export interface LiveRequest {
  readonly requestId: string;
  readonly startedAtMs: number;
  readonly elapsedMs: number;
  readonly kind: EndpointKind;
  readonly method: string;
  readonly path: string;
  readonly model: string | null;
  readonly isStream: boolean;
  readonly client: string | null;
  /** null until an upstream's answer was chosen. */
  readonly upstreamName: string | null;
  readonly attemptCount: number;
  readonly replyBytes: number;
}

/** What happens, as it happens. */
export type LiveEvent =
  | { readonly type: "in_flight"; readonly requests: readonly LiveRequest[] }
  | { readonly type: "finished"; readonly record: FinishedRequest };

export interface FinishedRequest {
  readonly requestId: string;
  readonly createdAtMs: number;
  readonly model: string | null;
  readonly status: number;
  readonly outcome: string;
  readonly upstreamName: string | null;
  readonly attemptCount: number;
  readonly elapsedMs: number;
  readonly isStream: boolean;
  readonly client: string | null;
}

/** A reply while it arrives. `text` and `reasoning` are what has come since the last one. */
export type WatchEvent =
  | {
    readonly type: "delta";
    /** What came before counts no longer: this is all of it. Now and then a reply is laid out anew. */
    readonly isReset: boolean;
    readonly text: string;
    readonly reasoning: string;
    readonly toolCalls: readonly ToolCall[];
    readonly replyBytes: number;
  }
  | { readonly type: "ended"; readonly requestId: string };

export interface ReplayResult {
  /** The new record. */
  readonly requestId: string | null;
  readonly status: number;
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly elapsedMs: number;
  /** Lines of the recorded and the new reply, side by side. */
  readonly diff: readonly {
    readonly type: "same" | "removed" | "added";
    readonly text: string;
  }[];
}

export interface UpstreamInput {
  readonly endpoint?: string;
  readonly key?: string;
  readonly name?: string | null;
  readonly timeoutSeconds?: number | null;
  readonly isEnabled?: boolean;
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly modelMap?: Readonly<Record<string, string>>;
  readonly authStyle?: AuthStyle | null;
  readonly weight?: number;
}

/** Everything that the admin API and the page can do. Failures are `ControlError`s. */
export interface AdminService {
  upstreams(): Promise<readonly UpstreamView[]>;
  /** `endpoint` and `key` are required here. */
  addUpstream(input: UpstreamInput): Promise<UpstreamView>;
  editUpstream(id: number, changes: UpstreamInput): Promise<UpstreamView>;
  /** To a 1-based place. */
  moveUpstream(id: number, place: number): Promise<void>;
  removeUpstream(id: number): Promise<void>;
  testUpstream(id: number): Promise<UpstreamTest>;

  tokens(): Promise<readonly TokenView[]>;
  /** The secret is shown this once. */
  addToken(name: string): Promise<{ readonly name: string; readonly secret: string }>;
  removeToken(name: string): Promise<void>;

  records(page: {
    readonly limit: number;
    readonly beforeId?: number;
    readonly filter?: RecordFilter;
  }): Promise<RecordPage>;
  /** By `request_id` or row number; null when there is none. */
  record(id: string | number): Promise<RecordDetail | null>;
  /** Sends the recorded request again, to one upstream or (null) through the usual order. */
  replay(id: string | number, upstreamId: number | null): Promise<ReplayResult>;

  stats(range: StatsRange): Promise<Stats>;

  /** Oldest first; at most 200. */
  live(): readonly LiveRequest[];
  /** Returns the function that ends it. */
  subscribe(listener: (event: LiveEvent) => void): () => void;
  /** Follows one reply; null when the request is not under way. Returns the function that ends it. */
  watch(requestId: string, listener: (event: WatchEvent) => void): (() => void) | null;

  /** Settings of the running server, secrets masked; name, value, and where it came from. */
  settings(): readonly { readonly name: string; readonly value: string }[];
}
