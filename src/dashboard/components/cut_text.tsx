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
  if (!isCut(text, limit)) {
    return <div class={kind} id={textKey} dir="auto">{harmless(text)}</div>;
  }
  const start = beginning(text, limit);
  return (
    <div class={kind} id={textKey}>
      <div dir="auto" class="text-cut">{harmless(start)}</div>
      <CutNote
        page={page}
        recordId={recordId}
        textKey={textKey}
        text={text}
        form={isMono ? "mono" : null}
        shownLength={start.length}
      />
    </div>
  );
}

/** Whether only the beginning of a text is shown at first. */
export function isCut(text: string, limit: number): boolean {
  return text.length > limit * TOLERANCE;
}

/** How much is shown, and the link that loads the rest. */
export function CutNote({ page, recordId, textKey, text, form, shownLength }:
  & Pick<CutTextProps, "page" | "recordId" | "textKey" | "text">
  & {
    /** How the whole text is to be shown; null: as proportional text. */
    form: "mono" | "md" | null;
    shownLength: number;
  }): JSX.Element {
  const { m, format } = page;
  const characters = (count: number) => m.characters(format.short(count));
  const keyPath = encodeURIComponent(textKey);
  const as = page.isPlain ? "&as=text" : "";
  return (
    <p class="cut-note">
      <span class="muted">{m.cutNote(format.short(shownLength), characters(text.length))}</span>{" "}
      <a
        href={`/admin/records/${recordId}?show=${keyPath}${as}#${keyPath}`}
        hx-get={`/admin/records/${recordId}/text/${keyPath}${form === null ? "" : `?${form}=1`}`}
        hx-target="closest .text"
        hx-swap="outerHTML"
      >
        {m.showAll(characters(text.length))}
      </a>
    </p>
  );
}

/** The line break between two parts is the end of the block. */
function shown(part: string): string {
  return harmless(part.endsWith("\n") ? part.slice(0, -1) : part);
}
