/**
 * What replicas tell each other of upstreams that are not well, through the tables `oar.upstream_states` (one row for an
 * upstream and a replica, which people see, too) and `oar.upstream_findings` (each breaker that is not closed).
 *
 * Owns when they are written and read, and that times are the server's on the way: clocks of replicas may differ. Knows no
 * rules: those are in core/foreign_findings.ts.
 */
import type { Clock } from "../../core/clock.ts";
import { MAX_SHOWN_NAME_LENGTH } from "../../core/cut_text.ts";
import { type Finding, FINDING_CAUSES, type ForeignFinding } from "../../core/foreign_findings.ts";
import { keyNotesText } from "../../core/key_states.ts";
import type { UpstreamStateNote } from "../store.ts";
import { classify } from "./errors.ts";
import type { PgQuery, PgStore } from "./query.ts";
import { DEAD_AFTER_SECONDS } from "./replicas.ts";
import { cleanString } from "./shipper/clean_text.ts";

/** What this replica has found of an upstream by its own attempts. Times are of the wall clock. */
export interface OwnState extends UpstreamStateNote {
  /** Stands for its endpoint and key. */
  readonly target: string;
  readonly findings: readonly Finding[];
}

/** What another replica has found. Times are of this machine's wall clock. */
export interface ForeignState extends ForeignFinding {
  readonly upstreamId: number;
  readonly target: string;
}

export interface SharedStatesOptions {
  readonly database: Pick<PgStore, "read" | "write">;
  /** Of this replica. */
  readonly instance: string;
  readonly clock: Pick<Clock, "now">;
  /** All that others say, when it has changed, and at first. */
  readonly onForeign: (states: readonly ForeignState[]) => void;
  /** What this replica says cannot be written, and not because PostgreSQL is away: then looks fail, too. */
  readonly onTrouble: (error: unknown) => void;
}

/** Findings that are read; further ones are ignored. */
const MAX_READ = 4_096;
export const MAX_REASON_LENGTH = 300;

export class SharedStates {
  readonly #options: SharedStatesOptions;
  #own: readonly OwnState[] = [];
  /** {@link #own} is not what was written last. */
  #isDue = false;
  #writtenCount = 0;
  #isWriting = false;
  /** It was written since the last look, or there was none yet: the rest waits for the next one, a second later. */
  #isPaced = true;
  /** What was read last; null: nothing yet. */
  #read: string | null = null;
  #isClosed = false;

  constructor(options: SharedStatesOptions) {
    this.#options = options;
  }

