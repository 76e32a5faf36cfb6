/**
 * The completion script for bash.
 */
import type { Place } from "./places.ts";
import {
  fileOperandCase,
  functionName,
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
    `${run}() {`,
    "  local current=\"${COMP_WORDS[COMP_CWORD]}\" place='' position=0 flag='' head='' word i",
    "  local commands='' flags='' offered=''",
    "  COMPREPLY=()",
    "  for ((i = 1; i < COMP_CWORD; i++)); do",
    '    word="${COMP_WORDS[i]}"',
    "    # bash makes a word of its own of the = in --flag=value.",
    '    if [[ $word == = ]]; then flag="${COMP_WORDS[i - 1]}"; continue; fi',
    ...stepLines(places),
    "  done",
    "  if [[ $current == = ]]; then",
    "    flag=\"${COMP_WORDS[COMP_CWORD - 1]}\" current=''",
    "  elif [[ -z $flag && $current == -*=* ]]; then",
    '    flag="${current%%=*}" head="${current%%=*}=" current="${current#*=}"',
    "  fi",
    "  if [[ -n $flag ]]; then",
    '    [[ $flag == --* ]] || flag="-$flag"',
    '    case "$place:$flag" in',
    ...valueCases(places).map(({ keys, flag }) =>
      flag.isFile
        ? `      ${keys.join("|")}) local IFS=$'\\n'; COMPREPLY=($(compgen -P "$head" -f -- "$current")); ` +
          "compopt -o filenames 2>/dev/null; return ;;"
        : `      ${keys.join("|")}) offered=${quote(flag.values.join(" "))} ;;`
    ),
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
