// What is shown, said in a room: a few words, the queries, and a link whose times stand still.
import { Link } from '@tanstack/react-router'
import { useId, useState, type ReactNode } from 'react'
import { useWord } from '../../components/language'
import { Sheet } from '../../components/Sheet'
import { Loaded } from '../../components/Waiting'
import { post } from '../../data/http'
import { client, useRooms } from '../../data/queries'
import { shareText } from '../../lib/share'

/** The room that was chosen last is the first choice of the next time. */
let lastRoom: string | undefined

interface Props { queries: readonly string[]; link: string; onClose: () => void }

export function Share({ queries, link, onClose }: Props): ReactNode {
  const word = useWord()
  const id = useId()
  const rooms = useRooms()
  const [words, setWords] = useState('')
  const [chosen, setChosen] = useState(lastRoom)
  const [state, setState] = useState<'open' | 'sending' | 'sent'>('open')
  const [problem, setProblem] = useState<string>()
  const names = (rooms.data ?? []).map(({ name }) => name)
  const room = chosen !== undefined && names.includes(chosen) ? chosen : names[0]
  const text = shareText(words, queries, link)
  const off = room === undefined || text === undefined || state === 'sending'
  const send = async (): Promise<void> => {
    if (off || room === undefined) return
    setState('sending')
    setProblem(undefined)
    try {
      await post(`/chat/${encodeURIComponent(room)}`, { text })
      lastRoom = room
      setState('sent')
      void client.invalidateQueries({ queryKey: ['chat', room] })
    } catch (error) {
      setState('open')
      setProblem(error instanceof Error && error.message !== 'network' ? error.message : word('error.network'))
    }
  }
  if (state === 'sent') {
    return (
      <Sheet opened onClose={onClose} title={word('share.title')}>
        <p role="status">{word('share.sent', { room })}</p>
        <div className="row wrap" style={{ marginTop: 10 }}>
          <button type="button" className="btn pri" data-autofocus onClick={onClose}>{word('do.close')}</button>
          <Link to={`/chat/${room}`} className="btn">{word('share.open', { room })}</Link>
        </div>
      </Sheet>
    )
  }
  return (
    <Sheet opened onClose={onClose} title={word('share.title')}
      action={<button type="button" className="btn pri" aria-disabled={off || undefined} onClick={() => void send()}>{room === undefined ? word('share.send_none') : word('share.send', { room })}</button>}>
      <Loaded query={rooms} rows={2}>
        {() => (
          <>
            <label className="lab" htmlFor={`${id}room`}>{word('share.room')}</label>
            <select id={`${id}room`} className="inp" value={room} onChange={(event) => setChosen(event.target.value)}>{names.map((name) => <option key={name} value={name}>#{name}</option>)}</select>
            <label className="lab" htmlFor={`${id}words`}>{word('share.words')}</label>
            <textarea id={`${id}words`} className="inp" rows={2} data-autofocus value={words} maxLength={2000} onChange={(event) => setWords(event.target.value)} />
            <p className="lab">{word('share.message')}</p>
            {text === undefined ? <p className="bad sm" role="alert">{word('share.long')}</p> : <pre className="code shared" tabIndex={0} aria-label={word('share.message')}>{text}</pre>}
            <p className="t3 sm" style={{ marginTop: 6 }}>{word('share.note')}</p>
            {problem && <p className="bad sm" role="alert">{problem}</p>}
          </>
        )}
      </Loaded>
    </Sheet>
  )
}
