/**
 * The completion script for zsh.
 */
import { NAMES_COMMAND } from "./names.ts";
import type { Described, Place } from "./places.ts";
import {
  fileOperandCase,
  nameOperandCases,
  operandCases,
  quote,
  spellings,
  stepLines,
  valueCases,
} from "./words.ts";

export function zshScript(name: string, places: readonly Place[]): string[] {
  const run = `_${name}`;
  return [
    `#compdef ${name}`,
    `# zsh completion for ${name}, made by \`${name} completion zsh\``,
    `${run}_names() {`,
    "  local -a found",
    `  found=(\${(f)"$("\${words[1]/#\\~\\//$HOME/}" ${NAMES_COMMAND} $1 -- ` +
    '"${(@)${(@Q)words[2,CURRENT-1]}/#\\~\\//$HOME/}" 2>/dev/null)"})',
    "  offered+=(${found//:/\\\\:})",
    "}",
    `${run}() {`,
    "  local place='' flag='' word",
    "  local -a offered subcommands flags",
    "  integer position=0 i",
    "  for ((i = 2; i < CURRENT; i++)); do",
    '    word="${words[i]}"',
    ...stepLines(places),
    "  done",
    "  if [[ -z $flag && $PREFIX == -*=* ]]; then",
    "    flag=\"${PREFIX%%=*}\"; compset -P '*='",
    "  fi",
    "  if [[ -n $flag ]]; then",
    '    [[ $flag == --* ]] || flag="-$flag"',
    '    case "$place:$flag" in',
    ...valueCases(places).map(({ keys, flag }) =>
      flag.isFile
        ? `      (${keys.join("|")}) _files; return ;;`
        : flag.names !== null
        ? `      (${keys.join("|")}) ${run}_names ${flag.names} ;;`
        : `      (${keys.join("|")}) offered=(${flag.values.map(quote).join(" ")}) ;;`
    ),
    "      (*) return 1 ;;",
    "    esac",
    "    _describe value offered; return",
    "  fi",
    ...offerLines(places, run),
    "  ((position == 0)) && offered+=($subcommands)",
    "  if [[ $PREFIX != -* ]] && (($#offered)); then",
    "    _describe command offered; return",
    "  fi",
    '  [[ $PREFIX == -[^-]?* ]] && PREFIX="-$PREFIX"',
    "  _describe -o flag flags",
    "}",
    `if [[ "\${funcstack[1]}" == ${run} ]]; then ${run} "$@"; else compdef ${run} ${name}; fi`,
  ];
}

/** Chooses what that command offers. */
function offerLines(places: readonly Place[], run: string): string[] {
  return [
    '  case "$place" in',
    ...places.map(({ path, commands, flags }) =>
      `    (${quote(path)}) subcommands=(${list(commands)}) flags=(${
        list(flags.flatMap((flag) => spellings(flag).map((spelling) => ({ ...flag, name: spelling }))))
      }) ;;`
    ),
    "  esac",
    '  case "$place:$position" in',
    ...fileOperandCase(places, "[[ $PREFIX == -* ]] || { _files; return }"),
    ...nameOperandCases(places, (kind) => `[[ $PREFIX == -* ]] || ${run}_names ${kind}`),
    ...operandCases(places).map(({ key, words }) =>
      `    (${key}) offered=(${words.map(quote).join(" ")}) ;;`
    ),
    "  esac",
  ];
}

function list(words: readonly Described[]): string {
  return words.map((word) => quote(`${word.name.replaceAll(":", "\\:")}:${word.description}`)).join(" ");
}
