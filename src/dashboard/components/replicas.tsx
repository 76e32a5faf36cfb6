/**
 * PostgreSQL as this server sees it, and the replicas that share it.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { PostgresStatus, ReplicaStatus } from "../../control/admin_service.ts";
import type { PageContext } from "../page_context.ts";
import { Notice, Recorded } from "./parts.tsx";

interface ReplicasProps {
  readonly page: PageContext;
  readonly postgres: PostgresStatus;
}

export function Replicas({ page, postgres }: ReplicasProps): JSX.Element {
  const { m, format } = page;
  const { url, isUp, problem, waiting, oldestAgeMs, rejected, replicas } = postgres;
  return (
    <section class="card" id="postgres" aria-labelledby="postgres-title">
      <h2 id="postgres-title">{m.replicasTitle}</h2>
      <dl class="facts">
        <div>
          <dt>{m.replicasState}</dt>
          <dd>
            {isUp ? m.replicasUp : m.replicasDown}
            <span class="muted">
              <Recorded text={url} />
            </span>
          </dd>
        </div>
        <div>
          <dt>{m.replicasWaiting}</dt>
          <dd>
            {waiting === null ? "–" : m.replicasRecords(waiting)}
            {oldestAgeMs === null
              ? null
              : <span class="muted">{m.replicasOldest(Math.round(oldestAgeMs / 1000))}</span>}
          </dd>
        </div>
        {rejected === null || rejected === 0 ? null : (
          <div>
            <dt>{m.replicasRejected}</dt>
            <dd>{m.replicasRecords(rejected)}</dd>
          </div>
        )}
      </dl>
      {problem === null ? null : (
        <Notice tone="bad">
          <Recorded text={problem} />
        </Notice>
      )}
      {replicas === null
        ? <p class="muted">{m.replicasUnknown}</p>
        : <ReplicaTable page={page} replicas={replicas} format={format} />}
    </section>
  );
}

function ReplicaTable({ page, replicas, format }: {
  page: PageContext;
  replicas: readonly ReplicaStatus[];
  format: PageContext["format"];
}): JSX.Element {
  const { m } = page;
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">{m.replicaListens}</th>
          <th scope="col">{m.replicaVersion}</th>
          <th scope="col">{m.replicaSeen}</th>
          <th scope="col">{m.replicaWaiting}</th>
        </tr>
      </thead>
      <tbody>
        {replicas.map(({ listen, version, silentMs, waiting, isThis }) => (
          <tr>
            <th scope="row">
              <Recorded text={listen} /> {isThis ? <span class="muted">{m.replicaHere}</span> : null}
            </th>
            <td>
              <Recorded text={version} />
            </td>
            <td>{m.replicaSecondsAgo(Math.round(silentMs / 1000))}</td>
            <td>{format.count(waiting)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
