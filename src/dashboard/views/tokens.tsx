/**
 * The clients' tokens: make one (its secret is shown once), see who has one, revoke.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { TokenView } from "../../control/admin_service.ts";
import { looksLikeToken } from "../../control/tokens.ts";
import { ConnectCard } from "../components/connect.tsx";
import { TokenTable } from "../components/token_table.tsx";
import { Layout } from "../components/layout.tsx";
import { CopyButton, CsrfField, Empty, Recorded } from "../components/parts.tsx";
import type { PageContext } from "../page_context.ts";
import type { TokenForm } from "../token_form.ts";
import { TokenFields } from "./tokens/fields.tsx";

export interface TokensProps {
  readonly page: PageContext;
  readonly tokens: readonly TokenView[];
  /** The token that was just made. */
  readonly made: { readonly name: string; readonly secret: string } | null;
  readonly problem: string | null;
  /** The rejected input, to be shown again. */
  readonly form: TokenForm;
}

export function Tokens({ page, tokens, made, problem, form }: TokensProps): JSX.Element {
  const { m } = page;
  return (
    <Layout page={page} title={m.tokensTitle} current="tokens" problem={problem}>
      <div class="head">
        <div>
          <h1>{m.tokensTitle}</h1>
          <p class="muted">{m.tokensIntro}</p>
        </div>
      </div>
      {made === null ? null : <MadeToken page={page} made={made} />}
      {tokens.length === 0 ? <Empty title={m.tokensEmpty} /> : <TokenTable page={page} tokens={tokens} />}
      <section class="card" aria-labelledby="make-title">
        <h2 id="make-title">{m.tokenMake}</h2>
        <form method="post" action="/admin/tokens">
          <CsrfField page={page} />
          <TokenFields page={page} form={form} />
          <p class="buttons">
            <button type="submit" class="button button-main">{m.tokenMake}</button>
          </p>
        </form>
      </section>
      <ConnectCard page={page} secret={made?.secret ?? null} />
    </Layout>
  );
}

/** Shows the secret; this happens only once. */
function MadeToken({ page, made }: {
  page: PageContext;
  made: NonNullable<TokensProps["made"]>;
}): JSX.Element {
  const { m } = page;
  return (
    <section class="card made" role="status">
      <h2>
        <Recorded text={m.tokenMade(made.name)} />
      </h2>
      <p>{m.tokenOnce}</p>
      {looksLikeToken(made.name) ? <p class="bad">{m.tokenNameIsToken}</p> : null}
      <div class="secret">
        <code id="secret">{made.secret}</code>
        <CopyButton page={page} target="#secret" />
      </div>
    </section>
  );
}
