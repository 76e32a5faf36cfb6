/**
 * One upstream of the list: its place, its state, and the actions on it.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { UpstreamTest, UpstreamView } from "../../../control/admin_service.ts";
import { formatBytes } from "../../../core/recorded_text.ts";
import { Icon } from "../../components/icons.tsx";
import { Countdown, CsrfField, Notice, Recorded, StateChip } from "../../components/parts.tsx";
import { UpstreamFigures } from "../../components/upstream_figures.tsx";
import type { PageContext } from "../../page_context.ts";
import type { UpstreamsProps } from "./props.ts";

/** Longer lists are opened by hand. */
const MAX_OPEN_KEYS = 20;

interface UpstreamProps {
  readonly page: PageContext;
  readonly upstream: UpstreamView;
}

export function UpstreamItem({ page, upstream, upstreams, stats, tested }: UpstreamsProps & {
  upstream: UpstreamView;
}): JSX.Element {
  const { id, place, problem } = upstream;
  return (
    <li class="card upstream" id={`upstream-${id}`} data-upstream={id} data-place={place}>
      <Order page={page} upstream={upstream} count={upstreams.length} />
      <div class="upstream-text">
        <Head page={page} upstream={upstream} stats={stats} />
        <p class="mono wrap">
          <Recorded text={upstream.endpoint} />
        </p>
        <p class="muted">{optionsOf(page, upstream)}</p>
        {problem === null ? null : (
          <p class="bad">
            <Recorded text={problem} />
          </p>
        )}
        <Keys page={page} upstream={upstream} />
        <UpstreamFigures page={page} stats={stats} upstream={upstream} />
        <div id={`test-${id}`} class="test-result" aria-live="polite">
          {tested?.id === id ? <TestResult page={page} result={tested.result} /> : null}
        </div>
      </div>
      <Actions page={page} upstream={upstream} />
    </li>
  );
}

/** Each of several keys, masked, and how it is. */
function Keys({ page, upstream: { keys } }: UpstreamProps): JSX.Element | null {
  const { m } = page;
  if (keys.length < 2) return null;
  const held = keys.filter(({ state }) => state !== "ok");
  return (
    <details class="upstream-keys" open={held.length > 0 && keys.length <= MAX_OPEN_KEYS}>
      <summary>{held.length === 0 ? m.keysOf(keys.length) : m.keysHeld(held.length, keys.length)}</summary>
      <ol class="keys">
        {keys.map(({ n, key, state, untilMs, reason, inFlight }) => (
          <li value={n}>
            <span class="mono">
              <Recorded text={key} />
            </span>{" "}
            <span class={state === "ok" ? "good" : "bad"}>{m.keyWord(state)}</span>
            {inFlight === 0 ? null : ` · ${m.inFlightIs(inFlight, null)}`}
            {reason === null || reason === "" ? null : (
              <>
                {" · "}
                <Recorded text={reason} />
              </>
            )}
            {untilMs === null ? null : (
              <>
                {" · "}
                <Countdown page={page} untilMs={untilMs} />
              </>
            )}
          </li>
        ))}
      </ol>
    </details>
  );
}

/** The drag handle, the place, and the buttons to move up and down. */
function Order(
  { page, upstream: { id, name, place }, count }: UpstreamProps & { count: number },
): JSX.Element {
  const { m } = page;
  return (
    <div class="upstream-order">
      <button
        type="button"
        class="button-plain grip"
        data-grip
        hidden
        aria-label={m.drag(name)}
        tabindex={-1}
      >
        <Icon name="grip" />
      </button>
      <span class="place number">{place}</span>
      <form method="post" action={`/admin/upstreams/${id}/move`} class="move">
        <CsrfField page={page} />
        <button
          type="submit"
          name="place"
          value={place - 1}
          class="button-plain"
          aria-label={m.moveUp(name)}
          disabled={place <= 1}
        >
          <Icon name="up" />
        </button>
        <button
          type="submit"
          name="place"
          value={place + 1}
          class="button-plain"
          aria-label={m.moveDown(name)}
          disabled={place >= count}
        >
          <Icon name="down" />
        </button>
      </form>
    </div>
  );
}

function Head({ page, upstream, stats }: UpstreamProps & Pick<UpstreamsProps, "stats">): JSX.Element {
  const { name, reason, openUntilMs } = upstream;
  return (
    <div class="upstream-head">
      <h2>
        <Recorded text={name} />
      </h2>
      <StateChip page={page} upstream={upstream} shares={stats.upstreams} />
      {openUntilMs !== null
        ? (
          <span class="muted">
            {reason === null ? null : (
              <>
                <Recorded text={reason} />
                {" · "}
              </>
            )}
            <Countdown page={page} untilMs={openUntilMs} />
          </span>
        )
        : null}
    </div>
  );
}

