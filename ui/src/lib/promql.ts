// Splits PromQL into coloured pieces and finds what is being typed. For the eye only: the server parses. Pure.

export type TokenKind = 'function' | 'keyword' | 'label' | 'string' | 'number' | 'metric' | 'other'
export interface Token { kind: TokenKind; text: string }

const keywords = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'offset', 'bool', 'and', 'or', 'unless', 'start', 'end'])

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
    if (next?.text === '(' || /^(sum|avg|min|max|count|topk|bottomk|quantile|stddev|stdvar|group|count_values)$/.test(token.text)) token.kind = 'function'
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

export interface Typing { kind: 'name' | 'label' | 'value'; from: number; prefix: string; /** The metric before the brace. */ metric?: string; /** The label whose value is typed. */ label?: string }

/** What stands left of the caret and could be completed. */
export function typing(source: string, caret: number): Typing | undefined {
  const left = source.slice(0, caret)
  const open = left.lastIndexOf('{')
  const inside = open > left.lastIndexOf('}')
  if (inside) {
    const metric = /([a-zA-Z_:][\w:]*)\s*$/.exec(left.slice(0, open))?.[1]
    const matcher = left.slice(open + 1)
    const value = /([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"([^"]*)$/.exec(matcher)
    if (value) return { kind: 'value', from: caret - value[2]!.length, prefix: value[2]!, label: value[1]!, ...(metric ? { metric } : {}) }
    const label = /(?:^|,)\s*([a-zA-Z_]?\w*)$/.exec(matcher)
    return label ? { kind: 'label', from: caret - label[1]!.length, prefix: label[1]!, ...(metric ? { metric } : {}) } : undefined
  }
  if ((left.match(/"/g)?.length ?? 0) % 2 === 1 || left.lastIndexOf('[') > left.lastIndexOf(']')) return undefined
  const list = /\b(?:by|without|on|ignoring)\s*\(([^)]*)$/i.exec(left)
  const word = /([a-zA-Z_:][\w:]*)$/.exec(left)
  if (!word) return list ? { kind: 'label', from: caret, prefix: '' } : undefined
  return { kind: list ? 'label' : 'name', from: caret - word[1]!.length, prefix: word[1]! }
}

/** Functions and aggregations that are offered beside the names that the data holds. */
export const functions = [
  'abs', 'absent', 'avg', 'avg_over_time', 'bottomk', 'ceil', 'changes', 'clamp', 'clamp_max', 'clamp_min', 'count', 'count_over_time', 'day_of_week', 'delta',
  'deriv', 'floor', 'group', 'histogram_quantile', 'hour', 'idelta', 'increase', 'irate', 'label_join', 'label_replace', 'last_over_time', 'ln', 'log10', 'log2',
  'max', 'max_over_time', 'min', 'min_over_time', 'minute', 'month', 'predict_linear', 'quantile', 'quantile_over_time', 'rate', 'resets', 'round', 'scalar',
  'sort', 'sort_desc', 'sqrt', 'stddev', 'sum', 'sum_over_time', 'time', 'timestamp', 'topk', 'vector', 'year',
] as const
