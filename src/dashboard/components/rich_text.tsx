/**
 * A recorded text that is Markdown: formatted, or as it is when that was asked for or it is too much.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { withoutImages } from "../../control/recorded_images.ts";
import { harmless } from "../../core/recorded_text.ts";
import { MAX_MARKDOWN_LENGTH, parseMarkdown } from "../markdown.ts";
import { beginning } from "../record_texts.ts";
import { CutNote, CutText, type CutTextProps, isCut } from "./cut_text.tsx";
import { Markdown } from "./markdown.tsx";

export function RichText(props: CutTextProps): JSX.Element {
  const { page, recordId, textKey, text, limit, isWhole = false } = props;
  if (page.isPlain) return <CutText {...props} />;
  const source = withoutImages(text);
  const isShortened = !isWhole && isCut(source, limit);
  // Whole, it may be long enough to be shown in parts.
  if (isWhole && source.length > MAX_MARKDOWN_LENGTH) return <CutText {...props} />;
  const shown = isShortened ? beginning(source, limit) : source;
  const tokens = parseMarkdown(harmless(shown));
  if (tokens === null) return <CutText {...props} />;
  const content = <Markdown page={page} recordId={recordId} textKey={textKey} tokens={tokens} />;
  if (!isShortened) return <div class="text md" id={textKey} dir="auto">{content}</div>;
  return (
    <div class="text md" id={textKey}>
      <div dir="auto" class="text-cut">{content}</div>
      <CutNote {...props} form="md" shownLength={shown.length} />
    </div>
  );
}
