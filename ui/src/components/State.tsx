// The state of a thing: shape, word and colour, never colour alone. The shape is hidden from readers because the word is there.
import type { ReactNode } from 'react'
import type { WordId } from '../lib/words'
import { useWord } from './language'

const shapes = {
  ok: (<><circle cx="7" cy="7" r="6" fill="currentColor" /><path d="M4.200 7.200l2 2 3.600-4" fill="none" stroke="var(--panel)" strokeWidth="1.600" strokeLinecap="round" strokeLinejoin="round" /></>),
  bad: (<><path d="M7 .9l6.400 11.600H.6z" fill="currentColor" stroke="currentColor" strokeLinejoin="round" /><path d="M7 5v3.400M7 10.400v.2" stroke="var(--panel)" strokeWidth="1.600" strokeLinecap="round" /></>),
  late: <path d="M7 .8L13.200 7 7 13.200.8 7z" fill="currentColor" />,
  halted: (<><path d="M4.300 1h5.400L13 4.300v5.400L9.700 13H4.300L1 9.700V4.300z" fill="currentColor" /><path d="M4.300 7h5.400" stroke="var(--panel)" strokeWidth="1.800" strokeLinecap="round" /></>),
  rolled_back: <path d="M4.500 1.800L1.600 4.600l2.900 2.900M2 4.600h6.200a3.900 3.900 0 010 7.800H4.400" fill="none" stroke="currentColor" strokeWidth="1.700" strokeLinecap="round" strokeLinejoin="round" />,
  running: (<><circle cx="7" cy="7" r="5.200" fill="none" stroke="currentColor" strokeOpacity=".28" strokeWidth="1.900" /><path d="M7 1.800A5.200 5.200 0 0112.200 7" fill="none" stroke="currentColor" strokeWidth="1.900" strokeLinecap="round" /></>),
  no_data: <circle cx="7" cy="7" r="5.200" fill="none" stroke="currentColor" strokeWidth="1.500" strokeDasharray="2.400 2" />,
  down: (<><circle cx="7" cy="7" r="5.200" fill="none" stroke="currentColor" strokeWidth="1.600" /><path d="M3.400 10.600l7.200-7.200" stroke="currentColor" strokeWidth="1.600" /></>),
  untouched: <circle cx="7" cy="7" r="5.200" fill="none" stroke="currentColor" strokeWidth="1.500" />,
  release: <path d="M3 13V1.500M3 2h8.500L9.300 5l2.200 3H3" fill="currentColor" stroke="currentColor" strokeWidth="1.400" strokeLinejoin="round" strokeLinecap="round" />,
  change: <path d="M3 13V1.500M3 2h8.500L9.300 5l2.200 3H3" fill="none" stroke="currentColor" strokeWidth="1.400" strokeLinejoin="round" strokeLinecap="round" />,
  configuration: (<><path d="M1.500 4.200h6M10.500 4.200h2M1.500 9.800h2M6.500 9.800h6" stroke="currentColor" strokeWidth="1.400" strokeLinecap="round" /><circle cx="9" cy="4.200" r="1.500" fill="none" stroke="currentColor" strokeWidth="1.400" /><circle cx="5" cy="9.800" r="1.500" fill="none" stroke="currentColor" strokeWidth="1.400" /></>),
  sql: (<><ellipse cx="7" cy="3.400" rx="4.600" ry="1.700" fill="none" stroke="currentColor" strokeWidth="1.400" /><path d="M2.400 3.400v7.200c0 .9 2 1.700 4.600 1.700s4.600-.8 4.600-1.700V3.400" fill="none" stroke="currentColor" strokeWidth="1.400" /></>),
  system: <path d="M2 2.500h10v4H2zM2 7.500h10v4H2zM4.200 4.500h.1M4.200 9.500h.1" fill="none" stroke="currentColor" strokeWidth="1.400" strokeLinecap="round" strokeLinejoin="round" />,
  outside: <path d="M7 1.500v11M1.500 7h11M3.200 3.200c2.200 2.200 5.400 2.200 7.600 0M3.200 10.800c2.200-2.200 5.400-2.200 7.600 0" fill="none" stroke="currentColor" strokeWidth="1.300" strokeLinecap="round" />,
  message: <path d="M1.500 2.500h11v7H6l-2.800 2.600V9.500H1.500z" fill="none" stroke="currentColor" strokeWidth="1.400" strokeLinejoin="round" />,
  person: (<><circle cx="7" cy="4.200" r="2.600" fill="none" stroke="currentColor" strokeWidth="1.400" /><path d="M1.800 12.800c.6-2.800 2.600-4 5.200-4s4.600 1.200 5.200 4" fill="none" stroke="currentColor" strokeWidth="1.400" strokeLinecap="round" /></>),
} as const

export type Shape = keyof typeof shapes
export const isShape = (name: string): name is Shape => Object.hasOwn(shapes, name)

/** The colour class that belongs to a shape (base.css). */
export const tones: Record<Shape, string> = {
  ok: 'ok', bad: 'bad', late: 'warn', halted: 'bad', rolled_back: 'ok', running: 'run', no_data: 'none', down: 'down', untouched: 'none',
  release: 'run', change: 't2', configuration: 't2', sql: 't2', system: 't2', outside: 't2', message: 't2', person: 't2',
}

const wordOf: Partial<Record<Shape, WordId>> = {
  ok: 'state.ok', bad: 'state.bad', late: 'state.late', halted: 'state.halted', rolled_back: 'state.rolled_back', running: 'state.running',
  no_data: 'state.no_data', down: 'state.down', untouched: 'state.untouched',
}

/** The shape alone, where the word stands beside it already. */
export function Glyph({ shape, big = false, tone }: { shape: Shape; big?: boolean; tone?: string | undefined }): ReactNode {
  return <svg className={`g ${tone ?? tones[shape]}${big ? ' big' : ''}`} viewBox="0 0 14 14" aria-hidden="true">{shapes[shape]}</svg>
}

/** Shape and word; `children` replaces the word (`draining, 14 left`). */
export function State({ shape, children }: { shape: Shape; children?: ReactNode }): ReactNode {
  const word = useWord()
  const id = wordOf[shape]
  return <span className={`st ${tones[shape]}`}><Glyph shape={shape} tone="" />{children ?? (id ? word(id) : shape)}</span>
}

/** A state as a rounded chip; with `to` it is rendered by the caller inside a link. */
export function Pill({ shape, tone, children }: { shape?: Shape | undefined; tone?: string | undefined; children: ReactNode }): ReactNode {
  const colour = tone ?? (shape ? tones[shape] : 'none')
  return <span className={`pill ${colour === 't2' ? 'none' : colour}`}>{shape && <Glyph shape={shape} tone="" />}{children}</span>
}

export function Tag({ children, fresh = false }: { children: ReactNode; fresh?: boolean }): ReactNode {
  return <span className={fresh ? 'tag new' : 'tag'}>{children}</span>
}
