// What a word of a query is: a function with its signature, a metric with its type and help; and what the editor offers.
import { useMemo, type ReactNode } from 'react'
import { useWord } from '../../components/language'
import { useLabelNames, useLabelValues, useMetadata, useMetricNames } from '../../data/prom'
import promql from '../../data/promql.json'
import { useSettings } from '../../data/settings'
import { isWhole, offers, type Offer } from '../../lib/complete'
import type { Typing } from '../../lib/promql'
import { promqlHelp } from '../../lib/words/promql'

export interface Known { name: string; /** `counter`, where the data says it. */ type?: string | undefined; signature?: string; help: string; unit?: string; experimental?: boolean }

const words = new Map(promql.map((word) => [word.word, word]))
/** A histogram's or a summary's series carry the family's name with one of these behind it. */
const tails = /_(bucket|sum|count|total|created)$/

/** Says what a name is; nothing where nothing is known. */
export function useExplain(enabled: boolean): (name: string, kind?: Offer['kind']) => Known | undefined {
  const { language } = useSettings()
  const metadata = useMetadata(enabled).data
  return useMemo(
    () => (name, kind) => {
      const word = kind === undefined || kind === 'function' || kind === 'aggregation' || kind === 'keyword' ? words.get(name) : undefined
      if (word) return { name, signature: word.signature, help: language === 'zh' ? (promqlHelp[name] ?? word.help) : word.help, experimental: word.experimental }
      if (kind !== undefined && kind !== 'metric') return undefined
      const found = metadata?.[name]?.[0] ?? metadata?.[name.replace(tails, '')]?.[0]
      return found && (found.help || found.type) ? { name, type: found.type && found.type !== 'unknown' ? found.type : undefined, help: found.help, unit: found.unit } : undefined
    },
    [metadata, language],
  )
}

export function Explained({ known }: { known: Known }): ReactNode {
  const word = useWord()
  return (
    <>
      <span className="mono m">{known.signature || known.name}</span>
      {known.type && <span className="tag">{known.type}</span>}
      {known.unit && <span className="t3"> {known.unit}</span>}
      {known.experimental && <span className="tag">{word('explore.experimental')}</span>}
      <span className="t2"> {known.help}</span>
    </>
  )
}

/** What fits at the caret, the data's own names first; and whether a text at the same place is a name already. */
export function useOffers(at: Typing | undefined): { offered: Offer[]; whole: (typed: Typing) => boolean } {
  const metrics = useMetricNames(at !== undefined).data
  const labels = useLabelNames(at?.selector, at?.kind === 'label').data
  const values = useLabelValues(at?.kind === 'value' ? at.label : undefined, at?.selector).data
  return useMemo(() => {
    const known = { metrics: metrics ?? [], labels: labels ?? [], values: values ?? [], words: promql }
    return { offered: at ? offers(at, known) : [], whole: (typed) => isWhole(typed, known) }
  }, [at, metrics, labels, values])
}
