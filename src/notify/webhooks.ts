/**
 * Webhooks: any program that takes JSON, and the chats that take JSON of their own.
 *
 * Owns the wire form of each, its limit on a message, and that nothing in a text mentions anybody there.
 */
import type { AlertSettings, WebhookFormat } from "../config/alerts.ts";
import type { AlertMessage, Channel } from "./channel.ts";
import { fitJsonBytes, fitLength } from "./fit_text.ts";
import { type ChannelDependencies, httpChannel, type HttpForm } from "./http_channel.ts";
import { withoutCommands } from "./inert.ts";

/** https://docs.slack.dev/reference/methods/chat.postMessage#truncating */
const SLACK_TEXT_LENGTH = 40_000;
/** https://discord.com/developers/docs/resources/webhook#execute-webhook */
const DISCORD_TEXT_LENGTH = 2_000;
/** A message may have 28 KB: https://learn.microsoft.com/en-us/microsoftteams/limits-specifications-teams */
const TEAMS_TEXT_BYTES = 24_000;
/** A message may have 20,000 bytes: https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages */
const DINGTALK_TEXT_BYTES = 18_000;

type WebhookForm = Pick<HttpForm, "body" | "refusal">;

export function webhookChannel(
  { url, format }: NonNullable<AlertSettings["webhook"]>,
  dependencies: ChannelDependencies,
): Channel {
  const form = format === "generic" ? generic(dependencies.instance) : FORMS[format];
  return httpChannel("webhook", dependencies, { url: () => url, method: "POST", ...form });
}

/**
 * `{ text, alert, at, instance }`.
 *
 * `text` is the line for people. `alert` is the alert's `type` with its fields (see {@link Alert}), or
 * `{ type: "digest", repeats: [{ count, last }] }`, or `{ type: "test" }`. `at` is ISO 8601 in UTC. `instance`
 * names the sender.
 */
function generic(instance: string): WebhookForm {
  return {
    body: ({ text, alert, atMs }) => ({ text, alert, at: new Date(atMs).toISOString(), instance }),
  };
}

const FORMS: Readonly<Record<Exclude<WebhookFormat, "generic">, WebhookForm>> = {
  /** https://docs.slack.dev/messaging/formatting-message-text#escaping ; Mattermost and Rocket.Chat take it, too. */
  slack: {
    body: ({ text }) => ({
      text: fitLength(
        withoutCommands(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"),
        SLACK_TEXT_LENGTH,
      ),
      mrkdwn: false,
      unfurl_links: false,
      unfurl_media: false,
    }),
  },
  /** https://discord.com/developers/docs/resources/message#allowed-mentions-object */
  discord: {
    body: ({ text }) => ({
      content: fitLength(withoutCommands(text), DISCORD_TEXT_LENGTH),
      allowed_mentions: { parse: [] },
    }),
  },
  /**
   * An adaptive card, which workflows and connectors take; a mention would need an entity of its own.
   * https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
   */
  teams: {
    body: ({ text }) => ({
      type: "message",
      attachments: [{
        contentType: "application/vnd.microsoft.card.adaptive",
        contentUrl: null,
        content: {
          $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
          type: "AdaptiveCard",
          version: "1.4",
          // Within a text block, a single line break is a blank.
          body: [{ type: "TextBlock", wrap: true, text: teamsText(text) }],
        },
      }],
    }),
    // A connector answers 200 and says in words what went wrong behind it.
    refusal: (reply) =>
      /delivery failed|error \d{3}/i.test(reply) ? "it could not deliver the message" : null,
  },
  /** `at` says who is mentioned. A bot answers 200 even when it refuses; the reply's `errcode` tells. */
  dingtalk: {
    body: ({ text }) => ({
      msgtype: "text",
      text: { content: fitJsonBytes(withoutCommands(text), DINGTALK_TEXT_BYTES) },
      at: { atMobiles: [], atUserIds: [], isAtAll: false },
    }),
    refusal: (reply) => {
      const code = /"errcode"\s*:\s*(-?\d{1,9})/.exec(reply)?.[1];
      return code === undefined || code === "0" ? null : `it answered code ${code}`;
    },
  },
};

function teamsText(text: AlertMessage["text"]): string {
  return fitJsonBytes(withoutCommands(text).replaceAll("\n", "\n\n"), TEAMS_TEXT_BYTES);
}
