// The answer of a verb: the same data as in the terminal, as cards. Pictures are images of their own, never markup of this page.
import { Link } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { millis, useFormat, useWord } from '../../components/language'
import { Glyph, State } from '../../components/State'
import { Say, Time } from '../../components/Text'
import { alertShape, orderShape } from '../../components/tones'
import type { Answer, AnswerPart, Confirmation, ServerRow } from '../../data/api'
import { words, type WordId } from '../../lib/words'

const most = 4

export function AnswerCard({ asked, answer, confirm }: { asked: string; answer: Answer; confirm?: (confirm: Confirmation) => ReactNode }): ReactNode {
  const word = useWord()
  const refused = answer.outcome?.is === 'refused'
  const plain = asked.replace(/^(?:@\S+\s+|\/)/, '').trim()
  return (
    <>
      <p className="said"><Glyph shape={refused || !answer.well ? 'bad' : answer.confirm ? 'late' : 'ok'} /> <Say text={answer.confirm ? answer.confirm.what : answer.text} />{plain !== answer.understood && answer.understood !== '' && <span className="t3 sm"> {word('chat.understood', { verb: answer.understood })}</span>}</p>
      {answer.parts.map((part, index) => <Part key={index} part={part} what={answer.understood} />)}
      {answer.confirm && confirm && <article className="card">{confirm(answer.confirm)}</article>}
    </>
  )
}

