// What was run in this browser, newest first; a press puts it into the editor.
import { Popover } from '@mantine/core'
import { useState, type ReactNode } from 'react'
import { useFormat, useWord } from '../../components/language'
import { asked, forgetAsked, type Asked } from '../../lib/asked'

interface Props { opened: boolean; onOpen: (opened: boolean) => void; /** The editor it goes to. */ letter: string; onTake: (query: string) => void }

export function History({ opened, onOpen, letter, onTake }: Props): ReactNode {
  const word = useWord()
  const format = useFormat()
  const [shown, setShown] = useState<readonly Asked[]>([])
  const [was, setWas] = useState(false)
  if (opened !== was) {
    setWas(opened)
    if (opened) setShown(asked())
  }
  return (
    <Popover opened={opened} onChange={onOpen} position="bottom-end" trapFocus returnFocus withinPortal={false} transitionProps={{ duration: 0 }} width="min(560px, calc(100vw - 24px))">
      <Popover.Target><button type="button" className="btn quiet" aria-haspopup="dialog" aria-expanded={opened} onClick={() => onOpen(!opened)}>{word('explore.history')}</button></Popover.Target>
      <Popover.Dropdown aria-label={word('explore.history')} className="history">
        {shown.length === 0 ? <p className="t2 sm">{word('explore.history.none')}</p> : (
          <>
            <ul tabIndex={0} aria-label={word('explore.history.into', { letter })}>
              {shown.map((one) => <li key={one.query}><button type="button" className="menu-item" onClick={() => { onOpen(false); onTake(one.query) }}><span className="mono grow">{one.query}</span><span className="t3 xs nw">{format.when(one.at)}</span></button></li>)}
            </ul>
            <div className="row"><span className="t3 xs">{word('explore.history.into', { letter })}</span><button type="button" className="btn small quiet end keep" onClick={() => { forgetAsked(); setShown([]) }}>{word('explore.history.clear')}</button></div>
          </>
        )}
      </Popover.Dropdown>
    </Popover>
  )
}
