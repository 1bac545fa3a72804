// One query: coloured as it is typed, completed from what the data holds, explained under the pointer, a mistake underlined where it is.
import { useEffect, useRef, useState, type KeyboardEvent, type PointerEvent, type ReactNode } from 'react'
import { useFormat, useWord } from '../../components/language'
import { ApiError } from '../../data/http'
import { useSyntax } from '../../data/prom'
import { bracket, completed, type Offer } from '../../lib/complete'
import { errorSaid, errorSpan } from '../../lib/place'
import { around, tokens, typing, type Typing } from '../../lib/promql'
import { Explained, useExplain, useOffers } from './help'
import type { Answer } from './answers'
import { useSettled } from './settled'
import { placeOf, put, tokenUnder } from './text'

interface Props {
  letter: string
  value: string
  /** What was asked last, and its answer: error and cost belong to it, not to what is typed since. */
  asked: string | undefined
  answer: Answer | undefined
  menu: ReactNode
  focused: boolean
  onFocus: () => void
  onChange: (text: string) => void
  onRun: () => void
  /** What the line below says: the word at the caret, or the mistake in what is typed. */
  onHint: (hint: Hint | undefined) => void
}

/** How the server marks a note that is no warning. */
const info = 'PromQL info: '

export interface Hint { word?: string; mistake?: string }