export function Part({ part, what }: { part: AnswerPart; what: string }): ReactNode {
  const word = useWord()
  const format = useFormat()
  switch (part.is) {
    case 'servers':
      return <Servers part={part} />
    case 'picture': {
      // What the server drew: an image in a data address runs nothing and loads nothing.
      const last = part.series[0]?.values.filter((value) => value !== null).at(-1)
      const said = last === undefined || last === null ? word('chat.picture.none', { what }) : word('chat.picture', { what, count: part.series.length, last: format.measure(last) })
      return <article className="card picture"><img src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(part.svg)}`} alt={said} /></article>
    }
    case 'log':
      return <article className="card tight"><div className="log small" role="group" aria-label={word('chat.lines')} tabIndex={0}>{part.lines.map((line, index) => <div key={index}><span className="at">{format.clock(line.at, 2)}</span><span className="who">{line.host}</span><span>{line.text}</span></div>)}</div></article>
    case 'table':
      return (
        <Rows name={what} count={part.rows.length} heads={part.heads.map((head) => (`cell.${head}` in words ? word(`cell.${head}` as WordId) : head))}
          row={(index) => (part.rows[index] ?? []).map((cell, at) => <td key={at} className={part.heads[at] === 'plan' ? 'mono sm pre' : undefined}>{cell.state ? <State shape={alertShape[cell.state]}>{cell.text}</State> : cell.text}</td>)} />
      )
    case 'incidents':
      return (
        <Rows name={what} count={part.incidents.length} heads={[word('orders.number'), word('chat.state'), word('incidents.incident'), word('incidents.since')]}
          row={(index) => {
            const one = part.incidents[index]!
            return [
              <td key="n"><Link className="in mono" to={`/incidents/${one.number}`}>#{one.number}</Link></td>,
              <td key="s"><State shape={one.state === 'resolved' || one.recovered_at ? 'ok' : 'bad'}>{word(one.state === 'resolved' ? 'incidents.is.resolved' : one.recovered_at ? 'incidents.is.recovered' : 'incidents.is.open')}</State></td>,
              <td key="t"><Say text={one.title} links={false} /></td>, <td key="o"><Time at={one.onset} /></td>,
            ]
          }} />
      )
    case 'orders':
      return (
        <Rows name={what} numbers={1} count={part.orders.length} heads={[word('orders.number'), word('deploy.state'), word('orders.change'), word('orders.servers')]}
          row={(index) => {
            const one = part.orders[index]!
            return [
              <td key="n"><Link className="in mono" to={`/orders/${one.number}`}>{one.number}</Link></td>,
              <td key="s"><State shape={orderShape[one.state]}>{word(`orders.state.${one.state}` as WordId)}</State></td>,
              <td key="c">{one.service} <span className="mono">{one.to}</span></td>, <td key="h" className="num">{one.hosts_done}/{one.hosts}</td>,
            ]
          }} />
      )
    case 'changes':
      return (
        <Rows name={what} count={part.changes.length} heads={[word('graph.time'), word('orders.change'), word('orders.author')]}
          row={(index) => {
            const one = part.changes[index]!
            return [<td key="t"><Time at={one.received_at} /></td>, <td key="w"><Say text={one.change.what} /></td>, <td key="a">{one.change.author ?? '-'}</td>]
          }} />
      )
    case 'help':
      return <article className="card help"><dl>{part.verbs.map((verb) => <div key={verb.verb}><dt className="mono sm">{verb.usage}</dt><dd className="t2 sm"><Say text={verb.text} links={false} /></dd></div>)}</dl></article>
    default:
      return null
  }
}

/** A table that shows four rows, and the rest by a press. Its last `numbers` columns are figures. */
function Rows({ name, heads, count, row, rest, numbers = 0 }: { name: string; heads: readonly string[]; count: number; row: (index: number) => ReactNode; rest?: string; numbers?: number }): ReactNode {
  const word = useWord()
  const [whole, setWhole] = useState(false)
  if (count === 0) return null
  const shown = whole || count <= most + 1 ? count : most
  return (
    <article className="card tight">
      <div className="wide" role="group" aria-label={name} tabIndex={0}>
        <table aria-label={name}>
          <thead><tr>{heads.map((head, index) => <th key={index} className={index >= heads.length - numbers ? 'num' : undefined}>{head}</th>)}</tr></thead>
          <tbody>{Array.from({ length: shown }, (_, index) => <tr key={index}>{row(index)}</tr>)}</tbody>
        </table>
      </div>
      {count > most + 1 && <p className="rest"><span className="m">{whole ? '' : (rest ?? word('chat.more', { count: count - shown }))}</span> <button type="button" className="linky sm" aria-expanded={whole} onClick={() => setWhole(!whole)}>{word(whole ? 'chat.fold' : 'chat.show')}</button></p>}
    </article>
  )
}

const up = (row: ServerRow): boolean => row.host_up && row.state === 'running'

function Servers({ part }: { part: Extract<AnswerPart, { is: 'servers' }> }): ReactNode {
  const word = useWord()
  const format = useFormat()
  // Those that are not up come first: they are why somebody asked.
  const servers = [...part.servers].sort((a, b) => Number(up(a)) - Number(up(b)))
  const well = part.up === part.of
  const memory = (row: ServerRow): string => (row.memory_bytes == null ? '-' : row.memory_limit_bytes == null ? format.measure(row.memory_bytes, 'bytes') : word('chat.of', { used: format.measure(row.memory_bytes, 'bytes'), limit: format.measure(row.memory_limit_bytes, 'bytes') }))
  return (
    <>
      <div className="row wrap checkhead">
        <span className="b">{part.service}, {part.environment.toUpperCase()}</span>
        <span className="t2 sm">{word('chat.wanted', { wanted: part.wanted, of: part.of })}</span>
        <State shape={well ? 'ok' : 'bad'}>{word('chat.up', { up: part.up, of: part.of })}</State>
      </div>
      <Rows name={`${part.service} ${part.environment}`} numbers={3} count={servers.length} rest={servers.slice(most).every(up) ? word('chat.more.up', { count: servers.length - most }) : word('chat.more', { count: servers.length - most })}
        heads={[word('chat.instance'), word('chat.state'), word('chat.at'), word('chat.cpu'), word('chat.memory'), word('chat.disk')]}
        row={(index) => {
          const one = servers[index]!
          return [
            <td key="h" className="m">{one.host}{one.release && <span className="t3 mono"> {one.release.version}</span>}</td>,
            <td key="s">{!one.host_up ? <State shape="down" /> : one.state === 'running' ? <State shape="ok">{word('chat.up.running')}</State> : one.state ? <State shape={one.state === 'starting' || one.state === 'stopping' ? 'running' : 'bad'}>{word(`chat.up.${one.state}` as WordId)}</State> : <State shape="no_data" />}</td>,
            <td key="t" className="t2">{one.since ? format.when(millis(one.since)) : '-'}</td>,
            <td key="c" className="num">{one.cpu_cores == null ? '-' : format.measure(one.cpu_cores, 'ratio')}</td>,
            <td key="m" className="num">{memory(one)}</td>,
            <td key="d" className="num">{one.disk_share == null ? '-' : format.measure(one.disk_share, 'ratio')}</td>,
          ]
        }} />
    </>
  )
}
