// The page's beginning: theme, cache, router.
import '@mantine/core/styles/baseline.css'
import '@mantine/core/styles/default-css-variables.css'
import '@mantine/core/styles/global.css'
import '@mantine/core/styles/Paper.css'
import '@mantine/core/styles/Popover.css'
import './styles/fonts.css'
import './styles/tokens.css'
import './styles/base.css'
import './styles/mantine.css'
import { MantineProvider } from '@mantine/core'
import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode, type ReactNode } from 'react'
import { createRoot } from 'react-dom/client'
import { client } from './data/queries'
import { scheme, useSettings } from './data/settings'
import { router } from './router'
import { resolver, theme } from './theme'

// The server lets styles in only with the word it drew for this answer.
const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? ''

function App(): ReactNode {
  const settings = useSettings()
  return (
    <MantineProvider theme={theme} cssVariablesResolver={resolver} forceColorScheme={scheme(settings)} getStyleNonce={() => nonce}>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  )
}

createRoot(document.getElementById('root')!).render(<StrictMode><App /></StrictMode>)
