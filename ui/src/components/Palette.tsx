// Find or command: pages by name. Grows by things and verbs.
import { useNavigate } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { navigation } from '../pages/registry'
import { Icon } from './Icon'
import { useWord } from './language'
import { Dialog } from './Sheet'

export default function Palette({ onClose }: { onClose: () => void }): ReactNode {
  const word = useWord()
  const navigate = useNavigate()
  const [typed, setTyped] = useState('')
  const found = navigation.filter((nav) => word(nav.word).toLowerCase().includes(typed.trim().toLowerCase()))
  const go = (to: string): void => {
    onClose()
    void navigate({ to })
  }
  return (
    <Dialog opened onClose={onClose} name={word('head.find')} className="palette">
      <input className="inp mono" data-autofocus aria-label={word('head.find')} placeholder={word('head.find')} value={typed} onChange={(event) => setTyped(event.target.value)}
        onKeyDown={(event) => { if (event.key === 'Enter' && found[0]) go(found[0].to) }} />
      <ul style={{ marginTop: 8 }}>
        {found.map((nav) => <li key={nav.to}><button type="button" className="btn quiet" style={{ width: '100%', justifyContent: 'flex-start' }} onClick={() => go(nav.to)}><Icon name={nav.icon} />{word(nav.word)}<kbd className="end keep">G {nav.key.toUpperCase()}</kbd></button></li>)}
      </ul>
    </Dialog>
  )
}
