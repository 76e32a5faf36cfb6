/**
 * How the page is shown, what the server is and keeps, its alert channels, and its settings.
 */
import type { Child } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import type { AdminService, ChannelTest, ServerStatus } from "../../control/admin_service.ts";
import { ORDER_POLICIES } from "../../core/types.ts";
import { Replicas } from "../components/replicas.tsx";
import { Layout } from "../components/layout.tsx";
import { CsrfField, Moment, Notice, Recorded, Select } from "../components/parts.tsx";
import type { PageContext } from "../page_context.ts";
import { LANGUAGES, THEMES } from "../preferences.ts";

interface SettingsProps {
  readonly page: PageContext;
  readonly settings: ReturnType<AdminService["settings"]>;
  readonly status: ServerStatus;
  /** The channel that was just tried. */
  readonly tested: { readonly channel: string; readonly result: ChannelTest } | null;
  readonly problem: string | null;
}

export function Settings({ page, settings, status, tested, problem }: SettingsProps): JSX.Element {
  const { m } = page;
  return (
    <Layout page={page} title={m.settingsTitle} current="settings" problem={problem}>
      <div class="head">
        <h1>{m.settingsTitle}</h1>
      </div>
      <div class="settings-cards">
        <Display page={page} />
        <Server page={page} status={status} />
        <Policy page={page} status={status} />
        <Channels page={page} channels={status.channels} tested={tested} />
      </div>
      {status.postgres === null ? null : <Replicas page={page} postgres={status.postgres} />}
      <h2 class="settings-list-title">{m.settingsList}</h2>
      <p class="muted">{m.settingsIntro}</p>
      <table class="plain card settings">
        <thead>
          <tr>
            <th scope="col">{m.settingName}</th>
            <th scope="col">{m.settingValue}</th>
          </tr>
        </thead>
        <tbody>
          {settings.map(({ name, value }) => (
            <tr>
              <th scope="row">
                <Recorded text={name} />
              </th>
              <td class="mono">{value === "" ? <span class="muted">–</span> : <Recorded text={value} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Layout>
  );
}

/** Names of the zones that are offered; others can be set by hand in the cookie. */
const ZONES = Intl.supportedValuesOf("timeZone");

function Display({ page }: { page: PageContext }): JSX.Element {
  const { m, preferences, zone, nowMs } = page;
  const zones = [...new Set(["UTC", ...ZONES])];
  return (
    <section class="card" id="display" aria-labelledby="display-title">
      <h2 id="display-title">{m.displayTitle}</h2>
      <form method="post" action="/admin/display" class="display-form">
        <CsrfField page={page} />
        <Select
          label={m.displayTheme}
          name="theme"
          value={preferences.theme}
          choices={THEMES.map((value) => ({ value, text: m.themes[value] }))}
        />
        <Select
          label={m.displayLanguage}
          name="language"
          value={preferences.language}
          choices={LANGUAGES.map((value) => ({ value, text: m.languages[value] }))}
        />
        <Select
          label={m.displayZone}
          name="zone"
          value={preferences.zoneChoice}
          choices={[
            { value: "auto", text: m.zoneBrowser },
            { value: "server", text: m.zoneServer },
            ...zones.map((value) => ({ value, text: value })),
          ]}
        />
        <p class="hint">
          {m.timesIn} <span data-zone-name>{zone.name}</span>
          {zone.offset(nowMs) === zone.name ? null : ` (${zone.offset(nowMs)})`}
        </p>
        <button type="submit" class="button">{m.save}</button>
      </form>
    </section>
  );
}

function Server({ page, status }: { page: PageContext; status: ServerStatus }): JSX.Element {
  const { m, format } = page;
  const { version, startedAtMs, uptimeMs, database, policy, retention } = status;
  const days = (count: number | null) => count === null ? m.keptForever : m.keptDays(count);
  return (
    <section class="card" aria-labelledby="server-title">
      <h2 id="server-title">{m.serverTitle}</h2>
      <dl class="facts">
        <Fact label={m.serverVersion}>{version}</Fact>
        <Fact label={m.serverUptime}>
          {m.uptime(Math.floor(uptimeMs / 60_000))}
          <span class="muted">
            {m.serverSince} <Moment page={page} atMs={startedAtMs} />
          </span>
        </Fact>
        <Fact label={m.serverDatabase}>
          {format.bytes(database.bytes)}
          <span class="muted">
            <Recorded text={database.path} />
          </span>
        </Fact>
        <Fact label={m.serverPolicy}>
          <code>{policy}</code>
        </Fact>
        <Fact label={m.serverKeeps}>{days(retention.keepDays)}</Fact>
        <Fact label={m.serverKeepsTexts}>{days(retention.keepBodiesDays)}</Fact>
        <Fact label={m.serverMaxSize}>
          {retention.maxDatabaseBytes === null ? m.none : format.bytes(retention.maxDatabaseBytes)}
        </Fact>
      </dl>
    </section>
  );
}

function Policy(
  { page, status: { policy, isPolicyFixed } }: { page: PageContext; status: ServerStatus },
): JSX.Element {
  const { m } = page;
  return (
    <section class="card" id="policy" aria-labelledby="policy-title">
      <h2 id="policy-title">{m.policyTitle}</h2>
      <form method="post" action="/admin/settings/policy" class="display-form">
        <CsrfField page={page} />
        <Select
          label={m.policyTitle}
          name="policy"
          value={policy}
          isDisabled={isPolicyFixed}
          choices={ORDER_POLICIES.map((value) => ({ value, text: `${value}: ${m.policies[value]}` }))}
        />
        <p class="hint">{isPolicyFixed ? m.policyFixed(policy) : m.policyHint}</p>
        <button type="submit" class="button" disabled={isPolicyFixed}>{m.save}</button>
      </form>
    </section>
  );
}

function Fact({ label, children }: { label: string; children: Child }): JSX.Element {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Channels({ page, channels, tested }: Pick<SettingsProps, "page" | "tested"> & {
  channels: readonly string[];
}): JSX.Element {
  const { m } = page;
  return (
    <section class="card" id="channels" aria-labelledby="channels-title">
      <h2 id="channels-title">{m.channelsTitle}</h2>
      {channels.length === 0 ? <p class="muted">{m.channelsNone}</p> : null}
      <ul class="channels" hidden={channels.length === 0}>
        {channels.map((name) => (
          <li>
            <span class="strong">{name}</span>
            <form method="post" action="/admin/settings/channels/test#channels">
              <CsrfField page={page} />
              <input type="hidden" name="channel" value={name} />
              <button type="submit" class="button button-small">{m.channelTest}</button>
            </form>
          </li>
        ))}
      </ul>
      {tested === null ? null : (
        <Notice tone={tested.result.isOk ? "good" : "bad"}>
          <Recorded text={`${tested.channel}: ${tested.result.message}`} />
        </Notice>
      )}
    </section>
  );
}
