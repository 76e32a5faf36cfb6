/**
 * The completion script for bash.
 */
import { NAMES_COMMAND } from "./names.ts";
import type { Flag, Place } from "./places.ts";
import {
  fileOperandCase,
  functionName,
  nameOperandCases,
  operandCases,
  quote,
  spellings,
  stepLines,
  valueCases,
} from "./words.ts";

export function bashScript(name: string, places: readonly Place[]): string[] {
  const run = functionName(name);
  return [
    `# bash completion for ${name}, made by \`${name} completion bash\``,
    ...namesFunction(run),
    `${run}() {`,
    "  local current='' place='' position=0 flag='' head='' word last gap rest=\"${COMP_LINE:0:COMP_POINT}\" i",
    "  local commands='' flags='' offered=''",
    "  local -a words=()",
    "  COMPREPLY=()",
    "  # bash makes words of their own of the : in a name, and of the = in --flag=value.",
    "  for ((i = 0; i <= COMP_CWORD; i++)); do",
    '    word="${COMP_WORDS[i]}" gap="${rest%%[![:blank:]]*}" last=$((${#words[@]} - 1))',
    "    if [[ $i -gt 0 && -n $rest && -z $gap && ( $word == :* || ${words[last]} == *: ) ]]; then",
    '      words[last]="${words[last]}$word"',
    '    else words[last + 1]="$word"; fi',
    '    rest="${rest#"$gap"}" rest="${rest#"$word"}"',
    "  done",
    "  last=$((${#words[@]} - 1))",
    '  current="${words[last]}"',
    "  for ((i = 1; i < last; i++)); do",
    '    word="${words[i]}"',
    '    if [[ $word == = ]]; then flag="${words[i - 1]}"; continue; fi',
    ...stepLines(places),
    "  done",
    "  if [[ $current == = ]]; then",
    "    flag=\"${words[last - 1]}\" current=''",
    "  elif [[ -z $flag && $current == -*=* ]]; then",
    '    flag="${current%%=*}" head="${current%%=*}=" current="${current#*=}"',
    "  fi",
    "  if [[ -n $flag ]]; then",
    '    [[ $flag == --* ]] || flag="-$flag"',
    '    case "$place:$flag" in',
    ...valueCases(places).map(({ keys, flag }) => `      ${keys.join("|")}) ${valueAction(run, flag)} ;;`),
    "    esac",
    "  else",
    '    case "$place" in',
    ...places.map(({ path, commands, flags }) =>
      `      ${quote(path)}) commands=${quote(commands.map((each) => each.name).join(" "))} ` +
      `flags=${quote(flags.flatMap(spellings).join(" "))} ;;`
    ),
    "    esac",
    '    case "$place:$position" in',
    ...fileOperandCase(
      places,
      "if [[ $current != -* ]]; then local IFS=$'\\n'; COMPREPLY=($(compgen -f -- \"$current\")); " +
        "compopt -o filenames 2>/dev/null; return; fi",
    ),
    ...nameOperandCases(places, (kind) => `if [[ $current != -* ]]; then ${run}_names ${kind}; return; fi`),
    ...operandCases(places).map(({ key, words }) => `      ${key}) offered=${quote(words.join(" "))} ;;`),
    "    esac",
    '    [[ $position -gt 0 ]] || offered="$offered $commands"',
    '    [[ $current != -* && -n ${offered// /} ]] || offered="$flags"',
    '    [[ $current != -[!-]* || " $flags " == *" $current "* ]] || current="-$current"',
    "  fi",
    '  COMPREPLY=($(compgen -P "$head" -W "$offered" -- "$current"))',
    "}",
    `complete -F ${run} ${name}`,
  ];
}

function valueAction(run: string, { isFile, names, values }: Flag): string {
  if (names !== null) return `${run}_names ${names}; return`;
  if (!isFile) return `offered=${quote(values.join(" "))}`;
  return 'local IFS=$\'\\n\'; COMPREPLY=($(compgen -P "$head" -f -- "$current")); ' +
    "compopt -o filenames 2>/dev/null; return";
}

/**
 * Names are anybody's text: bash must expand none of it, now or when the line is run. After an opening quote only those are
 * offered that need no escapes.
 */
function namesFunction(run: string): string[] {
  return [
    `${run}_names() {`,
    "  local name shown begun=''",
    '  [[ $COMP_WORDBREAKS != *:* ]] || begun="${current%"${current##*:}"}"',
    "  while IFS= read -r name; do",
    "    printf -v shown '%q' \"$name\"",
    "    if [[ $current == [\\'\\\"]* ]]; then",
    '      [[ $name == "${current:1}"* && $name != *[\\\'\\"\\$\\`\\\\!]* ]] || continue',
    '      shown="$name"',
    '    else [[ $name == "$current"* || $shown == "$current"* ]] || continue; fi',
    '    COMPREPLY[${#COMPREPLY[@]}]="$head${shown#"$begun"}"',
    `  done < <("\${words[0]/#\\~\\//$HOME/}" ${NAMES_COMMAND} "$1" -- "\${words[@]/#\\~\\//$HOME/}" 2>/dev/null)`,
    "}",
  ];
}