function Actions({ page, upstream }: UpstreamProps): JSX.Element {
  const { m } = page;
  const { id, name } = upstream;
  return (
    <div class="upstream-actions">
      <form
        method="post"
        action={`/admin/upstreams/${id}/test#upstream-${id}`}
        hx-post={`/admin/upstreams/${id}/test`}
        hx-target={`#test-${id}`}
        hx-select={`#test-${id}`}
        hx-swap="outerHTML"
        hx-disabled-elt="find button"
      >
        <CsrfField page={page} />
        <button type="submit" class="button button-small">
          {m.test}
          <OfUpstream name={name} />
        </button>
      </form>
      <a class="button button-small" href={`/admin/upstreams/${id}`}>
        {m.edit}
        <OfUpstream name={name} />
      </a>
      <form method="post" action={`/admin/upstreams/${id}/${upstream.isEnabled ? "disable" : "enable"}`}>
        <CsrfField page={page} />
        <button type="submit" class="button button-small">
          {upstream.isEnabled ? m.disable : m.enable}
          <OfUpstream name={name} />
        </button>
      </form>
      <a class="button button-small" href={`/admin/upstreams/${id}/remove`}>
        {m.remove}
        <OfUpstream name={name} />
      </a>
    </div>
  );
}

/** The upstream that a button is about, for screen readers. */
function OfUpstream({ name }: { name: string }): JSX.Element {
  return (
    <span class="visually-hidden">
      {" "}
      <Recorded text={name} />
    </span>
  );
}

function optionsOf({ m, format }: PageContext, upstream: UpstreamView): JSX.Element {
  const { timeoutSeconds, allow, deny, modelMap, authStyle, weight, modelCount, inFlight, limit } = upstream;
  const mapped = Object.keys(modelMap).length;
  const options = [
    ...(modelCount === null ? [] : [m.modelsCount(modelCount, format.count(modelCount))]),
    ...(inFlight === 0 && limit === null ? [] : [m.inFlightIs(inFlight, limit)]),
    ...(authStyle === null ? [] : [authStyle]),
    ...(timeoutSeconds === null ? [] : [m.timeoutIs(timeoutSeconds)]),
    ...(allow.length === 0 ? [] : [m.allowIs(allow.join(", "))]),
    ...(deny.length === 0 ? [] : [m.denyIs(deny.join(", "))]),
    ...(mapped === 0 ? [] : [m.mapsModels(mapped)]),
    ...(weight === 1 ? [] : [m.weightIs(weight)]),
    ...shortOptions(m, upstream),
  ];
  return (
    <>
      {m.keyIs}{" "}
      <span class="mono">
        <Recorded text={upstream.key} />
      </span>
      {options.map((option) => (
        <>
          {" · "}
          <Recorded text={option} />
        </>
      ))}
    </>
  );
}

function shortOptions(m: PageContext["m"], options: UpstreamView): string[] {
  const { maxParallel, rpm, tpm, setHeaders, bodyPatch, onlyPaths, maxBodyBytes } = options;
  const { keyPolicy, streamTimeoutSeconds, priceFactor, errorTexts, proxy, usage } = options;
  const isChanging = Object.keys(setHeaders).length > 0 || bodyPatch !== null;
  return [
    ...(keyPolicy === "fill" ? [m.keysFilled] : []),
    ...(maxParallel === null ? [] : [m.maxParallelIs(maxParallel)]),
    ...(rpm === null ? [] : [m.rpmIs(rpm)]),
    ...(tpm === null ? [] : [m.tpmIs(tpm)]),
    ...(isChanging ? [m.changesRequests] : []),
    ...(onlyPaths.length === 0 ? [] : [m.onlyPathsIs(onlyPaths.join(", "))]),
    ...(maxBodyBytes === null ? [] : [m.maxBodyIs(formatBytes(maxBodyBytes))]),
    ...(streamTimeoutSeconds === null ? [] : [m.streamTimeoutIs(streamTimeoutSeconds)]),
    ...(priceFactor === 1 ? [] : [m.priceFactorIs(priceFactor)]),
    ...(errorTexts.length === 0 ? [] : [m.errorTextsAre(errorTexts.length)]),
    ...(proxy === null ? [] : [m.proxyIs(proxy)]),
    ...(usage === null ? [] : [m.usageIs(usage)]),
  ];
}

function TestResult({ page, result }: { page: PageContext; result: UpstreamTest }): JSX.Element {
  const { m, format } = page;
  const took = format.duration(result.durationMs);
  return (
    <Notice tone={result.isOk ? "good" : "bad"}>
      <p>
        <strong>{result.isOk ? m.testOk(result.models.length, took) : m.testFailed(took)}</strong>{" "}
        {result.isOk ? null : <Recorded text={result.message} />}
      </p>
      {result.models.length === 0 ? null : (
        <details>
          <summary>{m.testModels}</summary>
          <ul class="words">
            {result.models.map((model) => (
              <li class="mono">
                <Recorded text={model} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </Notice>
  );
}
