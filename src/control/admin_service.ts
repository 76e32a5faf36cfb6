/**
 * What the admin API and the page may ask and do: interfaces and shapes only, shared by both.
 *
 * Everything here is safe to show: keys and tokens are masked before they get here. Times are milliseconds since the
 * Unix epoch, durations milliseconds.
 */
import type { ListedKey } from "../core/key_states.ts";
import type { ShownState } from "../core/breaker.ts";
import type { Condition } from "../core/condition.ts";
import type { FailureCount } from "../core/failure_window.ts";
import type { AuthStyle, EndpointKind, OrderPolicy, ToolCall } from "../core/types.ts";
import type { RefusedSummary } from "../core/refusal.ts";
import type { Neighbours, NeighboursQuery, RecordCount, SummaryQuery } from "../store/read/messages.ts";
import type { RecordFilter } from "../store/store.ts";
import type { CostRange, CostSpan } from "./cost_spans.ts";
import type { RecordView } from "./record_view.ts";
import type { StoredSummary } from "../store/read/record_summary.ts";
import type { RequestStats, StatsRange, StatsSpan } from "../store/stats/reader.ts";
import type { NamedUsage, UsageStats, UsageTable } from "../store/stats/usage_reader.ts";
import type { StoredAttempt, StoredRecord } from "../store/store.ts";
import type { ServerStatus } from "./status_shapes.ts";
import type { ClientTokenInput } from "./client_token_values.ts";
import type { ChosenToken, MadeToken, NewTokenInput, TokenView } from "./token_shapes.ts";
import type { TokenSpending } from "./token_spending.ts";
import type { DiffPart } from "./reply_diff.ts";
import type { ShownOptions } from "./upstream_option_view.ts";
import type { UpstreamOptionInput } from "./upstream_options.ts";

export type { PostgresStatus, ReplicaStatus, ServerStatus } from "./status_shapes.ts";
export type { RefusedSummary };
export type { TokenSpending };
export type { ChosenToken, MadeToken, NewTokenInput, TokenState, TokenView } from "./token_shapes.ts";

/** One upstream as it is shown. */
export interface UpstreamView extends ShownOptions {
  readonly id: number;
  /** 1-based place in the order of trial. */
  readonly place: number;
  readonly name: string;
  /** Without credentials. */
  readonly endpoint: string;
  /** Masked; `asis` as it is; of several keys only how many they are. */
  readonly key: string;
  /** Each key, masked, and how it is; one of one key counts as well. */
  readonly keys: readonly ShownKey[];
  /** Requests under way at it, with all of its keys, as far as this server has sent them. */
  readonly inFlight: number;
  /** Requests at once that it gets, of all its keys together, `auto` as of now; null: any number. */
  readonly limit: number | null;
  readonly isEnabled: boolean;
  readonly timeoutSeconds: number | null;
  /** Globs on the model; empty: every model. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly modelMap: Readonly<Record<string, string>>;
  /** null: guessed from the endpoint's host. */
  readonly authStyle: AuthStyle | null;
  readonly weight: number;
  readonly state: Condition;
  /** What its breaker is in. */
  readonly breaker: ShownState;
  /** Its latest attempts, as far as this server has made them. */
  readonly recent: FailureCount & {
    /** Too many of them failed. */
    readonly isDegraded: boolean;
  };
  /** When it may be tried again; null unless it is `failing` or `no_credit`. */
  readonly openUntilMs: number | null;
  /** Why it is held back, such as `HTTP 503`; null when it is not. */
  readonly reason: string | null;
  /** Its last failed attempt on record; null when there is none. */
  readonly lastError: { readonly atMs: number; readonly errorClass: string; readonly message: string } | null;
  /** Why its row cannot be used; null when it can. */
  readonly problem: string | null;
  /** How many models it lists; null: it is not known. */
  readonly modelCount: number | null;
}

export interface ShownKey extends ListedKey {
  /** Requests under way with it. */
  readonly inFlight: number;
}

/** A model, and the names of the upstreams that list it, in order of trial. */
export interface ModelView {
  readonly model: string;
  readonly upstreams: readonly string[];
}

export interface ModelPage {
  /** At most 200, in the order in which clients see them. */
  readonly models: readonly ModelView[];
  /** How many match. */
  readonly count: number;
}

/** The result of testing an upstream: `GET` of its models with its key. */
export interface UpstreamTest {
  readonly isOk: boolean;
  readonly status: number | null;
  readonly durationMs: number;
  /** For people. */
  readonly message: string;
  /** Names of the models that it lists; at most 200. */
  readonly models: readonly string[];
}

/** A record as a list shows it: no bodies. */
export interface RecordSummary extends StoredSummary {
  readonly upstreamName: string | null;
}

export interface RecordPage {
  /** May be fewer than asked for, or none, although older ones match: the time for one page is limited. */
  readonly records: readonly RecordSummary[];
  /** Pass as `beforeId` for the next (older) page; null on the last. */
  readonly nextBeforeId: number | null;
}

/** Whole records; like a {@link RecordPage}. */
export interface WholeRecordPage {
  readonly records: readonly RecordView[];
  readonly nextBeforeId: number | null;
}

export interface RecordDetail {
  readonly record: StoredRecord;
  readonly attempts: readonly StoredAttempt[];
  readonly upstreamName: string | null;
}

export type { CostRange, CostSpan };
export type { Neighbours, RecordCount, StatsRange, StatsSpan };

