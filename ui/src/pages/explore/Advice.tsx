// What could go: the metric with the most series, its label with the most values, and how many series would stay without it.
import { Fragment, type ReactNode } from 'react'
import { CopyButton } from '../../components/Copy'
import { useFormat, useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import type { Cardinality } from '../../data/api'
import { useSeriesCount } from '../../data/prom'
import { useCardinality } from '../../data/queries'
import { metricOf, selectorFor, type Matcher } from '../../lib/narrow'
import { labelText, selectorOf } from '../../lib/promql'

/** A metric below this share of all series is not worth a word. */
const worth = 0.05
/** A label with fewer values than this is as labels are. */
const manyValues = 12

export interface Advised { metric: string; of: Cardinality; label: Cardinality['labels'][number]; /** The label has so many values that it is worth taking out. */ stands: boolean; /** Series that would stay without it. */ left: number | undefined; whole: number; chosen: boolean }

/** What to say about `data`; null: nothing. Undefined until that is known: the page shows both together, so that no row moves when this comes. */
export function useAdvice(data: Cardinality | undefined, all: Cardinality | undefined, matchers: readonly Matcher[]): Advised | null | undefined {
  const chosen = metricOf(matchers)
  const top = data?.metrics[0]
  const metric = data === undefined ? undefined : (chosen ?? (top && top.series >= data.series * worth ? top.name : undefined))
  const selector = chosen !== undefined ? selectorFor(matchers) : metric === undefined ? undefined : selectorOf(metric)
  const own = useCardinality(selector, undefined, 10, metric !== undefined && chosen === undefined)
  const of = chosen !== undefined ? data : own.isPlaceholderData ? undefined : own.data
  const label = of?.metrics[0]?.name === metric ? of?.labels.find(({ name }) => name !== '__name__' && name !== of.source_label) : undefined
  const stands = label !== undefined && label.values >= manyValues
  const left = useSeriesCount(`group without (${label ? labelText(label.name) : ''}) (${selector ?? ''})`, undefined, stands && selector !== undefined)
  if (data === undefined) return undefined
  if (metric === undefined || (of === undefined && own.isError)) return null
  if (of === undefined || (stands && left.isPending)) return undefined
  return label === undefined ? null : { metric, of, label, stands, left: left.data, whole: all?.series ?? data.series, chosen: chosen !== undefined }
}

export function Advice({ advised, onNarrow, onLabel }: { advised: Advised; onNarrow: (one: Matcher) => void; onLabel: (name: string) => void }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const { metric, of, label, stands, left, whole, chosen } = advised
  const drop = `metric_relabel_configs:\n  - source_labels: [__name__]\n    regex: ${exact(metric)}\n    action: drop\n`
  return (
    <Panel title={word('cardinality.hint')} className="advice">
      <div className="pb">
        <p>
          <Marked text={word('cardinality.hint.share', { metric, share: format.measure(of.series / Math.max(1, whole), 'ratio'), series: of.series })} marks={[metric]} />{' '}
          <Marked marks={[label.name]} text={!stands ? word('cardinality.hint.calm', { label: label.name, values: label.values })
            // Series that have ended are counted in memory but found by no query: then there is no figure to give.
            : !left ? word('cardinality.hint.label.only', { label: label.name, values: label.values }) : word('cardinality.hint.label', { label: label.name, values: label.values, left, series: of.series })} />
        </p>
        {stands && <p className="t2 sm">{word('cardinality.hint.do')}</p>}
        <div className="row wrap" style={{ marginTop: 6 }}>
          <button type="button" className="btn small" onClick={() => onLabel(label.name)}>{word('cardinality.hint.values', { label: label.name })}</button>
          {!chosen && <button type="button" className="btn small" onClick={() => onNarrow({ name: '__name__', value: metric })}>{word('cardinality.hint.narrow', { metric })}</button>}
        </div>
        {chosen && (
          <details className="drop">
            <summary className="t2 sm">{word('cardinality.hint.drop')}</summary>
            <pre className="code">{drop}</pre>
            <CopyButton className="btn small" text={() => drop}>{word('do.copy')}</CopyButton>
          </details>
        )}
      </div>
    </Panel>
  )
}

/** A name as a regular expression that fits nothing else, as YAML writes it. */
function exact(name: string): string {
  const text = name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  return /^[a-zA-Z_]\w*$/.test(text) ? text : JSON.stringify(text)
}

/** A sentence in which names of metrics and labels stand as code. */
function Marked({ text, marks }: { text: string; marks: readonly string[] }): ReactNode {
  const mark = marks.find((one) => one !== '' && text.includes(one))
  if (mark === undefined) return text
  const at = text.indexOf(mark)
  return <Fragment>{text.slice(0, at)}<code className="mono">{mark}</code>{text.slice(at + mark.length)}</Fragment>
}
