// By what the series of an answer are told apart. Pure.

export type Labels = Readonly<Record<string, string>>

const metric = '__name__'

/** The labels in which the series differ, the metric first; all but the metric where they differ in none. */
export function tellingLabels(all: readonly Labels[]): string[] {
  const names = [...new Set(all.flatMap((labels) => Object.keys(labels)))]
  const telling = names.filter((name) => new Set(all.map((labels) => labels[name])).size > 1)
  if (telling.includes(metric)) return [metric, ...telling.filter((name) => name !== metric)]
  return telling.length > 0 ? telling : names.filter((name) => name !== metric)
}

/** A name for each series by the labels in which they differ. Where values alone would be the same for two, their labels stand before them. */
export function seriesNames(all: readonly Labels[]): string[] {
  const used = tellingLabels(all)
  const there = (labels: Labels): string[] => used.filter((name) => (labels[name] ?? '') !== '')
  const short = all.map((labels) => there(labels).map((name) => labels[name]!).join(' ') || (labels[metric] ?? ''))
  return new Set(short).size === short.length ? short : all.map((labels, index) => there(labels).map((name) => (name === metric ? labels[name]! : `${name}=${labels[name]!}`)).join(' ') || short[index]!)
}
