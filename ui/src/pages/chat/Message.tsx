// One message: a person's words, a card of the bot that changes where it stands, or the answer of a verb.
import { useRouter } from '@tanstack/react-router'
import { useState, type MouseEvent, type ReactNode } from 'react'
import { Logo } from '../../components/Icon'
import { millis, useFormat, useWord } from '../../components/language'
import { Tag } from '../../components/State'
import { Time } from '../../components/Text'
import type { ChatMessage, Confirmation } from '../../data/api'
import { useNow } from '../../data/clock'
import { ask, useMe } from '../../data/queries'
import { ownLinks } from '../../lib/share'
import { initials } from '../../lib/text'
import { AnswerCard } from './Answer'
import { AlertCard } from './Card'

export function Message({ message, before, room, linked }: { message: ChatMessage; before: ChatMessage | undefined; room: string; linked: boolean }): ReactNode {
  const word = useWord()
  const { body } = message
  // One minute of the same speaker stands under one name; the bot's cards always carry theirs.
  const goesOn = !message.bot && before !== undefined && before.by === message.by && before.bot === message.bot && millis(message.at) - millis(before.at) < 60_000
  return (
    <li className={`msg${linked ? ' linked' : ''}`} id={`m${message.seq}`}>
      <div className="gut" aria-hidden="true">{goesOn ? null : message.bot ? <span className="av bot"><Logo /></span> : <span className="av big">{initials(message.by)}</span>}</div>
      <div className="grow">
        {!goesOn && <div className="row mh"><span className="b cut">{message.by}</span>{message.bot && <Tag>{word('chat.bot')}</Tag>}<Time at={message.at} className="t3 xs" /></div>}
        {body.is === 'said' && <Said text={body.text} />}
        {body.is === 'card' && <AlertCard card={body.card} at={message.at} />}
        {body.is === 'answer' && <AnswerCard asked={body.asked} answer={body.answer} confirm={(confirm) => <Confirm confirm={confirm} asked={body.asked} understood={body.answer.understood} by={before && !before.bot ? before.by : undefined} room={room} />} />}
      </div>
    </li>
  )
}

/** Words, with a command set apart from them. */
function Said({ text }: { text: string }): ReactNode {
  const bot = useMe().data?.bot ?? 'flyball'
  const command = text.startsWith('/') ? 0 : text.indexOf(`@${bot}`)
  if (command < 0) return <p className="said"><Linked text={text} /></p>
  return <p className="said"><Linked text={text.slice(0, command)} /><code className="cmd">{text.slice(command)}</code></p>
}

/** Words in which addresses of this page can be pressed. */
function Linked({ text }: { text: string }): ReactNode {
  const { history } = useRouter()
  const open = (to: string) => (event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return
    event.preventDefault()
    history.push(to)
  }
  return ownLinks(text, location.origin).map((part, index) => (part.to === undefined ? part.text : <a key={index} href={part.to} title={part.text} className="in own" onClick={open(part.to)}>{part.text}</a>))
}

/** Only the same person can press it, and only for 60 s. The server checks both; the card says what came of it. */
function Confirm({ confirm, asked, understood, by, room }: { confirm: Confirmation; asked: string; understood: string; by: string | undefined; room: string }): ReactNode {
  const word = useWord()
  const format = useFormat()
  const me = useMe().data
  const now = useNow(1000)
  const [done, setDone] = useState<'asked' | 'done' | 'left'>()
  const [problem, setProblem] = useState<string>()
  const left = millis(confirm.until) - now
  const mine = by === undefined || by === me?.name || by === me?.shown
  const go = (): void => {
    if (done) return
    setDone('asked')
    setProblem(undefined)
    ask({ id: confirm.id, text: understood || asked, yes: true, room }).then(
      (answer) => {
        setDone('done')
        if (answer.outcome?.is === 'refused') setProblem(format.text(answer.outcome.text))
      },
      (error: unknown) => {
        setDone(undefined)
        setProblem(error instanceof Error && error.message !== 'network' ? error.message : word('error.network'))
      },
    )
  }
  return (
    <div className="confirm">
      <p className="t2 sm" aria-live="off">
        {done === 'done' ? word('chat.confirm.done') : done === 'left' ? word('chat.confirm.left') : left <= 0 ? word('chat.confirm.late')
          : mine ? word('chat.confirm.you', { left: format.duration(Math.ceil(left / 1000) * 1000) }) : word('chat.confirm', { person: by, left: format.duration(Math.ceil(left / 1000) * 1000) })}
      </p>
      {left > 0 && mine && done !== 'done' && done !== 'left' && (
        <div className="row wrap acts">
          <button type="button" className="btn danf" aria-disabled={done === 'asked' || undefined} onClick={go}>{done === 'asked' ? word('brake.asked') : word('chat.confirm.go', { verb: understood })}</button>
          <button type="button" className="btn" onClick={() => setDone('left')}>{word('chat.confirm.not')}</button>
        </div>
      )}
      {problem && <p className="bad sm" role="alert">{problem}</p>}
    </div>
  )
}
