/**
 * The doctor's check of the alert channels.
 *
 * Shows their names only: their URLs and tokens are secrets.
 */
import { type AlertSettings, parseAlerts } from "../../config/alerts.ts";
import type { Environment } from "../../config/environment.ts";
import { SettingsError } from "../../config/settings.ts";
import { type Channel, ChannelError } from "../../notify/channel.ts";
import { channelsOf } from "../../notify/channels.ts";
import { alertFetch } from "../../server/alert_fetch.ts";
import { systemClock } from "../../server/clock.ts";
import type { OutgoingClient } from "../../server/upstream_client.ts";
import { type Finding, found } from "../../control/finding.ts";

const TEST_TEXT = "Test of openai-api-route: alerts reach this channel";

export interface AlertCheck {
  readonly client: OutgoingClient;
  /** Whether each channel gets a message, which people will see. */
  readonly isSending: boolean;
}

export async function checkAlerts(env: Environment, { client, isSending }: AlertCheck): Promise<Finding[]> {
  let settings: AlertSettings;
  try {
    settings = parseAlerts(env);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return [found("alerts", { level: "fail", message: error.message })];
  }
  const channels = channelsOf(settings, {
    fetch: alertFetch(client),
    clock: systemClock,
    instance: "doctor",
  });
  if (channels.length === 0) {
    const message = "no channel is configured, so nobody is told of failures (see Alerts in `serve --help`)";
    return [found("alerts", { level: isSending ? "fail" : "ok", message })];
  }
  return await Promise.all(channels.map((channel) => isSending ? sendTest(channel) : idle(channel)));
}

function idle({ name }: Channel): Finding {
  return {
    check: "alerts",
    subject: name,
    level: "ok",
    message: "is configured; --send sends a test message",
    advice: null,
  };
}

async function sendTest(channel: Channel): Promise<Finding> {
  const message = {
    id: crypto.randomUUID(),
    text: TEST_TEXT,
    alert: { type: "test" },
    atMs: systemClock.now(),
  } as const;
  const about = { check: "alerts", subject: channel.name } as const;
  try {
    await channel.send(message, new AbortController().signal);
    return { ...about, level: "ok", message: "took the test message", advice: null };
  } catch (error) {
    return {
      ...about,
      level: "fail",
      message: error instanceof ChannelError ? error.message : "the test message could not be sent",
      advice: "check its variables in the environment of this command and of the server",
    };
  }
}
