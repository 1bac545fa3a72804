// Where one writes: words to the room, and commands with `@flyball` or `/`, completed from what fits now. What was typed is kept until it is sent.
import { useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { useWord } from '../../components/language'
import { useOffers } from '../../components/offers'
import { post } from '../../data/http'
import { client, useMe } from '../../data/queries'

const limit = 4_096
const drafts = new Map<string, string>()

export function Composer({ room, onSent }: { room: string; onSent: () => void }): ReactNode {
  const word = useWord()
  const bot = useMe().data?.bot ?? 'flyball'
  const area = useRef<HTMLTextAreaElement>(null)
  const offersOf = useOffers()
  const [text, setText] = useState(drafts.get(room) ?? '')
  const [chosen, setChosen] = useState(0)
  const [closed, setClosed] = useState(false)
  const [sending, setSending] = useState(false)
  const [problem, setProblem] = useState<string>()
  const bytes = new TextEncoder().encode(text).length
  const lead = text.startsWith('/') ? '/' : text.startsWith(`@${bot} `) ? `@${bot} ` : undefined
  // `@fly` becomes `@flyball ` first; then its verbs are offered.
  const naming = lead === undefined && /^@\S*$/.test(text) && `@${bot}`.startsWith(text)
  const offered = closed ? [] : naming ? [{ text: `@${bot} `, note: '', off: false, weighty: false }] : lead === undefined ? [] : offersOf(text.slice(lead.length)).filter((one) => one.text.trim() !== text.slice(lead.length).trim() || one.off)
  const open = offered.length > 0
  const at = Math.min(chosen, offered.length - 1)

  const write = (next: string): void => {
    drafts.set(room, next)
    setText(next)
    setChosen(0)
    setClosed(false)
    setProblem(undefined)
  }
  const take = (index: number): void => {
    const offer = offered[index]
    if (!offer || offer.off) return
    write(naming ? offer.text : (lead ?? '') + offer.text)
    area.current?.focus()
  }
  const send = async (): Promise<void> => {
    const said = text.trim()
    if (said === '' || sending || bytes > limit) return
    setSending(true)
    setProblem(undefined)
    try {
      await post(`/chat/${encodeURIComponent(room)}`, { text: said })
      write('')
      onSent()
      void client.invalidateQueries({ queryKey: ['chat', room] })
    } catch (error) {
      setProblem(error instanceof Error && error.message !== 'network' ? error.message : word('error.network'))
    } finally {
      setSending(false)
      area.current?.focus()
    }
  }
  const keys = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.nativeEvent.isComposing) return
    if (open && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      event.preventDefault()
      setChosen((at + (event.key === 'ArrowDown' ? 1 : offered.length - 1)) % offered.length)
    } else if (open && event.key === 'Tab' && !event.shiftKey) {
      event.preventDefault()
      take(at)
    } else if (open && event.key === 'Escape') {
      event.preventDefault()
      event.stopPropagation()
      setClosed(true)
    } else if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault()
      if (naming) take(at)
      else void send()
    }
  }
  return (
    <form className="compw" onSubmit={(event) => { event.preventDefault(); void send() }}>
      <ul id="offers" className="sugg" role="listbox" aria-label={word('chat.suggest')} hidden={!open}>
        {offered.map((offer, index) => (
          <li key={offer.text + offer.note} id={`offer-${index}`} className="sg" role="option" aria-selected={index === at} aria-disabled={offer.off || undefined} onPointerDown={(event) => { event.preventDefault(); take(index) }}>
            <span className="mono">{offer.text}</span><span className="t2 cut grow">{offer.note}</span>{index === at && !offer.off && <kbd>Tab</kbd>}
          </li>
        ))}
      </ul>
      {problem && <p className="bad sm" role="alert">{problem}</p>}
      <div className="comp">
        <textarea ref={area} rows={Math.min(6, text.split('\n').length)} className={lead === undefined ? undefined : 'mono'} value={text} aria-label={word('chat.write', { room, bot })} placeholder={word('chat.write', { room, bot })}
          aria-controls="offers" aria-autocomplete="list" aria-activedescendant={open ? `offer-${at}` : undefined}
          onChange={(event) => write(event.target.value)} onKeyDown={keys} />
        <span className="t3 sm nw hint">{bytes > limit * 0.9 ? word('chat.too_long', { len: bytes.toLocaleString('en') }) : word('chat.enter')}</span>
        <button type="submit" className="btn pri" aria-disabled={text.trim() === '' || sending || bytes > limit || undefined}>{word('chat.send')}</button>
      </div>
    </form>
  )
}
