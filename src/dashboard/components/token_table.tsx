/**
 * The clients' tokens: what each may do, since when there are, when they were last used, and what they have used.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { TokenView } from "../../control/admin_service.ts";
import type { PageContext } from "../page_context.ts";
import { recordsPath } from "../record_query.ts";
import { Cost, EstimatedTokens } from "./cost.tsx";
import { Chip, CsrfField, Moment, Recorded, type Tone } from "./parts.tsx";
import { tokenKey } from "../token_form.ts";
import { rulesText } from "../token_rules_text.ts";

export function TokenTable(
  { page, tokens }: { page: PageContext; tokens: readonly TokenView[] },
): JSX.Element {
  const { m } = page;
  const sinceMs = tokens[0]?.countedSinceMs ?? null;
  return (
    <section class="card" aria-labelledby="tokens-title">
      <h2 id="tokens-title" class="visually-hidden">{m.tokensTitle}</h2>
      <div class="scroll token-scroll" tabindex={0} role="region" aria-labelledby="tokens-title">
        <table class="plain token-table">
          <thead>
            <tr>
              <th scope="col">{m.tokenName}</th>
              <th scope="col">{m.tokenMay}</th>
              <th scope="col">{m.tokenState}</th>
              <th scope="col">{m.tokenLastUsed}</th>
              <th scope="col" class="number">{m.tileRequests}</th>
              <th scope="col" class="number">{m.tokenSpent}</th>
              <th scope="col" class="number">{m.cost}</th>
              <th scope="col">
                <span class="visually-hidden">{m.edit}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {tokens.map((token) => <TokenRow page={page} token={token} />)}
          </tbody>
        </table>
      </div>
      {sinceMs === null ? null : (
        <p class="hint">
          {m.tokenSince} <Moment page={page} atMs={sinceMs} />
        </p>
      )}
    </section>
  );
}

function TokenRow({ page, token }: { page: PageContext; token: TokenView }): JSX.Element {
  const { m, format } = page;
  const { name, requests, errors } = token;
  const records = recordsPath({ client: name });
  return (
    <tr>
      <th scope="row" class="token-name">
        <a href={`/admin/tokens/show?which=${encodeURIComponent(tokenKey(token))}`}>
          <Recorded text={name} />
        </a>
        <span class="line second muted mono">
          <Recorded text={token.token} />
        </span>
      </th>
      <td class="token-rules" data-label={m.tokenMay}>
        <Recorded text={rulesText(m, token)} />
      </td>
      <td data-label={m.tokenState}>
        <State page={page} token={token} />
      </td>
      <td data-label={m.tokenLastUsed}>
        <LastUsed page={page} token={token} />
      </td>
      <td class="number" data-label={m.tileRequests}>
        <div>
          {requests === 0 ? format.count(0) : <a href={records}>{format.count(requests)}</a>}
          {errors === 0
            ? null
            : (
              <a class="line second muted" href={recordsPath({ client: name, failed: "yes" })}>
                {m.errorsOf(format.count(errors))}
              </a>
            )}
        </div>
      </td>
      <td class="number" data-label={m.tokenSpent}>
        <Spent page={page} token={token} href={records} />
      </td>
      <td class="number" data-label={m.cost}>
        <div>
          <Cost page={page} figures={token} />
        </div>
      </td>
      <td class="actions">
        <Actions page={page} token={token} />
      </td>
    </tr>
  );
}

function LastUsed({ page, token }: { page: PageContext; token: TokenView }): JSX.Element {
  const { m } = page;
  return (
    <div>
      {token.lastUsedMs === null
        ? <span class="muted">{m.tokenNever}</span>
        : <Moment page={page} atMs={token.lastUsedMs} />}
      <span class="line second muted">
        {m.tokenCreated}{" "}
        {token.createdAtMs === null ? m.tokenUnknown : <Moment page={page} atMs={token.createdAtMs} />}
      </span>
    </div>
  );
}

const STATE_TONES = {
  active: "good",
  disabled: "quiet",
  expired: "bad",
  refused: "bad",
} as const satisfies Record<TokenView["state"], Tone>;

function State({ page, token }: { page: PageContext; token: TokenView }): JSX.Element {
  const { m } = page;
  const { state, expiresAtMs, problem } = token;
  return (
    <div>
      <Chip tone={STATE_TONES[state]}>{m.tokenStates[state]}</Chip>
      {expiresAtMs === null ? null : (
        <span class="line second muted">
          {m.tokenUntil} <Moment page={page} atMs={expiresAtMs} />
        </span>
      )}
      {problem === null ? null : (
        <span class="line second bad">
          <Recorded text={problem} />
        </span>
      )}
    </div>
  );
}

function Actions({ page, token }: { page: PageContext; token: TokenView }): JSX.Element {
  const { m } = page;
  const key = tokenKey(token);
  const which = encodeURIComponent(key);
  const ofToken = (
    <span class="visually-hidden">
      {" "}
      <Recorded text={token.name} />
    </span>
  );
  return (
    <div class="row-actions">
      <a class="button button-small" href={`/admin/tokens/edit?which=${which}`}>
        {m.edit}
        {ofToken}
      </a>
      {token.id === null
        ? null
        : (
          <form method="post" action={`/admin/tokens/${token.isEnabled ? "disable" : "enable"}`}>
            <CsrfField page={page} />
            <input type="hidden" name="which" value={key} />
            <button type="submit" class="button button-small">
              {token.isEnabled ? m.disable : m.enable}
              {ofToken}
            </button>
          </form>
        )}
      <a class="button button-small" href={`/admin/tokens/revoke?name=${which}`}>
        {m.revoke}
        {ofToken}
      </a>
    </div>
  );
}

function Spent(
  { page, token, href }: { page: PageContext; token: TokenView; href: string },
): JSX.Element {
  const { m, format } = page;
  const { inputTokens, outputTokens, cachedTokens, estimatedTokens } = token;
  if (inputTokens + outputTokens + estimatedTokens === 0) return <>{format.count(0)}</>;
  return (
    <div>
      <a href={href}>{format.short(inputTokens + outputTokens)}</a>
      <span class="line second muted">
        {m.tokensInOut(format.short(inputTokens), format.short(outputTokens))}
      </span>
      {cachedTokens === 0
        ? null
        : <span class="line second muted">{m.tokenCached(format.short(cachedTokens))}</span>}
      <EstimatedTokens page={page} count={estimatedTokens} />
    </div>
  );
}
