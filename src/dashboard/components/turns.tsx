/**
 * A conversation for reading: the role of each turn, reasoning folded, tool calls with their arguments.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { callText, errorSentence } from "../../core/reply_text.ts";
import type { Piece, Turn } from "../../control/conversation.ts";
import type { StoredRecord } from "../../store/store.ts";
import type { Messages } from "../messages/en.ts";
import type { PageContext } from "../page_context.ts";
import { imagePath, pieceKey, pieceText, replyPieces } from "../record_texts.ts";
import { CutText, type CutTextProps } from "./cut_text.tsx";
import { CopyText, Recorded } from "./parts.tsx";
import { RichText } from "./rich_text.tsx";

interface TurnsProps {
  readonly page: PageContext;
  readonly recordId: number;
  readonly turns: readonly Turn[];
  /** Key of the text that is wanted whole. */
  readonly wholeKey: string | null;
}

/** The middle of longer conversations is folded. */
const FOLDED_FROM = 40;
const SHOWN_FIRST = 3;
const SHOWN_LAST = 20;

const SYSTEM_LIMIT = 1_200;
const TEXT_LIMIT = 8_000;
/** In a long conversation. */
const SHORT_LIMIT = 2_000;

/** Whether its middle is folded and its texts are cut shorter. */
export function isLong(turns: readonly Turn[]): boolean {
  return turns.length >= FOLDED_FROM;
}

/** The folded turns, `to` excluded; null when none is folded. */
export function foldedTurns(count: number): readonly [from: number, to: number] | null {
  return count < FOLDED_FROM ? null : [SHOWN_FIRST, count - SHOWN_LAST];
}

export function Turns({ areAllShown, ...props }: TurnsProps & { areAllShown: boolean }): JSX.Element {
  const { page, recordId, turns } = props;
  const folded = areAllShown ? null : foldedTurns(turns.length);
  if (folded === null) return <TurnRange {...props} from={0} to={turns.length} />;
  const [from, to] = folded;
  return (
    <>
      <TurnRange {...props} from={0} to={from} />
      <p class="fold">
        <a
          href={`/admin/records/${recordId}?turns=all${page.isPlain ? "&as=text" : ""}`}
          hx-get={`/admin/records/${recordId}/turns${page.isPlain ? "?as=text" : ""}`}
          hx-target="closest .fold"
          hx-swap="outerHTML"
        >
          {page.m.showTurns(page.format.count(to - from))}
        </a>
      </p>
      <TurnRange {...props} from={to} to={turns.length} />
    </>
  );
}

export function TurnRange({ page, recordId, turns, wholeKey, from, to }: TurnsProps & {
  from: number;
  to: number;
}): JSX.Element {
  const textLimit = isLong(turns) ? SHORT_LIMIT : TEXT_LIMIT;
  return (
    <>
      {turns.slice(from, to).map(({ role, pieces }, offset) => (
        <article class={`turn turn-${kindOf(role)}`}>
          <h3 class="role">
            <Recorded text={roleName(page.m, role)} />
          </h3>
          {pieces.length === 0 ? <p class="muted">{page.m.nothing}</p> : null}
          {pieces.map((piece, index) => (
            <PieceView
              page={page}
              recordId={recordId}
              textKey={pieceKey(from + offset, index)}
              piece={piece}
              limit={kindOf(role) === "system" ? SYSTEM_LIMIT : textLimit}
              isMarkdown={kindOf(role) === "assistant"}
              wholeKey={wholeKey}
            />
          ))}
        </article>
      ))}
    </>
  );
}

export function Reply({ page, record, wholeKey }: {
  page: PageContext;
  record: StoredRecord;
  wholeKey: string | null;
}): JSX.Element {
  const pieces = replyPieces(record);
  const sentence = page.isPlain ? null : errorOf(record);
  return (
    <article class="turn turn-assistant turn-reply">
      <div class="role-line">
        <h3 class="role">{record.outcome === "in_flight" ? page.m.replySoFar : page.m.reply}</h3>
        {record.response
          ? <CopyText page={page} path={`/admin/records/${record.id}/text/reply?plain=1`} />
          : null}
      </div>
      {pieces.length === 0 ? <p class="muted">{page.m.nothing}</p> : null}
      {sentence === null ? null : (
        <p class="error-reply">
          <Recorded text={sentence} />
        </p>
      )}
      {pieces.filter(({ key }) => sentence === null || key !== "reply").map(({ key, piece }) => (
        <PieceView
          page={page}
          recordId={record.id}
          textKey={key}
          piece={piece}
          limit={TEXT_LIMIT}
          isMarkdown
          wholeKey={wholeKey}
        />
      ))}
    </article>
  );
}

