// Dialogs on the browser's own <dialog>: it keeps the focus inside, gives it back, and closes by Escape. A sheet asks before something
// is done and says what with figures; it comes from below on a phone.
import { useEffect, useId, useRef, type MouseEvent, type ReactNode } from 'react'
import { Icon } from './Icon'
import { useWord } from './language'

interface DialogProps { opened: boolean; onClose: () => void; /** Id of its heading, or its name. */ labelledBy?: string; name?: string; className?: string; children: ReactNode }

/** The bare dialog: rendered only while it is open. Focus starts on `[data-autofocus]`, else on the first thing in it. */
export function Dialog({ opened, ...props }: DialogProps): ReactNode {
  return opened ? <Open {...props} /> : null
}

function Open({ onClose, labelledBy, name, className, children }: Omit<DialogProps, 'opened'>): ReactNode {
  const box = useRef<HTMLDialogElement>(null)
  const close = useRef(onClose)
  close.current = onClose
  useEffect(() => {
    const dialog = box.current
    if (!dialog) return
    const before = document.activeElement
    if (!dialog.open) dialog.showModal()
    dialog.querySelector<HTMLElement>('[data-autofocus]')?.focus()
    return () => {
      dialog.close()
      if (before instanceof HTMLElement && before.isConnected) before.focus()
    }
  }, [])
  const press = (event: MouseEvent<HTMLDialogElement>): void => {
    // The dialog itself is hit only outside its content: on the veil.
    if (event.target === event.currentTarget) close.current()
  }
  return (
    <dialog ref={box} role="dialog" aria-modal="true" className={`dialog ${className ?? ''}`} {...(labelledBy ? { 'aria-labelledby': labelledBy } : { 'aria-label': name })}
      onCancel={(event) => { event.preventDefault(); close.current() }} onMouseDown={press}>
      <div className="dialog-in">{children}</div>
    </dialog>
  )
}

interface Props { opened: boolean; onClose: () => void; title: ReactNode; children: ReactNode; /** The one thing to press; its label says verb and number. */ action?: ReactNode; wide?: boolean }

export function Sheet({ opened, onClose, title, children, action, wide = false }: Props): ReactNode {
  const word = useWord()
  const heading = useId()
  return (
    <Dialog opened={opened} onClose={onClose} labelledBy={heading} className={wide ? 'sheet wide' : 'sheet'}>
      <div className="sheet-head">
        <h2 id={heading}>{title}</h2>
        <button type="button" className="btn quiet" aria-label={word('do.close')} onClick={onClose}><Icon name="close" /></button>
      </div>
      <div className="sheet-body">{children}</div>
      {action !== undefined && (
        <div className="sheet-foot">
          <button type="button" className="btn" onClick={onClose}>{word('do.not_now')}</button>
          {action}
        </div>
      )}
    </Dialog>
  )
}

/** A line of a sheet: glyph and sentence. */
export function Fact({ glyph, children }: { glyph: ReactNode; children: ReactNode }): ReactNode {
  return <li className="fact">{glyph}<span>{children}</span></li>
}
