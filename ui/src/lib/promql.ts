// Splits PromQL into coloured pieces and finds what is being typed. For the eye only: the server parses. Pure.

export type TokenKind = 'function' | 'keyword' | 'label' | 'string' | 'number' | 'metric' | 'other'
export interface Token { kind: TokenKind; text: string }

const keywords = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'offset', 'bool', 'and', 'or', 'unless', 'atan2'])

export function tokens(source: string): Token[] {
  const found: Token[] = []
  let braces = 0
  let list = false
  const pattern = /#[^\n]*|"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|`[^`]*`?|\[[^\]]*\]?|(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?(?:ms|[smhdwy])?)+|[a-zA-Z_:][\w:]*|\s+|[\s\S]/giu
  for (const [text] of source.matchAll(pattern)) {
    if (text === '{') braces += 1
    if (text === '}') braces = Math.max(0, braces - 1)
    if (text === ')') list = false
    found.push({ kind: kind(text), text })
    if (/^(by|without|on|ignoring|group_left|group_right)$/i.test(text)) list = true
  }
  // A name is a function when an opening bracket follows.
  found.forEach((token, index) => {
    if (token.kind !== 'metric') return
    const next = found.slice(index + 1).find((other) => other.text.trim() !== '')
    if (next?.text === '(' || /^(sum|avg|min|max|count|topk|bottomk|quantile|stddev|stdvar|group|count_values|limitk|limit_ratio)$/.test(token.text)) token.kind = 'function'
  })
  return found

  function kind(text: string): TokenKind {
    if (/^["'`]/.test(text)) return 'string'
    if (/^\[/.test(text) || /^\d/.test(text)) return 'number'
    if (/^[a-zA-Z_:]/.test(text)) {
      if (keywords.has(text.toLowerCase())) return 'keyword'
      return braces > 0 || list ? 'label' : 'metric'
    }
    return 'other'
  }
}

export interface Typing {
  kind: 'name' | 'label' | 'value' | 'span'
  /** Where the word begins that a completion replaces. */
  from: number
  prefix: string
  /** What the series must fit, from what stands before: `requests_total{service="shop"}`. */
  selector?: string
  /** The label whose value is typed. */
  label?: string
  /** The value is a pattern (`=~`, `!~`). */
  pattern?: true
  /** The label stands in quotes, of which the first is there. */
  quoted?: true
}

const plain = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/

/** What stands left of the caret and could be completed. */
export function typing(source: string, caret: number): Typing | undefined {
  const left = source.slice(0, caret)
  const open = openBrace(left)
  if (open >= 0) return inBraces(left, open)
  const span = /(?:\[[^\]"'{}]*?|\boffset\s+-?|:\s*)(\d*[a-z]*)$/i.exec(left)
  if (span && (left.lastIndexOf('[') > left.lastIndexOf(']') || /\boffset\s+-?\w*$/i.test(left))) return { kind: 'span', from: caret - span[1]!.length, prefix: span[1]! }
  if (quoteOpen(left) || left.lastIndexOf('[') > left.lastIndexOf(']')) return undefined
  const list = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)$/i.test(left)
  // A name with dots is typed as it is; completion puts it into quotes.
  const word = /([a-zA-Z_:][\w:.]*)$/.exec(left)
  if (list) {
    const metric = tokens(source).find((token) => token.kind === 'metric')?.text
    return { kind: 'label', from: caret - (word?.[1]!.length ?? 0), prefix: word?.[1] ?? '', ...(metric ? { selector: metric } : {}) }
  }
  return word ? { kind: 'name', from: caret - word[1]!.length, prefix: word[1]! } : undefined
}

/** Inside `{..}`: the name of a label, or a value of one, with what the matchers before say already. */
function inBraces(left: string, open: number): Typing | undefined {
  const metric = /([a-zA-Z_:][\w:]*)\s*$/.exec(left.slice(0, open))?.[1] ?? ''
  const matcher = left.slice(open + 1)
  const value = /(?:^|,)\s*("(?:[^"\\]|\\.)*"|[a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)$/.exec(matcher)
  const label = value ? undefined : (/(?:^|,)\s*()([a-zA-Z_]?[\w.]*)$/.exec(matcher) ?? /(?:^|,)\s*(")([^"\\]*)$/.exec(matcher))
  const found = value ?? label
  if (!found) return undefined
  const before = matcher.slice(0, found.index).trim()
  const selector = before ? `${metric}{${before}}` : metric
  const shared = selector ? { selector } : {}
  if (value) {
    const pattern = value[2]!.endsWith('~')
    // Of `a|b` the last one is typed.
    const prefix = pattern ? /(?:^|[|(])((?:[^|(\\]|\\.)*)$/.exec(value[3]!)![1]! : value[3]!
    return { kind: 'value', from: left.length - prefix.length, prefix, label: value[1]!.replace(/^"|"$/g, ''), ...shared, ...(pattern ? { pattern } : {}) }
  }
  return { kind: 'label', from: left.length - label![2]!.length, prefix: label![2]!, ...shared, ...(label![1] ? { quoted: true as const } : {}) }
}

/** Where the brace stands that is still open, -1 when none is. Braces in strings and comments are none. */
export function openBrace(left: string): number {
  let open = -1
  let at = 0
  for (const token of tokens(left)) {
    if (token.text === '{') open = at
    else if (token.text === '}') open = -1
    at += token.text.length
  }
  return open
}

/** True behind a quote that has no end yet. */
function quoteOpen(left: string): boolean {
  const last = tokens(left).at(-1)
  return last?.kind === 'string' && (last.text.length === 1 || last.text.at(-1) !== last.text[0])
}

/** The query picks by value (`up == 0`, `a unless b`): nothing may come out of it though all is stored. */
export function compares(source: string): boolean {
  let braces = 0
  return tokens(source).some(({ text, kind }) => {
    if (text === '{') braces += 1
    if (text === '}') braces -= 1
    return braces === 0 && ((kind === 'other' && /^[=!<>]$/.test(text)) || (kind === 'keyword' && /^(and|unless)$/i.test(text)))
  })
}

/** The token at `place`, with where it begins. */
export function tokenAt(source: string, place: number): (Token & { from: number }) | undefined {
  let at = 0
  for (const token of tokens(source)) {
    if (place >= at && place < at + token.text.length) return { ...token, from: at }
    at += token.text.length
  }
  return undefined
}

/** The function or aggregation in whose brackets the caret stands, else the word that it stands on. */
export function around(source: string, caret: number): string | undefined {
  const found = tokens(source)
  const open: string[] = []
  let at = 0
  let word: string | undefined
  for (const [index, token] of found.entries()) {
    const end = at + token.text.length
    if (/^[a-zA-Z_:]/.test(token.text) && at <= caret && caret <= end && token.kind !== 'label') word = token.text
    if (end > caret) break
    if (token.text === '(') open.push(called(found, index))
    if (token.text === ')') open.pop()
    at = end
  }
  return word ?? open.findLast(Boolean)
}

/** The name before the bracket at `index`; for `sum by (host) (` the aggregation before its labels; nothing for a list of labels. */
function called(all: readonly Token[], index: number): string {
  const before = all.slice(0, index).filter((token) => token.text.trim() !== '')
  const last = before.at(-1)
  if (last?.kind === 'function') return last.text
  if (last?.text !== ')') return ''
  const opened = before.findLastIndex((token) => token.text === '(')
  return before[opened - 1]?.kind === 'keyword' && before[opened - 2]?.kind === 'function' ? before[opened - 2]!.text : ''
}

/** A name as a query writes it: `up`, and `{"my.name"}` for one that is no plain word. */
export const metricText = (name: string): string => (plain.test(name) ? name : `{${JSON.stringify(name)}}`)
/** A metric's name before `rest`. One in quotes goes into the braces that follow: how much of these it takes, and the text. */
export function metricBefore(name: string, rest: string): { text: string; takes: number } {
  const braces = plain.test(name) ? null : /^\s*\{\s*(\})?/.exec(rest)
  if (!braces) return { text: metricText(name), takes: 0 }
  return braces[1] ? { text: metricText(name), takes: braces[0].length } : { text: `{${JSON.stringify(name)}, `, takes: braces[0].length }
}

/** The query with another name for a metric, wherever it stands as one. */
export function renamed(query: string, metric: string, name: string): string {
  let text = ''
  let at = 0
  let skip = 0
  for (const token of tokens(query)) {
    at += token.text.length
    if (at <= skip) continue
    if (token.kind !== 'metric' || token.text !== metric) {
      text += token.text
      continue
    }
    const put = metricBefore(name, query.slice(at))
    text += put.text
    skip = at + put.takes
  }
  return text
}

/** A label as a matcher writes it. */
export const labelText = (name: string): string => (/^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name))
/** All series of a metric that have these labels: `up{job="shop"}`, `{"my.name"}`; without a metric `{job="shop"}`. */
export function selectorOf(metric: string, matchers: readonly [string, string][] = []): string {
  const inside = matchers.map(([name, value]) => `${labelText(name)}=${JSON.stringify(value)}`)
  if (metric === '' || plain.test(metric)) return inside.length === 0 ? metric : `${metric}{${inside.join(', ')}}`
  return `{${[JSON.stringify(metric), ...inside].join(', ')}}`
}
