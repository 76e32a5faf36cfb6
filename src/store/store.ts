/**
 * What the rest of the program may ask of the database: interfaces only.
 *
 * Owns the contracts that every backend must keep (see tests/contract). No SQL here.
 */
import type { ClientRules } from "../core/client_rules.ts";
import type { ClientTokenRow, ClientTokenValues, NewClientToken } from "./config/client_token_row.ts";
import type { ClientTotals, DaySpan, UsageStats } from "./stats/usage_reader.ts";
import type { CountRange } from "../core/bounds.ts";
import type { ShownState } from "../core/breaker.ts";
import type { FailureCount } from "../core/failure_window.ts";
import type { KeyNote } from "../core/key_states.ts";
import type { ListedUpstream } from "../core/model_catalog.ts";
import type { UsageRefusal } from "../core/usage_option.ts";
import type { UpstreamChecks } from "./config/upstream_checks.ts";
import type { OptionValues } from "./config/upstream_options.ts";
import type { SpendQuery, SpentDays } from "../core/spend.ts";
import type {
  Attempt,
  AuthStyle,
  ClientToken,
  OrderPolicy,
  Outcome,
  RequestRecord,
  ToolCall,
  Upstream,
  Usage,
} from "../core/types.ts";

export { StoreError } from "./store_error.ts";

/** One row of `openai_upstreams` as stored: not validated, people edit it by hand. */
export interface UpstreamRow {
  readonly id: number;
  readonly sk: string | null;
  readonly endpoint: string | null;
  /** Seconds; null or <= 0: none. */
  readonly timeout: number | null;
  readonly name: string | null;
  readonly position: number | null;
  readonly enabled: number | null;
  readonly allow: string | null;
  readonly deny: string | null;
  readonly modelMap: string | null;
  readonly authStyle: string | null;
  readonly weight: number | null;
  readonly options: OptionValues;
  /** When the program changed it last, as it is stored. */
  readonly updatedAt?: string | null;
}

export interface NewUpstream {
  readonly sk: string;
  readonly endpoint: string;
  readonly name?: string | null;
  /** Seconds. */
  readonly timeout?: number | null;
  readonly authStyle?: AuthStyle | null;
  /** Globs on the model. */
  readonly allow?: readonly string[] | null;
  readonly deny?: readonly string[] | null;
  /** Requested name to the upstream's name. */
  readonly modelMap?: Readonly<Record<string, string>> | null;
  /** Above 0; default 1. */
  readonly weight?: number | null;
  readonly options?: OptionValues;
}

/** Changes to one upstream; an absent field stays as it is, null clears it. */
export interface UpstreamChanges {
  readonly sk?: string;
  readonly endpoint?: string;
  readonly name?: string | null;
  readonly timeout?: number | null;
  readonly enabled?: boolean;
  readonly authStyle?: AuthStyle | null;
  readonly allow?: readonly string[] | null;
  readonly deny?: readonly string[] | null;
  readonly modelMap?: Readonly<Record<string, string>> | null;
  readonly weight?: number | null;
  /** Columns that are not named stay as they are. */
  readonly options?: OptionValues;
}

/** What a running server says of an upstream that is not well. */
export interface UpstreamStateNote {
  readonly upstreamId: number;
  /** `closed`: only too many of its attempts failed, or some of its keys are held back. */
  readonly state: ShownState;
  /** When it may be tried again; wall clock. */
  readonly untilMs: number | null;
  /** Such as `HTTP 503`. */
  readonly reason: string;
  readonly changedAtMs: number;
  /** Too many of its latest attempts failed; absent while that is not so. */
  readonly failures?: FailureCount;
  /** Of several keys, those that are held back; absent when none is. */
  readonly keys?: readonly KeyNote[];
}

