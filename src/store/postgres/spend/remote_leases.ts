/**
 * What tokens have spent, and what servers may still charge them, in PostgreSQL: the rules of SQLite (../../spend/), over
 * replicas.
 *
 * Two transactions that renew leases of one token wait for each other, by a lock of the transaction on the token's number;
 * of several tokens, in the order of their numbers, so that none waits for the other.
 */
import { grantedNano } from "../../../core/lease_grant.ts";
import type { LeaseAnswer, LeaseRequest, SpendStore } from "../../../core/spend.ts";
import { SPEND_COLUMNS } from "../../database/cost_columns.ts";
import { DEAD_SUFFIX } from "../../spend/spend_ledger.ts";
import type { PgQuery, PgStore } from "../query.ts";
import { toReadError } from "../read/errors.ts";
import { safeSum } from "../read/spending.ts";

/** Of each statement: a request of a client waits for it. */
const TIMEOUT_MS = 2_000; // docs/tuning.md#spending

const COLUMNS = Object.keys(SPEND_COLUMNS);

const LOCK =
  "SELECT pg_advisory_xact_lock(hashtextextended('oar.token_spend', id)) FROM unnest($1::bigint[]) AS asked (id)";

/** What there is before the rows of the requests are noted; those that they replace apart. */
const ACCOUNTS = `SELECT asked.token_id, spent.*, held.*
  FROM unnest($2::bigint[], $3::text[]) AS asked (token_id, from_day)
  CROSS JOIN LATERAL (
    SELECT ${
  filteredSum(
    'given.day IS NULL AND s.day COLLATE "C" >= asked.from_day AND s.source <> $1::text || $6::text',
  )
} AS spent,
      ${filteredSum("given.day IS NOT NULL")} AS replaced,
      ${filteredSum("s.source = $1::text || $6::text")} AS charged
    FROM oar.token_spend s
    LEFT JOIN unnest($4::bigint[], $5::text[]) AS given (token_id, day)
      ON given.token_id = s.token_id AND given.day = s.day AND s.source = $1::text
    WHERE s.token_id = asked.token_id
  ) spent CROSS JOIN LATERAL (
    SELECT ${safeSum("CASE WHEN l.source = $1::text THEN greatest(l.nano, 0) END")} AS own_lease,
      ${safeSum("CASE WHEN l.source <> $1::text THEN greatest(l.nano, 0) END")} AS others_lease
    FROM oar.token_leases l WHERE l.token_id = asked.token_id
  ) held`;

const PUT = `WITH put AS (
    INSERT INTO oar.token_spend (token_id, day, source, ${COLUMNS.join(", ")})
    SELECT token_id, day, $1::text, ${COLUMNS.join(", ")}
    FROM unnest($4::bigint[], $5::text[], ${COLUMNS.map((_, place) => `$${place + 7}::bigint[]`).join(", ")})
      AS given (token_id, day, ${COLUMNS.join(", ")})
    ON CONFLICT (token_id, day, source) DO UPDATE SET ${
  COLUMNS.map((name) => `${name} = excluded.${name}`).join(", ")
}
  ), back AS (
    DELETE FROM oar.token_spend WHERE token_id = ANY ($2::bigint[]) AND source = $1::text || $6::text
  ), leased AS (
    INSERT INTO oar.token_leases (token_id, source, nano, renewed_ms)
    SELECT token_id, $1::text, nano, (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM unnest($2::bigint[], $3::bigint[]) AS granted (token_id, nano) WHERE nano > 0
    ON CONFLICT (token_id, source) DO UPDATE SET nano = excluded.nano, renewed_ms = excluded.renewed_ms
  )
  DELETE FROM oar.token_leases USING unnest($2::bigint[], $3::bigint[]) AS granted (token_id, nano)
  WHERE token_leases.token_id = granted.token_id AND source = $1::text AND granted.nano = 0`;

function filteredSum(condition: string): string {
  return safeSum(`CASE WHEN ${condition} THEN s.cost_nano END`);
}

interface Account {
  readonly token_id: number;
  readonly spent: number;
  readonly replaced: number;
  readonly charged: number;
  readonly own_lease: number;
  readonly others_lease: number;
}

export class RemoteLeases implements SpendStore {
  readonly #database: Pick<PgStore, "write">;
  readonly #source: string;

  /** @param source the run of this server */
  constructor(database: Pick<PgStore, "write">, source: string) {
    this.#database = database;
    this.#source = source;
  }

  /** @throws StoreError */
  async renew(requests: readonly LeaseRequest[]): Promise<readonly LeaseAnswer[]> {
    if (requests.length === 0) return [];
    try {
      return await this.#database.write((query) => this.#renewWith(query, requests), {
        timeoutMs: TIMEOUT_MS,
      });
    } catch (error) {
      throw toReadError(error, "Cannot note what was spent");
    }
  }

  async #renewWith(query: PgQuery, requests: readonly LeaseRequest[]): Promise<LeaseAnswer[]> {
    const ids = requests.map(({ tokenId }) => tokenId);
    await lockTokens(query, ids);
    const rows = requests.flatMap(({ tokenId, rows }) => rows.map((row) => ({ tokenId, ...row })));
    const given = [rows.map(({ tokenId }) => tokenId), rows.map(({ day }) => day)];
    const accounts = await query<Account>(ACCOUNTS, [
      this.#source,
      ids,
      requests.map(({ fromDay }) => fromDay),
      ...given,
      DEAD_SUFFIX,
    ]);
    const byId = new Map(accounts.map((account) => [account.token_id, account]));
    const answers = requests.map((request) => answerOf(request, byId.get(request.tokenId)));
    await query(PUT, [
      this.#source,
      ids,
      answers.map(({ leaseNano }) => leaseNano),
      ...given,
      DEAD_SUFFIX,
      rows.map(({ costNano }) => costNano),
      rows.map((row) => row.requests),
      rows.map(({ tokens }) => tokens),
      rows.map(({ estimatedNano }) => estimatedNano),
      rows.map(({ overshootNano }) => overshootNano),
    ]);
    return answers;
  }
}

/** Until the transaction ends. @throws PgError */
export async function lockTokens(query: PgQuery, ids: readonly number[]): Promise<void> {
  await query(LOCK, [ids.toSorted((a, b) => a - b)]);
}

function answerOf(request: LeaseRequest, account: Account | undefined): LeaseAnswer {
  const { tokenId, rows, fromDay } = request;
  const { spent = 0, replaced = 0, charged = 0, own_lease = 0, others_lease = 0 } = account ?? {};
  const given = (from: string): number =>
    rows.reduce((sum, { day, costNano }) => day >= from ? sum + costNano : sum, 0);
  const spentNano = spent + given(fromDay);
  const leaseNano = grantedNano(request, {
    spentNano,
    grownNano: given("") - replaced,
    // It was taken for dead, and is not: what it might have charged is its lease again.
    heldNano: own_lease + charged,
    othersLeaseNano: others_lease,
  });
  return { tokenId, leaseNano, spentNano, othersLeaseNano: others_lease };
}
