/**
 * Sending a recorded request again, and how the new reply differs.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { CsrfField, Select } from "../../components/parts.tsx";
import { ReplyDiff } from "../../components/reply_diff.tsx";
import type { RecordProps } from "./props.ts";

export function Replay({ page, detail, upstreams, replay }: RecordProps): JSX.Element {
  const { m, format } = page;
  const { record } = detail;
  const chosen = replay === null ? record.upstreamId : replay.upstreamId;
  return (
    <section class="card replay" aria-labelledby="replay-title">
      <h2 id="replay-title">{m.replayTitle}</h2>
      <form
        method="post"
        action={`/admin/records/${record.id}/replay#replay-title`}
        hx-post={`/admin/records/${record.id}/replay`}
        hx-target="#replay-result"
        hx-select="#replay-result"
        hx-swap="outerHTML"
        hx-disabled-elt="find button"
        class="line-form"
      >
        <CsrfField page={page} />
        <Select
          label={m.replayTo}
          name="upstream"
          value={String(chosen ?? "")}
          choices={[
            { value: "", text: m.replayUsual },
            ...upstreams.filter(({ problem }) => problem === null)
              .map(({ id, name }) => ({ value: String(id), text: name })),
          ]}
        />
        <button type="submit" class="button">{m.replayButton}</button>
        <p class="hint">{m.replayNote}</p>
      </form>
      <div id="replay-result" aria-live="polite">
        {replay === null ? null : (
          <>
            <h3>{m.replayResult}</h3>
            <p>
              {m.replayed(replay.result.status, format.duration(replay.result.elapsedMs))}{" "}
              {replay.result.requestId === null
                ? null
                : <a href={`/admin/records/${encodeURIComponent(replay.result.requestId)}`}>{m.replayOpen}
                </a>}
            </p>
            <ReplyDiff page={page} diff={replay.result.diff} />
          </>
        )}
      </div>
    </section>
  );
}
