// Sentences of the engine, with order numbers and incidents as links; and times with their full form on hover.
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useSettings } from '../data/settings'
import { orderTail, pieces } from '../lib/text'
import { full, withOffset } from '../lib/time'
import { millis, useFormat, type EngineText } from './language'

/** A sentence whose `#3727` and `20261122-101500-7K` are links. Values from outside stay text. */
export function Say({ text, links = true, short = false }: { text: EngineText | string; links?: boolean; /** Orders by their tails: the whole number stands elsewhere. */ short?: boolean }): ReactNode {
  const format = useFormat()
  const said = typeof text === 'string' ? text : format.text(text)
  if (!links) return short ? pieces(said).map((piece) => (piece.kind === 'order' ? orderTail(piece.text) : piece.text)).join('') : said
  return pieces(said).map((piece, index) =>
    piece.to ? <Link key={index} to={piece.to} className={piece.kind === 'order' ? 'in mono' : 'in'}>{short && piece.kind === 'order' ? orderTail(piece.text) : piece.text}</Link> : piece.text,
  )
}

/** A time as lists write it; `clock` forces hour, minute, second. Hover shows date, tenths and both zones. */
export function Time({ at, digits = 0, clock = false, className }: { at: string | number; digits?: number; clock?: boolean; className?: string }): ReactNode {
  const { zone } = useSettings()
  const format = useFormat()
  const instant = millis(at)
  const title = zone === 'UTC' ? full(instant, zone) : `${full(instant, zone)}\n${full(instant, 'UTC')}`
  return (
    <time dateTime={withOffset(instant, zone)} title={title} className={className ?? 'mono'}>
      {clock ? format.clock(instant, digits) : format.when(instant, digits)}
    </time>
  )
}
