// Rooms, conversation, composer. What is scrolled up stays where it is; new messages count up on a bar at the bottom edge.
import { Link, useNavigate } from '@tanstack/react-router'
import { useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import './chat.css'
import { usePathParam } from '../../components/address'
import { millis, useFormat, useWord } from '../../components/language'
import { Pill } from '../../components/State'
import { Loaded } from '../../components/Waiting'
import type { ChatMessage } from '../../data/api'
import { client, messageKey, olderMessages, useChat, useIncidents, useMe, useRooms, useServices } from '../../data/queries'
import { date } from '../../lib/time'
import { Composer } from './Composer'
import { Message } from './Message'

export default function Chat(): ReactNode {
  const word = useWord()
  const room = usePathParam('room') ?? 'ops'
  const rooms = useRooms().data ?? []
  const names = [...new Set([room, ...rooms.map((one) => one.name)])].sort()
  const navigate = useNavigate()
  return (
    <div className="chat">
      <nav className="rooms" aria-label={word('chat.rooms')}>
        <div className="navh" aria-hidden="true">{word('chat.rooms')}</div>
        {names.map((name) => <Link key={name} className="nav" to={`/chat/${name}`} {...(name === room ? { 'aria-current': 'page' as const } : {})}><span className="t3" aria-hidden="true">#</span><span className="cut">{name}</span></Link>)}
      </nav>
      <section className="conv" aria-label={`#${room}`}>
        <div className="row chead">
          <h1><span aria-hidden="true"># </span>{room}</h1>
          {names.length > 1 && (
            <label className="roompick"><span className="sr">{word('chat.room')}</span>
              <select className="sel" value={room} onChange={(event) => void navigate({ to: `/chat/${event.target.value}` })}>{names.map((name) => <option key={name}>{name}</option>)}</select>
            </label>
          )}
          <Waits />
        </div>
        <Conversation key={room} room={room} />
      </section>
    </div>
  )
}

/** The incident that waits for a person. */
function Waits(): ReactNode {
  const word = useWord()
  const waits = useIncidents({ state: 'unresolved' }).data?.find((row) => row.state !== 'resolved')
  if (!waits) return null
  return <Link to={`/incidents/${waits.number}`} className="plain end keep waits"><Pill shape="late">{word(waits.state === 'open' ? 'chat.waits.ack' : 'chat.waits.resolve', { incident: `#${waits.number}` })}</Pill></Link>
}

const atEnd = (element: HTMLElement): boolean => element.scrollHeight - element.scrollTop - element.clientHeight < 32
/** Only a hand scrolls up: cards and pictures that grow leave the place where it is, and are followed. */
const byHand = (element: HTMLElement, top: number): boolean => element.scrollTop < top - 2 && !atEnd(element)

function Conversation({ room }: { room: string }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const chat = useChat(room)
  const me = useMe().data
  const service = useServices().data?.[0]?.service
  const linked = usePathParam('message')
  const box = useRef<HTMLDivElement>(null)
  const top = useRef(0)
  const [follows, setFollows] = useState(linked === undefined)
  // Known at once, not only when React has drawn: what grows in between must not bring back who has scrolled up.
  const following = useRef(follows)
  const follow = (to: boolean): void => {
    following.current = to
    setFollows(to)
  }
  /** Keeps who reads at the end there. A hand whose event has not come yet counts already. */
  const stay = (): void => {
    const element = box.current
    if (!element || !following.current) return
    if (byHand(element, top.current)) follow(false)
    else element.scrollTop = element.scrollHeight
    top.current = element.scrollTop
  }
  const toEnd = (): void => {
    follow(true)
    top.current = 0
    stay()
  }
  const [seen, setSeen] = useState<number>()
  const [all, setAll] = useState(false)
  const messages = chat.data ?? []
  const last = messages.at(-1)?.seq
  useLayoutEffect(stay, [messages, follows])
  useEffect(() => {
    if (follows || seen === undefined) setSeen(last)
  }, [follows, last, seen])
  useEffect(() => {
    if (linked && messages.length > 0) document.getElementById(`m${linked}`)?.scrollIntoView({ block: 'center' })
  }, [linked, messages.length > 0])
  // Pictures and cards grow after they are drawn: who reads at the end stays at the end.
  useEffect(() => {
    const element = box.current
    const list = element?.firstElementChild
    if (!element || !list) return
    const watch = new ResizeObserver(stay)
    watch.observe(list)
    return () => watch.disconnect()
  }, [chat.isPending])
  const scrolled = (): void => {
    const element = box.current
    if (!element) return
    if (atEnd(element)) follow(true)
    else if (byHand(element, top.current)) follow(false)
    top.current = element.scrollTop
  }
  const newer = seen === undefined ? 0 : messages.filter((message) => message.seq > seen).length
  const older = async (): Promise<void> => {
    const element = box.current
    const first = messages[0]?.seq
    if (!element || first === undefined) return
    const height = element.scrollHeight
    const known = new Set(messages.map(messageKey))
    // One event can have several messages, and the page may have ended between them: its place is asked for again.
    const found = (await olderMessages(room, first + 1)).filter((one) => !known.has(messageKey(one)))
    if (found.length === 0) setAll(true)
    client.setQueryData<ChatMessage[]>(['chat', room], (before) => [...found, ...(before ?? [])])
    // What was in view stays in view.
    requestAnimationFrame(() => {
      element.scrollTop += element.scrollHeight - height
    })
  }
  const days = useMemo(() => {
    const long = new Intl.DateTimeFormat(format.language === 'zh' ? 'zh-CN' : 'en-GB', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric', timeZone: format.zone })
    return (at: string): string => word('chat.day', { day: long.format(millis(at)), zone: format.zone })
  }, [format.language, format.zone, word])
  return (
    <>
      <div className="msgs-box">
        <div ref={box} className={follows ? 'msgs follows' : 'msgs'} role="log" aria-label={word('chat.messages')} aria-live={follows ? 'polite' : 'off'} tabIndex={0} onScroll={scrolled}>
          <Loaded query={chat} rows={6}>
            {(found) => (found.length === 0 ? <p className="t2 nothing">{service ? word('chat.empty', { room, bot: me?.bot ?? 'flyball', service }) : word('chat.empty.help', { room, bot: me?.bot ?? 'flyball' })}</p> : (
              <ol>
                <li className="more">{all || found.length < 50 ? <span className="t3 xs">{word('chat.beginning', { room })}</span> : <button type="button" className="btn small" onClick={() => void older()}>{word('chat.older')}</button>}</li>
                {found.map((message, index) => {
                  const before = found[index - 1]
                  const newDay = !before || date(millis(before.at), format.zone) !== date(millis(message.at), format.zone)
                  return [
                    newDay && <li key={`d${message.seq}`} className="day"><span>{days(message.at)}</span></li>,
                    <Message key={`${message.seq} ${index}`} message={message} before={before} room={room} linked={linked === String(message.seq)} />,
                  ]
                })}
              </ol>
            ))}
          </Loaded>
        </div>
        {!follows && newer > 0 && <button type="button" className="btn small newbar" onClick={toEnd}>{word('chat.new', { count: newer })}</button>}
      </div>
      <Composer room={room} onSent={toEnd} />
    </>
  )
}
