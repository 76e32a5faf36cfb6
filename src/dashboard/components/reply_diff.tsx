/**
 * The recorded reply and a new one side by side.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { harmless } from "../../core/recorded_text.ts";
import type { ReplayResult } from "../../control/admin_service.ts";
import type { PageContext } from "../page_context.ts";

/** One line of each side; null where that side has none. */
export interface DiffRow {
  readonly before: string | null;
  readonly after: string | null;
  readonly isSame: boolean;
}

/** More lines than anyone compares by eye. */
const MOST_ROWS = 2_000;
const LONGEST_LINE = 20_000;

/** Pairs added lines with the removed lines right before them. */
export function diffRows(diff: ReplayResult["diff"]): DiffRow[] {
  const rows: DiffRow[] = [];
  let removed: string[] = [];
  let added: string[] = [];
  const flush = () => {
    for (let at = 0; at < Math.max(removed.length, added.length); at++) {
      rows.push({ before: removed[at] ?? null, after: added[at] ?? null, isSame: false });
    }
    removed = [];
    added = [];
  };
  for (const { type, text } of diff) {
    const lines = text.split("\n");
    if (type === "removed") removed.push(...lines);
    else if (type === "added") added.push(...lines);
    else {
      flush();
      rows.push(...lines.map((line) => ({ before: line, after: line, isSame: true })));
    }
  }
  flush();
  return rows;
}

export function ReplyDiff({ page, diff }: { page: PageContext; diff: ReplayResult["diff"] }): JSX.Element {
  const { m } = page;
  const rows = diffRows(diff);
  return (
    <>
      {rows.every(({ isSame }) => isSame) ? <p class="good">{m.replaySame}</p> : null}
      <table class="diff">
        <thead>
          <tr>
            <th scope="col">{m.diffBefore}</th>
            <th scope="col">{m.diffAfter}</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, MOST_ROWS).map(({ before, after, isSame }) => (
            <tr>
              <Side line={before} kind={isSame ? "same" : "removed"} hint={m.diffRemoved} />
              <Side line={after} kind={isSame ? "same" : "added"} hint={m.diffAdded} />
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > MOST_ROWS ? <p class="muted">{m.diffCut}</p> : null}
    </>
  );
}

function Side({ line, kind, hint }: {
  line: string | null;
  kind: "same" | "removed" | "added";
  hint: string;
}): JSX.Element {
  if (line === null) return <td class="diff-none"></td>;
  const text = harmless(line.slice(0, LONGEST_LINE));
  if (kind === "same") return <td dir="auto">{text}</td>;
  return (
    <td class={`diff-${kind}`} dir="auto">
      <span class="visually-hidden">{hint}:</span>
      {kind === "removed" ? <del>{text}</del> : <ins>{text}</ins>}
    </td>
  );
}
