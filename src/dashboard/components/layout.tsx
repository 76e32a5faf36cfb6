/**
 * The frame of every view: header, navigation, notices, content.
 */
import type { Child } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import { harmless } from "../../core/recorded_text.ts";
import { CSRF_HEADER } from "../../http/admin/auth.ts";
import { type AssetName, assetPath } from "../assets.ts";
import type { Messages } from "../messages/en.ts";
import type { PageContext } from "../page_context.ts";
import { Icon } from "./icons.tsx";
import { CsrfField, Notice, Recorded } from "./parts.tsx";

export type ViewName = "overview" | "records" | "costs" | "live" | "upstreams" | "tokens" | "settings";

const VIEWS: readonly { readonly name: ViewName; readonly href: string; readonly label: keyof Messages }[] = [
  { name: "overview", href: "/admin", label: "navOverview" },
  { name: "records", href: "/admin/records", label: "navRecords" },
  { name: "costs", href: "/admin/costs", label: "navCosts" },
  { name: "live", href: "/admin/live", label: "navLive" },
  { name: "upstreams", href: "/admin/upstreams", label: "navUpstreams" },
  { name: "tokens", href: "/admin/tokens", label: "navTokens" },
  { name: "settings", href: "/admin/settings", label: "navSettings" },
];

/** Keeps htmx within the content security policy, and recorded data out of the browser's storage. */
const HTMX_SETTINGS = {
  allowEval: false,
  allowScriptTags: false,
  historyCacheSize: 0,
  includeIndicatorStyles: false,
  selfRequestsOnly: true,
  refreshOnHistoryMiss: true,
};

interface DocumentProps {
  readonly page: PageContext;
  readonly title: string;
  readonly scripts?: readonly AssetName[];
  readonly styles?: readonly AssetName[];
  readonly children: Child;
}

/** The bare document, for the login page. */
export function Document({ page, title, scripts = [], styles = [], children }: DocumentProps): JSX.Element {
  const { m, preferences: { theme, zoneChoice } } = page;
  const headers = page.csrf === null ? undefined : JSON.stringify({ [CSRF_HEADER]: page.csrf });
  return (
    <html
      lang={m.language}
      data-zone={page.zone.name}
      data-zone-choice={zoneChoice === "auto" ? "auto" : "fixed"}
      data-origin={page.origin}
    >
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content={theme === "auto" ? "light dark" : theme} />
        <meta name="htmx-config" content={JSON.stringify(HTMX_SETTINGS)} />
        <title>{harmless(`${title} · ${m.product}`)}</title>
        <link rel="icon" href={FAVICON} />
        {["page.css" as const, ...styles].map((name) => <link rel="stylesheet" href={assetPath(name)} />)}
        {theme === "light" ? null : (
          <link
            rel="stylesheet"
            href={assetPath("dark.css")}
            media={theme === "auto" ? "(prefers-color-scheme: dark)" : undefined}
          />
        )}
        {scripts.map((name) => <script src={assetPath(name)} defer></script>)}
      </head>
      <body hx-headers={headers}>{children}</body>
    </html>
  );
}

interface LayoutProps extends DocumentProps {
  readonly current: ViewName | null;
  /** Why the last action failed, for people. */
  readonly problem?: string | null;
}

export function Layout(
  { page, current, problem, scripts = [], children, ...rest }: LayoutProps,
): JSX.Element {
  const { m } = page;
  return (
    <Document page={page} scripts={["htmx.js", "page.js", "alive.js", ...scripts]} {...rest}>
      <a class="skip" href="#content">{m.skipToContent}</a>
      <header class="side">
        <div class="side-inner">
          <a class="brand" href="/admin">
            <Mark />
            <span>{m.product}</span>
          </a>
          <Navigation page={page} current={current} />
          <a class="display-link" href="/admin/settings#display">
            <Icon name="clock" />
            <span>
              <span class="visually-hidden">{m.timesIn}</span>
              <span data-zone-name>{page.zone.name}</span>
            </span>
          </a>
          <form method="post" action="/admin/logout" class="log-out">
            <CsrfField page={page} />
            <button type="submit" class="button-plain">
              <Icon name="logOut" />
              <span>{m.logOut}</span>
            </button>
          </form>
        </div>
      </header>
      <main id="content" tabindex={-1}>
        {page.done === null ? null : <Notice tone="good">{m.done[page.done]}</Notice>}
        {!problem ? null : (
          <Notice tone="bad">
            <Recorded text={problem} />
          </Notice>
        )}
        {children}
      </main>
      <p id="gone" role="alert" data-text={m.noAnswerSince("{time}")} hidden></p>
      <div
        id="toast"
        role="status"
        aria-live="polite"
        data-failed={m.actionFailed}
        data-lost={m.connectionLost}
      >
      </div>
    </Document>
  );
}

function Navigation({ page: { m }, current }: Pick<LayoutProps, "page" | "current">): JSX.Element {
  return (
    <nav aria-label={m.navigation}>
      <ul>
        {VIEWS.map(({ name, href, label }) => (
          <li>
            <a href={href} aria-current={name === current ? "page" : undefined}>
              <Icon name={name} />
              <span>{m[label] as string}</span>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** Three ways in, one out. */
function Mark(): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" />
      <path d="M7 9h5c5 0 4 7 9 7h4M7 16h18M7 23h5c5 0 4-7 9-7M21 12l4 4-4 4" />
    </svg>
  );
}

const FAVICON = `data:image/svg+xml,${
  encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#0f766e"/>' +
      '<path d="M7 9h5c5 0 4 7 9 7h4M7 16h18M7 23h5c5 0 4-7 9-7M21 12l4 4-4 4" fill="none" stroke="#fff" ' +
      'stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/></svg>',
  )
}`;
