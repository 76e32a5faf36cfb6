/**
 * The fields of an upstream's options.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { Field, Select } from "../../components/parts.tsx";
import type { PageContext } from "../../page_context.ts";
import { EMPTY_OPTION_FORM, OPTION_FIELD_NAMES, type OptionForm } from "../../upstream_option_form.ts";

interface OptionProps {
  readonly page: PageContext;
  readonly form: OptionForm;
}

/** Folded, unless one of them is set. */
export function OptionFields({ page, form }: OptionProps): JSX.Element {
  const hasOptions = OPTION_FIELD_NAMES.some((name) => form[name] !== EMPTY_OPTION_FORM[name]);
  return (
    <details class="more-fields" open={hasOptions}>
      <summary>{page.m.optionFields}</summary>
      <LimitFields page={page} form={form} />
      <ShapingFields page={page} form={form} />
    </details>
  );
}

function LimitFields({ page: { m }, form }: OptionProps): JSX.Element {
  return (
    <div class="fields">
      <Field
        label={m.fieldMaxParallel}
        hint={m.fieldMaxParallelHint}
        name="maxParallel"
        value={form.maxParallel}
        autocomplete="off"
      />
      <Field label={m.fieldRpm} hint={m.fieldRateHint} name="rpm" value={form.rpm} inputmode="numeric" />
      <Field label={m.fieldTpm} hint={m.fieldRateHint} name="tpm" value={form.tpm} inputmode="numeric" />
      <Select
        label={m.fieldKeyPolicy}
        name="keyPolicy"
        value={form.keyPolicy}
        choices={[
          { value: "", text: m.keyPolicyRoundRobin },
          { value: "fill", text: m.keyPolicyFill },
        ]}
      />
    </div>
  );
}

function ShapingFields({ page: { m }, form }: OptionProps): JSX.Element {
  return (
    <div class="fields">
      <Lines
        label={m.fieldSetHeaders}
        hint={m.fieldSetHeadersHint}
        name="setHeaders"
        value={form.setHeaders}
      />
      <Lines label={m.fieldBodyPatch} hint={m.fieldBodyPatchHint} name="bodyPatch" value={form.bodyPatch} />
      <Field
        label={m.fieldOnlyPaths}
        hint={m.fieldOnlyPathsHint}
        name="onlyPaths"
        value={form.onlyPaths}
        isMono
      />
      <Field label={m.fieldMaxBody} hint={m.fieldMaxBodyHint} name="maxBody" value={form.maxBody} />
      <Field
        label={m.fieldStreamTimeout}
        hint={m.fieldStreamTimeoutHint}
        name="streamTimeout"
        value={form.streamTimeout}
        inputmode="numeric"
      />
      <Field
        label={m.fieldPriceFactor}
        hint={m.fieldPriceFactorHint}
        name="priceFactor"
        value={form.priceFactor}
        inputmode="decimal"
      />
      <Lines
        label={m.fieldErrorTexts}
        hint={m.fieldErrorTextsHint}
        name="errorTexts"
        value={form.errorTexts}
      />
      <Field
        label={m.fieldProxy}
        hint={m.fieldProxyHint}
        name="proxy"
        value={form.proxy}
        isMono
        autocomplete="off"
      />
      <Select
        label={m.fieldUsage}
        name="usage"
        value={form.usage}
        choices={[
          { value: "", text: m.usageDefault },
          { value: "auto", text: m.usageAuto },
          { value: "never", text: m.usageNever },
        ]}
      />
    </div>
  );
}

function Lines({ label, hint, name, value }: {
  label: string;
  hint: string;
  name: keyof OptionForm;
  value: string;
}): JSX.Element {
  return (
    <div class="field">
      <label for={`field-${name}`}>{label}</label>
      <textarea
        id={`field-${name}`}
        name={name}
        rows={3}
        class="mono"
        aria-describedby={`field-${name}-hint`}
      >
        {value}
      </textarea>
      <p class="hint" id={`field-${name}-hint`}>{hint}</p>
    </div>
  );
}
