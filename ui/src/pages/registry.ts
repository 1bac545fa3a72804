// Finds the pages: every folder here with an `entry.ts` is one, and stands in the navigation if it says so.
import type { ComponentType } from 'react'
import type { IconName } from '../components/Icon'
import type { WordId } from '../lib/words'

export interface PageEntry {
  nav?: {
    word: WordId
    icon: IconName
    /** Heading it stands under: none for the first group. */
    group?: 'release' | 'observe'
    /** Place from top to bottom, over all groups. */
    order: number
    /** The letter after `g`. */
    key: string
    to: string
    /** On a phone: in the bar at the bottom instead of under More. */
    tab?: boolean
  }
  routes: readonly {
    /** As TanStack Router writes it: `/incidents/$number`. */
    path: string
    load: () => Promise<{ default: ComponentType }>
    /** Uses the whole room under the header, without margins (chat). */
    flush?: boolean
    /** Without navigation and header (login). */
    bare?: boolean
  }[]
}

const found = import.meta.glob<{ default: PageEntry }>('./*/entry.ts', { eager: true })
export const pages: readonly PageEntry[] = Object.values(found).map((module) => module.default)
export const navigation = pages
  .flatMap((page) => (page.nav ? [page.nav] : []))
  .sort((a, b) => a.order - b.order)
