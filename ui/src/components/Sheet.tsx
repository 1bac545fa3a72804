// A sheet: asks before something is done, says what with figures. Drawer from below on a phone, dialog elsewhere.
import { Drawer, Modal } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import type { ReactNode } from 'react'
import { useWord } from './language'

interface Props { opened: boolean; onClose: () => void; title: ReactNode; children: ReactNode; /** The one thing to press; its label says verb and number. */ action?: ReactNode; wide?: boolean }

export function Sheet({ opened, onClose, title, children, action, wide = false }: Props): ReactNode {
  const word = useWord()
  const phone = useMediaQuery('(max-width: 600px)', false, { getInitialValueInEffect: false })
  const close = { 'aria-label': word('do.close') }
  const foot = action !== undefined && (
    <div className={phone ? 'sheet-foot phone' : 'sheet-foot'}>
      <button type="button" className={phone ? 'btn quiet' : 'btn'} onClick={onClose}>{word('do.not_now')}</button>
      {action}
    </div>
  )
  if (phone) {
    return (
      <Drawer opened={opened} onClose={onClose} title={title} position="bottom" size="auto" radius={16} closeButtonProps={close} transitionProps={{ duration: 0 }}>
        {children}
        {foot}
      </Drawer>
    )
  }
  return (
    <Modal opened={opened} onClose={onClose} title={title} size={wide ? 760 : 520} radius={8} closeButtonProps={close} transitionProps={{ duration: 0 }} centered>
      {children}
      {foot}
    </Modal>
  )
}

/** A line of a sheet: glyph and sentence. */
export function Fact({ glyph, children }: { glyph: ReactNode; children: ReactNode }): ReactNode {
  return <li className="fact">{glyph}<span>{children}</span></li>
}
