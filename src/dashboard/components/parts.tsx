/**
 * Small pieces that every view uses: recorded text, moments, chips, notices, form fields.
 */
import type { Child } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import { harmless } from "../../core/recorded_text.ts";
import { CSRF_FIELD } from "../../http/admin/auth.ts";
import type { Stats, UpstreamView } from "../../control/admin_service.ts";
import type { Messages } from "../messages/en.ts";
import type { PageContext } from "../page_context.ts";
import { failuresOf } from "../verdict.ts";

/** Text from outside: control characters become visible, and its direction is isolated. */
export function Recorded({ text }: { text: string }): JSX.Element {
  return <bdi>{harmless(text)}</bdi>;
}

/** A moment in the page's zone. */
export function Moment({ page, atMs }: { page: PageContext; atMs: number | null }): JSX.Element {
  const shown = page.zone.format(atMs);
  if (atMs === null || shown === "-") return <span class="muted">–</span>;
  const [date = "", clock = ""] = shown.split(" ");
  return (
    <time class="moment" datetime={new Date(atMs).toISOString()}>
      <span class="date">{date}</span> <span class="clock">{clock}</span>
    </time>
  );
}

export type Tone = "good" | "warn" | "bad" | "info" | "quiet";

export function Chip({ tone, children }: { tone: Tone; children: Child }): JSX.Element {
  return <span class={`chip chip-${tone}`}>{children}</span>;
}

interface OutcomeProps {
  readonly page: PageContext;
  readonly status: number | null;
  readonly outcome: string | null;
}

/** How a request ended: its status, and what went wrong in words. */
export function OutcomeChip({ page, status, outcome }: OutcomeProps): JSX.Element {
  const { number, words } = outcomeParts(page.m, status, outcome);
  return <Chip tone={toneOf(status, outcome)}>{[number, words].filter(Boolean).join(" ") || "–"}</Chip>;
}

/** The same on two lines, for a narrow column. */
export function OutcomeLines({ page, status, outcome }: OutcomeProps): JSX.Element {
  const { number, words } = outcomeParts(page.m, status, outcome);
  const tone = toneOf(status, outcome);
  if (number === null || words === null) return <Chip tone={tone}>{number ?? words ?? "–"}</Chip>;
  return (
    <>
      <Chip tone={tone}>{number}</Chip>
      <span class={tone === "bad" ? "line second bad" : "line second"}>{words}</span>
    </>
  );
}

function outcomeParts(
  m: Messages,
  status: number | null,
  outcome: string | null,
): { readonly number: string | null; readonly words: string | null } {
  const isUnderWay = outcome === "in_flight";
  const number = status === null || status === 0 || isUnderWay ? null : String(status);
  const isGood = outcome === null || (outcome === "complete" && number !== null);
  return { number, words: isGood ? null : outcomeText(m, outcome) };
}

export function outcomeText(m: Messages, outcome: string): string {
  return Object.hasOwn(m.outcomes, outcome) ? m.outcomes[outcome as keyof Messages["outcomes"]] : outcome;
}

function toneOf(status: number | null, outcome: string | null): Tone {
  if (outcome === "in_flight") return "info";
  if (outcome === "client_gone") return "quiet";
  if (outcome === "complete" || outcome === null) return status !== null && status >= 400 ? "bad" : "good";
  return "bad";
}

/** The word for how an upstream is. */
export function stateText(m: Messages, state: UpstreamView["state"]): string {
  return m.states[state];
}

const STATE_TONES = {
  ok: "good",
  failing: "bad",
  trying: "warn",
  no_credit: "bad",
  disabled: "quiet",
  untested: "info",
  skipped: "bad",
} as const satisfies Record<UpstreamView["state"], Tone>;

interface StateProps {
  readonly page: PageContext;
  readonly upstream: UpstreamView;
  /** Of the chosen time. */
  readonly shares: Stats["upstreams"];
}

/** `failing (next try 10:23:32)`; `ok, 37 % failed`. */
export function StateChip({ page, upstream, shares }: StateProps): JSX.Element {
  const { m } = page;
  const { state, openUntilMs } = upstream;
  const word = stateText(m, state);
  const count = failuresOf(upstream, shares);
  if (count !== null && (state === "ok" || state === "untested")) {
    return <Chip tone="warn">{m.stateShare(word, count.percent)}</Chip>;
  }
  if (openUntilMs === null) return <Chip tone={STATE_TONES[state]}>{word}</Chip>;
  return (
    <Chip tone={STATE_TONES[state]}>
      {word} ({m.nextTry}{" "}
      <span class="clock-only">
        <Moment page={page} atMs={openUntilMs} />
      </span>)
    </Chip>
  );
}

/** `in 23 s`, counted down by the page's script. */
export function Countdown(
  { page, untilMs }: { page: PageContext; untilMs: number | null },
): JSX.Element | null {
  if (untilMs === null) return null;
  const seconds = Math.max(0, Math.ceil((untilMs - page.nowMs) / 1000));
  return (
    <span class="countdown">
      {page.m.nextTryIn} <span class="number" data-until={untilMs}>{seconds}</span> s
    </span>
  );
}

export function Notice({ tone, children }: { tone: Tone; children: Child }): JSX.Element {
  return <div class={`notice notice-${tone}`} role={tone === "bad" ? "alert" : "status"}>{children}</div>;
}

/** An empty list, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: Child }): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export function CsrfField({ page }: { page: PageContext }): JSX.Element | null {
  return page.csrf === null ? null : <input type="hidden" name={CSRF_FIELD} value={page.csrf} />;
}

/** An input with its label and hint; other attributes go to the input. */
export function Field({ label, hint, name, isMono, isWide, ...rest }: {
  label: string;
  hint?: string;
  name: string;
  /** The value is code, shown in a monospaced font. */
  isMono?: boolean;
  isWide?: boolean;
  [attribute: string]: unknown;
}): JSX.Element {
  const id = `field-${name}`;
  return (
    <div class={isWide ? "field field-wide" : "field"}>
      <label for={id}>{label}</label>
      <input
        id={id}
        name={name}
        class={isMono ? "mono" : undefined}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        {...rest}
      />
      {hint === undefined ? null : <p class="hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  );
}

export interface Choice {
  readonly value: string;
  readonly text: string;
}

export function Select({ label, name, value, choices, isDisabled = false }: {
  label: string;
  name: string;
  value: string;
  choices: readonly Choice[];
  isDisabled?: boolean;
}): JSX.Element {
  const id = `field-${name}`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} name={name} disabled={isDisabled}>
        {choices.map((choice) => (
          <option value={choice.value} selected={choice.value === value}>{harmless(choice.text)}</option>
        ))}
      </select>
    </div>
  );
}

/** Hidden until the page's script shows it: it does not work without one. */
export function CopyButton({ page, target }: { page: PageContext; target: string }): JSX.Element {
  return (
    <button type="button" class="button button-small" data-copy={target} data-copied={page.m.copied} hidden>
      {page.m.copy}
    </button>
  );
}

/** Copies the code beside it. */
export function CopyCode({ page }: { page: PageContext }): JSX.Element {
  return (
    <button type="button" class="button-plain copy" data-copy="" data-copied={page.m.copied} hidden>
      {page.m.copy}
    </button>
  );
}

/** Copies a text of a record as it was recorded, which the page may show formatted or in part. */
export function CopyText({ page, path }: { page: PageContext; path: string }): JSX.Element {
  return (
    <button
      type="button"
      class="button-plain copy"
      data-copy=""
      data-copy-path={path}
      data-copied={page.m.copied}
      hidden
    >
      {page.m.copy}
    </button>
  );
}
