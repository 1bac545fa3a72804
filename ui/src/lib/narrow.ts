// Which series the count is about: pairs of label and value, one after the other, as they stand in the address. Pure.
import { selectorOf } from './promql'

export interface Matcher { name: string; value: string }

const most = 8

/** `path=/item/1`: the first `=` ends the name; a label whose name holds one can't be narrowed by. */
export function readMatchers(value: string | readonly string[] | undefined): Matcher[] {
  const list = value === undefined ? [] : typeof value === 'string' ? [value] : value
  return list.slice(0, most).flatMap((text) => {
    const at = text.indexOf('=')
    return at > 0 ? [{ name: text.slice(0, at), value: text.slice(at + 1) }] : []
  })
}

export const writeMatchers = (matchers: readonly Matcher[]): string[] | undefined => (matchers.length === 0 ? undefined : matchers.map(({ name, value }) => `${name}=${value}`))

/** One more, in the place of what was said of the same label. */
export const narrowed = (before: readonly Matcher[], one: Matcher): Matcher[] => [...before.filter(({ name }) => name !== one.name), one].slice(-most)

/** The metric that it is narrowed to. */
export const metricOf = (matchers: readonly Matcher[]): string | undefined => matchers.find(({ name }) => name === '__name__')?.value

/** As PromQL: `requests_total{path="/item/1"}`; undefined for all series. */
export function selectorFor(matchers: readonly Matcher[]): string | undefined {
  if (matchers.length === 0) return undefined
  const rest = matchers.filter(({ name }) => name !== '__name__').map(({ name, value }): [string, string] => [name, value])
  return selectorOf(metricOf(matchers) ?? '', rest)
}
