// One query: coloured as it is typed, completed from what the data holds, an error underlined where it is.
import { useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import type { PageRange } from '../../components/address'
import { Icon } from '../../components/Icon'
import { useFormat, useWord } from '../../components/language'
import { ApiError } from '../../data/http'
import { useLabelNames, useLabelValues, useMetricNames } from '../../data/prom'
import { errorSaid, errorSpan } from '../../lib/place'
import { functions, tokens, typing, type Typing } from '../../lib/promql'
import { useExplored } from './Result'

interface Props {
  letter: string
  value: string
  /** What was asked last: its error and cost belong to it, not to what is typed since. */
  asked: string | undefined
  round: number
  range: PageRange
  onChange: (text: string) => void
  onRun: () => void
  onRemove?: (() => void) | undefined
}

export function Editor({ letter, value, asked, round, range, onChange, onRun, onRemove }: Props): ReactNode {
  const word = useWord()
  const format = useFormat()
  const area = useRef<HTMLTextAreaElement>(null)
  const [at, setAt] = useState<Typing>()
  const [chosen, setChosen] = useState(0)
  const result = useExplored(asked ?? '', range, round)
  const current = asked !== undefined && asked === value.trim()
  const error = current && result.error instanceof ApiError ? result.error : undefined
  const span = error && error.status > 0 && error.status < 500 ? errorSpan(value, error) : undefined

  const names = useMetricNames().data
  const labels = useLabelNames(at?.metric, at?.kind === 'label').data
  const values = useLabelValues(at?.kind === 'value' ? at.label : undefined, at?.metric).data
  const offered = useMemo(() => {
    if (!at) return []
    const prefix = at.prefix.toLowerCase()
    const pool = at.kind === 'name' ? [...(names ?? []), ...functions] : at.kind === 'label' ? (labels ?? []) : (values ?? [])
    const starts = pool.filter((name) => name.toLowerCase().startsWith(prefix) && name !== at.prefix)
    const holds = prefix.length > 1 ? pool.filter((name) => !name.toLowerCase().startsWith(prefix) && name.toLowerCase().includes(prefix)) : []
    return [...starts, ...holds].slice(0, 9)
  }, [at, names, labels, values])
  const open = at !== undefined && offered.length > 0
  const listId = `complete-${letter}`

  const look = (forced: boolean): void => {
    const element = area.current
    if (!element) return
    const found = typing(element.value, element.selectionStart) ?? (forced ? { kind: 'name' as const, from: element.selectionStart, prefix: '' } : undefined)
    setChosen(0)
    setAt(found && (forced || found.prefix.length > 0) ? found : undefined)
  }
  const take = (name: string): void => {
    const element = area.current
    if (!element || !at) return
    const end = at.from + at.prefix.length
    const tail = at.kind === 'name' && (functions as readonly string[]).includes(name) && value[end] !== '(' ? '(' : ''
    onChange(value.slice(0, at.from) + name + tail + value.slice(end))
    setAt(undefined)
    const caret = at.from + name.length + tail.length
    requestAnimationFrame(() => {
      element.focus()
      element.setSelectionRange(caret, caret)
    })
  }
  const keys = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.nativeEvent.isComposing) return
    if (event.ctrlKey && event.key === ' ') {
      event.preventDefault()
      look(true)
    } else if ((event.ctrlKey || event.metaKey || !open) && event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault()
      event.stopPropagation()
      setAt(undefined)
      onRun()
    } else if (open && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      event.preventDefault()
      setChosen((chosen + (event.key === 'ArrowDown' ? 1 : offered.length - 1)) % offered.length)
    } else if (open && (event.key === 'Enter' || event.key === 'Tab')) {
      event.preventDefault()
      take(offered[chosen]!)
    } else if (open && event.key === 'Escape') {
      event.preventDefault()
      event.stopPropagation()
      setAt(undefined)
    }
  }
  const count = result.data?.series.length
  const took = result.data ? format.duration(result.data.tookMillis) : ''
  return (
    <div className="q">
      <span className="qn" aria-hidden="true">{letter}</span>
      <div className="code-box">
        <pre className="code-shown" aria-hidden="true">
          {tokens(value).map((token, index) => <span key={index} className={`c-${token.kind}`}>{token.text}</span>)}
          {'\n'}
        </pre>
        {span && <pre className="code-error" aria-hidden="true">{value.slice(0, span.from)}<u>{value.slice(span.from, span.to) || ' '}</u></pre>}
        <textarea ref={area} className="code-typed" rows={value.split('\n').length} spellCheck={false} autoCapitalize="none" autoComplete="off" value={value} maxLength={16_384}
          placeholder={word('explore.placeholder')} aria-label={word('explore.query', { letter })} aria-invalid={error !== undefined} aria-describedby={error ? `error-${letter}` : undefined}
          aria-controls={listId} aria-autocomplete="list" aria-activedescendant={open ? `${listId}-${chosen}` : undefined}
          onChange={(event) => { onChange(event.target.value); requestAnimationFrame(() => look(false)) }} onKeyDown={keys} onBlur={() => setAt(undefined)} />
        <ul id={listId} className="complete" role="listbox" aria-label={word('explore.complete')} hidden={!open}>
          {offered.map((name, index) => (
            <li key={name} id={`${listId}-${index}`} role="option" aria-selected={index === chosen} onPointerDown={(event) => { event.preventDefault(); take(name) }}>
              <span className="mono">{name}</span>{at?.kind === 'name' && (functions as readonly string[]).includes(name) && <span className="t3 xs">()</span>}
            </li>
          ))}
        </ul>
        {error && (
          <p id={`error-${letter}`} className="bad sm" role="alert">
            {error.message === 'network' ? word('error.network') : errorSaid(error.message)}{error.place && <span className="t3"> {error.place}</span>}{error.hint && <span className="t2"> {error.hint}</span>}
          </p>
        )}
      </div>
      {current && result.data && !error && <span className="t3 sm nw">{count === 1 ? word('explore.one', { took }) : word('explore.cost', { count, took })}</span>}
      {onRemove && <button type="button" className="btn quiet small" aria-label={word('explore.remove', { letter })} onClick={onRemove}><Icon name="close" /></button>}
    </div>
  )
}
