/**
 * The login page: one field, and where to find its value.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { LoginView } from "../../http/admin/auth.ts";
import { Document } from "../components/layout.tsx";
import { Notice } from "../components/parts.tsx";
import type { Messages } from "../messages/en.ts";
import type { PageContext } from "../page_context.ts";

export function Login({ page, view }: { page: PageContext; view: LoginView }): JSX.Element {
  const { m } = page;
  const { problem, next } = view;
  return (
    <Document page={page} title={m.loginTitle} scripts={["page.js", "login.js"]}>
      <main class="login">
        <div class="card">
          <p class="brand">{m.product}</p>
          <h1>{m.loginTitle}</h1>
          <p class="muted">{m.loginIntro}</p>
          {problem === null ? null : (
            <Notice tone="bad">
              {problemText(problem, m)}
            </Notice>
          )}
          <form class="login-form" method="post" action="/admin/login">
            <input type="hidden" name="next" value={next} />
            <input type="hidden" name="code" value="" />
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

function problemText(problem: NonNullable<LoginView["problem"]>, m: Messages): string {
  switch (problem.type) {
    case "wrong_token":
      return m.loginWrong;
    case "used_code":
      return m.loginUsed;
    case "too_many":
      return m.loginTooMany(problem.retryAfterSeconds);
    default:
      return problem satisfies never;
  }
}