/** What an error document of a request that failed says. */
function errorOf({ response, status, outcome }: StoredRecord): string | null {
  const isGood = outcome === "complete" && (status ?? 0) < 400;
  return isGood || !response ? null : errorSentence(response);
}

interface PieceProps {
  readonly page: PageContext;
  readonly recordId: number;
  readonly textKey: string;
  readonly piece: Piece;
  readonly limit: number;
  readonly isMarkdown: boolean;
  readonly wholeKey: string | null;
}

function PieceView(props: PieceProps): JSX.Element {
  const { page, recordId, textKey, piece, limit, isMarkdown, wholeKey } = props;
  const { m, format } = page;
  const common = { page, recordId, textKey, text: pieceText(piece), limit, isWhole: wholeKey === textKey };
  switch (piece.type) {
    case "text":
      return isMarkdown ? <RichText {...common} /> : <CutText {...common} />;
    case "image":
      return (
        <img
          class="recorded-image"
          src={imagePath(recordId, textKey)}
          alt={piece.text}
          loading="lazy"
        />
      );
    case "placeholder":
      return (
        <p class="placeholder">
          <Recorded text={piece.text} />
        </p>
      );
    case "reasoning":
      return (
        <details class="reasoning" open={wholeKey === textKey}>
          <summary>{m.reasoning(m.characters(format.short(piece.text.length)))}</summary>
          <RichText {...common} />
        </details>
      );
    case "tool_call":
      return <ToolCallView {...common} call={piece} />;
    case "tool_result":
      return (
        <div class="tool">
          <p class="tool-head">
            <span class="muted">{m.toolResult}</span>
            <ToolId id={piece.id} />
          </p>
          <CutText {...common} isMono />
        </div>
      );
    default:
      return piece satisfies never;
  }
}

/** A longer call has its arguments below, indented. */
const LONGEST_CALL = 160;

/** `get_weather({"city":"Paris"})` */
function ToolCallView({ call, ...text }: CutTextProps & {
  call: Extract<Piece, { type: "tool_call" }>;
}): JSX.Element {
  const line = call.arguments.length > LONGEST_CALL ? null : callText(call.name, call.arguments);
  const isShort = line !== null && line.length <= LONGEST_CALL && !line.includes("\n");
  return (
    <div class="tool">
      <p class="tool-head">
        <span class="muted">{text.page.m.toolCall}</span>{" "}
        <code>
          <Recorded text={isShort ? line : `${call.name}(…)`} />
        </code>
        <ToolId id={call.id} />
      </p>
      {isShort ? null : <CutText {...text} isMono />}
    </div>
  );
}

function ToolId({ id }: { id: string | null }): JSX.Element | null {
  if (id === null) return null;
  return (
    <span class="muted mono tool-id">
      {" "}
      <Recorded text={id} />
    </span>
  );
}

type RoleKind = "system" | "user" | "assistant" | "tool" | "other";

function kindOf(role: string): RoleKind {
  switch (role.split(" ", 1)[0]) {
    case "system":
    case "developer":
      return "system";
    case "user":
    case "prompt":
      return "user";
    case "assistant":
    case "model":
      return "assistant";
    case "tool":
    case "function":
      return "tool";
    default:
      return "other";
  }
}

/** `user (Anna)` keeps its name. */
function roleName(m: Messages, role: string): string {
  const [word = "", ...rest] = role.split(" ");
  const names: Readonly<Record<string, string>> = {
    system: m.roleSystem,
    developer: m.roleDeveloper,
    user: m.roleUser,
    assistant: m.roleAssistant,
    tool: m.roleTool,
    function: m.roleTool,
    prompt: m.rolePrompt,
  };
  return [Object.hasOwn(names, word) ? names[word] : word, ...rest].join(" ");
}
