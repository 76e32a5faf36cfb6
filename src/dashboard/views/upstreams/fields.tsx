/**
 * The fields of an upstream, for adding and for editing.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { PageContext } from "../../page_context.ts";
import { AUTH_STYLES } from "../../../core/types.ts";
import { EMPTY_FORM, type UpstreamForm } from "../../upstream_form.ts";
import { Field, Select } from "../../components/parts.tsx";
import { OptionFields } from "./option_fields.tsx";

interface FieldsProps {
  readonly page: PageContext;
  readonly form: UpstreamForm;
  /** `new`: required; `kept`: an empty field keeps the current key; `again`: must be typed again. */
  readonly keyNeed: "new" | "kept" | "again";
}

const MORE_FIELDS = ["allow", "deny", "modelMap", "timeout", "authStyle", "weight"] as const;

export function UpstreamFields(props: FieldsProps): JSX.Element {
  const { page, form } = props;
  const hasMore = MORE_FIELDS.some((name) => form[name] !== EMPTY_FORM[name]);
  return (
    <>
      <MainFields {...props} />
      <details class="more-fields" open={hasMore}>
        <summary>{page.m.moreFields}</summary>
        <MoreFields page={page} form={form} />
      </details>
      <OptionFields page={page} form={form} />
    </>
  );
}

function MainFields({ page: { m }, form, keyNeed }: FieldsProps): JSX.Element {
  return (
    <div class="fields">
      <Field
        label={m.fieldEndpoint}
        hint={m.fieldEndpointHint}
        name="endpoint"
        type="url"
        value={form.endpoint}
        required
        isMono
        isWide
        autocomplete="off"
      />
      <div class="field">
        <label for="field-key">{m.fieldKey}</label>
        <textarea
          id="field-key"
          name="key"
          rows={2}
          class="mono secret-lines"
          required={keyNeed !== "kept"}
          aria-invalid={keyNeed === "again" ? "true" : undefined}
          aria-describedby="field-key-hint"
          autofocus={keyNeed === "again"}
          autocomplete="off"
          spellcheck={false}
        >
          {form.key}
        </textarea>
        <p class="hint" id="field-key-hint">
          {{ new: m.fieldKeyHint, kept: m.fieldKeyKeep, again: m.fieldKeyAgain }[keyNeed]}
        </p>
      </div>
      <Field label={m.fieldName} hint={m.fieldNameHint} name="name" value={form.name} autocomplete="off" />
    </div>
  );
}

function MoreFields({ page: { m }, form }: Pick<FieldsProps, "page" | "form">): JSX.Element {
  return (
    <div class="fields">
      <Field label={m.fieldAllow} hint={m.fieldGlobsHint} name="allow" value={form.allow} isMono />
      <Field label={m.fieldDeny} hint={m.fieldGlobsHint} name="deny" value={form.deny} isMono />
      <div class="field">
        <label for="field-modelMap">{m.fieldModelMap}</label>
        <textarea
          id="field-modelMap"
          name="modelMap"
          rows={3}
          class="mono"
          aria-describedby="field-modelMap-hint"
        >
          {form.modelMap}
        </textarea>
        <p class="hint" id="field-modelMap-hint">{m.fieldModelMapHint}</p>
      </div>
      <Field
        label={m.fieldTimeout}
        hint={m.fieldTimeoutHint}
        name="timeout"
        value={form.timeout}
        inputmode="decimal"
      />
      <Select
        label={m.fieldAuthStyle}
        name="authStyle"
        value={form.authStyle}
        choices={[
          { value: "", text: m.authGuessed },
          ...AUTH_STYLES.map((value) => ({ value, text: value })),
        ]}
      />
      <Field
        label={m.fieldWeight}
        hint={m.fieldWeightHint}
        name="weight"
        value={form.weight}
        inputmode="decimal"
      />
    </div>
  );
}
