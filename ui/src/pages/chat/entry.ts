// What was said and done, and what can I do from here?
import type { PageEntry } from '../registry'

const entry: PageEntry = {
  nav: { word: 'nav.chat', icon: 'chat', order: 30, key: 'c', to: '/chat', tab: true },
  routes: [
    { path: '/chat', load: () => import('./Chat'), flush: true },
    { path: '/chat/$room', load: () => import('./Chat'), flush: true },
    { path: '/chat/$room/$message', load: () => import('./Chat'), flush: true },
  ],
}
export default entry