/**
 * One step of a time series; null where nothing was measured. `errors` are requests that did not end well, without
 * the client's own mistakes and departures.
 */
export type StatsPoint = RequestStats["points"][number];

export interface Stats extends Omit<RequestStats, "upstreams"> {
  readonly range: StatsRange | "custom";
  /** Answered requests by upstream over the range, most first; `failures` are attempts that failed there. */
  readonly upstreams: readonly (RequestStats["upstreams"][number] & { readonly name: string })[];
}

export type { UsageTable } from "../store/stats/usage_reader.ts";

/** Upstreams by name; the number is that of their records, null: none answered. */
export interface UpstreamUsageTable extends UsageTable {
  readonly rows: readonly (NamedUsage & { readonly upstreamId: number | null })[];
}

/** Requests by model, by client and by upstream. */
export interface UsageReport extends UsageStats {
  readonly range: StatsRange | "custom";
  readonly upstreams: UpstreamUsageTable;
}

/** The same by days (UTC), those that cost most first. */
export interface CostReport extends UsageStats {
  readonly range: CostRange | "custom";
  readonly upstreams: UpstreamUsageTable;
}

/** A request in flight. */
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
  /** How long it has waited for an upstream that has room; null: it does not wait now. */
  readonly waitingMs: number | null;
  readonly attemptCount: number;
  readonly replyBytes: number;
}

/** Events of the live page. */
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

/** A reply while it arrives. `text` and `reasoning` hold what has arrived since the last event. */
export type WatchEvent =
  | {
    readonly type: "delta";
    /** Replaces everything sent before: a reply is sometimes laid out anew. */
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
  readonly diff: readonly DiffPart[];
}

export interface UpstreamInput extends UpstreamOptionInput {
  readonly endpoint?: string;
  /** Several keys: one a line. */
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

/** A change, which may also add or remove single keys; the others stay, and nobody has to know them. */
export interface UpstreamEdit extends UpstreamInput {
  readonly addKeys?: readonly string[];
  /** By number, from 1, or masked, as they are shown. */
  readonly removeKeys?: readonly string[];
}

export interface ChannelTest {
  readonly isOk: boolean;
  /** For people; holds no secret. */
  readonly message: string;
}

/** Everything that the admin API and the page can do. Failures are `ControlError`s. */
export interface AdminService {
  upstreams(): Promise<readonly UpstreamView[]>;
  /** `endpoint` and `key` are required here. */
  addUpstream(input: UpstreamInput): Promise<UpstreamView>;
  editUpstream(id: number, changes: UpstreamEdit): Promise<UpstreamView>;
  /** To a 1-based place. */
  moveUpstream(id: number, place: number): Promise<void>;
  removeUpstream(id: number): Promise<void>;
  testUpstream(id: number): Promise<UpstreamTest>;
  /** The models whose names hold the text, in any case, of upstreams that are enabled. */
  models(search: string): Promise<ModelPage>;

  tokens(): Promise<readonly TokenView[]>;
  /** The secret is shown this once; null: a random one. */
  addToken(
    token: NewTokenInput,
    chosen: ChosenToken | null,
  ): Promise<MadeToken>;
  /** What it has spent in the period of its budget; null: that is not noted of it. @param which as of `editToken` */
  tokenSpending(which: string): Promise<TokenSpending | null>;
  /** @param which its name, or the number of its row */
  editToken(which: string, input: ClientTokenInput): Promise<TokenView>;
  /** Another secret for a row, shown this once. */
  rotateToken(which: string): Promise<MadeToken>;
  removeToken(which: string): Promise<void>;

  records(page: SummaryQuery): Promise<RecordPage>;
  /** How many match; a count that takes too long is not complete. */
  countRecords(filter: RecordFilter): Promise<RecordCount>;
  /** Row numbers of the next records that match, on both sides of one. */
  neighbours(query: NeighboursQuery): Promise<Neighbours>;
  /** Whole, for exports. */
  wholeRecords(page: SummaryQuery): Promise<WholeRecordPage>;
  /** With its attempts; statistics stay. */
  deleteRecord(id: string | number): Promise<void>;
  /** By `request_id` or row number; null when there is none. */
  record(id: string | number): Promise<RecordDetail | null>;
  /** Sends the recorded request again, to one upstream or (null) through the usual order. */
  replay(id: string | number, upstreamId: number | null): Promise<ReplayResult>;

  stats(span: StatsSpan): Promise<Stats>;
  usage(span: StatsSpan): Promise<UsageReport>;
  costs(span: CostSpan): Promise<CostReport>;

  /** Oldest first; at most 200. */
  live(): readonly LiveRequest[];
  /** How many requests wait for an upstream that has room. */
  waiting(): number;
  /** Returns the function that ends it. */
  subscribe(listener: (event: LiveEvent) => void): () => void;
  /** Follows one reply; null when the request is not under way. Returns the function that ends it. */
  watch(requestId: string, listener: (event: WatchEvent) => void): (() => void) | null;

  /** Clients that were refused for what they sent as a token, or did not. */
  refused(): RefusedSummary;

  status(): Promise<ServerStatus>;
  /** The order of trial, for all servers of the database; one that was started with a policy keeps its own. */
  setPolicy(policy: OrderPolicy): Promise<ServerStatus>;
  /** Sends a test message to an alert channel that is configured. */
  testChannel(name: string): Promise<ChannelTest>;

  /** Settings of the running server, secrets masked; name, value, and where it came from. */
  settings(): readonly { readonly name: string; readonly value: string }[];
}
