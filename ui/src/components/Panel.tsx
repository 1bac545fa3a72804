// A panel: heading, a quieter note beside it, things to press at the right, content.
import { useId, type ReactNode } from 'react'

interface Props { title?: ReactNode; note?: ReactNode; actions?: ReactNode; children: ReactNode; className?: string; padded?: boolean; name?: string }

export function Panel({ title, note, actions, children, className, padded = false, name }: Props): ReactNode {
  const id = useId()
  return (
    <section className={`panel ${className ?? ''}`} {...(title ? { 'aria-labelledby': id } : name ? { 'aria-label': name } : {})}>
      {title && (
        <div className="ph">
          <h2 id={id}>{title}</h2>
          {note && <span className="t3 sm">{note}</span>}
          {actions && <div className="end keep row wrap">{actions}</div>}
        </div>
      )}
      {padded ? <div className="pb">{children}</div> : children}
    </section>
  )
}
