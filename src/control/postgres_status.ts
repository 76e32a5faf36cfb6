/**
 * PostgreSQL as the admin page and its API show it.
 */
import type { PostgresStatus } from "./admin_service.ts";

/** What is known of it without asking. */
export interface PostgresView {
  /** Without anything secret. */
  readonly url: string;
  /** Random per process. */
  readonly instance: string;
  /** null: it is up. */
  readonly problem: () => string | null;
  /** Of this server's journal; null: not known. */
  readonly backlog: () => {
    readonly waiting: number;
    readonly oldestMs: number | null;
    readonly rejected: number;
  } | null;
  /** Asks PostgreSQL. @throws StoreError */
  readonly replicas: () => Promise<
    readonly {
      readonly id: string;
      readonly version: string;
      readonly listen: string;
      readonly waiting: number;
      readonly startedAtMs: number;
      readonly silentMs: number;
    }[]
  >;
}

/** Asks for the replicas only while PostgreSQL can be used, so that the page does not wait for it. */
export async function postgresStatus(view: PostgresView, nowMs: number): Promise<PostgresStatus> {
  const problem = view.problem();
  const backlog = view.backlog();
  const oldestMs = backlog?.oldestMs ?? null;
  return {
    url: view.url,
    isUp: problem === null,
    problem,
    waiting: backlog?.waiting ?? null,
    oldestAgeMs: oldestMs === null ? null : Math.max(0, nowMs - oldestMs),
    rejected: backlog?.rejected ?? null,
    replicas: problem === null ? await replicasOf(view) : null,
  };
}

async function replicasOf(view: PostgresView): Promise<PostgresStatus["replicas"]> {
  try {
    const replicas = await view.replicas();
    return replicas.map(({ id, version, listen, waiting, startedAtMs, silentMs }) => ({
      ...{ version, listen, waiting, startedAtMs, silentMs },
      isThis: id === view.instance,
    }));
  } catch {
    return null;
  }
}
