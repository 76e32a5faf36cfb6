/**
 * The fields of a token: its name, and what it may do.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { Field, Select } from "../../components/parts.tsx";
import type { PageContext } from "../../page_context.ts";
import { EMPTY_TOKEN_FORM, type TokenForm } from "../../token_form.ts";
import { GATE_MODES } from "../../../core/gate_mode.ts";

interface FieldsProps {
  readonly page: PageContext;
  readonly form: TokenForm;
}

/** The rules are folded, unless one of them is set. */
export function TokenFields({ page, form }: FieldsProps): JSX.Element {
  const { m } = page;
  const { name: _name, ...rules } = form;
  const hasRules = Object.entries(rules).some(([field, value]) =>
    value !== EMPTY_TOKEN_FORM[field as keyof TokenForm]
  );
  return (
    <>
      <div class="fields">
        <Field
          label={m.tokenName}
          hint={m.tokenNameHint}
          name="name"
          value={form.name}
          required
          maxlength={64}
          autocomplete="off"
        />
      </div>
      <details class="more-fields" open={hasRules}>
        <summary>{m.tokenRules}</summary>
        <p class="hint">{m.tokenRulesHint}</p>
        <LimitFields page={page} form={form} />
        <ScopeFields page={page} form={form} />
      </details>
    </>
  );
}

function LimitFields({ page: { m }, form }: FieldsProps): JSX.Element {
  return (
    <div class="fields">
      <Field
        label={m.tokenBudget}
        hint={m.tokenBudgetHint}
        name="budget"
        value={form.budget}
        autocomplete="off"
      />
      <Field
        label={m.tokenExpires}
        hint={m.tokenExpiresHint}
        name="expires"
        value={form.expires}
        autocomplete="off"
      />
      <Field label={m.fieldRpm} hint={m.tokenLimitHint} name="rpm" value={form.rpm} inputmode="numeric" />
      <Field label={m.fieldTpm} hint={m.tokenLimitHint} name="tpm" value={form.tpm} inputmode="numeric" />
      <Field
        label={m.fieldMaxParallel}
        hint={m.tokenLimitHint}
        name="parallel"
        value={form.parallel}
        inputmode="numeric"
      />
    </div>
  );
}

function ScopeFields({ page: { m }, form }: FieldsProps): JSX.Element {
  return (
    <div class="fields">
      <Field label={m.tokenAllow} hint={m.tokenAllowHint} name="allow" value={form.allow} isMono />
      <Field label={m.tokenDeny} hint={m.tokenDenyHint} name="deny" value={form.deny} isMono />
      <Field label={m.tokenUpstreams} hint={m.tokenUpstreamsHint} name="upstreams" value={form.upstreams} />
      <Select
        label={m.tokenGate}
        name="gate"
        value={form.gate}
        choices={[
          { value: "", text: m.tokenGateDefault },
          ...GATE_MODES.map((mode) => ({ value: mode, text: m.tokenGates[mode] })),
        ]}
      />
    </div>
  );
}
