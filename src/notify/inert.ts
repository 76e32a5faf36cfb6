/**
 * Makes texts of clients and upstreams inert before they go into a chat: no links, no mentions, no markup.
 *
 * Owns what chats act on (Feishu's `<at …>`, Slack's `<!channel>`, Matrix's `@room`, Markdown, URLs that become
 * links) and how it is written instead, "defanged" as in security reports. Pure.
 */

/** Full stops that may separate the labels of a domain: https://www.unicode.org/reports/tr46/#Notation */
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

/**
 * The last line of defence, over a whole message: tags and words by which a chat mentions people, also where they stand
 * in a name that the operator gave.
 */
export function withoutCommands(text: string): string {
  return text
    .replaceAll(/<(?=[/!@#]|at\b)/gi, "(")
    .replaceAll(/@(?=room\b|all\b|here\b|channel\b|everyone\b|所有人)/gi, "[at]");
}
