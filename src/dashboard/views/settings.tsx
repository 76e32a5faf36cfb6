/**
 * The settings of the running server, read-only.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { AdminService } from "../../control/admin_service.ts";
import { Layout } from "../components/layout.tsx";
import { Recorded } from "../components/parts.tsx";
import type { PageContext } from "../page_context.ts";

export function Settings({ page, settings }: {
  page: PageContext;
  settings: ReturnType<AdminService["settings"]>;
}): JSX.Element {
  const { m } = page;
  return (
    <Layout page={page} title={m.settingsTitle} current="settings">
      <div class="head">
        <div>
          <h1>{m.settingsTitle}</h1>
          <p class="muted">{m.settingsIntro}</p>
        </div>
      </div>
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
