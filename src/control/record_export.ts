/**
 * Many records as one stream of lines, for the admin page and API.
 *
 * Owns the formats. Takes the memory of one page: the next one is read when the reader of the stream has taken the last.
 */
import { BYTE_ORDER_MARK, CSV_HEADER, csvLine } from "./record_csv.ts";
import type { WholeRecordPage } from "./admin_service.ts";
import type { RecordView } from "./record_view.ts";

export const EXPORT_FORMATS = ["csv", "jsonl"] as const;
export type ExportFormat = typeof EXPORT_FORMATS[number];

interface Format {
  readonly header: string;
  readonly line: (record: RecordView) => string;
}

const FORMATS: Readonly<Record<ExportFormat, Format>> = {
  // RFC 4180: every line ends with CRLF.
  csv: { header: `${BYTE_ORDER_MARK}${CSV_HEADER}\r\n`, line: (record) => `${csvLine(record)}\r\n` },
  jsonl: { header: "", line: (record) => `${JSON.stringify(record)}\n` },
};

export interface ExportSource {
  /** The next page, newest first; `beforeId` is the `nextBeforeId` of the last one, absent for the first. */
  readonly page: (beforeId: number | undefined) => Promise<WholeRecordPage>;
  /** Called once, at the end, whatever it is. */
  readonly onEnd: () => void;
}

/** Newest first. Errors when a page cannot be read, so that half a file is not taken for a whole one. */
export function exportStream(
  format: ExportFormat,
  { page, onEnd }: ExportSource,
): ReadableStream<Uint8Array> {
  const { header, line } = FORMATS[format];
  const encoder = new TextEncoder();
  let beforeId: number | undefined;
  let isBegun = false;
  let isCancelled = false;
  const next = async (): Promise<{ readonly text: string; readonly isLast: boolean }> => {
    let text = isBegun ? "" : header;
    isBegun = true;
    for (;;) {
      const { records, nextBeforeId } = await page(beforeId);
      for (const record of records) text += line(record);
      if (nextBeforeId === null || isCancelled) return { text, isLast: true };
      beforeId = nextBeforeId;
      // A page may be empty although older records match.
      if (text !== "") return { text, isLast: false };
    }
  };
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      try {
        const { text, isLast } = await next();
        if (isCancelled) return;
        if (text !== "") controller.enqueue(encoder.encode(text));
        if (!isLast) return;
        controller.close();
        onEnd();
      } catch (error) {
        onEnd();
        throw error;
      }
    },
    cancel: () => {
      isCancelled = true;
      onEnd();
    },
  }, { highWaterMark: 0 });
}
