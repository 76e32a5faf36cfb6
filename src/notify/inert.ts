/**
 * Words of clients and upstreams on their way into a chat: only words there, neither links nor mentions nor markup.
 *
 * Owns what chats make something of (Feishu's `<at …>`, Slack's `<!channel>`, Matrix's `@room`, Markdown, addresses
 * that become links by themselves) and how it is written instead, as reports of security do it. Pure.
 */

/** Full stops that also part the labels of a domain: https://www.unicode.org/reports/tr46/#Notation */
const DOT_OF_A_NAME = /([\p{L}\p{N}-])[.\u3002\uff0e\uff61](?=\p{L}{2})/gu;

/** `https://evil.example/ @all` becomes `https[:]//evil[.]example/ [at]all`. May make a text longer. */
export function inert(text: string): string {
  return text
    .replaceAll(/\p{Cf}/gu, "")
    .replaceAll(/[@\uff20\ufe6b]/g, "[at]")
    .replaceAll(/[<\uff1c]/g, "(")
    .replaceAll(/[>\uff1e]/g, ")")
    .replaceAll("](", "] (")
    .replaceAll("`", "'")
    .replaceAll(/&(?=[#a-z])/gi, "& ")
    .replaceAll("://", "[:]//")
    .replaceAll(DOT_OF_A_NAME, "$1[.]");
}