  /** All that this replica says from now on. Written at once, but twice a second at most. */
  put(states: readonly OwnState[]): void {
    if (this.#own.length === 0 && states.length === 0) return;
    this.#own = states;
    this.#isDue = true;
    if (!this.#isPaced) void this.#write();
  }

  /**
   * Reads what others say; to be called twice a second.
   *
   * @returns the version of the configuration, which is read on the way
   * @throws PgError
   */
  async look(): Promise<number> {
    const { database, instance, onForeign } = this.#options;
    const isAlone = !this.#isWriting;
    const [row] = await database.read<LookRow>(LOOK, [instance, DEAD_AFTER_SECONDS]);
    if (this.#isClosed || row === undefined) return Number(row?.version);
    const others = row.others ?? "[]";
    if (others !== this.#read) {
      onForeign(this.#parse(others, row.now_ms));
      this.#read = others;
    }
    // A replica that was frozen for long counts as dead, and what it said is gone.
    if (isAlone && !this.#isWriting && !this.#isPaced && row.own !== this.#writtenCount) this.#isDue = true;
    this.#isPaced = false;
    if (this.#isDue) void this.#write();
    return row.version;
  }

  /** Writes and tells nothing more; {@link Replicas.leave} removes what was written. */
  close(): void {
    this.#isClosed = true;
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    if (this.#isWriting || this.#isClosed) return;
    this.#isWriting = true;
    this.#isPaced = true;
    this.#isDue = false;
    const states = this.#own;
    try {
      await this.#options.database.write((query) => this.#replace(query, states));
      this.#writtenCount = states.length;
    } catch (error) {
      this.#isDue = true;
      if (!this.#isClosed && classify(error) !== "retry") this.#options.onTrouble(error);
    }
    this.#isWriting = false;
  }

  async #replace(query: PgQuery, states: readonly OwnState[]): Promise<void> {
    const { instance, clock } = this.#options;
    await query("DELETE FROM oar.upstream_states WHERE instance = $1", [instance]);
    if (states.length === 0) return;
    const nowMs = clock.now();
    await query(PUT_STATES, [
      instance,
      states.map(({ upstreamId }) => upstreamId),
      states.map(({ state }) => state),
      states.map(({ untilMs }) => untilMs === null ? null : untilMs - nowMs),
      states.map(({ reason }) => cleanString(reason)),
      states.map(({ changedAtMs }) => changedAtMs - nowMs),
      states.map(({ failures }) => failures?.attempts ?? null),
      states.map(({ failures }) => failures?.failed ?? null),
      states.map(({ keys }) => {
        const written = keyNotesText(keys);
        return written === null ? null : cleanString(written);
      }),
    ]);
    const findings = states.flatMap(({ upstreamId, target, findings }) =>
      findings.map((finding, n) => ({ ...finding, upstreamId, target, n }))
    );
    if (findings.length === 0) return;
    await query(PUT_FINDINGS, [
      instance,
      findings.map(({ upstreamId }) => upstreamId),
      findings.map(({ n }) => n),
      findings.map(({ target }) => target),
      findings.map(({ model }) => model === null ? null : cleanString(model)),
      findings.map(({ cause }) => cause),
      findings.map(({ opening }) => opening),
      findings.map(({ untilMs }) => untilMs - nowMs),
      findings.map(({ reason }) => cleanString(reason)),
      findings.map(({ isTold }) => isTold),
    ]);
  }

  #parse(others: string, serverMs: number): ForeignState[] {
    const aheadMs = this.#options.clock.now() - serverMs;
    const rows: unknown = JSON.parse(others);
    return Array.isArray(rows) ? rows.flatMap((row) => foreignState(row, aheadMs) ?? []) : [];
  }
}

interface LookRow {
  readonly version: number;
  /** Rows of this replica. */
  readonly own: number;
  /** JSON; null: there are none. */
  readonly others: string | null;
  readonly now_ms: number;
}

/** Of a newer release, or written by hand, it may be anything; then it is ignored. */
function foreignState(row: unknown, aheadMs: number): ForeignState | null {
  if (!Array.isArray(row)) return null;
  const [upstreamId, source, target, model, cause, opening, until, reason, isTold] =
    row as readonly unknown[];
  const known = FINDING_CAUSES.find((each) => each === cause);
  if (known === undefined || typeof upstreamId !== "number" || typeof opening !== "number") return null;
  if (typeof source !== "string" || typeof target !== "string" || typeof until !== "number") return null;
  if (model !== null && (typeof model !== "string" || model.length > MAX_SHOWN_NAME_LENGTH)) return null;
  const shown = typeof reason === "string" ? reason : "";
  return {
    ...{ upstreamId, source, target, model, cause: known, opening },
    untilMs: until + aheadMs,
    ...{ reason: shown, isTold: isTold === true },
  };
}

/** What is of a dead replica does not count, although nobody has removed it yet. */
const LOOK = `SELECT version, floor(extract(epoch from now()) * 1000)::bigint AS now_ms,
    (SELECT count(*) FROM oar.upstream_states WHERE instance = $1) AS own,
    (SELECT json_agg(json_build_array(upstream_id, instance, target, model, cause, opening,
          floor(extract(epoch from until) * 1000), reason, is_told)
        ORDER BY until DESC, instance, upstream_id, n)::text
      FROM (
        SELECT upstream_id, instance, n, target, left(model, ${
  MAX_SHOWN_NAME_LENGTH + 1
}) AS model, cause, opening,
          until, left(reason, ${MAX_REASON_LENGTH}) AS reason, is_told
        FROM oar.upstream_findings JOIN oar.instances ON instances.id = upstream_findings.instance
        WHERE instance <> $1 AND isfinite(until)
          AND heartbeat_at >= now() - make_interval(secs => $2::float8)
        ORDER BY until DESC, instance, upstream_id, n LIMIT ${MAX_READ}
      ) AS other) AS others
  FROM oar.config_version WHERE id = 1`;

const PUT_STATES =
  `INSERT INTO oar.upstream_states (upstream_id, instance, state, until, reason, changed_at, attempts, failed,
    keys)
  SELECT upstream_id, $1, state, now() + make_interval(secs => until_ms / 1000), reason,
    now() + make_interval(secs => changed_ms / 1000), attempts, failed, keys
  FROM unnest($2::bigint[], $3::text[], $4::float8[], $5::text[], $6::float8[], $7::bigint[], $8::bigint[], $9::text[])
    AS own (upstream_id, state, until_ms, reason, changed_ms, attempts, failed, keys)`;

const PUT_FINDINGS =
  `INSERT INTO oar.upstream_findings (upstream_id, instance, n, target, model, cause, opening, until, reason, is_told)
  SELECT upstream_id, $1, n, target, model, cause, opening, now() + make_interval(secs => until_ms / 1000), reason,
    is_told
  FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::float8[], $9::text[],
    $10::boolean[]) AS own (upstream_id, n, target, model, cause, opening, until_ms, reason, is_told)`;