/** The upstreams and tokens: small, synchronous, used by the command line and the registry. */
export interface ConfigStore {
  /** Live rows (not soft-deleted), in order of trial: `coalesce(position, id)`, then id. */
  listUpstreams(): UpstreamRow[];
  /** @throws StoreError `duplicate` when the same sk and endpoint exist. Revives a soft-deleted twin. */
  addUpstream(upstream: NewUpstream): UpstreamRow;
  /** @throws StoreError `not_found`, `duplicate` */
  editUpstream(id: number, changes: UpstreamChanges): UpstreamRow;
  /** Soft delete. @throws StoreError `not_found` */
  removeUpstream(id: number): void;
  /** Moves to a 1-based place in the order and renumbers. @throws StoreError `not_found` */
  moveUpstream(id: number, place: number): void;
  /** What running servers noted last, one for each upstream that is not well. */
  listUpstreamStates(): UpstreamStateNote[];
  /** Which upstreams have answered. */
  listUpstreamChecks(): UpstreamChecks;
  /** Which upstreams have refused to be asked for usage, ever; see `isRefusalOf`. */
  listUsageRefusals(): readonly UsageRefusal[];
  /** The models that upstreams list, without the lists' objects unless asked for. */
  listModelLists(options?: { readonly hasObjects: boolean }): ListedUpstream[];
  /** It has answered a test. */
  noteUpstreamCheck(upstream: Pick<Upstream, "id" | "endpoint" | "sk">): void;
  /** Tokens in stored order, empty parts ignored. */
  listTokens(): ClientToken[];
  /** When tokens were added, in milliseconds since the Unix epoch, by token; those whose time is unknown are left out. */
  tokenTimes(): ReadonlyMap<string, number>;
  /** Replaces all tokens. */
  setTokens(tokens: readonly ClientToken[]): void;
  /** Tokens that are kept as digests, as their rows are, oldest first. */
  listClientTokens(): readonly ClientTokenRow[];
  /** @throws StoreError `duplicate` when there is such a name or token */
  addClientToken(token: NewClientToken): ClientTokenRow;
  /** @throws StoreError `not_found`, `duplicate` */
  editClientToken(id: number, changes: Partial<ClientTokenValues>): ClientTokenRow;
  /** What it has spent is forgotten with it. @throws StoreError `not_found` */
  removeClientToken(id: number): void;
  /**
   * Commits all changes that `body` makes through this object, or none; what it reads cannot change meanwhile.
   * @throws StoreError `locked` and the like, or what `body` throws
   */
  atomically<Result>(action: string, body: () => Result): Result;
  /** Value of `config_kvs`, null when absent. */
  getConfig(key: string): string | null;
  setConfig(key: string, value: string): void;
  /**
   * A number that differs after any change: by this object, by another connection (`PRAGMA data_version`),
   * or because another file took the database's place.
   * @throws StoreError `unreadable` when the file has gone
   */
  dataVersion(): number;
  close(): void;
}

/** What became of a record that was handed to the sink. */
export type WriteResult = "committed" | "dropped";

/** Where settled records go. */
export interface RecordSink {
  /**
   * Queues the record for commit; a second write with the same `requestId` replaces the first.
   * Resolves when it is committed, or has been dropped and counted. Never rejects.
   */
  write(record: RequestRecord): Promise<WriteResult>;
  /** Bytes that wait for commit. */
  readonly queuedBytes: number;
  /** Nothing has been committed for a while, although records wait: it is in vain to wait for another one. */
  readonly isStalled: boolean;
  /** Commits what waits, then closes the connection. */
  close(): Promise<void>;
}

/** One row of `records` as read. Rows of the Go program have null in the columns that it did not have. */
export interface StoredRecord {
  readonly id: number;
  /** null: the row is the Go program's. */
  readonly requestId: string | null;
  readonly createdAtMs: number | null;
  readonly ip: string | null;
  readonly method: string | null;
  readonly path: string | null;
  /** The request's text; the Go program's JSON string literals are decoded. */
  readonly body: string | null;
  readonly model: string | null;
  readonly isStream: boolean | null;
  readonly response: string | null;
  readonly reasoning: string | null;
  readonly toolCalls: readonly ToolCall[];
  readonly responseModel: string | null;
  readonly finishReason: string | null;
  readonly usage: Usage;
  readonly elapsedMs: number | null;
  readonly firstByteMs: number | null;
  readonly firstTokenMs: number | null;
  readonly status: number | null;
  /** One of `OUTCOMES`, or whatever somebody typed. */
  readonly outcome: string | null;
  readonly upstreamId: number | null;
  /** Number of attempts; the attempts themselves come from {@link RecordReader.attempts}. */
  readonly attemptCount: number | null;
  /** Masked, also when the row (of the Go program) holds the secret itself. */
  readonly authorization: string | null;
  readonly client: string | null;
  readonly userAgent: string | null;
  readonly requestBytes: number | null;
  readonly responseBytes: number | null;
  readonly error: string | null;
  readonly isTruncated: boolean;
  /** The process that wrote the row. */
  readonly instance: string | null;
  /** One of `AFFINITIES`, or whatever somebody typed. */
  readonly affinity: string | null;
  readonly queuedMs: number | null;
  readonly areTokensEstimated: boolean;
  /** In 1e-9 US dollars; null: unknown. */
  readonly costNano: number | null;
}

