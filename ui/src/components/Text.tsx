// Sentences of the engine, with order numbers and incidents as links; times with their full form on hover; figures that live data changes.
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

/**
 * A figure that stands at the right edge of its place and is changed by live data. The edge stays when a digit more or less is there; the first
 * digit does not, and the browser would count that as a jump of the page: each text is an element of its own, which has no place before.
 */
export function Figure({ children, as: Tag = 'span', className }: { children: string; as?: 'span' | 'b'; className?: string }): ReactNode {
  return <Tag key={children} className={className}>{children}</Tag>
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
