/**
 * The request as a curl command, and both raw texts.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { CutText } from "../../components/cut_text.tsx";
import { CopyButton } from "../../components/parts.tsx";
import { curlCommand } from "../../curl.ts";
import { conversationOf, pretty } from "../../record_texts.ts";
import { RAW_LIMIT, type RecordProps } from "./props.ts";

export function RawTexts({ page, detail: { record }, wholeKey }: RecordProps): JSX.Element {
  const { m } = page;
  const common = { page, recordId: record.id, limit: RAW_LIMIT, isMono: true };
  const curl = curlCommand(record, page.origin);
  return (
    <section class="raw">
      <details class="card">
        <summary>{m.curl}</summary>
        {curl === null ? <p>{m.curlNoBody}</p> : (
          <>
            <p class="muted">
              {m.curlNote} {curl.isFromFile ? m.curlFileNote : null}
            </p>
            <pre class="code" id="curl" tabindex={0} data-address>{curl.text}</pre>
            <CopyButton page={page} target="#curl" />
          </>
        )}
      </details>
      {record.body && conversationOf(record) !== null
        ? (
          <details class="card" open={wholeKey === "raw-request"}>
            <summary>{m.rawRequest}</summary>
            <p>
              <a href={`/admin/records/${record.id}/request`} download>{m.downloadRequest}</a>
            </p>
            <CutText
              {...common}
              textKey="raw-request"
              text={pretty(record.body)}
              isWhole={wholeKey === "raw-request"}
            />
          </details>
        )
        : null}
      {record.response
        ? (
          <details class="card" open={wholeKey === "raw-reply"}>
            <summary>{m.rawReply}</summary>
            <CutText
              {...common}
              textKey="raw-reply"
              text={record.response}
              isWhole={wholeKey === "raw-reply"}
            />
          </details>
        )
        : null}
    </section>
  );
}
