/**
 * The records and statistics as the admin page shows them.
 *
 * Owns the upstreams' names in them, and that current secrets are masked in stored texts. The reading thread does the
 * reading.
 */
import {
  MAX_PATH_LENGTH,
  MAX_SHOWN_NAME_LENGTH,
  MAX_USER_AGENT_LENGTH,
  redactedStart,
} from "../core/cut_text.ts";
import { redactKept } from "../core/secrets.ts";
import type { ToolCall } from "../core/types.ts";
import type {
  CostReport,
  CostSpan,
  RecordDetail,
  RecordPage,
  RecordSummary,
  Stats,
  StatsSpan,
  UpstreamUsageTable,
  UsageReport,
  UsageTable,
  WholeRecordPage,
} from "./admin_service.ts";
import type { QueryThread } from "../store/read/query_thread.ts";
import type { Neighbours, NeighboursQuery, RecordCount, SummaryQuery } from "../store/read/messages.ts";
import type { StoredSummary } from "../store/read/record_summary.ts";
import type { RecordFilter, StoredRecord } from "../store/store.ts";
import type { RecordDeletion } from "../store/write/record_deletion.ts";
import { daysOf } from "./cost_spans.ts";
import { ControlError } from "./errors.ts";
import { viewRecord } from "./record_view.ts";
import { upstreamName } from "./upstream_names.ts";

export interface RecordAdminDeps {
  readonly reader: Pick<QueryThread, "ask">;
  readonly deletion: Pick<RecordDeletion, "delete">;
  /** Names of the upstreams that are configured now, by id. */
  readonly upstreamNames: () => ReadonlyMap<number, string>;
  readonly secrets: () => readonly string[];
}

export class RecordAdmin {
  readonly #deps: RecordAdminDeps;

  constructor(deps: RecordAdminDeps) {
    this.#deps = deps;
  }

  async list(query: SummaryQuery): Promise<RecordPage> {
    const { records, nextBeforeId } = await this.#deps.reader.ask("summaries", query);
    const nameOf = this.#names();
    const secrets = this.#deps.secrets();
    return {
      records: records.map((record) => withName(maskedSummary(record, secrets), nameOf(record.upstreamId))),
      nextBeforeId,
    };
  }

  count(filter: RecordFilter): Promise<RecordCount> {
    return this.#deps.reader.ask("count", filter);
  }

  neighbours(query: NeighboursQuery): Promise<Neighbours> {
    return this.#deps.reader.ask("neighbours", query);
  }

  /** Whole records, for exports. */
  async whole(query: SummaryQuery): Promise<WholeRecordPage> {
    const { records, nextBeforeId } = await this.#deps.reader.ask("whole", query);
    const nameOf = this.#names();
    const secrets = this.#deps.secrets();
    return {
      records: records.map((record) => viewRecord(maskedRecord(record, secrets), { nameOf })),
      nextBeforeId,
    };
  }

  /** @throws ControlError `not_found`, or `conflict` for a request in flight */
  async delete(id: string | number): Promise<void> {
    const found = await this.#deps.reader.ask("record", id);
    if (found === null) throw noSuchRecord();
    const result = await this.#deps.deletion.delete(found.record.id);
    if (result === "not_found") throw noSuchRecord();
    if (result !== "in_flight") return;
    throw new ControlError(
      "conflict",
      `request ${found.record.id} is under way, and its record is being written`,
      {
        hint: "delete it when it has ended",
      },
    );
  }

