/**
 * What a client needs to use this router: base URL, token, and how some clients take them.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { clientSetups } from "../connect.ts";
import type { PageContext } from "../page_context.ts";
import { CopyButton, CopyCode } from "./parts.tsx";

/** Stands for a token, because those that exist are not shown. */
const PLACEHOLDER = "YOUR_TOKEN";

/** @param secret of a token that was just made; null: a word stands for it */
export function ConnectCard({ page, secret }: { page: PageContext; secret: string | null }): JSX.Element {
  const { m, origin } = page;
  return (
    <section class="card connect" id="connect" aria-labelledby="connect-title">
      <h2 id="connect-title">{m.connectTitle}</h2>
      <p class="muted">{secret === null ? m.connectIntro(PLACEHOLDER) : m.connectMade}</p>
      <dl class="facts">
        <div>
          <dt>{m.connectBaseUrl}</dt>
          <dd>
            <code id="base-url" data-address>{`${origin}/v1`}</code>{" "}
            <CopyButton page={page} target="#base-url" />
          </dd>
        </div>
      </dl>
      {clientSetups(origin, secret ?? PLACEHOLDER).map(({ name, text }, index) => (
        <details class="code-block" open={index === 0}>
          <summary>{name}</summary>
          <div class="code-head">
            <span class="muted">{name === "Claude Code" ? m.connectClaude : null}</span>
            <CopyCode page={page} />
          </div>
          <pre class="md-code" tabindex={0}><code data-address>{text}</code></pre>
        </details>
      ))}
    </section>
  );
}
