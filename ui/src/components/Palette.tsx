// Find or command: pages, things by name or number, and every verb of the grammar. Says what would happen before Enter; recent things first.
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import './palette.css'
import '../pages/chat/chat.css'
import { ask, useIncidents, useOrders, useServices } from '../data/queries'
import type { Answer } from '../data/api'
import { initialsOf, keep, recents, type Recent } from '../lib/recent'
import type { WordId } from '../lib/words'
import { Part } from '../pages/chat/Answer'
import { navigation } from '../pages/registry'
import { Icon, type IconName } from './Icon'
import { useFormat, useWord } from './language'
import { useOffers } from './offers'
import { Dialog } from './Sheet'
import { Glyph, type Shape } from './State'
import { Say } from './Text'
import { orderShape } from './tones'
import { useVerbs } from './verb'
import { verbForms } from './verbs'

interface Item { id: string; name: string; note: string; mark: ReactNode; keys: readonly string[]; off: boolean; to?: string; verb?: string; weighty?: boolean }

const verbShape: Record<string, Shape> = { halt: 'halted', brake: 'halted', rollback: 'rolled_back', deploy: 'release', restart: 'running', ack: 'person', resolve: 'ok', approve: 'person', note: 'message', reassign: 'person', check: 'system' }
const verbKeys: Record<string, readonly string[]> = { halt: ['Shift H'], rollback: ['Shift R'], ack: ['E'], resolve: ['E'], note: ['N'], reassign: ['R'] }
const verbOf = (text: string): string => text.trim().split(/\s+/)[0] ?? ''
/** Verbs that only look: their answer is shown here at once. */
const looks = (text: string): boolean => verbForms.find((form) => form.verb === verbOf(text))?.right === 'view'

/** What would happen, without the words around it: the palette has not done anything yet, that is clear. */
const would = (answer: Answer): Answer['text'] | string => (answer.text.id === 'verb.would' && answer.text.args?.['what'] ? answer.text.args['what'] : answer.text)