export function Editor({ letter, value, asked, answer, menu, focused, onFocus, onChange, onRun, onHint }: Props): ReactNode {
  const word = useWord()
  const format = useFormat()
  const area = useRef<HTMLTextAreaElement>(null)
  const shown = useRef<HTMLPreElement>(null)
  const [at, setAt] = useState<Typing>()
  const [chosen, setChosen] = useState(0)
  const [hover, setHover] = useState<{ name: string; left: number; top: number }>()
  const [caret, setCaret] = useState(0)
  const [active, setActive] = useState(false)
  const [warm, setWarm] = useState(false)
  const draft = useSettled(value, 500)

  const current = asked !== undefined && asked === value.trim()
  const failure = current ? refusal(answer?.error) : undefined
  // What was not run yet is read by the server, but not evaluated.
  const syntax = useSyntax(draft, focused && !current && draft === value && at === undefined)
  const draftMistake = !current && draft === value ? refusal(syntax.error) : undefined
  const mistake = failure ?? draftMistake
  const span = mistake ? errorSpan(value, mistake) : undefined

  const { offered, whole } = useOffers(at)
  /** Another offer than the first was gone to: it is what Enter takes. */
  const went = useRef(false)
  const open = at !== undefined && offered.length > 0
  const listId = `complete-${letter}`
  const explain = useExplain(active || warm)
  const about = active ? around(value, caret) : undefined
  useEffect(() => {
    if (focused) onHint(draftMistake ? { mistake: said(draftMistake, word) } : about ? { word: about } : undefined)
  }, [focused, about, draftMistake?.message])
  useEffect(() => {
    if (open) document.getElementById(`${listId}-${chosen}`)?.scrollIntoView({ block: 'nearest' })
  }, [open, chosen, listId])

  const look = (forced: boolean): void => {
    const element = area.current
    if (!element) return
    setCaret(element.selectionStart)
    const found = typing(element.value, element.selectionStart) ?? (forced ? { kind: 'name' as const, from: element.selectionStart, prefix: '' } : undefined)
    setChosen(0)
    went.current = false
    // A label's value is offered as soon as its quote is there; a name when its first letter is.
    setAt(found && (forced || found.prefix.length > 0 || found.kind === 'value') ? found : undefined)
  }
  const take = (offer: Offer): void => {
    const element = area.current
    if (!element || !at) return
    // Who types fast is a letter further than what was last drawn.
    const now = typing(element.value, element.selectionStart)
    const { from, to, text, caret: next } = completed(element.value, now?.from === at.from && now.kind === at.kind ? now : at, offer)
    setAt(undefined)
    put(element, from, to, text, next)
    setCaret(next)
    // A label that was just written wants its value.
    if (offer.kind === 'label' || ((offer.kind === 'function' || offer.kind === 'keyword') && text.endsWith(')'))) requestAnimationFrame(() => look(false))
  }
  /** The name is typed to its end and no other one was chosen. */
  const finished = (element: HTMLTextAreaElement): boolean => {
    const now = typing(element.value, element.selectionStart)
    return !went.current && now !== undefined && now.prefix !== '' && now.from === at?.from && now.kind === at.kind && whole(now)
  }
  const keys = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.nativeEvent.isComposing) return
    const command = event.ctrlKey || event.metaKey
    if (command && event.key === ' ') {
      event.preventDefault()
      look(true)
    } else if (event.key === 'Enter' && !event.shiftKey && (command || !open || finished(event.currentTarget))) {
      event.preventDefault()
      event.stopPropagation()
      setAt(undefined)
      onRun()
    } else if (open && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      event.preventDefault()
      went.current = true
      setChosen((chosen + (event.key === 'ArrowDown' ? 1 : offered.length - 1)) % offered.length)
    } else if (open && (event.key === 'Enter' || event.key === 'Tab')) {
      event.preventDefault()
      take(offered[chosen] ?? offered[0]!)
    } else if (open && event.key === 'Escape') {
      event.preventDefault()
      event.stopPropagation()
      setAt(undefined)
    } else if (!command && !event.altKey && event.key.length === 1) {
      const { selectionStart: from, selectionEnd: to, value: source } = event.currentTarget
      const done = bracket(source, from, to, event.key)
      if (!done) return
      event.preventDefault()
      if ('step' in done) event.currentTarget.setSelectionRange(to + 1, to + 1)
      else put(event.currentTarget, from, to, done.text, done.caret)
      requestAnimationFrame(() => look(false))
    }
  }
  const point = (event: PointerEvent<HTMLTextAreaElement>): void => {
    if (event.pointerType !== 'mouse' || open || !shown.current) return
    const found = tokenUnder(shown.current, value, event.clientX, event.clientY)
    // What is known of it is looked up when it is shown: the help of a metric may come only after the pointer.
    const named = found && (found.kind === 'function' || found.kind === 'keyword' || found.kind === 'metric')
    if (!found || !named) setHover(undefined)
    else if (hover?.name !== found.text) setHover({ name: found.text, left: found.left, top: found.bottom })
  }
  const list = open && at && shown.current ? placeOf(shown.current, at.from) : undefined
  const known = hover ? explain(hover.name) : undefined
  const chosenHelp = open ? explain(offered[chosen]?.name ?? '', offered[chosen]?.kind) : undefined
  return (
    <div className="q">
      <span className="qn" aria-hidden="true">{letter}</span>
      <div className="code-box">
        <div className="code-lines">
          <pre ref={shown} className="code-shown" aria-hidden="true">
            {tokens(value).map((token, index) => <span key={index} className={`c-${token.kind}`}>{token.text}</span>)}
            {'\n'}
          </pre>
          {span && <pre className="code-error" aria-hidden="true">{value.slice(0, span.from)}<u>{value.slice(span.from, span.to) || ' '}</u></pre>}
          <textarea ref={area} className="code-typed" rows={value.split('\n').length} spellCheck={false} autoCapitalize="none" autoCorrect="off" autoComplete="off" value={value} maxLength={16_384}
            placeholder={word('explore.placeholder')} aria-label={word('explore.query', { letter })} aria-invalid={mistake !== undefined} aria-describedby={failure ? `error-${letter}` : 'explore-hint'}
            aria-controls={listId} aria-autocomplete="list" aria-activedescendant={open ? `${listId}-${chosen}` : undefined}
            onChange={(event) => { onChange(event.target.value); setHover(undefined); requestAnimationFrame(() => look(false)) }} onKeyDown={keys} onFocus={() => { setActive(true); onFocus() }} onBlur={() => { setActive(false); setAt(undefined) }}
            onSelect={(event) => setCaret(event.currentTarget.selectionStart)} onPointerEnter={() => setWarm(true)} onPointerMove={point} onPointerLeave={() => setHover(undefined)} />
        </div>
        <div className="complete" hidden={!open} style={list ? { top: list.bottom + 6, left: `min(${list.left}px, max(0px, 100% - 400px))` } : undefined}>
          <ul id={listId} role="listbox" aria-label={word('explore.complete')} tabIndex={open ? 0 : -1}>
            {(open ? offered : []).map((offer, index) => (
              <li key={`${offer.kind}-${offer.name}`} id={`${listId}-${index}`} role="option" aria-selected={index === chosen} onPointerDown={(event) => { event.preventDefault(); take(offer) }}>
                <span className="mono grow cut">{offer.name}</span><span className="t3 xs">{explain(offer.name, offer.kind)?.type ?? word(`explore.kind.${offer.kind}`)}</span>
              </li>
            ))}
          </ul>
          {chosenHelp && <div className="complete-help"><Explained known={chosenHelp} /></div>}
        </div>
        {hover && known && !open && <div role="tooltip" className="hovercard" style={{ left: `min(${hover.left}px, max(0px, 100% - 360px))`, top: hover.top + 6 }}><Explained known={known} /></div>}
        {failure && <p id={`error-${letter}`} className="bad sm" role="alert">{said(failure, word)}{failure.place && <span className="t3"> {failure.place}</span>}{failure.hint && <span className="t2"> {failure.hint}</span>}</p>}
        {current && !failure && answer?.warnings.map((note) => <p key={note} className={note.startsWith(info) ? 't2 sm' : 'warn sm'}>{note.startsWith(info) ? note.slice(info.length) : note}</p>)}
      </div>
      <span className="t3 sm nw cost" aria-live="off">{current && answer?.count !== undefined && !answer.error && word(answer.count === 1 ? 'explore.one' : 'explore.cost', { count: answer.count, more: answer.cut ? '+' : '', took: format.duration(answer.took) })}</span>
      {menu}
    </div>
  )
}

/** Only a refusal of the query stands under it; that the server is silent or failed is said where its answer would be. */
function refusal(error: unknown): ApiError | undefined {
  return error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 401 ? error : undefined
}

const said = (error: ApiError, word: ReturnType<typeof useWord>): string => (error.message === 'network' ? word('error.network') : errorSaid(error.message))