  /** For a replay: the stored request, unmasked, and its reply, masked. */
  async toReplay(id: string | number): Promise<StoredRecord | null> {
    const found = await this.#deps.reader.ask("record", id);
    if (found === null) return null;
    const { response, reasoning, toolCalls } = maskedRecord(found.record, this.#deps.secrets());
    return { ...found.record, response, reasoning, toolCalls };
  }

  async detail(id: string | number): Promise<RecordDetail | null> {
    const found = await this.#deps.reader.ask("record", id);
    if (found === null) return null;
    const nameOf = this.#names();
    const secrets = this.#deps.secrets();
    return {
      record: maskedRecord(found.record, secrets),
      attempts: found.attempts.map((attempt) => ({
        ...attempt,
        upstreamName: nameOf(attempt.upstreamId) ?? attempt.upstreamName,
        message: masked(attempt.message, secrets),
        partial: masked(attempt.partial, secrets),
      })),
      upstreamName: nameOf(found.record.upstreamId),
    };
  }

  async stats(span: StatsSpan): Promise<Stats> {
    const stats = await this.#deps.reader.ask("stats", span);
    const nameOf = this.#names();
    return {
      ...stats,
      range: typeof span === "string" ? span : "custom",
      upstreams: stats.upstreams.map((upstream) => ({
        ...upstream,
        name: nameOf(upstream.id) ?? `#${upstream.id}`,
      })),
    };
  }

  async usage(span: StatsSpan): Promise<UsageReport> {
    const usage = await this.#deps.reader.ask("usage", span);
    const secrets = this.#deps.secrets();
    return {
      ...usage,
      range: typeof span === "string" ? span : "custom",
      models: maskedNames(usage.models, secrets),
      clients: maskedNames(usage.clients, secrets),
      upstreams: namedUpstreams(usage.upstreams, this.#names()),
    };
  }

  async costs(span: CostSpan): Promise<CostReport> {
    const costs = await this.#deps.reader.ask("costs", daysOf(span, Date.now()));
    const secrets = this.#deps.secrets();
    return {
      ...costs,
      range: typeof span === "string" ? span : "custom",
      models: maskedNames(costs.models, secrets),
      clients: maskedNames(costs.clients, secrets),
      upstreams: namedUpstreams(costs.upstreams, this.#names()),
    };
  }

  #names(): (id: number | null) => string | null {
    const names = this.#deps.upstreamNames();
    return (id) => upstreamName(names, id);
  }
}

export function noSuchRecord(): ControlError {
  return new ControlError("not_found", "no record has that number or request id", { field: "record" });
}

function withName(summary: StoredSummary, upstreamName: string | null): RecordSummary {
  return { ...summary, upstreamName };
}

function maskedSummary(summary: StoredSummary, secrets: readonly string[]): StoredSummary {
  return {
    ...summary,
    model: masked(summary.model, secrets),
    prompt: redactKept(summary.prompt, secrets),
    reply: redactKept(summary.reply, secrets),
    hit: summary.hit.map((piece) => ({ ...piece, text: redactKept(piece.text, secrets) })),
  };
}

function maskedRecord(record: StoredRecord, secrets: readonly string[]): StoredRecord {
  return {
    ...record,
    path: cutMasked(record.path, MAX_PATH_LENGTH, secrets),
    body: masked(record.body, secrets),
    model: cutMasked(record.model, MAX_SHOWN_NAME_LENGTH, secrets),
    response: masked(record.response, secrets),
    reasoning: masked(record.reasoning, secrets),
    toolCalls: record.toolCalls.map((call): ToolCall => ({
      id: call.id,
      name: redactKept(call.name, secrets),
      arguments: redactKept(call.arguments, secrets),
    })),
    userAgent: cutMasked(record.userAgent, MAX_USER_AGENT_LENGTH, secrets),
    error: masked(record.error, secrets),
  };
}

/** Clients choose the names of models, and somebody may have typed a secret there. */
function maskedNames({ rows, others }: UsageTable, secrets: readonly string[]): UsageTable {
  return { rows: rows.map((row) => ({ ...row, name: masked(row.name, secrets) })), others };
}

/** Upstreams are counted by their numbers. */
export function namedUpstreams(
  { rows, others }: UsageTable,
  nameOf: (id: number | null) => string | null,
): UpstreamUsageTable {
  return {
    rows: rows.map((row) => {
      const upstreamId = row.name === null ? null : Number(row.name);
      return { ...row, upstreamId, name: nameOf(upstreamId) };
    }),
    others,
  };
}

function masked(text: string | null, secrets: readonly string[]): string | null {
  return text === null ? null : redactKept(text, secrets);
}

/** Rows of older versions hold these texts at full length. */
function cutMasked(text: string | null, maxLength: number, secrets: readonly string[]): string | null {
  return text === null ? null : redactedStart(text, maxLength, (start) => redactKept(start, secrets));
}
