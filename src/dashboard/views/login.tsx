/**
 * The login page: one field, and where to find its value.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { LoginView } from "../../http/admin/auth.ts";
import { Document } from "../components/layout.tsx";
import { Notice } from "../components/parts.tsx";
import type { PageContext } from "../page_context.ts";

export function Login({ page, view }: { page: PageContext; view: LoginView }): JSX.Element {
  const { m } = page;
  const { problem, next } = view;
  return (
    <Document page={page} title={m.loginTitle} scripts={["page.js"]}>
      <main class="login">
        <div class="card">
          <p class="brand">{m.product}</p>
          <h1>{m.loginTitle}</h1>
          <p class="muted">{m.loginIntro}</p>
          {problem === null ? null : (
            <Notice tone="bad">
              {problem.type === "wrong_token" ? m.loginWrong : m.loginTooMany(problem.retryAfterSeconds)}
            </Notice>
          )}
          <form method="post" action="/admin/login">
            <input type="hidden" name="next" value={next} />
            <div class="field">
              <label for="token">{m.loginToken}</label>
              <input
                id="token"
                name="token"
                type="password"
                class="mono"
                autocomplete="current-password"
                required
                autofocus
                aria-describedby="token-hint"
              />
            </div>
            <button type="submit" class="button button-main">{m.loginButton}</button>
          </form>
          <p class="hint" id="token-hint">{m.loginHelp}</p>
          <pre class="code" tabindex={0}>openai-api-route token show --admin</pre>
        </div>
      </main>
    </Document>
  );
}
