// A query as an alerting rule in Prometheus' own format: its expression, the group that a back-test takes, and the file's text. Pure.
import { parseSpan } from './range'
import { tokens } from './promql'

export const comparisons = ['>', '>=', '<', '<=', '==', '!='] as const
export type Comparison = (typeof comparisons)[number]
export const priorities = ['P1', 'P2', 'P3', 'P4', 'P5'] as const

/** As it is typed: texts may still be wrong. */
export interface RuleDraft {
  query: string
  name: string
  /** `gives`: bad for each series that the query gives. */
  when: 'gives' | Comparison
  threshold: string
  /** Bad only after so long: `30s`; empty: at once. */
  hold: string
  priority: (typeof priorities)[number]
  /** `team=shop, env="prod"`. */
  labels: string
  summary: string
}

export interface Rule { alert: string; expr: string; for?: string; labels: Record<string, string>; annotations?: Record<string, string> }

/** What of a draft can't be used. */
export type RuleFault = 'name' | 'threshold' | 'hold' | 'labels'

export const groupName = 'explore'

/** What stands in a query outside all brackets. */
function outside(query: string): { compares: boolean; joins: boolean; remarks: boolean } {
  let depth = 0
  const found = { compares: false, joins: false, remarks: false }
  for (const { kind, text } of tokens(query)) {
    if (text.startsWith('#')) found.remarks = true
    else if (text === '(' || text === '{') depth += 1
    else if (text === ')' || text === '}') depth -= 1
    else if (depth === 0 && kind === 'keyword' && /^(and|or|unless)$/i.test(text)) found.joins = true
    else if (depth === 0 && kind === 'other' && /^[<>=!]$/.test(text)) found.compares = true
  }
  return found
}

/** Whether the query compares by itself: then it gives only what is wrong. */
export const compares = (query: string): boolean => outside(query).compares

/** The query with its comparison; in brackets where they are needed to mean the same. */
export function ruleExpr({ query, when, threshold }: Pick<RuleDraft, 'query' | 'when' | 'threshold'>): string {
  const own = query.trim().replaceAll('\r\n', '\n')
  if (when === 'gives') return own
  const { compares: compared, joins, remarks } = outside(own)
  // A remark goes on to the end of its line: the bracket stands on one of its own.
  const whole = remarks ? `(\n${own}\n)` : compared || joins ? `(${own})` : own
  return `${whole} ${when} ${threshold.trim()}`
}

/** `team=shop, env="prod"` as labels; undefined where it can't be read. */
export function readLabels(text: string): Record<string, string> | undefined {
  const found: Record<string, string> = {}
  let rest = text.trim()
  while (rest !== '') {
    const one = /^([a-zA-Z_]\w*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^,"\n]*))\s*(?:[,\n]\s*|$)/.exec(rest)
    if (!one) return undefined
    found[one[1]!] = one[2] === undefined ? one[3]!.trim() : one[2].replace(/\\(.)/g, '$1')
    rest = rest.slice(one[0].length)
  }
  return found
}

/** As Prometheus reads it: largest unit first. */
const span = (text: string): boolean => /^(0|(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?)$/.test(text.trim())
const figure = (text: string): boolean => /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text.trim())

export function ruleFaults(draft: RuleDraft): RuleFault[] {
  return [
    ...(draft.name.trim() === '' || draft.name.length > 200 ? ['name' as const] : []),
    ...(draft.when !== 'gives' && !figure(draft.threshold) ? ['threshold' as const] : []),
    ...(span(draft.hold) ? [] : ['hold' as const]),
    ...(readLabels(draft.labels) ? [] : ['labels' as const]),
  ]
}

/** The rule of a draft without faults. */
export function ruleOf(draft: RuleDraft): Rule {
  const summary = draft.summary.trim()
  const hold = draft.hold.trim()
  return {
    alert: draft.name.trim(), expr: ruleExpr(draft), ...(hold === '' || hold === '0' || parseSpan(hold) === 0 ? {} : { for: hold }),
    labels: { priority: draft.priority, ...readLabels(draft.labels) }, ...(summary === '' ? {} : { annotations: { summary } }),
  }
}

/** A rule as a file that Prometheus reads too. */
export function ruleYaml(rule: Rule): string {
  const map = (name: string, values: Readonly<Record<string, string>> | undefined): string[] => {
    const pairs = Object.entries(values ?? {})
    return pairs.length === 0 ? [] : [`        ${name}:`, ...pairs.map(([key, value]) => `          ${key}: ${scalar(value)}`)]
  }
  return [
    'groups:', `  - name: ${groupName}`, '    rules:', `      - alert: ${scalar(rule.alert)}`,
    '        expr: |-', ...rule.expr.split('\n').map((line) => (line.trim() === '' ? '' : `          ${line}`)),
    ...(rule.for ? [`        for: ${rule.for}`] : []), ...map('labels', rule.labels), ...map('annotations', rule.annotations), '',
  ].join('\n')
}

/** Words that YAML takes for something else. */
const taken = /^(true|false|yes|no|on|off|y|n|null)$/i
const scalar = (text: string): string => (/^[a-zA-Z_][\w-]*$/.test(text) && !taken.test(text) ? text : JSON.stringify(text))

/** A name to begin with: `node_load1` is `NodeLoad1`. */
export function ruleName(query: string): string {
  const metric = tokens(query).find((token) => token.kind === 'metric')?.text ?? ''
  return metric.replace(/_(total|bucket)$/, '').split(/[^a-zA-Z0-9]+/).filter(Boolean).map((part) => part[0]!.toUpperCase() + part.slice(1)).join('')
}
