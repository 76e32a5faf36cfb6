/**
 * A recorded text of any length: its beginning, and a link that loads the rest.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { harmless } from "../../core/recorded_text.ts";
import type { PageContext } from "../page_context.ts";
import { beginning, inParts } from "../record_texts.ts";

export interface CutTextProps {
  readonly page: PageContext;
  readonly recordId: number;
  /** See {@link import("../record_texts.ts").findText}. */
  readonly textKey: string;
  readonly text: string;
  /** Characters that are shown at first. */
  readonly limit: number;
  readonly isMono?: boolean;
  /** The whole text is shown. */
  readonly isWhole?: boolean;
}

/** A text that is only slightly longer is not cut. */
const TOLERANCE = 1.25;
const PART_LENGTH = 16_000;

export function CutText(
  { page, recordId, textKey, text, limit, isMono, isWhole }: CutTextProps,
): JSX.Element {
  const kind = isMono ? "text mono" : "text";
  if (isWhole) {
    return (
      <div class={kind} id={textKey}>
        {inParts(text, PART_LENGTH).map((part) => <div class="text-part" dir="auto">{shown(part)}</div>)}
      </div>
    );
  }
  if (text.length <= limit * TOLERANCE) {
    return <div class={kind} id={textKey} dir="auto">{harmless(text)}</div>;
  }
  const { m, format } = page;
  const characters = (count: number) => m.characters(format.short(count));
  const start = beginning(text, limit);
  const keyPath = encodeURIComponent(textKey);
  return (
    <div class={kind} id={textKey}>
      <div dir="auto" class="text-cut">{harmless(start)}</div>
      <p class="cut-note">
        <span class="muted">{m.cutNote(format.short(start.length), characters(text.length))}</span>{" "}
        <a
          href={`/admin/records/${recordId}?show=${keyPath}#${keyPath}`}
          hx-get={`/admin/records/${recordId}/text/${keyPath}${isMono ? "?mono=1" : ""}`}
          hx-target="closest .text"
          hx-swap="outerHTML"
        >
          {m.showAll(characters(text.length))}
        </a>
      </p>
    </div>
  );
}

/** The line break between two parts is the end of the block. */
function shown(part: string): string {
  return harmless(part.endsWith("\n") ? part.slice(0, -1) : part);
}
