/**
 * The form of an existing token.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { Layout } from "../../components/layout.tsx";
import { CsrfField, Notice, Recorded } from "../../components/parts.tsx";
import type { TokenView } from "../../../control/admin_service.ts";
import type { PageContext } from "../../page_context.ts";
import { type TokenForm, tokenKey } from "../../token_form.ts";
import { TokenFields } from "./fields.tsx";

export function TokenEdit({ page, token, form, problem }: {
  page: PageContext;
  token: TokenView;
  form: TokenForm;
  problem: string | null;
}): JSX.Element {
  const { m } = page;
  const key = tokenKey(token);
  return (
    <Layout page={page} title={m.editToken(token.name)} current="tokens" problem={problem}>
      <h1>
        <Recorded text={m.editToken(token.name)} />
      </h1>
      {token.id === null ? <Notice tone="warn">{m.tokenBecomesRow}</Notice> : null}
      {token.problem === null ? null : (
        <Notice tone="bad">
          {m.tokenRefused} <Recorded text={token.problem} />
        </Notice>
      )}
      <form method="post" action="/admin/tokens/edit" class="card">
        <CsrfField page={page} />
        <input type="hidden" name="which" value={key} />
        <TokenFields page={page} form={form} />
        <p class="hint">{m.tokenRenameHint}</p>
        <p class="buttons">
          <button type="submit" class="button button-main">{m.save}</button>
          <a class="button" href="/admin/tokens">{m.cancel}</a>
          {token.id === null
            ? null
            : <a class="button" href={`/admin/tokens/rotate?which=${encodeURIComponent(key)}`}>{m.rotate}</a>}
        </p>
      </form>
    </Layout>
  );
}
