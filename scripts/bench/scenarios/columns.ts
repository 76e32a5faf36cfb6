/**
 * Columns shared by several scenarios.
 */
import type { Column } from "../measure/result.ts";

/** CPU time per answer of each process, and the number of cores that it used. */
export const CPU_COLUMNS: readonly Column[] = [
  { title: "CPU us: proxy", figure: "proxyUs", digits: 0 },
  { title: "upstream", figure: "upstreamUs", digits: 0 },
  { title: "load", figure: "loadUs", digits: 0 },
  { title: "cores: proxy", figure: "proxyCores", digits: 2 },
  { title: "upstream", figure: "upstreamCores", digits: 2 },
  { title: "load", figure: "loadCores", digits: 2 },
  { title: "others", figure: "otherCores", digits: 2 },
  { title: "RSS MiB", figure: "rssMib", digits: 0 },
];
