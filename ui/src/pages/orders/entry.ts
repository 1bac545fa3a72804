// Release orders: what is under way, what waits for whom; one order with its plan and log.
import type { PageEntry } from '../registry'

const entry: PageEntry = {
  nav: { word: 'nav.orders', icon: 'orders', group: 'release', order: 50, key: 'r', to: '/orders' },
  routes: [
    { path: '/orders', load: () => import('./List') },
    { path: '/orders/$number', load: () => import('./One') },
  ],
}
export default entry
