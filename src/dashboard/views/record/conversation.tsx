/**
 * The request as a conversation, and the reply below it.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { CutText } from "../../components/cut_text.tsx";
import { Recorded } from "../../components/parts.tsx";
import { isLong, Reply, Turns } from "../../components/turns.tsx";
import { conversationOf, pretty } from "../../record_texts.ts";
import { queryText, recordPath } from "../../record_query.ts";
import { RAW_LIMIT, type RecordProps } from "./props.ts";

export function Conversation({ page, detail, query, wholeKey, areAllTurnsShown }: RecordProps): JSX.Element {
  const { record } = detail;
  const { m } = page;
  const conversation = conversationOf(record);
  return (
    <section
      aria-labelledby="conversation-title"
      class={isLong(conversation?.turns ?? []) ? "conversation conversation-long" : "conversation"}
    >
      <h2 id="conversation-title" class="visually-hidden">{m.conversation}</h2>
      <FormChoice page={page} recordId={record.id} query={query} />
      {conversation === null
        ? (
          <article class="turn turn-other">
            <h3 class="role">{m.requestSection}</h3>
            {record.body
              ? (
                <CutText
                  page={page}
                  recordId={record.id}
                  textKey="raw-request"
                  text={pretty(record.body)}
                  limit={RAW_LIMIT}
                  isWhole={wholeKey === "raw-request"}
                  isMono
                />
              )
              : <p class="muted">{m.nothing}</p>}
          </article>
        )
        : (
          <Turns
            page={page}
            recordId={record.id}
            turns={conversation.turns}
            wholeKey={wholeKey}
            areAllShown={areAllTurnsShown}
          />
        )}
      <Reply page={page} record={record} wholeKey={wholeKey} />
      {conversation === null || conversation.settings.length + conversation.tools.length === 0
        ? null
        : (
          <div class="request-settings">
            <NamedList title={m.parameters} items={conversation.settings} />
            <NamedList title={m.offeredTools} items={conversation.tools} />
          </div>
        )}
    </section>
  );
}

const MOST_ITEMS = 100;

function NamedList({ title, items }: { title: string; items: readonly string[] }): JSX.Element | null {
  if (items.length === 0) return null;
  return (
    <div>
      <h3>{title}</h3>
      <ul class="words">
        {items.slice(0, MOST_ITEMS).map((item) => (
          <li class="mono">
            <Recorded text={item} />
          </li>
        ))}
        {items.length > MOST_ITEMS ? <li>…</li> : null}
      </ul>
    </div>
  );
}

/** Formatted, or as it was recorded. */
function FormChoice({ page, recordId, query }: Pick<RecordProps, "page" | "query"> & {
  recordId: number;
}): JSX.Element {
  const { m, isPlain } = page;
  return (
    <nav class="segments conversation-form" aria-label={m.conversation}>
      <a href={recordPath(recordId, query)} aria-current={isPlain ? undefined : "true"}>{m.asMarkdown}</a>
      <a
        href={`/admin/records/${recordId}${queryText(query, { as: "text" })}`}
        aria-current={isPlain ? "true" : undefined}
      >
        {m.asText}
      </a>
    </nav>
  );
}
