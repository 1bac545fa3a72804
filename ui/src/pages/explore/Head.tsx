// The head that Explore's pages share.
import type { ReactNode } from 'react'
import { useWord } from '../../components/language'

export function Head({ children }: { children: ReactNode }): ReactNode {
  const word = useWord()
  return (
    <div className="row wrap explore-head">
      <h1>{word('nav.explore')}</h1>
      {children}
    </div>
  )
}
