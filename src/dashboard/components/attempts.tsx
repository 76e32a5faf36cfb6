/**
 * The attempts of a request as bars on one timeline.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { UNBLAMED_CLASSES } from "../../core/types.ts";
import type { RecordDetail } from "../../control/admin_service.ts";
import { harmless } from "../../core/recorded_text.ts";
import { inParts } from "../record_texts.ts";
import type { PageContext } from "../page_context.ts";
import { Chip, Recorded } from "./parts.tsx";

const PART_LENGTH = 16_000;

type ShownAttempt = RecordDetail["attempts"][number];

/** The upstream, and which of several keys. */
function Asked({ page, attempt }: { page: PageContext; attempt: ShownAttempt }): JSX.Element {
  const { upstreamName, keyN } = attempt;
  return (
    <span class="strong">
      <Recorded text={upstreamName} />
      {keyN === null ? null : ` · ${page.m.keyNumber(keyN)}`}
    </span>
  );
}

export function Attempts({ page, detail }: { page: PageContext; detail: RecordDetail }): JSX.Element {
  const { m } = page;
  const { record, attempts } = detail;
  if (attempts.length === 0) return <p class="muted">{m.attemptNone}</p>;
  const startMs = Math.min(record.createdAtMs ?? Infinity, ...attempts.map((each) => each.startedAtMs));
  const endMs = Math.max(
    startMs + (record.elapsedMs ?? 0),
    ...attempts.map(({ startedAtMs, durationMs }) => startedAtMs + durationMs),
    startMs + 1,
  );
  const percent = (ms: number) => `${Math.max(0, Math.min(100, ms / (endMs - startMs) * 100)).toFixed(2)}%`;
  return (
    <ol class="attempts">
      {attempts.map((attempt) => {
        const isGood = attempt.errorClass === null;
        const isLast = attempt === attempts.at(-1);
        return (
          <li class="attempt">
            <div class="attempt-head">
              <Asked page={page} attempt={attempt} />
              <Chip tone={isGood ? "good" : UNBLAMED_CLASSES.has(attempt.errorClass ?? "") ? "quiet" : "bad"}>
                {[attempt.status, isGood ? m.attemptOk : attempt.errorClass].filter((each) => each !== null)
                  .join(" ")}
              </Chip>
              <span class="number muted">{facts(page, attempt)}</span>
            </div>
            <svg class="bar" width="100%" height="10" aria-hidden="true">
              <rect class="bar-track" width="100%" height="10" rx="5" />
              <rect
                class={isGood ? "bar-fill" : "bar-fill bar-bad"}
                x={percent(attempt.startedAtMs - startMs)}
                width={percent(Math.max(attempt.durationMs, (endMs - startMs) / 100))}
                height="10"
                rx="5"
              />
              {isLast && record.firstTokenMs !== null
                ? <rect class="bar-mark" x={percent(record.firstTokenMs)} width="2" height="10" />
                : null}
            </svg>
            {attempt.message === null ? null : (
              <p class="attempt-message">
                <Recorded text={attempt.message} />
              </p>
            )}
            {attempt.partial === null ? null : (
              <details class="attempt-message">
                <summary>{m.attemptPartial}</summary>
                {inParts(attempt.partial, PART_LENGTH).map((part) => (
                  <div class="text" dir="auto">{harmless(part)}</div>
                ))}
              </details>
            )}
          </li>
        );
      })}
    </ol>
  );
}

function facts({ m, format }: PageContext, attempt: RecordDetail["attempts"][number]): string {
  const took = format.duration(attempt.durationMs);
  return attempt.isChanged ? `${took} · ${m.attemptChanged}` : took;
}