/** One row of `attempts` as read. */
export interface StoredAttempt extends Omit<Attempt, "errorClass"> {
  /** One of `ERROR_CLASSES`, or whatever somebody typed; null: this attempt answered the client well. */
  readonly errorClass: string | null;
}

/** Conditions on records; every given one must hold. */
export interface RecordFilter {
  /** When the request came, both ends included. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
  /** A glob (`*`, `?`) on the requested model. */
  readonly model?: string;
  /** The upstream that answered. */
  readonly upstreamId?: number;
  /** An upstream that was asked, whether it answered or not. */
  readonly triedUpstreamId?: number;
  /** An upstream at which an attempt failed; one that the client broke off has not. */
  readonly failedUpstreamId?: number;
  /** Number of attempts; only settled records have one. */
  readonly attempts?: CountRange;
  /** Took longer than this; only settled records have a duration. */
  readonly slowerThanMs?: number;
  /** Requests that count as errors in the statistics, see `isFailure`. */
  readonly isFailure?: true;
  /** Only records that name none. */
  readonly without?: "model" | "client";
  /** One status, or a class: `4` for 400 to 499. */
  readonly status?: number;
  readonly outcome?: Outcome;
  /** Name of the client's token. */
  readonly client?: string;
  /**
   * Words that request or reply must contain, each as a whole word or a prefix; `"..."` for a phrase. Case, accents and
   * punctuation do not count; a blank text is no condition, one without a word finds nothing.
   * A prefix of one or two letters that more than 256 words share is taken as a whole word.
   */
  readonly text?: string;
}

/** Reads what was recorded. */
export interface RecordReader {
  /** By `request_id`, or by the row's number. */
  get(requestIdOrId: string | number): StoredRecord | null;
  /** The attempts of a row, in order. */
  attempts(recordId: number): StoredAttempt[];
  /** Newest first; `beforeId` continues where the last page ended. */
  list(
    page: { readonly limit: number; readonly beforeId?: number; readonly filter?: RecordFilter },
  ): StoredRecord[];
  /** Oldest first, rows after `afterId` (0: from the start); for following and for exports. */
  listAfter(
    page: { readonly limit: number; readonly afterId: number; readonly filter?: RecordFilter },
  ): StoredRecord[];
  /** How many match. */
  count(filter: RecordFilter): number;
  /** The newest row's number; 0 when there is none. */
  lastId(): number;
  /** What each client has used; it outlasts the records. */
  clientTotals(): ClientTotals;
  /** What tokens have spent; it outlasts the records. */
  spend(query: SpendQuery): SpentDays;
  /** What each model, client and upstream has cost, by days (UTC). @param nowMs milliseconds since the Unix epoch */
  costs(span: DaySpan, nowMs: number): UsageStats;
}

/** Upstreams and tokens at one moment; never changes. */
export interface RegistrySnapshot {
  /** Grows by one with every change that was loaded; 0 before the first. */
  readonly version: number;
  /** Valid rows in order of trial; disabled ones are there and say so. */
  readonly upstreams: readonly Upstream[];
  /** Those of the list `config_kvs.authorization`, which may do everything. */
  readonly tokens: readonly ClientToken[];
  /** Those that are kept as digests; disabled and expired ones are there and say so. */
  readonly clientRules: readonly ClientRules[];
  /** What opens the admin page; null: nothing does. */
  readonly adminToken: string | null;
  /** `config_kvs.policy`; null when absent or unknown. */
  readonly policy: OrderPolicy | null;
  /** What was skipped and why, for people; holds no key. */
  readonly problems: readonly string[];
  /** Of upstreams that have refused to be asked for usage. Absent: none. */
  readonly usageRefusals?: readonly UsageRefusal[];
}

/** @param enabledAnew ids of upstreams that were enabled since the last change, even if they were enabled already */
export type RegistryListener = (snapshot: RegistrySnapshot, enabledAnew: ReadonlySet<number>) => void;

/** Where the proxy and the HTTP layer get upstreams and tokens from. */
export interface RegistryView {
  /** Take it once per request and hold it to the request's end. */
  snapshot(): RegistrySnapshot;
  /** Calls back after every change; returns the unsubscribe function. */
  onChange(callback: RegistryListener): () => void;
}
