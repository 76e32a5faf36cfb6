/**
 * Where alerts go: Feishu, Matrix in two forms, and webhooks (see webhooks.ts).
 *
 * Owns the wire form of Feishu and Matrix, and their limits on a message.
 */
import type { AlertSettings } from "../config/alerts.ts";
import { withoutTrailingSlashes } from "../core/slashes.ts";
import type { Channel } from "./channel.ts";
import { fitJsonBytes } from "./fit_text.ts";
import { type ChannelDependencies, httpChannel } from "./http_channel.ts";
import { withoutCommands } from "./inert.ts";
import { webhookChannel } from "./webhooks.ts";

/** The request may have 20 KB, of which the rest of the JSON and the signature take little. */
const FEISHU_TEXT_BYTES = 18_000;
/** An event may have 65,536 bytes: https://spec.matrix.org/latest/client-server-api/#size-limits */
const MATRIX_TEXT_BYTES = 48_000;

/** The configured channels. */
export function channelsOf(settings: AlertSettings, dependencies: ChannelDependencies): Channel[] {
  const { feishu, matrixApi, matrix, webhook } = settings;
  const channels: Channel[] = [];
  if (feishu !== null) channels.push(feishuChannel(feishu, dependencies));
  if (matrixApi !== null) channels.push(matrixApiChannel(matrixApi, dependencies));
  if (matrix !== null) channels.push(matrixChannel(matrix, dependencies));
  if (webhook !== null) channels.push(webhookChannel(webhook, dependencies));
  return channels;
}

/**
 * A Feishu custom bot. It answers 200 even when it refuses; the reply's `code` tells.
 * https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot
 */
export function feishuChannel(
  settings: { readonly webhook: string; readonly secret: string | null },
  dependencies: ChannelDependencies,
): Channel {
  return httpChannel("feishu", dependencies, {
    url: () => settings.webhook,
    method: "POST",
    body: async (message) => {
      const text = fitJsonBytes(withoutCommands(message.text), FEISHU_TEXT_BYTES);
      const content = { msg_type: "text", content: { text } };
      if (settings.secret === null) return content;
      // Signed again on a retry: Feishu refuses a timestamp older than an hour.
      const timestamp = String(Math.floor(dependencies.clock.now() / 1000));
      return { timestamp, sign: await feishuSign(timestamp, settings.secret), ...content };
    },
    refusal: (reply) => {
      const code = codeOf(reply);
      return code === null || code === 0 ? null : `it answered code ${code}`;
    },
  });
}

/** As Feishu defines it, the message is empty and the key holds the timestamp (seconds) and the secret. */
async function feishuSign(timestamp: string, secret: string): Promise<string> {
  const bytes = new TextEncoder().encode(`${timestamp}\n${secret}`);
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, new Uint8Array())).toBase64();
}

/** Feishu's result code, null when the reply has none. */
function codeOf(reply: string): number | null {
  try {
    const value: unknown = JSON.parse(reply);
    if (typeof value !== "object" || value === null) return null;
    const code = "code" in value ? value.code : null;
    return typeof code === "number" ? code : null;
  } catch {
    return null;
  }
}

/** As the Go program posted it: `message` is the literal `m.text`. */
export function matrixApiChannel(url: string, dependencies: ChannelDependencies): Channel {
  return httpChannel("matrix_api", dependencies, {
    url: () => url,
    method: "POST",
    body: ({ text }) => ({ message: "m.text", body: matrixText(text) }),
  });
}

/**
 * The Matrix client API. The transaction id makes a retry idempotent. The empty `m.mentions` says that the message
 * mentions nobody, so that no client looks for `@room` or names in its text.
 * https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid ,
 * https://spec.matrix.org/latest/client-server-api/#user-and-room-mentions
 */
export function matrixChannel(
  settings: { readonly homeserver: string; readonly room: string; readonly token: string },
  dependencies: ChannelDependencies,
): Channel {
  const room = `${withoutTrailingSlashes(settings.homeserver)}/_matrix/client/v3/rooms/${
    encodeURIComponent(settings.room)
  }`;
  return httpChannel("matrix", dependencies, {
    url: (message) => `${room}/send/m.room.message/${encodeURIComponent(message.id)}`,
    method: "PUT",
    headers: { authorization: `Bearer ${settings.token}` },
    body: ({ text }) => ({ msgtype: "m.text", body: matrixText(text), "m.mentions": {} }),
  });
}

function matrixText(text: string): string {
  return fitJsonBytes(withoutCommands(text), MATRIX_TEXT_BYTES);
}
