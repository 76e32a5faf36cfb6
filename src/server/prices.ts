/**
 * The prices of a server, with the file of `--prices`, which is read again when it has changed.
 */
import type { Settings } from "../config/settings.ts";
import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import { getLog } from "../observe/log.ts";
import { PriceList } from "../pricing/price_list.ts";
import { readPricesFile, versionOf } from "../pricing/prices_file.ts";
import { StartError } from "./start_error.ts";

/** Between two looks at the file. */
const LOOK_INTERVAL_MS = 30_000; // docs/tuning.md#server

export interface ServerPrices {
  readonly prices: PriceList;
  /** Looks at the file now. */
  look(): void;
  stop(): void;
}

/** @throws StartError when the file cannot be used */
export function makePrices(
  { costs: { pricesPath } }: Pick<Settings, "costs">,
  clock: Pick<Clock, "setTimer" | "clearTimer">,
): ServerPrices {
  if (pricesPath === null) return { prices: new PriceList(), look: () => {}, stop: () => {} };
  let version = versionOf(pricesPath);
  const prices = new PriceList(readAtStart(pricesPath));
  const look = () => {
    const found = versionOf(pricesPath);
    if (found === version) return;
    version = found;
    try {
      prices.replaceFile(readPricesFile(pricesPath));
      getLog("prices").info("the prices of {path} were read again", { path: pricesPath });
    } catch (error) {
      getLog("prices").warn(
        "the prices of {path} have changed, and cannot be used: {message}; those from before go on to count",
        { path: pricesPath, message: messageOf(error) },
      );
    }
  };
  let timer = clock.setTimer(tick, LOOK_INTERVAL_MS);
  function tick(): void {
    look();
    timer = clock.setTimer(tick, LOOK_INTERVAL_MS);
  }
  return { prices, look, stop: () => clock.clearTimer(timer) };
}

function readAtStart(path: string) {
  try {
    return readPricesFile(path);
  } catch (error) {
    throw new StartError(`--prices ${path}: ${messageOf(error)}`);
  }
}
