// Catches what a page throws, so that the frame and its brake stay.
import { Component, type ErrorInfo, type ReactNode } from 'react'
import { Panel } from './Panel'
import { Problem } from './Waiting'
import { useWord } from './language'

export class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: undefined }

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error }
  }

  override componentDidCatch(error: unknown, info: ErrorInfo): void {
    console.error(error, info.componentStack)
  }

  override render(): ReactNode {
    return this.state.error === undefined ? this.props.children : <Broken error={this.state.error} onRetry={() => this.setState({ error: undefined })} />
  }
}

function Broken({ error, onRetry }: { error: unknown; onRetry: () => void }): ReactNode {
  const word = useWord()
  return <Panel name={word('error.page')}><Problem error={error} title={word('error.page')} onRetry={onRetry} /></Panel>
}
