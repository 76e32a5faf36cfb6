/**
 * Everything about a record except its texts, as a description list.
 */
import type { Child } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import type { StoredRecord } from "../../../store/store.ts";
import type { RecordDetail } from "../../../control/admin_service.ts";
import { usdText } from "../../../core/money.ts";
import { Moment, Recorded } from "../../components/parts.tsx";
import type { PageContext } from "../../page_context.ts";
import { recordsPath } from "../../record_query.ts";

interface FactsProps {
  readonly page: PageContext;
  readonly record: StoredRecord;
}

export function Facts({ page, detail: { record, upstreamName } }: {
  page: PageContext;
  detail: RecordDetail;
}): JSX.Element {
  const { m } = page;
  return (
    <dl class="facts">
      <RequestFacts page={page} record={record} />
      <Fact label={m.factUpstream}>
        {upstreamName === null ? null : (
          <a href={recordsPath({ upstream: String(record.upstreamId) })}>
            <Recorded text={upstreamName} />
          </a>
        )}
      </Fact>
      <Fact label={m.factAffinity}>{affinityText(m, record.affinity)}</Fact>
      <TimeFacts page={page} record={record} />
      <TokenFacts page={page} record={record} />
      <CostFact page={page} record={record} />
      <Fact label={m.factFinish}>
        {record.finishReason === null ? null : <Recorded text={record.finishReason} />}
      </Fact>
      <Fact label={m.factSizes}>
        {m.factSizesText(page.format.bytes(record.requestBytes), page.format.bytes(record.responseBytes))}
      </Fact>
      <ClientFacts page={page} record={record} />
    </dl>
  );
}

/** What somebody typed is shown as it is; null: nothing tied the request to an upstream. */
function affinityText(m: PageContext["m"], affinity: string | null): Child {
  if (affinity === null) return null;
  const known = Object.entries(m.affinities).find(([name]) => name === affinity);
  return known?.[1] ?? <Recorded text={affinity} />;
}

function RequestFacts({ page, record }: FactsProps): JSX.Element {
  const { m } = page;
  const isOtherModel = record.responseModel !== null && record.responseModel !== record.model;
  return (
    <>
      <Fact label={m.factTime}>
        <Moment page={page} atMs={record.createdAtMs} />
      </Fact>
      <Fact label={m.factRequest}>
        <span class="mono">
          <Recorded text={[record.method, record.path].filter(Boolean).join(" ")} />
        </span>
        {record.isStream ? <span class="muted">{m.factStream}</span> : null}
      </Fact>
      <Fact label={m.factModel}>
        {record.model === null ? null : <Recorded text={record.model} />}
        {isOtherModel
          ? (
            <span class="muted">
              <Recorded text={m.factAnsweredAs(record.responseModel ?? "")} />
            </span>
          )
          : null}
      </Fact>
    </>
  );
}

function TimeFacts({ page: { m, format }, record }: FactsProps): JSX.Element {
  return (
    <>
      <Fact label={m.factTook}>{format.duration(record.elapsedMs)}</Fact>
      <Fact label={m.factQueued}>{record.queuedMs === null ? null : format.duration(record.queuedMs)}</Fact>
      <Fact label={m.factFirstByte}>
        {record.firstByteMs === null ? null : format.duration(record.firstByteMs)}
      </Fact>
      <Fact label={m.factFirstToken}>
        {record.firstTokenMs === null ? null : format.duration(record.firstTokenMs)}
      </Fact>
    </>
  );
}

function TokenFacts(
  { page: { m, format }, record: { usage, areTokensEstimated } }: FactsProps,
): JSX.Element {
  const about = areTokensEstimated ? "~" : "";
  return (
    <>
      <Fact label={m.factTokensIn}>
        {usage.inputTokens === null ? null : about + format.count(usage.inputTokens)}
        {usage.cachedTokens
          ? <span class="muted">{m.factCached(format.count(usage.cachedTokens))}</span>
          : null}
      </Fact>
      <Fact label={m.factTokensOut}>
        {usage.outputTokens === null ? null : about + format.count(usage.outputTokens)}
        {usage.reasoningTokens
          ? <span class="muted">{m.factReasoning(format.count(usage.reasoningTokens))}</span>
          : null}
        {areTokensEstimated ? <span class="muted">{m.factEstimated}</span> : null}
      </Fact>
    </>
  );
}

/** Unknown is said, since it is not 0. */
function CostFact({ page: { m }, record: { costNano, outcome } }: FactsProps): JSX.Element {
  const text = costNano === null ? m.costUnknown : m.costIs(usdText(costNano));
  return <Fact label={m.factCost}>{outcome === "in_flight" ? null : text}</Fact>;
}

function ClientFacts({ page: { m }, record }: FactsProps): JSX.Element {
  return (
    <>
      <Fact label={m.factClient}>
        {record.client
          ? (
            <a href={recordsPath({ client: record.client })}>
              <Recorded text={record.client} />
            </a>
          )
          : null}
      </Fact>
      <Fact label={m.factAuthorization}>
        {record.authorization
          ? (
            <span class="mono">
              <Recorded text={record.authorization} />
            </span>
          )
          : null}
      </Fact>
      <Fact label={m.factAddress}>{record.ip ? <Recorded text={record.ip} /> : null}</Fact>
      <Fact label={m.factAgent}>{record.userAgent ? <Recorded text={record.userAgent} /> : null}</Fact>
      <Fact label={m.factRequestId}>
        {record.requestId === null ? null : (
          <span class="mono">
            <Recorded text={record.requestId} />
          </span>
        )}
      </Fact>
    </>
  );
}

/** Renders nothing when the value is unknown. */
function Fact({ label, children }: { label: string; children: Child }): JSX.Element | null {
  const parts = [children].flat().filter((each) => each !== null && each !== undefined);
  if (parts.length === 0) return null;
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}
