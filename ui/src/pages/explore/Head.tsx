// The head that Explore's pages share: their name, and the way between queries and the count of series.
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useWord } from '../../components/language'

export function Head({ at, children }: { at: 'queries' | 'cardinality'; children: ReactNode }): ReactNode {
  const word = useWord()
  return (
    <div className="row wrap explore-head">
      <h1>{word('nav.explore')}</h1>
      <nav className="seg" aria-label={word('explore.places')}>
        <Link to="/explore" activeOptions={{ exact: true, includeSearch: false }} {...(at === 'queries' ? { 'aria-current': 'page' as const } : {})}>{word('explore.queries')}</Link>
        <Link to="/explore/cardinality" {...(at === 'cardinality' ? { 'aria-current': 'page' as const } : {})}>{word('explore.series_count')}</Link>
      </nav>
      {children}
    </div>
  )
}
