/**
 * The page's icons: line drawings of 24 units that take the colour of the text beside them.
 */
import type { JSX } from "hono/jsx/jsx-runtime";

const PATHS = {
  overview: "M4 19V11M10 19V5M16 19v-6M21 19H3",
  records: "M5 5h14M5 10h14M5 15h9M5 20h6",
  costs: "M12 3v18M17 8c0-2-2-3-5-3S7 6 7 8.5s2 3 5 3.5 5 1 5 3.5-2 3.5-5 3.5-5-1-5-3",
  live: "M3 12h4l3-8 4 16 3-8h4",
  upstreams: "M12 21v-6m0 0L5 8m7 7l7-7M5 8V3m14 5V3M5 3L3 5m2-2l2 2m12-2l-2 2m2-2l2 2",
  tokens: "M14 10a4.5 4.5 0 1 0-3.2 4.3L13 12h3v-2h2V8h3V5h-3l-4 4",
  settings: "M4 7h10m4 0h2M4 17h2m4 0h10M14 4.5v5M8 14.5v5",
  logOut: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4.5 4.5",
  up: "M12 19V5m-6 6l6-6 6 6",
  down: "M12 5v14m-6-6l6 6 6-6",
  grip: "M9 6h.01M15 6h.01M9 12h.01M15 12h.01M9 18h.01M15 18h.01",
  close: "M6 6l12 12M18 6L6 18",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4l3 2",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  arrow: "M5 12h14m-6-6l6 6-6 6",
} as const;

export function Icon({ name }: { name: keyof typeof PATHS }): JSX.Element {
  return (
    <svg
      class={`icon icon-${name}`}
      viewBox="0 0 24 24"
      width="20"
      height="20"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
