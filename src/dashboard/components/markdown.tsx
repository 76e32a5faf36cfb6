/**
 * Markdown of a reply as elements of the page.
 *
 * Owns which elements there are; every text and attribute is escaped as everywhere. Links lead to web pages only, and
 * pictures come from the record, never from elsewhere.
 */
import type { Child } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import { IMAGE_SCHEME } from "../../control/recorded_images.ts";
import { type Token, webAddress } from "../markdown.ts";
import type { PageContext } from "../page_context.ts";
import { imagePath } from "../record_texts.ts";
import { CopyCode } from "./parts.tsx";

export interface MarkdownProps {
  readonly page: PageContext;
  readonly recordId: number;
  /** Of the text, for its pictures. */
  readonly textKey: string;
  readonly tokens: readonly Token[];
}

export function Markdown(props: MarkdownProps): JSX.Element {
  return <>{new Renderer(props).blocks(props.tokens)}</>;
}

/** A code block with more lines is folded. */
const FOLDED_LINES = 60;
const MAX_IMAGES = 20;
const LONGEST_ADDRESS = 300;

class Renderer {
  readonly #props: MarkdownProps;
  #images = 0;

  constructor(props: MarkdownProps) {
    this.#props = props;
  }

  blocks(tokens: readonly Token[]): Child[] {
    const elements: Child[] = [];
    for (let at = 0; at < tokens.length; at++) {
      const token = tokens[at];
      if (token === undefined) break;
      if (token.nesting === 1) {
        const end = endOf(tokens, at);
        elements.push(this.#nested(token, tokens.slice(at + 1, end)));
        at = end;
      } else {
        elements.push(this.#single(token));
      }
    }
    return elements;
  }

  /** An element with what is in it. */
  #nested(token: Token, inner: readonly Token[]): Child {
    const children = this.blocks(inner);
    switch (token.tag) {
      case "p":
        return token.hidden ? <>{children}</> : <p>{children}</p>;
      case "h1":
      case "h2":
      case "h3":
      case "h4":
      case "h5":
      case "h6":
        // Headings of a text are none of the page.
        return <p class={`md-heading md-${token.tag}`}>{children}</p>;
      case "ul":
        return <ul>{children}</ul>;
      case "ol":
        return <ol start={startOf(token)}>{children}</ol>;
      case "li":
        return <li>{children}</li>;
      case "blockquote":
        return <blockquote>{children}</blockquote>;
      case "table":
        return (
          <div class="md-table" tabindex={0}>
            <table>{children}</table>
          </div>
        );
      case "thead":
        return <thead>{children}</thead>;
      case "tbody":
        return <tbody>{children}</tbody>;
      case "tr":
        return <tr>{children}</tr>;
      case "th":
        return <th class={alignOf(token)}>{children}</th>;
      case "td":
        return <td class={alignOf(token)}>{children}</td>;
      case "em":
        return <em>{children}</em>;
      case "strong":
        return <strong>{children}</strong>;
      case "s":
        return <s>{children}</s>;
      case "a":
        return this.#link(token, children);
      default:
        return <>{children}</>;
    }
  }

  #single(token: Token): Child {
    switch (token.type) {
      case "inline":
        return <>{this.blocks(token.children ?? [])}</>;
      case "softbreak":
      case "hardbreak":
        return <br />;
      case "code_inline":
        return <code>{token.content}</code>;
      case "code_block":
      case "fence":
        return this.#code(token);
      case "hr":
        return <hr />;
      case "image":
        return this.#image(token);
      default:
        return token.content;
    }
  }

  #link(token: Token, children: Child[]): Child {
    const address = webAddress(attributeOf(token, "href"));
    if (address === null) return <>{children}</>;
    return (
      <a href={address} rel="noopener noreferrer nofollow" target="_blank" title={shortened(address)}>
        {children}
      </a>
    );
  }

  /** One of the record; any other becomes a link, for this page loads nothing from elsewhere. */
  #image(token: Token): Child {
    const { page: { m }, recordId, textKey } = this.#props;
    const source = attributeOf(token, "src");
    const label = token.content;
    const number = source.startsWith(IMAGE_SCHEME) ? source.slice(IMAGE_SCHEME.length) : "";
    if (/^\d{1,4}$/.test(number) && this.#images++ < MAX_IMAGES) {
      return (
        <img
          class="recorded-image"
          src={imagePath(recordId, textKey, Number(number))}
          alt={m.imageOf(label)}
          loading="lazy"
          decoding="async"
        />
      );
    }
    const text = m.imageLink(label || shortened(source));
    const address = webAddress(source);
    return address === null
      ? text
      : (
        <a href={address} rel="noopener noreferrer nofollow" target="_blank" title={shortened(address)}>
          {text}
        </a>
      );
  }

  #code(token: Token): Child {
    const { page } = this.#props;
    const text = token.content.replace(/\n$/, "");
    const lines = text.split("\n").length;
    const language = /^[\w+#.-]{1,30}/.exec(token.info)?.[0] ?? "";
    const code = <pre class="md-code" tabindex={0}><code>{text}</code></pre>;
    const copy = <CopyCode page={page} />;
    if (lines <= FOLDED_LINES) {
      return (
        <div class="code-block">
          <div class="code-head">
            <span class="muted">{language}</span>
            {copy}
          </div>
          {code}
        </div>
      );
    }
    return (
      <details class="code-block">
        <summary>{[language || page.m.codeBlock, page.m.lines(page.format.count(lines))].join(", ")}</summary>
        <div class="code-head">
          <span></span>
          {copy}
        </div>
        {code}
      </details>
    );
  }
}

/** Where the element that begins at `start` ends. */
function endOf(tokens: readonly Token[], start: number): number {
  let depth = 0;
  for (let at = start; at < tokens.length; at++) {
    depth += tokens[at]?.nesting ?? 0;
    if (depth === 0) return at;
  }
  return tokens.length;
}

function attributeOf(token: Token, name: string): string {
  return String(token.attrGet(name) ?? "");
}

function startOf(token: Token): number | undefined {
  const start = Number(attributeOf(token, "start"));
  return Number.isSafeInteger(start) && start > 1 ? start : undefined;
}

/** A class, because the page has no inline style. */
function alignOf(token: Token): string | undefined {
  const [, side] = /^text-align:(left|right|center)$/.exec(attributeOf(token, "style")) ?? [];
  return side === undefined ? undefined : `align-${side}`;
}

function shortened(address: string): string {
  return address.length > LONGEST_ADDRESS ? `${address.slice(0, LONGEST_ADDRESS)}…` : address;
}