export default function Palette({ onClose }: { onClose: () => void }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const navigate = useNavigate()
  const offersOf = useOffers()
  const services = useServices().data
  const orders = useOrders().data
  const incidents = useIncidents().data
  const list = useId()
  const [typed, setTyped] = useState('')
  const [chosen, setChosen] = useState(0)
  const [armed, setArmed] = useState<string>()
  const verbs = useVerbs('palette')
  const box = useRef<HTMLDivElement>(null)
  const said = typed.trim()

  const groups = useMemo(() => {
    const lower = said.toLowerCase()
    const fits = (...texts: string[]): boolean => texts.some((text) => text.toLowerCase().includes(lower)) || initialsOf(texts[0] ?? '') === lower
    const doing = (text: string, note: string, off: boolean, weighty: boolean): Item => ({
      id: `do ${text}`, name: text.trim(), note, mark: <Glyph shape={verbShape[verbOf(text)] ?? 'message'} />, keys: verbKeys[verbOf(text)] ?? [], off, verb: text, weighty,
    })
    const going = (to: string, name: string, note: string, mark: ReactNode, keys: readonly string[] = []): Item => ({ id: `go ${to}`, name, note, mark, keys, off: false, to })
    const icon = (name: IconName): ReactNode => <Icon name={name} />
    const places: Item[] = [
      ...navigation.filter((nav) => fits(word(nav.word), nav.to)).map((nav) => going(nav.to, word(nav.word), '', icon(nav.icon), ['G', nav.key.toUpperCase()])),
      ...(services ?? []).filter((row) => lower !== '' && fits(`${row.service} ${row.environment}`, row.project)).map((row) => going(`/deploy/${row.project}/${row.service}/${row.environment}`, `${row.service}, ${row.environment.toUpperCase()}`, word('palette.deploy'), icon('deploy'))),
      ...(incidents ?? []).filter((row) => lower !== '' && fits(`#${row.number}`, format.text(row.title))).slice(0, 4).map((row) => going(`/incidents/${row.number}`, `#${row.number}`, format.text(row.title), icon('incidents'))),
      ...(orders ?? []).filter((row) => lower !== '' && fits(row.number, `${row.service} ${row.to}`)).slice(0, 4).map((row) => going(`/orders/${row.number}`, row.number, `${row.service} ${row.to}, ${word(`orders.state.${row.state}` as WordId)}`, <Glyph shape={orderShape[row.state]} />)),
    ]
    if (said === '') {
      const past = recents().map((one: Recent): Item => one.verb !== undefined ? doing(one.verb, '', false, verbForms.find((form) => form.verb === verbOf(one.verb ?? ''))?.weighty === true) : going(one.to ?? '/', one.name, '', icon('right')))
      return [{ head: word('palette.recent'), items: past }, { head: word('palette.do'), items: offersOf('', 40).filter((one) => !one.off && one.text.trim().split(' ').length > 1).slice(0, 5).map((one) => doing(one.text, one.note, one.off, one.weighty)) }, { head: word('palette.go'), items: places }]
    }
    // What was typed in whole is itself an offer, also when nothing here knows it: the server understands more than is offered.
    const form = verbForms.find((one) => one.verb === verbOf(said.toLowerCase()))
    const offered = offersOf(said, 6)
    const whole = form && said.includes(' ') && !offered.some((one) => one.text.trim() === said) ? [doing(said, '', false, form.weighty === true)] : []
    return [{ head: word('palette.do'), items: [...whole, ...offered.map((one) => doing(one.text, one.note, one.off, one.weighty))] }, { head: word('palette.go'), items: places.slice(0, 10) }]
  }, [said, services, orders, incidents, word, format, offersOf])

  const items = groups.flatMap((group) => group.items)
  const at = Math.min(chosen, Math.max(0, items.length - 1))
  const item = items[at]
  const preview = useQuery({
    queryKey: ['would', item?.verb?.trim()],
    queryFn: () => ask({ text: item!.verb!.trim(), dry_run: true }),
    enabled: item?.verb !== undefined && !item.off && !looks(item.verb) && /\S\s+\S/.test(item.verb.trim()) && !item.verb.endsWith(' '),
    retry: false, staleTime: 2_000,
  })
  useEffect(() => setArmed(undefined), [item?.id])
  useEffect(() => {
    box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' })
  }, [at, items.length])

  const refused = preview.data?.outcome?.is === 'refused'
  const run = async (one: Item | undefined): Promise<void> => {
    if (!one || one.off) return
    if (one.to !== undefined) {
      keep({ name: one.name, to: one.to })
      onClose()
      void navigate({ to: one.to })
      return
    }
    const text = one.verb!.trim()
    // A verb that still lacks its thing is completed, not sent.
    if (one.verb!.endsWith(' ') || (text !== said && !/\s/.test(text) && verbForms.find((form) => form.verb === text)?.takes !== 'nothing')) {
      setTyped(`${text} `)
      setChosen(0)
      return
    }
    if (one.weighty && armed !== one.id) {
      // What goes forward or back is shown first; the next Enter does it.
      if (one.id === item?.id && preview.data && !refused) setArmed(one.id)
      return
    }
    keep({ name: text, verb: text })
    const answer = await verbs.say(text)
    setArmed(undefined)
    const order = answer?.outcome?.is === 'accepted' ? answer.outcome.order : undefined
    if (order && one.weighty) {
      onClose()
      void navigate({ to: `/orders/${order}` })
    }
  }
  const keys = (event: KeyboardEvent<HTMLInputElement>): void => {
    if (event.nativeEvent.isComposing) return
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault()
      if (items.length > 0) setChosen((at + (event.key === 'ArrowDown' ? 1 : items.length - 1)) % items.length)
    } else if (event.key === 'Tab' && !event.shiftKey && item?.verb !== undefined) {
      event.preventDefault()
      setTyped(item.verb.endsWith(' ') ? item.verb : `${item.verb} `)
      setChosen(0)
    } else if (event.key === 'Enter') {
      event.preventDefault()
      if (!event.repeat) void run(item)
    }
  }
  const noteOf = (one: Item): ReactNode => {
    if (one.id !== item?.id || one.verb === undefined) return one.note
    if (preview.isFetching && !preview.data) return word('palette.looking')
    if (refused && preview.data?.outcome) return <span className="bad">{format.text(preview.data.outcome.text)}</span>
    if (preview.data) return <Say text={would(preview.data)} links={false} />
    if (preview.error) return <span className="bad">{preview.error instanceof Error ? preview.error.message : ''}</span>
    return one.note
  }
  let index = -1
  return (
    <Dialog opened onClose={onClose} name={word('head.find')} className="palette">
      <div className="pal-in">
        <Icon name="find" />
        <input data-autofocus value={typed} maxLength={2_000} spellCheck={false} autoComplete="off" aria-label={word('palette.input')} placeholder={word('head.find')} role="combobox" aria-expanded={items.length > 0} aria-controls={list} aria-autocomplete="list"
          aria-activedescendant={item ? `${list}-${at}` : undefined} onChange={(event) => { setTyped(event.target.value); setChosen(0) }} onKeyDown={keys} />
        <span className="t3 xs nw wideonly">{word('palette.note')}</span>
      </div>
      <div ref={box} id={list} className="pal-list" role="listbox" aria-label={word('palette.list')} tabIndex={-1} hidden={items.length === 0}>
        {groups.filter((group) => group.items.length > 0).map((group) => (
          <div key={group.head} role="group" aria-label={group.head}>
            <div className="pal-h" aria-hidden="true">{group.head}</div>
            {group.items.map((one) => {
              index += 1
              const here = index
              return (
                <div key={one.id} id={`${list}-${here}`} role="option" className="pal" aria-selected={here === at} aria-disabled={one.off || undefined} onPointerMove={() => here !== at && setChosen(here)} onClick={() => void run(one)}>
                  {one.mark}<span className={one.verb !== undefined ? 'name mono' : 'name'}>{one.name}</span><span className="t2 sm cut grow">{noteOf(one)}</span>
                  <span className="end">{here === at && one.verb !== undefined && !one.off ? <kbd>{armed === one.id ? word('palette.again') : 'Enter'}</kbd> : one.keys.map((key) => <kbd key={key}>{key}</kbd>)}</span>
                </div>
              )
            })}
          </div>
        ))}
      </div>
      {items.length === 0 && <p className="t2 sm" style={{ padding: 8 }}>{word('palette.none')}</p>}
      {(verbs.answer || verbs.problem || armed) && (
        <div className="pal-say" role="region" aria-label={word('palette.answer')} aria-live="polite" tabIndex={0}>
          {verbs.problem && <p className="bad">{verbs.problem}</p>}
          {armed && preview.data ? (
            <><p className="m"><Say text={would(preview.data)} links={false} /></p>{preview.data.parts.map((part, place) => <Part key={place} part={part} what={preview.data!.understood} />)}<button type="button" className="btn danf" style={{ marginTop: 8 }} onClick={() => void run(item)}>{word('chat.confirm.go', { verb: preview.data.understood })}</button></>
          ) : verbs.answer && !verbs.problem ? (
            <><p className="m"><Say text={verbs.answer.text} /></p>{verbs.answer.parts.map((part, place) => <Part key={place} part={part} what={verbs.answer!.understood} />)}</>
          ) : null}
        </div>
      )}
    </Dialog>
  )
}
